"""Undo: what a transaction changed comes back, at once, in one transaction, and nothing else is touched."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from simulated_disk import SimulatedDisk
from stores import SMALL, START_MS, opened
from workload import EMPTY_DISK

from keystead.engine.engine import Engine
from keystead.engine.history.questions import Answerer
from keystead.engine.operations import Author
from keystead.engine.undoing import Undoing, drive, undo
from keystead.engine.undone import Conflicts, Undone
from keystead.errors import UndoConflict, UndoRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.history.questions import Outcome, Question

pytestmark = pytest.mark.usefixtures("small_sizes")
ADA = Author("ada", "laptop")


class Store:
    """An engine whose clock is turned by hand, and who undoes in it."""

    def __init__(self) -> None:
        self.disk = SimulatedDisk(EMPTY_DISK)
        self.now_ms = START_MS
        self.engine = self._open()

    def _open(self) -> Engine:
        return opened(self.disk, SMALL, wall_ms=lambda: self.now_ms)

    def reopen(self) -> None:
        self.engine.close()
        self.engine = self._open()

    def turn(self) -> int:
        """End the turn; its last transaction's number."""
        self.engine.end_turn()
        self.engine.sync()
        return self.engine.log.next_sequence - 1

    def undo(self, sequence: int, conflicts: Conflicts = "refuse", between: Any = None) -> Undone:
        undone = drive(undo(self.engine, sequence, conflicts, ADA), self._answerer(between))
        self.turn()
        return undone

    def _answerer(self, between: Any) -> Any:
        def answer(question: Question) -> Outcome | None:
            self.turn()
            answerer = Answerer(self.engine.directory)
            try:
                return answerer.answer(question, self.engine.log.next_sequence)
            finally:
                answerer.close()
                if between is not None:
                    between()

        return answer

    def state(self, database: int = 0) -> dict[bytes, tuple[bytes, int]]:
        keyspace = self.engine.databases[database].keyspace
        self.engine.clock.refresh()
        return {
            key: (bytes(value), expires_at_ms)
            for key in list(keyspace.keys())
            for value, expires_at_ms in [keyspace.get_with_expiry(key)]
            if value is not None
        }

    def states(self) -> list[dict[bytes, tuple[bytes, int]]]:
        return [self.state(number) for number in range(16)]


@pytest.fixture
def store() -> Store:
    return Store()


def put(store: Store, *keys: bytes, value: bytes = b"v", expires_at_ms: int = 0, database: int = 0) -> int:
    start = len(store.engine.ops)
    for key in keys:
        store.engine.databases[database].keyspace.put(key, value + key, expires_at_ms)
    store.engine.end_group(start)
    return store.turn()


def delete(store: Store, *keys: bytes) -> int:
    start = len(store.engine.ops)
    for key in keys:
        store.engine.databases[0].keyspace.delete(key)
    store.engine.end_group(start)
    return store.turn()


def many(count: int) -> list[bytes]:
    return [b"key:%d" % number for number in range(count)]


def test_a_delete_is_undone_whatever_its_size(store: Store) -> None:
    put(store, *many(300), expires_at_ms=START_MS + 60_000)
    put(store, b"other")
    before = store.states()
    gone = delete(store, *many(300))
    undone = store.undo(gone)
    assert (undone.restored, undone.skipped, undone.without_expiry) == (300, [], [])
    assert store.states() == before
    store.reopen()
    assert store.states() == before


def test_an_undo_is_one_transaction_of_who_asked_and_can_be_undone(store: Store) -> None:
    put(store, *many(3))
    gone = delete(store, *many(3))
    deleted = store.states()
    undone = store.undo(gone)
    assert undone.sequence == gone + 1
    answerer = Answerer(store.engine.directory)
    from keystead.engine.history.past import Past

    with Past(store.engine.directory) as past:
        last = next(iter(past.transactions(undone.sequence, undone.sequence + 1)))
    assert last.author == ADA
    assert len(last.operations) == 3
    answerer.close()
    store.undo(undone.sequence)
    assert store.states() == deleted


