"""One writer a repository: what one backup is about to name, another one's pruning must not remove.

Owns: the protocol (docs/backup.md, "Leases"). It needs no more of a place than that what was put is listed afterwards,
so it is the same in a directory and in object storage.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from keystead.backup.failures import BackupUnderWay, PlaceFailure
from keystead.backup.places import Place, read_whole
from keystead.engine.clock import wall_clock_ms

LEASES = "leases"
RENEWED_EVERY_S = 20.0
TRUSTED_FOR_S = 40.0
"""So long after it was renewed a lease need not be looked at before something is written."""
STALE_AFTER_MS = 180_000
"""Far above the time between renewals and the difference of two machines' clocks."""


class Lease(msgspec.Struct):
    """Who writes to the repository."""

    host: str
    pid: int
    command: str
    renewed_ms: int

    def in_words(self) -> str:
        """For the message that a second writer gets."""
        return f"pid {self.pid} on {self.host}, {self.command}"


class Held:
    """A lease of this process, renewed by a thread of its own."""

    def __init__(self, place: Place, now_ms: Callable[[], int]) -> None:
        self._place = place
        self._now_ms = now_ms
        self.name = f"{LEASES}/{secrets.token_hex(8)}"
        self._renewed_s = 0.0
        self._lost = False
        self._stop = threading.Event()
        self._put()

    def check(self) -> None:
        """To be asked before anything is named or removed. BackupUnderWay when another writer has taken over, which it
        may after minutes in which the place could not be reached; PlaceFailure when it cannot be reached now."""
        if time.monotonic() - self._renewed_s > TRUSTED_FOR_S:
            self._renew()
        if self._lost:
            raise BackupUnderWay(f"another backup has taken {self._place.address} over; it was not reached for minutes")

    def _renew(self) -> None:
        # Never put again what another writer has removed.
        self._lost = self._lost or self.name not in self._place.sizes(LEASES)
        if not self._lost:
            self._put()

    def _put(self) -> None:
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]) if sys.argv and sys.argv[0] else "python"
        lease = Lease(socket.gethostname(), os.getpid(), command, self._now_ms())
        self._place.put(self.name, [msgspec.json.encode(lease)])
        self._renewed_s = time.monotonic()

    def keep(self) -> None:
        """Renew it until `stop` is called."""
        while not self._stop.wait(RENEWED_EVERY_S):
            with contextlib.suppress(PlaceFailure):  # the next try may succeed; the writer meets the same failure
                self._renew()

    def stop(self) -> None:
        """Renew it no more."""
        self._stop.set()


@contextlib.contextmanager
def leased(place: Place, now_ms: Callable[[], int] = wall_clock_ms) -> Iterator[Held]:
    """Be the only writer during the block. BackupUnderWay names another one, PlaceFailure.

    The order is the point: put the own lease, then look for others. Of two that begin at once at least one sees the
    other; if both do, both give up.
    """
    held = Held(place, now_ms)
    try:
        _refuse_others(place, held.name, now_ms())
        renewing = threading.Thread(target=held.keep, name="keystead-lease", daemon=True)
        renewing.start()
        try:
            yield held
        finally:
            held.stop()
            renewing.join()
    finally:
        with contextlib.suppress(PlaceFailure):
            place.remove(held.name)


def _refuse_others(place: Place, own: str, now_ms: int) -> None:
    for name in place.sizes(LEASES):
        if name == own:
            continue
        try:
            lease = msgspec.json.decode(read_whole(place, name), type=Lease)
        except FileNotFoundError:
            continue
        except msgspec.DecodeError:
            lease = None
        if lease is not None and _is_held(lease, now_ms):
            raise BackupUnderWay(f"another backup writes to {place.address} ({lease.in_words()})")
        place.remove(name)


def _is_held(lease: Lease, now_ms: int) -> bool:
    if now_ms - lease.renewed_ms > STALE_AFTER_MS:
        return False
    if lease.host != socket.gethostname():
        return True
    # A process of this machine: a killed one does not keep its successor waiting.
    if lease.pid == os.getpid():
        return False
    try:
        os.kill(lease.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
