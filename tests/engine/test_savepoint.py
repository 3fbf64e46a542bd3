"""Taking changes of the open turn back. Any order of them is played against a dictionary in test_engine_model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from simulated_disk import SimulatedDisk
from stores import HandClock, Reader, opened, state_of

from keystead.engine.operations import Author
from keystead.engine.savepoint import Savepoint

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.engine.keyspace import Keyspace

pytestmark = pytest.mark.usefixtures("small_sizes")

LONG = bytes(1000)


class Watching:
    """Somebody who watches a key."""

    dirty = False


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk()


@pytest.fixture
def engine(disk: SimulatedDisk, clock: HandClock) -> Engine:
    return opened(disk, wall_ms=clock)


@pytest.fixture
def keyspace(engine: Engine) -> Keyspace:
    return engine.databases[0].keyspace


def commit(engine: Engine) -> None:
    engine.end_turn()
    engine.sync()


def everything(engine: Engine) -> Any:
    """What a savepoint that is rolled back must leave as it was."""
    keyspaces = [database.keyspace for database in engine.databases]
    return (
        state_of(engine),
        list(engine.ops),
        engine.turn.author,
        engine.expired_keys,
        [(dict(keyspace.open_before), keyspace.payload_bytes, keyspace.used_bytes()) for keyspace in keyspaces],
    )


def test_rolled_back_changes_leave_no_trace(engine: Engine, keyspace: Keyspace, disk: SimulatedDisk) -> None:
    keyspace.put(b"kept", b"1")
    keyspace.put(b"expiring", b"1", 1 << 50)
    commit(engine)
    keyspace.put(b"open", b"1")
    before = everything(engine)
    savepoint = Savepoint(engine)
    keyspace.put(b"kept", b"longer", 1 << 51)
    keyspace.delete(b"expiring")
    keyspace.set_expiry(b"open", 1 << 52)
    keyspace.patch(b"new", 3, b"abc")
    engine.databases[1].keyspace.put(b"elsewhere", b"1")
    savepoint.roll_back()
    assert everything(engine) == before
    commit(engine)
    assert state_of(opened(SimulatedDisk(disk.everything()))) == state_of(engine)


def test_released_changes_are_as_if_there_had_been_no_savepoint(engine: Engine, keyspace: Keyspace) -> None:
    keyspace.put(b"k", b"old")
    commit(engine)
    savepoint = Savepoint(engine)
    keyspace.put(b"k", b"new")
    savepoint.release()
    stranger = Reader()
    assert keyspace.read(b"k", stranger) == b"old"
    commit(engine)
    assert keyspace.read(b"k", stranger) == b"new"


def test_a_string_patched_before_a_savepoint_can_be_patched_on_after_it(engine: Engine, keyspace: Keyspace) -> None:
    """The way back to its durable value leads over all patches of the turn, so the string must stay a bytearray."""
    keyspace.patch(b"k", 0, LONG)
    commit(engine)
    keyspace.patch(b"k", 0, b"a")
    savepoint = Savepoint(engine)
    keyspace.patch(b"k", 1, b"b")
    keyspace.put(b"k", b"short")
    savepoint.roll_back()
    assert keyspace.get(b"k") == b"a" + LONG[1:]
    keyspace.put(b"k", b"x")
    assert keyspace.read(b"k", Reader()) == LONG


@pytest.mark.parametrize("then", ["patch", "put", "set_expiry"])
def test_what_a_savepoint_keeps_of_a_patched_string_leads_back_to_what_is_durable(
    engine: Engine, keyspace: Keyspace, then: str
) -> None:
    keyspace.patch(b"k", 0, LONG)
    commit(engine)
    keyspace.patch(b"k", 999, b"abc")
    savepoint = Savepoint(engine)
    if then == "patch":
        keyspace.patch(b"k", 1001, b"defg")
    elif then == "put":
        keyspace.put(b"k", b"short")
    else:
        keyspace.set_expiry(b"k", 1 << 50)
    savepoint.release()
    assert keyspace.read_with_expiry(b"k", Reader()) == (LONG, 0)


def test_watchers_hear_of_what_is_kept_and_of_nothing_else(engine: Engine, keyspace: Keyspace) -> None:
    kept, rolled_back, other = Watching(), Watching(), Watching()
    keyspace.watch(b"kept", kept)
    keyspace.watch(b"undone", rolled_back)
    engine.databases[1].keyspace.watch(b"kept", other)
    savepoint = Savepoint(engine)
    keyspace.put(b"undone", b"1")
    savepoint.roll_back()
    savepoint = Savepoint(engine)
    keyspace.put(b"kept", b"1")
    savepoint.release()
    assert (kept.dirty, rolled_back.dirty, other.dirty) == (True, False, False)
    keyspace.put(b"undone", b"1")
    assert rolled_back.dirty


def test_an_expired_key_whose_removal_is_taken_back_is_removed_by_the_next_change(
    engine: Engine, keyspace: Keyspace, clock: HandClock
) -> None:
    keyspace.put(b"k", b"1", clock.at_ms + 10)
    commit(engine)
    clock.at_ms += 20
    engine.clock.refresh()
    savepoint = Savepoint(engine)
    keyspace.put(b"k", b"2")
    savepoint.roll_back()
    assert (engine.expired_keys, engine.ops, keyspace.get(b"k"), len(keyspace)) == (0, [], None, 1)
    keyspace.put(b"k", b"2")
    assert (engine.expired_keys, len(engine.ops)) == (1, 2)


def test_a_patched_string_that_was_due_is_put_back_whole(engine: Engine, keyspace: Keyspace, clock: HandClock) -> None:
    # Its new expiry was to be set, so only the way back from patches was kept; but its time was up, and it was removed.
    keyspace.put(b"k", b"value", clock.at_ms + 10)
    keyspace.patch(b"k", 5, b" and more")
    commit(engine)
    clock.at_ms += 20
    engine.clock.refresh()
    before = everything(engine)
    savepoint = Savepoint(engine)
    with pytest.raises(KeyError):
        keyspace.set_expiry(b"k", 0)
    savepoint.roll_back()
    assert everything(engine) == before


def test_the_key_index_follows_a_roll_back(engine: Engine, keyspace: Keyspace) -> None:
    engine.build_index()
    while not engine.at_rest:
        engine.housekeep(10)
    keyspace.put(b"a", b"1")
    savepoint = Savepoint(engine)
    keyspace.put(b"b", b"1")
    keyspace.delete(b"a")
    savepoint.roll_back()
    assert keyspace.index is not None
    assert (keyspace.index.count(b"a"), keyspace.index.count(b"b")) == (1, 0)


def test_groups_and_authors_of_a_roll_back_are_forgotten(engine: Engine, keyspace: Keyspace) -> None:
    someone, other = Author("someone", ""), Author("other", "")
    engine.author = someone
    keyspace.put(b"a", b"1")
    savepoint = Savepoint(engine)
    keyspace.put(b"b", b"1")
    engine.author = other
    keyspace.put(b"c", b"1")
    engine.end_group(1)
    savepoint.roll_back()
    assert engine.author == someone
    assert engine.turn.encode().transactions == 1
    keyspace.put(b"d", b"1")
    assert engine.turn.encode().transactions == 1


def test_a_database_must_not_be_bound_anew_within_a_savepoint(engine: Engine, keyspace: Keyspace) -> None:
    keyspace.put(b"k", b"1")
    savepoint = Savepoint(engine)
    engine.flush_all()
    with pytest.raises(AssertionError, match="bound"):
        savepoint.roll_back()
