"""The crash loop in CI; first that it would notice."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from durability.crash_loop import CrashLoop, TooLittleWork, Violation, keystead_loop, power_cut_loop
from durability.solo import NEVER_EXPIRES, Ledger, Move, State
from servers import start_redis

if TYPE_CHECKING:
    from servers import Server


def put(key: bytes, value: bytes) -> Move:
    return Move([(b"SET", key, value)], lambda state: state.update(holding({key: value})))


def holding(values: dict[bytes, bytes]) -> State:
    return {key: (value, NEVER_EXPIRES) for key, value in values.items()}


def ledger_of(*moves: Move, acknowledged: int) -> Ledger:
    ledger = Ledger("solo")
    for move in moves:
        ledger.sent(move)
    for _ in range(acknowledged):
        ledger.acknowledge()
    return ledger


def test_a_ledger_allows_the_acknowledged_state_and_those_under_way():
    moves = put(b"a", b"1"), put(b"a", b"2"), put(b"b", b"3")
    for allowed in ({b"a": b"1"}, {b"a": b"2"}, {b"a": b"2", b"b": b"3"}):
        assert ledger_of(*moves, acknowledged=1).verify(holding(allowed)) is None


def test_a_ledger_refuses_a_lost_expiry():
    ledger = ledger_of(put(b"a", b"1"), acknowledged=1)
    assert ledger.verify({b"a": (b"1", 5)})


@pytest.mark.parametrize(
    "found",
    [
        pytest.param({}, id="an acknowledged write is lost"),
        pytest.param({b"a": b"1", b"b": b"3"}, id="a later write without the earlier"),
        pytest.param({b"a": b"2", b"c": b"9"}, id="a key nobody wrote"),
        pytest.param({b"a": b"7"}, id="a value nobody wrote"),
    ],
)
def test_a_ledger_refuses_other_states(found: dict[bytes, bytes]):
    assert ledger_of(put(b"a", b"1"), put(b"a", b"2"), put(b"b", b"3"), acknowledged=1).verify(holding(found))


def test_a_ledger_refuses_to_lose_what_was_observed():
    ledger = ledger_of(put(b"solo:tick", b"1"), put(b"solo:tick", b"2"), acknowledged=0)
    ledger.observed(2)
    assert "shown as 2" in (ledger.verify(holding({b"solo:tick": b"1"})) or "")
    assert ledger.verify(holding({b"solo:tick": b"2"})) is None


def test_a_server_that_keeps_nothing_is_caught(tmp_path: Path):
    """redis-server without persistence: the loop must notice in its first cycles."""
    with pytest.raises(Violation, match="none of"):
        CrashLoop(tmp_path / "data", 1, start_redis).run(3)


def test_a_server_that_keeps_everything_passes(tmp_path: Path):
    """redis-server with its log, whose writes a SIGKILL leaves in the page cache."""

    def start(directory: Path) -> Server:
        return start_redis(directory, "--appendonly", "yes", "--appendfsync", "always")

    tally = CrashLoop(tmp_path / "data", 2, start).run(10)
    assert tally.cycles == 10


def test_a_run_without_work_is_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("durability.crash_loop.ENOUGH_ACKNOWLEDGED", 10**9)
    with pytest.raises(TooLittleWork):
        CrashLoop(tmp_path / "data", 3, lambda d: start_redis(d, "--appendonly", "yes")).run(1)


def test_a_power_cut_that_takes_what_was_acknowledged_is_caught(tmp_path: Path):
    """With fsync = never nothing is synced, and a power cut may take all."""
    with pytest.raises(Violation, match="none of"):
        power_cut_loop(tmp_path / "data", 4, "none", "--fsync", "never").run(5)


def test_a_server_that_shows_unsynced_values_is_caught(tmp_path: Path):
    with pytest.raises(Violation, match=r"was shown as|cannot be explained"):
        power_cut_loop(tmp_path / "data", 5, "shows-unsynced-values").run(20)


@pytest.mark.timeout(600)
def test_nothing_acknowledged_or_shown_is_lost_by_power_cuts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    seed = random.randrange(1_000_000)
    tally = power_cut_loop(tmp_path / "data", seed).run(50)
    assert tally.lost_bytes > 0
    with capsys.disabled():
        print(f"\n  power cuts, seed {seed}: {tally}")


@pytest.mark.timeout(600)
def test_nothing_is_lost_by_two_hundred_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    seed = random.randrange(1_000_000)
    tally = keystead_loop(tmp_path / "data", seed).run(200)
    with capsys.disabled():
        print(f"\n  crash loop, seed {seed}: {tally}")
