"""A restored store is the store as it was, after every single transaction of random lives."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from stores import PATH, SMALL

from backup.lives import RecordedLife, away, back_up, newest, restored
from keystead.backup.cutting import Until
from keystead.backup.failures import MomentNotKept
from keystead.backup.sources import SnapshotSource, snapshot_for
from keystead.engine import manifest as manifests
from keystead.engine.files import Directory
from keystead.engine.history.transactions import History, floor_of

Seed = Callable[[int], Random]
LIVES = 24
STEPS_OF_A_LIFE = 45
pytestmark = pytest.mark.usefixtures("small_sizes")


@pytest.mark.parametrize("number", range(LIVES))
def test_restoring_to_every_transaction_gives_the_state_after_it(number: int, seeded: Seed) -> None:
    random = seeded(number)
    life = RecordedLife(random)
    _, repository = away()
    life.open()
    backed_up = 0
    for _ in range(STEPS_OF_A_LIFE):
        life.run(1)
        assert life.engine_now.log.next_sequence > backed_up, "what is in a backup was durable"
        if random.random() < 0.1:
            backed_up = back_up(life.disk, repository)
    last = back_up(life.disk, repository)
    assert last == life.engine_now.log.next_sequence - 1
    compared = 0
    for sequence in range(last + 1):
        until = Until(sequence)
        source = SnapshotSource(repository, snapshot_for(repository.snapshots(), until))
        came_to, state = restored(source, until)
        assert came_to == sequence
        if sequence in life.states:
            assert state == life.states[sequence], sequence
            compared += 1
    assert compared > last // 3


@pytest.mark.parametrize("number", range(4))
def test_with_retention_every_moment_that_is_kept_can_be_restored_and_no_other(number: int, seeded: Seed) -> None:
    random = seeded(number)
    life = RecordedLife(random, options=SMALL._replace(history_max_bytes=2000, history_max_age_ms=10_000))
    life.open()
    life.run(80)
    _, repository = away()
    last = back_up(life.disk, repository)
    manifest = manifests.load(Directory(PATH, life.disk))
    assert manifest is not None
    floor = floor_of(manifest) - 1
    assert floor > 0
    source = newest(repository)
    for sequence in range(max(0, floor - 3), last + 1):
        if sequence < floor:
            with pytest.raises(MomentNotKept, match=rf"the oldest moment that is, is transaction {floor:,} "):
                restored(source, Until(sequence))
        else:
            came_to, state = restored(source, Until(sequence))
            assert came_to == sequence
            assert state == life.states.get(sequence, state)
    with pytest.raises(MomentNotKept, match="the log ends before transaction"):
        restored(source, Until(last + 1))


@pytest.mark.parametrize("number", range(6))
def test_a_time_is_the_last_transaction_committed_by_then(number: int, seeded: Seed) -> None:
    random = seeded(number)
    life = RecordedLife(random)
    life.open()
    for _ in range(60):
        life.clock.at_ms += random.choice((0, 1, 50, 900))
        life.run(1)
    _, repository = away()
    last = back_up(life.disk, repository)
    with History(Directory(PATH, life.disk), 1) as history:
        times = [(transaction.sequence, transaction.time_ms) for transaction in history.read(last + 1)]
    source = newest(repository)
    for at_ms in sorted({time_ms + offset for _, time_ms in times for offset in (-1, 0, 1)}):
        expected = max((sequence for sequence, time_ms in times if time_ms <= at_ms), default=0)
        sequence, state = restored(source, Until(time_ms=at_ms))
        assert sequence == expected
        assert state == life.states.get(sequence, state)
