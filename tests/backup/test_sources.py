"""Which snapshot leads to a moment, in a repository that has seen a store restored and go on."""

from __future__ import annotations

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH, START_MS, HandClock, State, opened, state_of

from backup.lives import BACK, away, restored
from keystead.backup.cutting import Until
from keystead.backup.failures import MomentNotKept
from keystead.backup.repository import Repository
from keystead.backup.restoring import restore
from keystead.backup.sources import SnapshotSource, snapshot_for
from keystead.backup.taking import Taking
from keystead.engine.files import Directory

SECOND = 1000
pytestmark = pytest.mark.usefixtures("few_shards")


class Lives:
    """Ten transactions, one a second, and a backup; then the store as after the fifth lives on from second 20 on."""

    def __init__(self) -> None:
        self.clock = HandClock(START_MS)
        _, self.repository = away()
        disk = SimulatedDisk(Image.of({"/home": {}}))
        self.first = self._live(disk, PATH, b"first")
        (snapshot,) = self.repository.snapshots()
        again = SimulatedDisk(Image.of({"/home": {}}))
        restore(SnapshotSource(self.repository, snapshot), BACK, Until(5), system=again)
        self.clock.at_ms = START_MS + 20 * SECOND
        self.second = self._live(again, BACK, b"second")

    def _live(self, disk: SimulatedDisk, path: str, value: bytes) -> dict[int, State]:
        engine = opened(disk, wall_ms=self.clock, path=path)
        states: dict[int, State] = {}
        while engine.log.next_sequence <= 10:
            engine.clock.refresh()
            engine.databases[0].keyspace.put(b"%d" % engine.log.next_sequence, value)
            engine.end_turn()
            engine.sync()
            states[engine.log.next_sequence - 1] = state_of(engine)
            self.clock.at_ms += SECOND
        taking = Taking(Directory(path, disk), self.repository, now_ms=self.clock)
        taking.take(with_digest=True)
        taking.close()
        engine.close()
        return states

    def state(self, until: Until) -> State:
        repository: Repository = self.repository
        return restored(SnapshotSource(repository, snapshot_for(repository.snapshots(), until)), until)[1]


def test_a_time_means_what_was_true_then() -> None:
    lives = Lives()
    assert lives.state(Until(time_ms=START_MS + 7 * SECOND)) == lives.first[8]
    assert lives.state(Until(time_ms=START_MS + 22 * SECOND)) == lives.second[8]


def test_between_the_two_lives_it_is_the_state_that_the_second_one_began_with() -> None:
    lives = Lives()
    assert lives.state(Until(time_ms=START_MS + 15 * SECOND)) == lives.first[5]


def test_a_number_is_one_of_the_newest_history() -> None:
    lives = Lives()
    assert lives.state(Until(3)) == lives.first[3]
    assert lives.state(Until(8)) == lives.second[8]


def test_without_a_moment_it_is_the_newest_snapshot() -> None:
    lives = Lives()
    assert lives.state(Until()) == lives.second[10]


def test_a_moment_behind_the_newest_snapshot_is_not_known() -> None:
    lives = Lives()
    for until in (Until(11), Until(time_ms=START_MS + 3600 * SECOND)):
        with pytest.raises(MomentNotKept, match=r"the backup ends before .*: the newest snapshot, "):
            lives.state(until)
