"""Questions as data: answers are bounded, and say where to go on."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from simulated_disk import SimulatedDisk
from stores import PATH, HandClock, opened
from workload import EMPTY_DISK

from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.history import answering
from keystead.engine.history.answering import Answerer
from keystead.engine.history.answers import Behind, Moment
from keystead.engine.history.asking import Reply, Request, decode_reply, framed
from keystead.engine.history.questions import (
    At,
    Changes,
    DifferencesBetween,
    Dropped,
    FoldersAt,
    Found,
    HistoryOf,
    KeysAt,
    Log,
    MomentOf,
    NotYet,
    Page,
    Question,
    RemovedKeys,
    Transactions,
    Unreadable,
    Value,
    ValueAt,
)

pytestmark = pytest.mark.usefixtures("small_sizes")


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(EMPTY_DISK)


@pytest.fixture
def engine(disk: SimulatedDisk) -> Engine:
    return opened(disk, wall_ms=HandClock())


@pytest.fixture
def answerer(disk: SimulatedDisk, engine: Engine) -> Iterator[Answerer]:
    """Of a store with five keys, each of its own transaction."""
    for number in range(5):
        put(engine, b"k%d" % number, b"v" * 10)
    answerer = Answerer(Directory(PATH, disk))
    yield answerer
    answerer.close()


def put(engine: Engine, *pairs: bytes) -> None:
    """One transaction, on disk."""
    start = len(engine.ops)
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        engine.databases[0].keyspace.put(key, value)
    engine.end_group(start)
    engine.end_turn()
    engine.sync()


def test_what_is_not_durable_yet_is_not_looked_at(answerer: Answerer) -> None:
    assert answerer.answer(MomentOf(At(None, 1 << 50)), until=3).moment.sequence == 2  # type: ignore[union-attr]
    assert answerer.answer(ValueAt(0, b"k4", At(4)), until=3) == NotYet(Moment(2, _time_of(answerer, 2)))
    assert answerer.answer(ValueAt(0, b"k4", At(5)), until=6).value == b"v" * 10  # type: ignore[union-attr]


def _time_of(answerer: Answerer, sequence: int) -> int:
    found = answerer.answer(MomentOf(At(sequence)), None)
    assert isinstance(found, Found)
    return found.moment.time_ms


def test_pages_end_early_when_values_are_long(answerer: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST_BYTES", 25)
    found, after = [], None
    while True:
        page = answerer.answer(KeysAt(0, At(5), b"k", after, 100), None)
        assert isinstance(page, Page)
        assert 1 <= len(page.items) <= 2
        found += [item.key for item in page.items]
        after = page.following
        if after is None:
            break
    assert found == [b"k%d" % number for number in range(5)]


def test_a_value_longer_than_a_page_comes_alone(
    engine: Engine, answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(engine, b"k", b"%d" % number * 100)
    monkeypatch.setattr(answering, "MOST_BYTES", 25)
    changes = answerer.answer(HistoryOf(0, b"k", 10), None)
    assert isinstance(changes, Changes)
    assert [change.value for change in changes.changes] == [b"2" * 100]
    bare = answerer.answer(HistoryOf(0, b"k", 10, None, values=False), None)
    assert isinstance(bare, Changes)
    assert [(change.value, change.size) for change in bare.changes] == [(None, 100)] * 3


def test_a_comparison_goes_on_where_it_stopped(answerer: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    original = answering.Past.differences
    monkeypatch.setattr(answering.Past, "differences", lambda *args: begun.append(args) or original(*args))
    found, after = [], None
    while True:
        page = answerer.answer(DifferencesBetween(0, At(0), At(5), b"", after, 2), None)
        found += [item.key for item in page.items]  # type: ignore[union-attr]
        after = page.following  # type: ignore[union-attr]
        if after is None:
            break
    assert found == [b"k%d" % number for number in range(5)]
    assert len(begun) == 1
    again = answerer.answer(DifferencesBetween(0, At(0), At(5), b"", b"k2", 2), None)
    assert [item.key for item in again.items] == [b"k3", b"k4"]  # type: ignore[union-attr]


def test_the_log_ends_early_when_it_takes_long(answerer: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "SLICE_S", -1.0)
    log = answerer.answer(Transactions(None, 100), None)
    assert isinstance(log, Log)
    assert (sequences(log), log.following) == ([1], 2)
    back = answerer.answer(Transactions(None, 100, back=True), None)
    assert isinstance(back, Log)
    assert (sequences(back), back.following) == ([5], 5)


def sequences(log: Log) -> list[int]:
    return [item.sequence for item in log.items]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, [5, 4, 3, 2, 1]),
        (None, At(4), [3, 2, 1]),
        (At(2), At(4), [3, 2]),
        (At(4), At(4), []),
        (None, At(1), []),
        (None, At(99), [5, 4, 3, 2, 1]),
        (None, At(None, 1 << 50), [5, 4, 3, 2, 1]),
    ],
)
def test_the_log_is_read_back(answerer: Answerer, start: At | None, end: At | None, expected: list[int]) -> None:
    log = answerer.answer(Transactions(start, 100, back=True, end=end), None)
    assert isinstance(log, Log)
    assert (sequences(log), log.following) == (expected, None)


def test_times_part_the_log_in_two(answerer: Answerer) -> None:
    """Whatever time is given, what is behind it and what is up to it are all there is."""
    for sequence in range(1, 6):
        at = At(None, _time_of(answerer, sequence))
        onward = answerer.answer(Transactions(at, 100), None)
        back = answerer.answer(Transactions(None, 100, back=True, end=at), None)
        assert isinstance(onward, Log)
        assert isinstance(back, Log)
        assert sequences(back)[::-1] + sequences(onward) == [1, 2, 3, 4, 5]
        assert sequences(back)[0] >= sequence


def test_a_log_that_is_read_back_has_pages(answerer: Answerer) -> None:
    found, end = [], None
    while True:
        log = answerer.answer(Transactions(None, 2, back=True, end=end), None)
        assert isinstance(log, Log)
        found += sequences(log)
        if log.following is None:
            break
        end = At(log.following)
    assert found == [5, 4, 3, 2, 1]


def test_operations_of_a_large_transaction_are_counted(
    engine: Engine, answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(engine, *(part for number in range(10) for part in (b"big:%d" % number, b"v")), b"other", b"v")
    monkeypatch.setattr(answering, "MOST_OPERATIONS", 4)
    log = answerer.answer(Transactions(At(6), 10, b"big:"), None)
    assert isinstance(log, Log)
    (transaction,) = log.items
    assert (len(transaction.operations), transaction.left_out) == (4, 6)


def test_what_cannot_be_answered_says_why(disk: SimulatedDisk, answerer: Answerer) -> None:
    assert isinstance(answerer.answer(ValueAt(0, b"k", At(99)), None), NotYet)
    assert isinstance(answerer.answer(MomentOf(At(-1)), None), Dropped)
    nowhere = Answerer(Directory(PATH + "/none", disk))
    assert isinstance(nowhere.answer(MomentOf(At(0)), None), Unreadable)


@pytest.mark.parametrize(
    "question",
    [
        MomentOf(At(3)),
        HistoryOf(0, b"\xff", 1, 5, values=False),
        ValueAt(15, b"k", At(None, 5)),
        KeysAt(0, At(1), b"p", None, 3),
        FoldersAt(0, At(1), b"p", b":", None, 3),
        DifferencesBetween(0, At(1), At(2), b"", b"a", 3),
        RemovedKeys(0, b"", Behind(3, 2), 4),
        RemovedKeys(0, b"", 3, 4),
        Transactions(None, 3, b"", "ada", None),
        None,
    ],
)
def test_a_question_survives_its_way_to_the_process(question: Question | None) -> None:
    request = Request(7, 9, question)
    assert msgspec.msgpack.decode(framed(request)[4:], type=Request) == request


def test_an_answer_survives_its_way_back(answerer: Answerer) -> None:
    for question in (
        MomentOf(At(3)),
        HistoryOf(0, b"k1", 5),
        ValueAt(0, b"k1", At(3)),
        KeysAt(0, At(5), b"", None, 3),
        FoldersAt(0, At(5), b"", b"1", None, 3),
        DifferencesBetween(0, At(1), At(5), b"", None, 3),
        RemovedKeys(0, b"", None, 4),
        Transactions(None, 3),
        ValueAt(0, b"k", At(99)),
        MomentOf(At(-1)),
    ):
        reply = Reply(1, answerer.answer(question, None))
        assert decode_reply(framed(reply)[4:]) == reply


def test_a_value_that_was_not_there_is_none(answerer: Answerer) -> None:
    found = answerer.answer(ValueAt(0, b"k1", At(1)), None)
    assert isinstance(found, Value)
    assert found.value is None


class _Stopped(Exception):
    pass


class _StopAfter:
    """Ends a question at its nth step; 0 lets it come to its end."""

    def __init__(self) -> None:
        self.left = 0

    def step(self) -> None:
        if self.left == 1:
            self.left = 0
            raise _Stopped
        self.left = max(0, self.left - 1)


@pytest.mark.parametrize(
    "question",
    [
        HistoryOf(0, b"k3", 10),
        ValueAt(0, b"k3", At(4)),
        KeysAt(0, At(4), b"k", None, 100),
        DifferencesBetween(0, At(2), At(16), b"", None, 100),
        RemovedKeys(0, b"", None, 100),
        Transactions(None, 100),
    ],
    ids=lambda question: type(question).__name__,
)
def test_a_question_may_be_stopped_anywhere_and_the_next_is_answered_as_ever(
    disk: SimulatedDisk, engine: Engine, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called off in the middle, as by a client that leaves: what the process keeps must not be half of something."""
    monkeypatch.setattr(answering, "SLICE_S", 1e6)
    for number in range(16):
        put(engine, b"k%d" % (number % 8), b"v" * 2_000)
        engine.housekeep(1)
    engine.databases[0].keyspace.delete(b"k7")
    engine.end_turn()
    engine.sync()
    fresh = Answerer(Directory(PATH, disk))
    expected = fresh.answer(question, None)
    fresh.close()
    stop = _StopAfter()
    answerer = Answerer(Directory(PATH, disk), stop.step)
    stopped = 0
    while True:
        stop.left = stopped + 1
        try:
            assert answerer.answer(question, None) == expected
            break
        except _Stopped:
            stopped += 1
        assert answerer.answer(question, None) == expected
        answerer.close()
    assert stopped > 3
    answerer.close()


def test_a_comparison_that_is_stopped_in_the_middle_goes_on_where_it_was_asked_to(
    disk: SimulatedDisk, engine: Engine
) -> None:
    """The answerer keeps where the last page stopped: stopped while it looked for the next one, it knows nothing."""
    for number in range(6):
        put(engine, b"k%d" % number, b"v")
    stop = _StopAfter()
    answerer = Answerer(Directory(PATH, disk), stop.step)
    compare = DifferencesBetween(0, At(0), At(6), b"", None, 2)
    answerer.answer(compare, None)
    following = msgspec.structs.replace(compare, after=b"k1")
    stop.left = 2  # behind the look at the log's end
    with pytest.raises(_Stopped):
        answerer.answer(following, None)
    answer = answerer.answer(following, None)
    assert [found.key for found in answer.items] == [b"k2", b"k3"]  # type: ignore[union-attr]
    answerer.close()
