"""The server's side of the sync helper: starts it, asks it, hears its answer or its death.

Must not know: turns, who waits. See `sync_helper` for what runs on the other side.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from keystead.errors import DiskFailure
from keystead.server import sync_helper

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("keystead.server")

_END_SECONDS = 5.0


class SyncProcess:
    """One helper process; at most one request is under way.

    `on_synced` is called after each successful sync, with the seconds it took by the helper's clock. `on_failure` is
    called once, with a DiskFailure, when a sync fails or the helper dies with a request outstanding: what the disk
    holds is then unknown, and nothing may be asked again. A helper that dies idle is replaced: nobody had been promised
    anything by it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_synced: Callable[[float], None],
        on_failure: Callable[[DiskFailure], None],
    ) -> None:
        self._loop = loop
        self._on_synced = on_synced
        self._on_failure = on_failure
        self._busy = False
        self._channel: socket.socket
        self._process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start the process. OSError when the system refuses."""
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = [sys.executable, "-I", "-S", sync_helper.__file__, str(theirs.fileno())]
            self._process = subprocess.Popen(arguments, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        ours.setblocking(False)
        self._channel = ours
        self._loop.add_reader(ours.fileno(), self._hear)

    @property
    def pid(self) -> int:
        """Of the helper."""
        return self._process.pid

    def request(self, descriptors: Sequence[int]) -> None:
        """Ask for a sync of these open files. The answer comes as a call."""
        assert not self._busy, "one sync at a time"
        if not self._ask(descriptors):
            # It has died without having heard this: ask its successor.
            self._replace()
            if not self._busy and not self._ask(descriptors):
                self._fail("the sync helper cannot be reached")
        self._busy = True

    def _ask(self, descriptors: Sequence[int]) -> bool:
        try:
            socket.send_fds(self._channel, [sync_helper.REQUEST], list(descriptors))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """End the helper; with a request under way its answer is not waited for. Harmless when it has ended."""
        if self._channel.fileno() < 0:
            return
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self) -> None:
        try:
            answer = self._channel.recv(sync_helper.ANSWER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            answer = b""
        if not answer:
            self._bury()
            return
        failure = int.from_bytes(answer[: sync_helper.ERRNO_BYTES], sys.byteorder)
        if failure:
            self._fail(f"syncing the log: {os.strerror(failure)}")
            return
        self._busy = False
        self._on_synced(int.from_bytes(answer[sync_helper.ERRNO_BYTES :], sys.byteorder) / 1e9)

    def _bury(self) -> None:
        if self._busy:
            self.close()
            self._fail(f"the sync helper died with status {self._process.returncode} during a sync")
        else:
            self._replace()

    def _replace(self) -> None:
        self.close()
        log.warning("the sync helper died with status %s while idle; starting another", self._process.returncode)
        try:
            self.start()
        except OSError as error:
            self._fail(f"the sync helper cannot be started again: {error.strerror}")

    def _fail(self, reason: str) -> None:
        # _busy stays set: no further request can be made by mistake.
        self._busy = True
        self._on_failure(DiskFailure(reason))
