"""Disk space that is kept back, and given up when a checkpoint or the next segment meets a full disk: a checkpoint is
what lets old files go.

Owns: the file, how large it should be, when it is made again. Must not know: what other jobs do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.engine.log import NO_SPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.clock import Clock
    from keystead.engine.files import Directory
    from keystead.engine.manifest import Manifest

RESERVE_RETRY_MS = 10_000
RESERVE_NAME = "reserve"
LEAST_RESERVE_BYTES = 1 << 20
MOST_RESERVE_BYTES = 64 << 20
"""The reserve is a quarter larger than the last checkpoint, within these bounds."""


class Reserve:
    """Of one directory. Its jobs run in the background; what they return is run in the foreground."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._kept_bytes = 0
        self._not_before_ms = 0

    def due(self, manifest: Manifest) -> bool:
        """Whether it is missing or too small."""
        return self._kept_bytes < _target(manifest) and self._clock.now_ms >= self._not_before_ms

    def job(self, manifest: Manifest) -> Callable[[], Callable[[], None]]:
        """Make it as large as it should be, if there is room."""
        directory, target = self._directory, _target(manifest)

        def job() -> Callable[[], None]:
            try:
                with directory.open_or_create(RESERVE_NAME) as file:
                    if file.size() < target:
                        file.allocate(0, target)
                        file.sync()
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                directory.remove(RESERVE_NAME)
                return self._lost
            return lambda: self._kept(target)

        return job

    def given_up_for(self, job: Callable[[], Callable[[], None]]) -> Callable[[], Callable[[], None]]:
        """The job, tried once more without the reserve when the disk is full."""
        directory = self._directory

        def attempt() -> Callable[[], None]:
            try:
                return job()
            except OSError as error:
                if error.errno not in NO_SPACE or RESERVE_NAME not in directory.names():
                    raise
            directory.remove(RESERVE_NAME)
            directory.sync()
            done = job()

            def take_in() -> None:
                self._lost()
                done()

            return take_in

        return attempt

    def _kept(self, size: int) -> None:
        self._kept_bytes = size

    def _lost(self) -> None:
        self._kept_bytes = 0
        self._not_before_ms = self._clock.now_ms + RESERVE_RETRY_MS


def _target(manifest: Manifest) -> int:
    checkpoint = manifest.current.checkpoint
    wanted = checkpoint.length * 5 // 4 if checkpoint else 0
    return min(max(wanted, LEAST_RESERVE_BYTES), MOST_RESERVE_BYTES)