def test_an_import_is_undone_by_deleting_what_it_made_and_putting_back_what_it_replaced(store: Store) -> None:
    put(store, b"key:1", value=b"old")
    before = store.states()
    imported = put(store, *many(50))
    store.undo(imported)
    assert store.states() == before


def test_a_patch_and_an_expiry_are_undone(store: Store) -> None:
    put(store, b"k", value=b"0123456789")
    keyspace = store.engine.databases[0].keyspace
    before = store.states()
    keyspace.patch(b"k", 3, b"xyz")
    patched = store.turn()
    store.undo(patched)
    assert store.states() == before
    keyspace.set_expiry(b"k", START_MS + 5_000)
    limited = store.turn()
    store.undo(limited)
    assert store.states() == before


def test_keys_that_were_changed_since_are_named_left_alone_or_put_back(store: Store) -> None:
    put(store, *many(4), value=b"old")
    before = store.state()
    gone = delete(store, *many(4))
    put(store, b"key:2", value=b"new")
    with pytest.raises(UndoConflict) as refused:
        store.undo(gone)
    assert (refused.value.keys, refused.value.count) == ([(0, b"key:2")], 1)
    assert store.state() == {b"key:2": (b"newkey:2", 0)}
    undone = store.undo(gone, "skip")
    assert undone.skipped == [(0, b"key:2")]
    assert store.state() == before | {b"key:2": (b"newkey:2", 0)}
    store.undo(undone.sequence)
    store.undo(gone, "force")
    assert store.state() == before


def test_a_key_that_is_changed_between_preparation_and_commit_is_a_conflict_too(store: Store) -> None:
    put(store, *many(4), value=b"old")
    gone = delete(store, *many(4))
    meddling = iter([True])

    def meddle() -> None:
        if next(meddling, False):
            put(store, b"key:3", value=b"meddled")

    with pytest.raises(UndoConflict):
        store.undo(gone, between=meddle)
    undoing = undo(store.engine, gone, "skip", ADA)
    answer = store._answerer(None)
    question = undoing.send(None)
    done = 0
    while True:
        try:
            outcome = answer(question) if question is not None else None
            question = undoing.send(outcome)
            if question is None and not done:
                done = put(store, b"key:1", value=b"late")  # after it was looked at
        except StopIteration as end:
            undone = end.value
            break
    store.turn()
    assert sorted(undone.skipped) == [(0, b"key:1"), (0, b"key:3")]
    assert store.state()[b"key:1"] == (b"latekey:1", 0)


def test_an_expiry_that_is_past_comes_back_without_one_and_is_told(store: Store) -> None:
    put(store, b"short", expires_at_ms=START_MS + 1_000)
    put(store, b"long", expires_at_ms=START_MS + 90_000)
    gone = delete(store, b"short", b"long")
    store.now_ms += 5_000
    undone = store.undo(gone)
    assert undone.without_expiry == [(0, b"short")]
    assert store.state() == {b"short": (b"vshort", 0), b"long": (b"vlong", START_MS + 90_000)}


def test_what_the_store_removed_because_its_time_was_up_can_come_back(store: Store) -> None:
    put(store, b"k", expires_at_ms=START_MS + 1_000)
    store.now_ms += 2_000
    store.engine.clock.refresh()
    for i in range(len(store.engine.databases[0].keyspace.shards)):
        store.engine.databases[0].keyspace.expire_due(i, 10)
    removed = store.turn()
    undone = store.undo(removed)
    assert undone.without_expiry == [(0, b"k")]
    assert store.state() == {b"k": (b"vk", 0)}


