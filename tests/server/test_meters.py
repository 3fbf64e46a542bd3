"""What is measured of turns and of the loop, with a clock that the test turns."""

from __future__ import annotations

import pytest

from keystead.metrics import Histogram
from keystead.server.meters import TIMER_GRAIN_S, Meters


def seen(measured: Histogram) -> tuple[int, float]:
    """(observations, their sum)."""
    return sum(measured.counts), pytest.approx(measured.total)


def test_a_commit_takes_from_the_end_of_its_turn_until_the_sync_that_covers_it() -> None:
    meters = Meters()
    meters.turn_ended(1.0, 3, "always")
    meters.turn_ended(1.5, 1, "always")
    meters.sync_began()
    meters.turn_ended(1.6, 1, "always")  # comes too late for it
    meters.sync_done(0.5, 2.0)
    assert seen(meters.batch) == (3, 5)
    assert seen(meters.fsync) == (1, 0.5)
    assert seen(meters.commit) == (2, 1.0 + 0.5)
    meters.sync_began()
    meters.sync_done(0.1, 2.1)
    assert seen(meters.commit) == (3, 1.5 + 0.5)


def test_the_lag_is_the_age_of_the_oldest_turn_that_is_not_on_disk() -> None:
    meters = Meters()
    assert meters.lag_s(5.0) == 0
    meters.turn_ended(1.0, 1, "always")
    meters.sync_began()
    meters.turn_ended(3.0, 1, "always")
    assert meters.lag_s(5.0) == 4.0, "that of the sync under way"
    meters.sync_done(1.0, 5.0)
    assert meters.lag_s(5.0) == 2.0
    meters.sync_began()
    meters.sync_done(1.0, 6.0)
    assert meters.lag_s(6.0) == 0


def test_with_interval_only_the_oldest_turn_is_kept_however_many_there_are() -> None:
    meters = Meters()
    for at in range(1000):
        meters.turn_ended(float(at), 1, "interval")
    assert meters.lag_s(1000.0) == 1000.0
    meters.sync_began()
    meters.sync_done(1.0, 1001.0)
    assert seen(meters.commit) == (1, 1001.0)


def test_with_never_nothing_lags() -> None:
    meters = Meters()
    meters.turn_ended(1.0, 1, "always")
    meters.forget_turns()
    meters.turn_ended(2.0, 1, "never")
    assert meters.lag_s(9.0) == 0


def test_a_timer_that_is_late_by_no_more_than_its_grain_says_nothing_of_the_loop() -> None:
    meters = Meters()
    meters.loop_turned(TIMER_GRAIN_S, 0.0)
    meters.loop_turned(-0.001, 0.0)
    assert meters.loop_lag.total == 0
    meters.loop_turned(TIMER_GRAIN_S + 0.5, 0.25)
    assert meters.loop_lag.total == pytest.approx(0.75)
