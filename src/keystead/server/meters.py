"""What the server measures about its turns and its loop. Costs something a turn, never something a command.

    fsync         what a sync of the log took
    commit        from the end of a turn, when it is in the log, until it is on disk
    batch         transactions that shared a frame
    durable lag   how long the oldest change in the log that is not on disk has waited, looked at ten times a second
    loop lag      how long somebody with input had to wait for their turn, looked at ten times a second

Must not know: the loop, the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.metrics import COUNTS, SECONDS, Histogram

if TYPE_CHECKING:
    from keystead.engine.engine import Fsync

TIMER_GRAIN_S = 0.002
"""The loop's timers are this coarse: being so late says nothing."""


class Meters:
    """The histograms, and the turns that are not on disk yet."""

    def __init__(self) -> None:
        self.fsync = Histogram(SECONDS)
        self.commit = Histogram(SECONDS)
        self.batch = Histogram(COUNTS)
        self.durable_lag = Histogram(SECONDS)
        self.loop_lag = Histogram(SECONDS)
        self._ended_s: list[float] = []
        """When turns ended that no sync covers yet, oldest first. With fsync "interval" only the oldest is kept."""
        self._covered_s: list[float] = []
        """The same for those that the sync under way covers."""

    def turn_ended(self, now_s: float, transactions: int, fsync: Fsync) -> None:
        """A turn is in the log."""
        self.batch.observe(transactions)
        if fsync == "always" or (fsync == "interval" and not self._ended_s):
            self._ended_s.append(now_s)

    def sync_began(self) -> None:
        """A sync begins that covers every turn so far."""
        self._covered_s, self._ended_s = self._ended_s, []

    def sync_done(self, took_s: float, now_s: float) -> None:
        """It succeeded: its turns are on disk."""
        self.fsync.observe(took_s)
        observe = self.commit.observe
        for ended_s in self._covered_s:
            observe(now_s - ended_s)
        self._covered_s = []

    def lag_s(self, now_s: float) -> float:
        """How long the oldest change that is not on disk has waited; 0 when all are, and with fsync "never"."""
        waiting = self._covered_s or self._ended_s
        return now_s - waiting[0] if waiting else 0.0

    def forget_turns(self) -> None:
        """Nobody syncs any more: with fsync "never" there is no lag to speak of."""
        self._ended_s, self._covered_s = [], []

    def loop_turned(self, late_s: float, pass_s: float) -> None:
        """A timer came so late, and the next pass of the loop began so much later."""
        self.loop_lag.observe(max(0.0, late_s - TIMER_GRAIN_S) + pass_s)
