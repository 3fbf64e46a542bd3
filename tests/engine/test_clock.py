"""Store time never goes back."""

from __future__ import annotations

from stores import HandClock

from keystead.engine.clock import Clock, wall_clock_ms


def test_it_follows_the_machine_only_when_refreshed() -> None:
    """All commands of a chunk of input agree on the time."""
    wall = HandClock(1000)
    clock = Clock(wall)
    wall.at_ms = 1005
    assert clock.now_ms == 1000
    assert clock.refresh() == clock.now_ms == 1005


def test_it_stands_still_while_the_machine_is_behind() -> None:
    """A clock that is set back un-expires no key."""
    wall = HandClock(1000)
    clock = Clock(wall)
    wall.at_ms = 400
    assert clock.refresh() == 1000
    wall.at_ms = 1001
    assert clock.refresh() == 1001


def test_it_starts_no_earlier_than_the_log() -> None:
    """Nor across restarts."""
    clock = Clock(HandClock(1000))
    clock.advance_to(5000)
    clock.advance_to(2000)
    assert clock.refresh() == 5000


def test_looking_ahead_moves_nothing() -> None:
    """Threads that do not hold the engine's lock look at the time, and only look."""
    wall = HandClock(1000)
    clock = Clock(wall)
    wall.at_ms = 1005
    assert clock.ahead() == 1005
    assert clock.now_ms == 1000
    wall.at_ms = 400
    assert clock.ahead() == 1000


def test_the_machines_clock_is_in_milliseconds_of_unix_time() -> None:
    """Somewhere between 2024 and 2100."""
    assert 1_700_000_000_000 < wall_clock_ms() < 4_100_000_000_000
