"""Verifying a repository, also while somebody writes to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_disk import SimulatedDisk
from stores import PATH, opened
from workload import EMPTY_DISK

from backup.lives import AWAY, away
from keystead.backup.failures import DamagedBackup
from keystead.backup.repository import Repository
from keystead.backup.snapshots import Snapshot
from keystead.backup.taking import GRACE_MS, Taking
from keystead.backup.verifying import verify
from keystead.engine.engine import Engine
from keystead.engine.files import Directory


@pytest.fixture
def followed() -> tuple[Engine, Taking, Repository]:
    """A store, a follower of it, and where it ships to."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    _, repository = away()
    now_ms = 1_700_000_000_000

    def clock() -> int:
        nonlocal now_ms
        now_ms += GRACE_MS
        return now_ms

    taking = Taking(Directory(PATH, disk), repository, now_ms=clock)
    taking.begin_snapshot()
    return engine, taking, repository


def ship(engine: Engine, taking: Taking) -> Snapshot:
    engine.databases[0].keyspace.put(b"%d" % engine.log.next_sequence, b"v")
    engine.end_turn()
    engine.sync()
    return taking.update()


def test_what_was_replaced_while_it_was_looked_for_is_no_damage(followed: tuple[Engine, Taking, Repository]) -> None:
    engine, taking, repository = followed
    first = ship(engine, taking)

    def meanwhile(*_: object) -> None:
        while first.objects().keys() & repository.objects().keys():
            ship(engine, taking)

    class Interrupted(Repository):
        """Its first list of snapshots is old when it is used."""

        asked = False

        def snapshots(self, damage: list | None = None) -> list[Snapshot]:  # type: ignore[type-arg]
            found = super().snapshots(damage)
            if not self.asked:
                self.asked = True
                meanwhile()
            return found

    verified = verify(Interrupted(repository.place), None, None, lambda *_: None)
    assert verified.snapshot.sequence == engine.log.next_sequence - 1
    assert verified.keys == verified.snapshot.sequence


def test_what_is_named_and_missing_is_damage(followed: tuple[Engine, Taking, Repository]) -> None:
    engine, taking, repository = followed
    (name,) = ship(engine, taking).objects()
    repository.place.remove(name)
    with pytest.raises(DamagedBackup, match=f"{AWAY}/{name}: it is missing"):
        verify(repository, None, None, lambda *_: None)


def test_a_digest_that_does_not_match_is_damage_of_the_snapshot(
    followed: tuple[Engine, Taking, Repository], tmp_path: Path
) -> None:
    engine, taking, repository = followed
    ship(engine, taking)
    taking.begin_snapshot()
    snapshot = taking.update(with_digest=True)
    assert verify(repository, None, str(tmp_path), lambda *_: None).digest_compared
    snapshot.digest = "0" * 32
    repository.write(snapshot)
    with pytest.raises(DamagedBackup, match=f"{snapshot.id}.json: what is restored from it has another digest"):
        verify(repository, None, str(tmp_path), lambda *_: None)
    assert list(tmp_path.iterdir()) == [], "scratch is cleared away"
