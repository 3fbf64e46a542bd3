"""How long the disk itself makes a small synced write wait meanwhile: tells the disk's pauses from a server's."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Self

EVERY_S = 0.05


class DiskProbe:
    """While the block runs, appends 4 KB and syncs twenty times a second; `worst_ms` is the slowest of them."""

    def __init__(self, directory: Path) -> None:
        self.worst_ms = 0.0
        self._path = directory / "disk-probe"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk probe")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._path.unlink()

    def _run(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        while not self._stop.wait(EVERY_S):
            os.write(descriptor, bytes(4096))
            began = time.perf_counter()
            os.fsync(descriptor)
            self.worst_ms = max(self.worst_ms, (time.perf_counter() - began) * 1000)
        os.close(descriptor)
