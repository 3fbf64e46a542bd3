"""Questions about the past of a store in which keys are forgotten: of them there is none, all else is as it was."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from simulated_disk import SimulatedDisk
from stores import PATH
from workload import DATABASES, EMPTY_DISK, KEYS, STEPS_WITH_FORGETTING, Workload

from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.history.past import Past
from keystead.engine.keyspace import SHARDS

pytestmark = pytest.mark.usefixtures("small_sizes")

KEY = b"e" * 20
OTHERS = [key for key in KEYS if key != KEY]
REBINDS = {"flush", "swap", "bind"}


def settle(engine: Engine) -> None:
    """What is due is done; what has expired is removed, or it would be the next thing that happens."""
    for _ in range(12):
        for database in (*engine.databases, engine.system):
            for shard in range(min(SHARDS, len(database.keyspace.expires))):
                database.keyspace.expire_due(shard, 1000)
        engine.end_turn()
        engine.sync()
        engine.housekeep(1)


def told_of_others(past: Past, through: int) -> dict[Any, Any]:
    """Every answer about the other keys, up to that transaction."""
    told: dict[Any, Any] = {}
    for database in range(DATABASES):
        for key in OTHERS:
            changes = past.key_changes(database, key, 1000)
            told[database, key] = [each for each in changes if each.sequence is None or each.sequence <= through]
        removed, _ = past.removed(database, b"", None, 1000, 1e18)
        told[database, "removed"] = [each for each in removed if each.key != KEY]
        for sequence in range(past.floor.sequence, through + 1, 3):
            page = past.page_at(database, past.moment(sequence), b"", None, 1000)
            told[database, sequence] = [entry for entry in page if entry[0] != KEY]
    return told


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("reader_stays", [False, True])
def test_the_key_has_no_past_and_every_other_key_has_its_own(
    seed: int, reader_stays: bool, seeded: Callable[[int], Random]
) -> None:
    """Asked by whoever begins to read, and by whoever has read before and has files, indexes and views at hand."""
    life = Workload(seeded(1000 + seed), SimulatedDisk(EMPTY_DISK))
    life.steps = STEPS_WITH_FORGETTING
    life.run(50)
    if life.engine is None:
        life.open()
    engine = life.engine
    assert engine is not None
    engine.system.keyspace.delete(KEY)
    settle(engine)
    past = Past(Directory(PATH, life.disk))
    for database in range(DATABASES):
        through = engine.log.next_sequence - 1
        past.refresh()
        before = told_of_others(past, through)
        forgetting = engine.forget(engine.databases[database], [KEY], KEY)
        settle(engine)
        assert forgetting.rewritten is not None, forgetting.failure
        if reader_stays:
            past.refresh()
        else:
            past.close()
            past = Past(Directory(PATH, life.disk))
        assert told_of_others(past, through) == before
        changes = past.key_changes(database, KEY, 1000)
        assert [each for each in changes if each.operation not in REBINDS] == []
        for sequence in range(past.floor.sequence, forgetting.erasure.through + 1):
            moment = past.moment(sequence)
            assert past.values_at(database, [KEY], moment) == {}
            assert KEY not in [key for key, *_ in past.page_at(database, moment, b"", None, 1000)]
    past.close()
