"""A disk whose syncs can be held up, counted, and made to fail, under an open store."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from keystead.embedded.codecs import Coding, key_codec, value_codec
from keystead.embedded.local import LocalStore
from keystead.embedded.shared_engine import SharedEngine
from keystead.engine.engine import Engine, Options
from keystead.engine.files import OperatingSystem

if TYPE_CHECKING:
    from pathlib import Path

    import keystead

WAIT_S = 20


class SlowDisk(OperatingSystem):
    """The real disk. Held, a sync of the log does not return; with `error` it fails; with `no_space` no file grows"""

    def __init__(self) -> None:
        self._may_sync = threading.Event()
        self._may_sync.set()
        self.syncing = threading.Event()
        self.syncs = 0
        self.error: OSError | None = None
        self.no_space: OSError | None = None

    def hold(self) -> None:
        """From now on syncs wait for `let_go`."""
        self.syncing.clear()
        self._may_sync.clear()

    def let_go(self) -> None:
        """Let all syncs go."""
        self._may_sync.set()

    def wait_for_sync(self) -> None:
        """Return when somebody is held up in a sync."""
        assert self.syncing.wait(WAIT_S)

    def sync(self, fd: int) -> None:  # type: ignore[override]
        """As System; what is prepared in the background is none of our business."""
        if threading.current_thread().name == "keystead-maintenance":
            OperatingSystem.sync(fd)
            return
        self.syncing.set()
        assert self._may_sync.wait(WAIT_S)
        self.syncs += 1
        if self.error is not None:
            raise self.error
        OperatingSystem.sync(fd)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:  # type: ignore[override]
        """As System."""
        if self.no_space is not None and offset + len(data) > os.fstat(fd).st_size:
            raise self.no_space
        return os.pwrite(fd, data, offset)

    def allocate(self, fd: int, offset: int, length: int) -> None:  # type: ignore[override]
        """As System."""
        if self.no_space is not None and offset + length > os.fstat(fd).st_size:
            raise self.no_space
        OperatingSystem.allocate(fd, offset, length)


def open_on(disk: SlowDisk, path: Path, **options: Any) -> keystead.Store[str, bytes]:
    """A store on that disk."""
    engine = Engine.open(str(path), Options(**options), system=disk)
    return LocalStore(SharedEngine(engine, 0), Coding(key_codec("str"), value_codec(bytes)))


def in_thread(*calls: Any) -> list[threading.Thread]:
    """Each call in a thread of its own, started."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    """Wait for all of them to end."""
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive(), "a thread hangs"
