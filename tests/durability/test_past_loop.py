"""The loop about the past in CI, for a few kills; first that it would notice."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from durability.chronicle import Chronicle, Record, State, after_undo
from durability.past_loop import PastLoop

A, B = (1, b"a"), (1, b"d")
KEYS: dict[str, State] = {
    "none": {},
    "one": {A: (b"1", 0)},
    "two": {A: (b"2", 0), B: (b"x", 0)},
}


@pytest.fixture
def chronicle() -> Chronicle:
    """One key, then two, then none."""
    looks = [Record(3, 30, KEYS["one"], 31), Record(5, 50, KEYS["two"], 51), Record(8, 80, KEYS["none"], 81)]
    return Chronicle((1, 2), looks)


def change(sequence: int | None, value: bytes | None, operation: bytes = b"put", time_ms: int = 0) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "time-ms": time_ms,
        "operation": operation,
        "value": value,
        "expires-at-ms": None,
    }


def test_a_moment_is_as_it_was_seen_or_wrong(chronicle: Chronicle) -> None:
    seen = {"sequence": 5, "time-ms": 50, "keys": [[b"a", b"2", None], [b"d", b"x", None]]}
    record = chronicle.records[1]
    assert chronicle.wrong_page(record, 1, seen) is None
    assert chronicle.wrong_page(record, 2, seen)
    assert chronicle.wrong_page(record, 1, {**seen, "keys": seen["keys"][:1]})  # type: ignore[index]  # a list
    assert chronicle.wrong_page(record, 1, {**seen, "keys": [[b"a", b"2", 7], [b"d", b"x", None]]})
    assert chronicle.wrong_page(record, 1, {**seen, "sequence": 4})


def test_a_key_whose_time_is_up_may_go_between_moment_and_look(chronicle: Chronicle) -> None:
    record = chronicle.records[2]
    assert record.agrees(A, (b"1", 81))
    assert not record.agrees(A, (b"1", 80))
    assert not record.agrees(A, (b"1", 82))
    assert not record.agrees(A, (b"1", 0))


def test_a_history_explains_every_look_or_is_wrong(chronicle: Chronicle) -> None:
    right = [change(7, None, b"delete"), change(4, b"2"), change(2, b"1")]
    assert chronicle.wrong_history(A, right, 0) is None
    assert chronicle.wrong_history(A, right[:-1], 0)
    assert chronicle.wrong_history(A, right[:-1], 4) is None  # it was dropped
    assert chronicle.wrong_history(A, [right[0], right[0], *right[1:]], 0)
    assert chronicle.wrong_history(A, [right[0], change(6, b"2"), right[2]], 0)


def test_the_recycle_bin_has_what_went_or_is_wrong(chronicle: Chronicle) -> None:
    a = {"key": b"a", "value": b"2", "expires-at-ms": None}
    d = {"key": b"d", "value": b"x", "expires-at-ms": None}
    assert chronicle.wrong_bin(1, [a, d], 0) is None
    assert chronicle.wrong_bin(1, [d], 0)
    assert chronicle.wrong_bin(1, [a, d, d], 0)
    assert chronicle.wrong_bin(1, [{**a, "value": b"1"}, d], 0)


@pytest.mark.parametrize(
    ("now", "how", "expected"),
    [
        ("two", b"REFUSE", "one"),
        ("none", b"REFUSE", None),
        ("none", b"SKIP", "none"),
        ("none", b"FORCE", "one"),
        ("one", b"REFUSE", "one"),
    ],
)
def test_an_undo_puts_back_what_nobody_has_touched(now: str, how: bytes, expected: str | None) -> None:
    undone = after_undo(KEYS["one"], KEYS["two"], KEYS[now], how)
    assert undone == (None if expected is None else KEYS[expected])


@pytest.mark.timeout(600)
def test_the_past_is_what_was_seen_through_a_few_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(1_000_000)
    done = PastLoop(tmp_path / "data", seed).run(2)
    with capsys.disabled():
        print(f"\n  past loop, seed {seed}: {dict(done)}")