@pytest.mark.parametrize("all_databases", [False, True])
def test_a_flush_is_undone_by_showing_what_was_there(store: Store, all_databases: bool) -> None:
    put(store, *many(200), expires_at_ms=START_MS + 60_000)
    put(store, *many(20), database=3)
    before = store.states()
    if all_databases:
        store.engine.flush_all()
    else:
        store.engine.flush(store.engine.databases[0])
    flushed = store.turn()
    emptied = store.states()
    undone = store.undo(flushed)
    assert undone.restored == (220 if all_databases else 200)
    assert store.states() == before
    store.reopen()
    assert store.states() == before
    store.undo(undone.sequence)
    assert store.states() == emptied
    store.reopen()
    assert store.states() == emptied


def test_what_was_written_since_a_flush_is_in_its_way(store: Store) -> None:
    put(store, *many(20), value=b"old")
    before = store.state()
    store.engine.flush(store.engine.databases[0])
    flushed = store.turn()
    put(store, b"key:7", b"new", value=b"x")
    with pytest.raises(UndoConflict) as refused:
        store.undo(flushed)
    assert refused.value.keys == [(0, b"key:7")]
    new = {b"new": (b"xnew", 0)}  # was never there before, so it is in nobody's way, and stays
    undone = store.undo(flushed, "skip")
    assert store.state() == before | new | {b"key:7": (b"xkey:7", 0)}
    store.undo(undone.sequence)
    store.undo(flushed, "force")
    assert store.state() == before | new


def test_a_swap_is_undone_by_another_unless_the_databases_show_others_by_now(store: Store) -> None:
    put(store, *many(3))
    before = store.states()
    databases = store.engine.databases
    store.engine.swap(databases[0], databases[5])
    swapped = store.turn()
    store.undo(swapped)
    assert store.states() == before
    store.engine.flush(databases[0])
    store.turn()
    with pytest.raises(UndoRefused, match="flushed"):
        store.undo(swapped)


def test_nothing_is_undone_twice(store: Store) -> None:
    put(store, *many(3))
    gone = delete(store, *many(3))
    store.undo(gone)
    with pytest.raises(UndoRefused, match="nothing to undo"):
        store.undo(gone)


def test_watches_are_told_and_others_are_shown_the_undo_only_when_it_is_durable(store: Store) -> None:
    class Watch:
        dirty = False

    class Stranger:
        must_wait = False
        pending_turn = 0

    put(store, b"k")
    gone = delete(store, b"k")
    watch = Watch()
    keyspace = store.engine.databases[0].keyspace
    keyspace.watch(b"k", watch)
    drive(undo(store.engine, gone, "refuse", ADA), store._answerer(None))
    assert watch.dirty
    assert keyspace.read(b"k", Stranger()) is None
    store.turn()
    assert keyspace.read(b"k", Stranger()) == b"vk"


@pytest.mark.parametrize("seed", range(60))
def test_undoing_any_transaction_of_a_random_life_gives_back_what_was(store: Store, seed: int) -> None:
    choose = random.Random(seed)
    names = many(12)

    def step() -> None:
        databases = store.engine.databases
        database = databases[choose.choice((0, 0, 0, 1))]
        keyspace = database.keyspace
        start = len(store.engine.ops)
        what = choose.random()
        if what < 0.06:
            store.engine.flush(database)
        elif what < 0.09:
            store.engine.flush_all()
        elif what < 0.13:
            store.engine.swap(databases[0], databases[1])
        elif what < 0.17:
            store.reopen()
            return
        else:
            for _ in range(choose.choice((1, 1, 2, 6))):
                key = choose.choice(names)
                act = choose.random()
                if act < 0.5:
                    expiry = store.now_ms + choose.choice((500, 100_000)) if choose.random() < 0.3 else 0
                    keyspace.put(key, choose.randbytes(choose.choice((1, 30, 200))), expiry)
                elif act < 0.7:
                    keyspace.delete(key)
                elif act < 0.85:
                    keyspace.patch(key, choose.randrange(20), choose.randbytes(5))
                elif keyspace.get(key) is not None:
                    keyspace.set_expiry(key, store.now_ms + choose.choice((-0, 700, 90_000)) if act < 0.95 else 0)
            store.engine.end_group(start)
        store.turn()

    for _ in range(25):
        if choose.random() < 0.2:
            store.now_ms += choose.choice((100, 1000))
            store.engine.clock.refresh()
        before = store.states()
        first = store.engine.log.next_sequence
        step()
        sequence = store.engine.log.next_sequence - 1
        if sequence != first or choose.random() < 0.5:
            continue  # nothing was changed, or more than one transaction: an expiry was logged too
        after = store.states()
        try:
            undone = store.undo(sequence)
        except UndoRefused:
            assert after == before
            continue
        if after == before:  # the store removed a key whose time was up, and nobody did anything to it
            assert [place[1] for place in undone.without_expiry] == [
                key for number in range(16) for key in store.state(number).keys() - before[number].keys()
            ]
            store.undo(undone.sequence)
            assert store.states() == after
            continue
        assert store.states() == _as_put_back(before, undone)
        if choose.random() < 0.5:
            store.reopen()
            assert store.states() == _as_put_back(before, undone)
        store.undo(undone.sequence)
        assert store.states() == after


