"""Many keys put into given states at once: the same as putting and deleting them one by one, in every respect."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_disk import SimulatedDisk
from stores import START_MS, HandClock, Reader, opened, state_of
from workload import EMPTY_DISK

from keystead.engine.operations import encode_entries
from keystead.engine.restoring import Restoration

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.engine.keyspace import Keyspace
    from keystead.engine.restoring import State
    from keystead.engine.staging import Staged

KEYS = [b"k%d" % number for number in range(12)]
VALUES = st.binary(max_size=3)
LATER = st.sampled_from([0, 0, START_MS + 5_000, START_MS + 9_000])
STATES: st.SearchStrategy[State] = st.none() | st.tuples(VALUES, LATER)

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "patch", "expire", "sync", "turn"]), st.sampled_from(KEYS), VALUES, LATER
    ),
    max_size=25,
)


class Watch:
    """Notices whether its key was changed."""

    def __init__(self) -> None:
        self.dirty = False


def make(engine: Engine, changes: list[tuple[str, bytes, bytes, int]]) -> None:
    for what, key, value, expires_at_ms in changes:
        keyspace = engine.databases[0].keyspace
        if what == "put":
            keyspace.put(key, value, expires_at_ms)
        elif what == "delete":
            keyspace.delete(key)
        elif what == "patch":
            keyspace.patch(key, 1, value)
        elif what == "expire" and key in keyspace:
            keyspace.set_expiry(key, expires_at_ms)
        elif what == "turn":
            engine.end_turn()
        elif what == "sync":
            engine.end_turn()
            engine.sync()


def state(keyspace: Keyspace, key: bytes) -> State:
    value, expires_at_ms = keyspace.get_with_expiry(key)
    return None if value is None else (bytes(value), expires_at_ms)


def restoration(engine: Engine, wanted: dict[bytes, State]) -> tuple[Staged, Restoration]:
    keyspace = engine.databases[0].keyspace
    staged = engine.stage()
    gathered = Restoration(keyspace, staged)
    for key, wanted_state in wanted.items():
        now = state(keyspace, key)
        if now != wanted_state:
            gathered.add(key, now, wanted_state)
    return staged, gathered


def committed(staged: Staged, gathered: Restoration) -> None:
    staged.add(encode_entries(list(gathered.operations())))
    gathered.expire_due()
    assert list(gathered.conflicts()) == []
    gathered.apply()
    staged.commit()


def one_by_one(keyspace: Keyspace, wanted: dict[bytes, State]) -> None:
    for key, wanted_state in wanted.items():
        if state(keyspace, key) == wanted_state:
            continue
        if wanted_state is None:
            keyspace.delete(key)
        else:
            keyspace.put(key, *wanted_state)


def facts(engine: Engine) -> Any:
    keyspace = engine.databases[0].keyspace
    assert keyspace.index is not None
    while keyspace.index.is_behind:
        keyspace.index.merge()
    somebody_else = Reader()
    return (
        state_of(engine),
        keyspace.payload_bytes,
        keyspace.key_changes,
        keyspace.expiring_count(),
        keyspace.index.range(limit=1000),
        [keyspace.read_with_expiry(key, somebody_else) for key in KEYS],
    )


def indexed() -> Engine:
    engine = opened(SimulatedDisk(EMPTY_DISK), wall_ms=HandClock())
    engine.build_index()
    while engine.index_until(float("inf")):
        pass
    return engine


@settings(max_examples=300, deadline=None)
@given(CHANGES, st.dictionaries(st.sampled_from(KEYS), STATES), st.sampled_from(["", "turn", "sync"]))
def test_at_once_is_the_same_as_one_by_one(
    changes: list[tuple[str, bytes, bytes, int]], wanted: dict[bytes, State], then: str
) -> None:
    at_once, single = indexed(), indexed()
    watches = {}
    for engine in at_once, single:
        make(engine, [*changes, (then, b"", b"", 0)])
        keyspace = engine.databases[0].keyspace
        watches[engine] = {key: Watch() for key in KEYS}
        for key, watch in watches[engine].items():
            keyspace.watch(key, watch)
    staged, gathered = restoration(at_once, wanted)
    assert list(gathered.conflicts()) == []
    if len(gathered):
        committed(staged, gathered)
    one_by_one(single.databases[0].keyspace, wanted)
    at_once.end_turn()
    single.end_turn()
    assert facts(at_once) == facts(single)
    assert [w.dirty for w in watches[at_once].values()] == [w.dirty for w in watches[single].values()]
    for engine in at_once, single:
        engine.sync()
    assert facts(at_once) == facts(single)


@settings(max_examples=150, deadline=None)
@given(CHANGES, st.dictionaries(st.sampled_from(KEYS), STATES, min_size=1), CHANGES)
def test_what_is_in_memory_is_what_a_start_finds(
    changes: list[tuple[str, bytes, bytes, int]], wanted: dict[bytes, State], later: list[tuple[str, bytes, bytes, int]]
) -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    make(engine, changes)
    engine.end_turn()
    staged, gathered = restoration(engine, wanted)
    if len(gathered):
        committed(staged, gathered)
    make(engine, later)
    engine.end_turn()
    left = state_of(engine), engine.databases[0].keyspace.payload_bytes
    engine.close()
    engine = opened(disk)
    assert (state_of(engine), engine.databases[0].keyspace.payload_bytes) == left
    engine.close()


@settings(max_examples=200, deadline=None)
@given(CHANGES, st.dictionaries(st.sampled_from(KEYS), STATES, min_size=1), CHANGES)
def test_exactly_the_keys_that_were_changed_meanwhile_are_conflicts(
    changes: list[tuple[str, bytes, bytes, int]],
    wanted: dict[bytes, State],
    meanwhile: list[tuple[str, bytes, bytes, int]],
) -> None:
    engine = opened(SimulatedDisk(EMPTY_DISK))
    make(engine, changes)
    keyspace = engine.databases[0].keyspace
    before = {key: state(keyspace, key) for key in wanted}
    _, gathered = restoration(engine, wanted)
    concerned = {key for key in wanted if before[key] != wanted[key]}
    make(engine, meanwhile)
    changed = {key for key in concerned if state(keyspace, key) != before[key]}
    assert set(gathered.conflicts()) == changed


def test_a_key_that_expires_meanwhile_is_logged_and_is_a_conflict() -> None:
    clock = HandClock()
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk, wall_ms=clock)
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"a", b"1", START_MS + 10)
    keyspace.put(b"b", b"1", START_MS + 10_000)
    _, gathered = restoration(engine, {b"a": (b"2", 0), b"b": (b"2", 0)})
    clock.at_ms += 11
    engine.clock.refresh()
    gathered.expire_due()
    assert list(gathered.conflicts()) == [b"a"]
    assert keyspace.expired_keys == 1
    assert [operation[0] for operation in engine.ops][-1] == 4  # expired


def test_a_key_whose_time_was_up_already_is_no_conflict() -> None:
    clock = HandClock()
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk, wall_ms=clock)
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"a", b"1", START_MS + 10)
    clock.at_ms += 11
    engine.clock.refresh()
    staged, gathered = restoration(engine, {b"a": (b"2", 0)})
    gathered.expire_due()
    assert list(gathered.conflicts()) == []
    committed(staged, gathered)
    engine.close()
    engine = opened(disk, wall_ms=clock)
    assert state(engine.databases[0].keyspace, b"a") == (b"2", 0)
    engine.close()


def test_nothing_is_given_that_is_to_stay_as_it_is() -> None:
    engine = opened(SimulatedDisk(EMPTY_DISK))
    with pytest.raises(AssertionError, match="nothing is to be done"):
        Restoration(engine.databases[0].keyspace, engine.stage()).add(b"a", None, None)


def test_thousands_of_keys_with_expiries_come_and_go() -> None:
    draw = random.Random(4)
    engine = indexed()
    keyspace = engine.databases[0].keyspace
    wanted: dict[bytes, State] = {}
    for number in range(6_000):
        key = b"key:%d" % number
        if number % 3:
            keyspace.put(key, b"old", START_MS + draw.choice([40, 50]) * 1000 if number % 2 else 0)
        wanted[key] = None if number % 5 == 0 else (b"new", START_MS + 90_000 if number % 7 else 0)
    engine.end_turn()
    committed(*restoration(engine, wanted))
    assert {key: state(keyspace, key) for key in wanted} == wanted
    assert keyspace.index is not None
    assert not keyspace.index.ready
    while keyspace.index.is_behind:
        keyspace.index.merge()
    assert keyspace.index.range(limit=10_000) == sorted(keyspace.keys())
    assert len(keyspace.index) == len(keyspace)


def test_what_one_transaction_restores_is_a_conflict_of_another() -> None:
    engine = opened(SimulatedDisk(EMPTY_DISK))
    first, second = (restoration(engine, {b"a": (value, 0), b"b": None}) for value in (b"1", b"2"))
    committed(*first)
    second[1].expire_due()
    assert list(second[1].conflicts()) == [b"a"]


def test_a_key_that_was_given_a_life_meanwhile_that_is_over_is_logged_as_expired() -> None:
    clock = HandClock()
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk, wall_ms=clock)
    staged, gathered = restoration(engine, {b"a": (b"2", 0)})
    engine.databases[0].keyspace.put(b"a", b"1", START_MS + 10)
    engine.end_turn()
    clock.at_ms += 11
    engine.clock.refresh()
    committed(staged, gathered)
    assert engine.expired_keys == 1
    left = state_of(engine)
    engine.close()
    engine = opened(disk, wall_ms=clock)
    assert state_of(engine) == left
    engine.close()
