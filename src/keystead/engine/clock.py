"""Store time: wall-clock milliseconds that never go back, not even across restarts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch, by the machine's clock."""
    return time.time_ns() // 1_000_000


class Clock:
    """The one source of time for expiry and commit times.

    `now_ms` is refreshed once per chunk of input rather than read per command, so that all commands of a chunk agree.
    When the machine's clock is set back, store time stands still until the machine has caught up: a key never
    un-expires and commit times never decrease.
    """

    __slots__ = ("_wall_ms", "now_ms")

    def __init__(self, wall_ms: Callable[[], int] = wall_clock_ms) -> None:
        self._wall_ms = wall_ms
        self.now_ms = wall_ms()

    def refresh(self) -> int:
        """Move store time up to the machine's clock and return it."""
        wall_ms = self._wall_ms()
        if wall_ms > self.now_ms:
            self.now_ms = wall_ms
        return self.now_ms

    def ahead(self) -> int:
        """What `refresh` would return, without moving store time: for threads that do not hold the engine's lock."""
        return max(self.now_ms, self._wall_ms())

    def advance_to(self, at_ms: int) -> None:
        """Never be earlier than *at_ms*: the latest time the log has seen."""
        if at_ms > self.now_ms:
            self.now_ms = at_ms
