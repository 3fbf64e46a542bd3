"""Continuous shipping: the end of the log is sent on as it grows, so that a machine may burn.

Owns: the rhythm, and patience with a place that fails. Must not know: how a backup is taken, how the lag is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from keystead.backup.failures import PlaceFailure
from keystead.backup.taking import Taking
from keystead.engine.clock import wall_clock_ms

ROUND_S = 0.5
"""From the beginning of one round to that of the next: the lag is at most this and what a round takes."""


class Lag(NamedTuple):
    """How far behind the backup is."""

    sequence: int
    """The last transaction that is in it."""
    lag_ms: int
    """All that was acknowledged longer ago is in it."""
    failure: str
    """Why the last round failed; empty when it did not."""


def follow(
    taking: Taking,
    stopping: Callable[[float], bool],
    show: Callable[[Lag], None],
    keep: Callable[[], object] = lambda: None,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> None:
    """Ship until *stopping* says so; it is asked between rounds, and told how long it may wait. One last round is made.

    *keep* is called at the start, and whenever a new snapshot has begun. DamagedData, DirectoryUnusable and DiskFailure
    of the store end it; a place that fails is tried again, round after round.
    """
    taking.begin_snapshot()
    identifier = ""
    last = False
    while True:
        began_s = time.monotonic()
        failure = ""
        try:
            taken = taking.update()
            if taken.id != identifier:
                keep()
                identifier = taken.id
        except PlaceFailure as error:
            failure = error.reason
        sequence = taking.last.sequence if taking.last else 0
        show(Lag(sequence, now_ms() - taking.looked_ms if taking.looked_ms else -1, failure))
        if last:
            return
        last = stopping(max(0.0, ROUND_S - (time.monotonic() - began_s)))