def _as_put_back(before: list[dict[bytes, tuple[bytes, int]]], undone: Undone) -> list[dict[bytes, tuple[bytes, int]]]:
    expected = [dict(state) for state in before]
    for database, key in undone.without_expiry:
        expected[database][key] = (expected[database][key][0], 0)
    return expected


def stepped(store: Store, undoing: Undoing, meanwhile: Callable[[], None]) -> Undone:
    """The undoing, with something else happening once, where others may go on."""
    waiting = [meanwhile]
    answer = store._answerer(None)
    outcome: Outcome | None = None
    while True:
        try:
            question = undoing.send(outcome)
        except StopIteration as end:
            undone: Undone = end.value
            return undone
        outcome = answer(question) if question is not None else None
        if question is None and waiting:
            waiting.pop()()


@pytest.mark.parametrize("rebind", ["flush", "swap"])
def test_a_database_that_is_flushed_or_swapped_while_an_undo_is_prepared_is_looked_at_anew(
    store: Store, rebind: str
) -> None:
    """The keyspace that was looked at had been freed by then, and the commit failed at it."""
    put(store, b"a", b"b")
    gone = delete(store, b"a", b"b")
    put(store, b"other")
    put(store, b"elsewhere", database=1)
    engine = store.engine

    def rebound() -> None:
        if rebind == "flush":
            engine.flush(engine.databases[0])
        else:
            engine.swap(*engine.databases[:2])
        store.turn()

    assert stepped(store, undo(engine, gone, "refuse", ADA), rebound).restored == 2
    assert {b"a", b"b"} <= store.state().keys()
    assert b"other" not in store.state()
    left = store.states()
    store.reopen()
    assert store.states() == left


@pytest.mark.parametrize("end", ["refused", "nothing", "abandoned"])
def test_an_undo_that_comes_to_nothing_lets_the_log_go_on_to_its_next_segment(store: Store, end: str) -> None:
    """Its transaction stayed open, and the segment would have grown for ever."""
    put(store, b"a", b"b")
    gone = delete(store, b"a", b"b")
    if end == "abandoned":
        undoing, outcome, question = undo(store.engine, gone, "refuse", ADA), None, True
        answer = store._answerer(None)
        while question is not None:
            question = undoing.send(outcome)
            outcome = answer(question) if question is not None else None
        assert store.engine.log.staged
        undoing.close()
    elif end == "nothing":
        put(store, b"a", b"b")
        with pytest.raises(UndoRefused):
            store.undo(gone)
    else:
        put(store, b"a", value=b"another")
        with pytest.raises(UndoConflict):
            store.undo(gone)
    assert not store.engine.log.staged
    assert not store.engine.staged
