"""Every key of a prefix deleted at once: those that were there, as one transaction, or none."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest
from simulated_disk import SimulatedDisk
from stores import SMALL, HandClock, Reader, opened, state_of
from workload import EMPTY_DISK

from keystead.engine import deleting
from keystead.engine.deleting import CannotDelete, Deleted, NotAsExpected, delete_prefix
from keystead.engine.engine import Engine
from keystead.engine.operations import Author

pytestmark = pytest.mark.usefixtures("small_sizes")
ADA = Author("ada", "laptop")


class Store:
    """An engine with an index of its keys."""

    def __init__(self) -> None:
        self.disk = SimulatedDisk(EMPTY_DISK)
        self.clock = HandClock()
        self.engine = self.open()

    def open(self) -> Engine:
        engine = opened(self.disk, SMALL, self.clock)
        engine.build_index()
        while engine.index_until(time.perf_counter() + 1):
            pass
        return engine

    def put(self, *keys: bytes, expires_at_ms: int = 0, value: bytes = b"v") -> None:
        for key in keys:
            self.engine.databases[0].keyspace.put(key, value, expires_at_ms)
        self.turn()

    def turn(self) -> None:
        self.engine.end_turn()
        self.engine.sync()
        self.engine.index_until(time.perf_counter() + 1)

    def delete(self, prefix: bytes, expected: int | None = None) -> Generator[None, None, Deleted]:
        return delete_prefix(self.engine, self.engine.databases[0], prefix, ADA, expected)

    def keys(self) -> list[bytes]:
        return sorted(state_of(self.engine)[0])


def done(steps: Generator[None, None, Deleted], meanwhile: Any = None) -> Deleted:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            deleted: Deleted = end.value
            return deleted
        if meanwhile is not None:
            meanwhile()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(deleting, "SLICE_KEYS", 7)
    store = Store()
    store.put(*(b"a:%d" % i for i in range(40)), b"b")
    return store


def test_they_go_in_one_transaction_that_a_start_replays(store: Store) -> None:
    before = store.engine.log.next_sequence
    assert done(store.delete(b"a:", 40)) == Deleted(40, before)
    assert store.keys() == [b"b"]
    assert store.engine.databases[0].keyspace.read(b"a:1", Reader()) == b"v", "it is not durable yet"
    store.turn()
    store.engine.close()
    store.engine = store.open()
    assert store.keys() == [b"b"]
    assert store.engine.log.next_sequence == before + 1


def test_another_number_than_expected_deletes_nothing(store: Store) -> None:
    with pytest.raises(NotAsExpected) as refused:
        done(store.delete(b"a:", 39))
    assert refused.value.count == 40
    assert len(store.keys()) == 41
    assert not store.engine.log.staged


def test_nothing_is_logged_where_nothing_is(store: Store) -> None:
    assert done(store.delete(b"c")) == Deleted(0, None)


def test_a_key_that_is_changed_meanwhile_is_deleted_as_it_is_then(store: Store) -> None:
    changes = iter([b"new"])

    def meanwhile() -> None:
        for value in changes:
            store.put(b"a:3", value=value)

    assert done(store.delete(b"a:"), meanwhile).keys == 40
    store.turn()
    assert store.keys() == [b"b"]
    with_past = store.engine.databases[0].keyspace
    assert with_past.payload_bytes == len(b"b") + len(b"v")


def test_keys_that_change_all_the_time_are_left_alone(store: Store) -> None:
    with pytest.raises(CannotDelete, match="all the time"):
        done(store.delete(b"a:"), lambda: store.put(b"a:3", value=b"%d" % store.engine.log.next_sequence))
    assert len(store.keys()) == 41


def test_while_the_index_takes_in_many_changes_it_is_waited_for(store: Store) -> None:
    steps = store.delete(b"a:")
    next(steps)  # some keys are gathered
    index = store.engine.databases[0].keyspace.index
    assert index is not None
    keys = [b"z:%d" % i for i in range(5000)]
    index.change_many(dict.fromkeys(keys, True))  # as another deletion or an undo does
    assert not index.ready
    for _ in range(10):
        next(steps)  # it does not take what it is told of for all there is
    index.change_many(dict.fromkeys(keys, False))
    while not index.ready:
        index.merge()
    assert done(steps).keys == 40


def test_a_flush_meanwhile_leaves_nothing_to_delete(store: Store) -> None:
    flushed = iter([True])

    def meanwhile() -> None:
        if next(flushed, False):
            store.engine.flush(store.engine.databases[0])
            store.turn()

    assert done(store.delete(b"a:"), meanwhile) == Deleted(0, None)


def test_what_expires_meanwhile_is_logged_as_expired(store: Store) -> None:
    store.put(b"a:short", expires_at_ms=store.clock.at_ms + 10)

    def meanwhile() -> None:
        store.clock.at_ms += 1

    assert done(store.delete(b"a:"), meanwhile).keys in (40, 41)
    store.turn()
    assert store.keys() == [b"b"]
