"""Lives of stores of which every transaction is known, and repositories on a disk of their own."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from simulated_disk import Image, SimulatedDisk
from stores import EMPTY, PATH, SMALL, State, opened, state_of, state_of_view
from workload import CHANGES, EMPTY_DISK, STEPS, Workload

from keystead.backup.cutting import Until
from keystead.backup.folder import Folder
from keystead.backup.repository import Repository
from keystead.backup.restoring import restore
from keystead.backup.sources import SnapshotSource, Source
from keystead.backup.taking import Taking
from keystead.engine.engine import Engine, Options
from keystead.engine.files import Directory, System

AWAY = "/away/backup"
BACK = "/home/back"


class RecordedLife(Workload):
    """Knows the state after each transaction, also after those in the middle of a turn."""

    def __init__(self, random: Random, disk: SimulatedDisk | None = None, options: Options = SMALL) -> None:
        super().__init__(random, disk or SimulatedDisk(EMPTY_DISK), options)
        self.steps = [getattr(RecordedLife, step.__name__) for step in STEPS]
        self.spared: Callable[[], list[int]] = list
        """Descriptors of another process, which does not die with the server."""
        self.states: dict[int, State] = {0: EMPTY}
        """By the sequence number of the last transaction; a number is missing when the state was not looked at."""
        self.times_ms: dict[int, int] = {}

    def open(self) -> None:
        """Start the process; what the crash took away did not happen."""
        super().open()
        last = self._engine().log.next_sequence - 1
        self.states = {sequence: state for sequence, state in self.states.items() if sequence <= last}
        self._note()

    def change(self) -> None:
        """One to four changes, each looked at, then the end of the turn."""
        for _ in range(self.random.choice((1, 1, 2, 4))):
            self.random.choice(CHANGES)(self, self._database())
            self._note()
        self.end_turn()

    def kill(self) -> None:
        """The server dies, whoever reads its files does not."""
        self._die()
        self.disk.kill(self.spared())
        self.open()

    def change_and_sync(self) -> None:
        """A turn that is acknowledged."""
        self.change()
        self._engine().sync()

    def end_turn(self) -> None:
        """Commit what is recorded."""
        if self._engine().ops:
            self._note()
        super().end_turn()

    def _note(self) -> None:
        engine = self._engine()
        grouped = sum(length - 1 for _, length in engine.turn._groups)
        recorded = len(engine.ops) - grouped
        self.states[engine.log.next_sequence - 1 + recorded] = state_of(engine)

    @property
    def engine_now(self) -> Engine:
        return self._engine()


def away(disk: SimulatedDisk | None = None) -> tuple[SimulatedDisk, Repository]:
    """An empty repository on another disk."""
    disk = disk or SimulatedDisk(Image.of({"/away": {}}))
    return disk, Repository(Folder(AWAY, disk))


def back_up(system: System, repository: Repository, path: str = PATH) -> int:
    """One backup, as the command makes it; the last transaction in it."""
    taking = Taking(Directory(path, system), repository)
    try:
        sequence = taking.take(with_digest=True).sequence
        taking.prune(None)
        return sequence
    finally:
        taking.close()


def newest(repository: Repository) -> Source:
    return SnapshotSource(repository, repository.snapshots()[-1])


def restored(source: Source, until: Until = Until()) -> tuple[int, State]:  # noqa: B008
    """Restore to a disk of its own, and start the store: the last transaction, and what is there."""
    disk = SimulatedDisk(Image.of({"/home": {}}))
    came_to = restore(source, BACK, until, system=disk)
    assert disk.open_descriptors == []
    image = disk.synced()  # power is lost at the very end
    engine = opened(SimulatedDisk(image), path=BACK)
    state = state_of(engine)
    assert state == state_of_view(came_to.view)
    assert engine.log.next_sequence - 1 == came_to.sequence
    engine.close()
    return came_to.sequence, state
