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
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from keystead.backup.failures import BackupUnderWay, PlaceFailure
from keystead.backup.places import Place, read_whole
from keystead.engine.clock import wall_clock_ms

LEASES = "leases"
RENEWED_EVERY_S = 20.0
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


@contextlib.contextmanager
def leased(place: Place, now_ms: Callable[[], int] = wall_clock_ms) -> Iterator[None]:
    """Be the only writer during the block. BackupUnderWay names another one, PlaceFailure.

    The order is the point: put the own lease, then look for others. Of two that begin at once at least one sees the
    other; if both do, both give up.
    """
    name = f"{LEASES}/{secrets.token_hex(8)}"
    stop = threading.Event()
    _renew(place, name, now_ms())
    try:
        _refuse_others(place, name, now_ms())
        renewing = threading.Thread(target=_renew_until, args=(place, name, stop, now_ms), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            stop.set()
            renewing.join()
    finally:
        with contextlib.suppress(PlaceFailure):
            place.remove(name)


def _renew(place: Place, name: str, now_ms: int) -> None:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]) if sys.argv and sys.argv[0] else "python"
    lease = Lease(socket.gethostname(), os.getpid(), command, now_ms)
    place.put(name, [msgspec.json.encode(lease)])


def _renew_until(place: Place, name: str, stop: threading.Event, now_ms: Callable[[], int]) -> None:
    while not stop.wait(RENEWED_EVERY_S):
        with contextlib.suppress(PlaceFailure):  # the next one may succeed; the writer itself meets the same failure
            _renew(place, name, now_ms())


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
