"""The log read forwards: which transactions there were, from any one on, while the store goes on."""

from __future__ import annotations

import pytest
from simulated_disk import SimulatedDisk
from stores import PATH, SMALL, opened
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.history.transactions import History, HistoryDropped, Transaction, floor_of
from keystead.engine.operations import Bind, Put
from keystead.engine.tail import CommittedTurn, transactions_of
from keystead.errors import DamagedData

pytestmark = pytest.mark.usefixtures("small_sizes")
KEEP_NOTHING = SMALL._replace(history_max_age_ms=0, history_max_bytes=0)


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(EMPTY_DISK)


def write(engine: Engine, *numbers: int) -> None:
    """A durable turn, every number a transaction."""
    for number in numbers:
        engine.databases[0].keyspace.put(b"k", b"%d" % number + bytes(100))
    engine.end_turn()
    engine.sync()


def checkpoint(engine: Engine) -> None:
    engine.request_checkpoint()
    for _ in range(3):
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()


def read(disk: SimulatedDisk, first: int, until: int) -> list[Transaction]:
    with History(Directory(PATH, disk), first) as history:
        return list(history.read(until))


def test_it_is_read_from_any_transaction_on_across_segments_and_generations(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    for number in range(0, 40, 2):
        write(engine, number, number + 1)
        engine.housekeep(1)  # rotates
        if number == 20:
            checkpoint(engine)
    manifest = engine.maintenance.manifest
    assert len(manifest.generations) > 1
    assert sum(len(generation.segments) for generation in manifest.generations) > 3
    end = engine.log.next_sequence
    for first in range(1, end + 1):
        found = read(disk, first, end)
        assert [each.sequence for each in found] == list(range(first, end))
    last = found[-1:] or read(disk, end - 1, end)
    assert isinstance(last[0].operations[0], Put)


def test_nothing_is_read_behind_what_is_durable(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    write(engine, 1, 2)
    engine.databases[0].keyspace.put(b"k", b"not durable")
    engine.end_turn()
    assert [each.sequence for each in read(disk, 1, 3)] == [1, 2]


def test_what_is_dropped_cannot_be_read_and_the_error_says_how_far_one_can(disk: SimulatedDisk) -> None:
    engine = opened(disk, KEEP_NOTHING)
    write(engine, 1, 2, 3)
    checkpoint(engine)
    write(engine, 4)
    floor = engine.first_kept_sequence
    assert floor > 1
    assert floor == floor_of(engine.maintenance.manifest)
    with pytest.raises(HistoryDropped) as dropped:
        read(disk, floor - 1, engine.log.next_sequence)
    assert dropped.value.floor == floor
    assert [each.sequence for each in read(disk, floor, engine.log.next_sequence)] == list(
        range(floor, engine.log.next_sequence)
    )


def test_what_is_dropped_while_it_is_read_is_read_to_its_end(disk: SimulatedDisk) -> None:
    engine = opened(disk, KEEP_NOTHING)
    write(engine, 1, 2, 3)
    end = engine.log.next_sequence
    with History(Directory(PATH, disk), 1) as history:
        reading = history.read(end)
        assert next(reading).sequence == 1
        checkpoint(engine)
        assert engine.first_kept_sequence > 1
        assert [each.sequence for each in reading] == [2, 3]


def test_a_drop_between_the_manifest_and_the_files_is_looked_up_anew(
    disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(disk, KEEP_NOTHING)
    write(engine, 1, 2, 3)
    stale = manifests.load(Directory(PATH, disk))
    checkpoint(engine)
    answers = [stale]
    load = manifests.load
    monkeypatch.setattr(manifests, "load", lambda directory: answers.pop() if answers else load(directory))
    with pytest.raises(HistoryDropped):
        read(disk, 1, engine.log.next_sequence)


def test_a_missing_file_is_damage(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    write(engine, 1)
    Directory(PATH, disk).remove(engine.maintenance.manifest.generations[0].segments[0].file)
    with pytest.raises(DamagedData, match="missing"):
        read(disk, 1, 2)


def test_a_log_that_ends_too_early_is_damage(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    write(engine, 1)
    with pytest.raises(DamagedData, match="ends before transaction 2"):
        read(disk, 1, 3)


def test_it_knows_what_databases_showed_before_each_transaction(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    engine.swap(engine.databases[0], engine.databases[1])
    write(engine, 1)
    checkpoint(engine)
    engine.swap(engine.databases[1], engine.databases[2])
    write(engine, 2)
    end = engine.log.next_sequence
    found = read(disk, 1, end)
    shown = (0, 1, 2)
    for transaction in found:
        assert transaction.databases[:3] == shown
        for operation in transaction.operations:
            if isinstance(operation, Bind):
                changed = list(shown)
                changed[operation.database] = operation.keyspace
                shown = (changed[0], changed[1], changed[2])
    assert shown == (1, 2, 0)
    assert read(disk, end - 1, end) == found[-1:]


def test_a_follower_is_handed_a_turn_only_when_it_is_durable(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    handed: list[CommittedTurn] = []
    write(engine, 1)
    first = engine.follow(handed.extend)
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.end_turn()
    assert (first, handed) == (2, [])
    engine.sync()
    assert [list(transactions_of(turn)) for turn in handed] == [read(disk, 2, 3)]
    engine.unfollow()
    write(engine, 3)
    assert len(handed) == 1
