"""The system keyspace: what the store keeps for itself is durable like all else, and no database shows it."""

from __future__ import annotations

import pytest
from simulated_disk import SimulatedDisk
from stores import SMALL, START_MS, HandClock, Reader, opened, state_of
from workload import EMPTY_DISK

from keystead.commands.debug import replays_to_memory
from keystead.engine.engine import Engine
from keystead.engine.keyspace import SYSTEM_KEYSPACE
from keystead.engine.operations import Bind, Put
from keystead.engine.view import ReplayError, View


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(EMPTY_DISK)


@pytest.fixture
def engine(disk: SimulatedDisk) -> Engine:
    """With one record of the system's, durable."""
    engine = opened(disk)
    engine.system.keyspace.put(b"request 1", b"its answer")
    commit(engine)
    return engine


def commit(engine: Engine) -> None:
    """Turn and sync."""
    engine.end_turn()
    engine.sync()


def test_no_database_shows_it(engine: Engine) -> None:
    assert all(len(database.keyspace) == 0 for database in engine.databases)
    assert engine.system not in engine.databases
    assert engine.info().keys == 0
    assert engine.system.keyspace.get(b"request 1") == b"its answer"


def test_it_is_read_again_after_a_stop_a_kill_and_from_a_checkpoint(disk: SimulatedDisk, engine: Engine) -> None:
    engine.close()
    engine = opened(disk)
    assert state_of(engine)[-1] == {b"request 1": (b"its answer", 0)}
    engine.system.keyspace.put(b"request 2", b"", START_MS + 60_000)
    commit(engine)
    engine.request_checkpoint()
    engine.housekeep(1)
    assert engine.info().checkpoints == 1
    disk.kill()
    engine = opened(disk)
    assert engine.maintenance.manifest.current.checkpoint is not None
    assert state_of(engine)[-1] == {b"request 1": (b"its answer", 0), b"request 2": (b"", START_MS + 60_000)}
    assert replays_to_memory(engine)


def test_no_flush_and_no_swap_touches_it(disk: SimulatedDisk, engine: Engine) -> None:
    """Nor does a replay of them, which lets go of the keyspaces that no database shows."""
    for database in engine.databases[:2]:
        database.keyspace.put(b"k", b"v")
    engine.swap(*engine.databases[:2])
    engine.flush_all()
    commit(engine)
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.flush(engine.databases[0])
    commit(engine)
    assert engine.system.keyspace.get(b"request 1") == b"its answer"
    disk.kill()
    again = opened(disk)
    assert again.system.keyspace.get(b"request 1") == b"its answer"
    again.system.keyspace.delete(b"request 1")
    commit(again)
    assert state_of(opened(SimulatedDisk(disk.everything())))[-1] == {}


def test_it_is_one_transaction_with_what_it_records(disk: SimulatedDisk, engine: Engine) -> None:
    """An increment and the answer that it was given."""
    start, sequence = len(engine.ops), engine.log.next_sequence
    engine.databases[0].keyspace.put(b"n", b"1")
    engine.system.keyspace.put(b"request 2", b"1")
    engine.end_group(start)
    commit(engine)
    assert engine.log.next_sequence == sequence + 1
    disk.kill()
    again = opened(disk)
    assert (again.databases[0].keyspace.get(b"n"), again.system.keyspace.get(b"request 2")) == (b"1", b"1")


def test_its_records_expire_by_themselves() -> None:
    """Without being counted among the keys of users that expired."""
    clock = HandClock()
    engine = opened(SimulatedDisk(EMPTY_DISK), SMALL, clock)
    engine.system.keyspace.put(b"request", b"", START_MS + 5)
    commit(engine)
    clock.at_ms += 10
    for _ in range(60):
        engine.housekeep(5)
    assert len(engine.system.keyspace) == 0
    assert engine.expired_keys == 0


def test_strangers_are_shown_what_is_durable_of_it(engine: Engine) -> None:
    engine.system.keyspace.put(b"request 1", b"another answer")
    engine.end_turn()
    assert engine.system.keyspace.read(b"request 1", Reader()) == b"its answer"
    engine.sync()
    assert engine.system.keyspace.read(b"request 1", Reader()) == b"another answer"


def test_its_memory_counts(engine: Engine) -> None:
    before = engine.used_bytes()
    engine.system.keyspace.put(b"large", bytes(1000))
    assert engine.used_bytes() >= before + 1000


def test_a_flush_never_hands_out_its_id(disk: SimulatedDisk, engine: Engine) -> None:
    """After four thousand million flushes its turn would have come."""
    engine._bindings._next_keyspace = SYSTEM_KEYSPACE - 1
    for expected in (SYSTEM_KEYSPACE - 1, SYSTEM_KEYSPACE + 1):
        engine.databases[0].keyspace.put(b"k", b"v")
        engine.flush(engine.databases[0])
        assert engine.databases[0].keyspace.id == expected
        engine.databases[0].keyspace.put(b"k", b"v")
        commit(engine)
    assert opened(SimulatedDisk(disk.everything())).system.keyspace.get(b"request 1") == b"its answer"


def test_a_bind_to_it_is_damage() -> None:
    view = View(0)
    view.commit([Put(SYSTEM_KEYSPACE, b"k", b"v")], 1, 1, 0)
    with pytest.raises(ReplayError, match=f"to keyspace {SYSTEM_KEYSPACE}"):
        view.commit([Bind(0, SYSTEM_KEYSPACE)], 2, 1, 0)
