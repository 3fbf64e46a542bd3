"""When the indexes of sealed segments are built: beside the jobs of `maintenance.py`, which must not wait for them.

Owns: the process that builds them, and when it is tried again. Must not know: what is in an index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.engine.background import ProcessFailed
from keystead.errors import DamagedData, DiskFailure

if TYPE_CHECKING:
    from keystead.engine.background import Background, Task
    from keystead.engine.clock import Clock
    from keystead.engine.files import Directory
    from keystead.engine.manifest import Manifest

INDEX_RETRY_MS = 30_000


class IndexUpkeep:
    """Of one directory."""

    def __init__(self, directory: Directory, background: Background, clock: Clock) -> None:
        self._directory = directory
        self._background = background
        self._clock = clock
        self._task: Task[None] | None = None
        self._due = True
        """Sealed segments may lack their indexes."""
        self._verified = False
        """A start looks at all of them: a bit may have flipped."""
        self._not_before_ms = 0

    def segments_changed(self) -> None:
        """A segment was sealed, or replaced by another."""
        self._due = True

    def step(self, manifest: Manifest, *, wanted: bool) -> None:
        """Take in what the process has done, or start it when that is due, and *wanted*."""
        if self._task is not None:
            if not self._task.done:
                return
            task, self._task = self._task, None
            try:
                task.result()
            except (OSError, ProcessFailed, DamagedData, DiskFailure):
                # Derived data, and none of our files was touched: the past is read more slowly until it is tried again.
                self._due = True
                self._not_before_ms = self._clock.now_ms + INDEX_RETRY_MS
        if self._due and wanted and self._clock.now_ms >= self._not_before_ms:
            self._due = False
            if any(record.length is not None for record in manifest.segments()):
                self._task = self._background.start_indexing(self._directory, verify=not self._verified)
                self._verified = True
