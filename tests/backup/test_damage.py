"""A damaged backup is named file by file, and never half-restored."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random

import pytest
from simulated_disk import Fault, Image, SimulatedDisk
from stores import opened, state_of

from backup.lives import AWAY, BACK, RecordedLife, away, back_up, newest, restored
from keystead.backup.cutting import Until
from keystead.backup.failures import DamagedBackup, IntoExisting, WrongRepository
from keystead.backup.folder import Folder
from keystead.backup.repository import Repository
from keystead.backup.restoring import restore
from keystead.backup.sources import Source
from keystead.engine.files import DirectoryLock
from keystead.errors import DirectoryUnusable, DiskFailure, StoreLocked, UnknownFormat

Seed = Callable[[int], Random]
HOME = Image.of({"/home": {}})
pytestmark = pytest.mark.usefixtures("small_sizes")


@pytest.fixture
def life(seeded: Seed) -> RecordedLife:
    """A life with checkpoints and several segments."""
    life = RecordedLife(seeded(3))
    life.open()
    life.run(60)
    life.checkpoint()
    life.run(10)
    return life


@pytest.fixture
def backup(life: RecordedLife) -> SimulatedDisk:
    """The disk with a backup of it."""
    disk, repository = away()
    back_up(life.disk, repository)
    return disk


def changed(disk: SimulatedDisk, change: Callable[[dict[str, bytes]], None], kind: str = "objects") -> Repository:
    """The repository with some of its files changed."""
    folders = {folder: dict(files) for folder, files in disk.everything().folders}
    change(folders[f"{AWAY}/{kind}"])
    return Repository(Folder(AWAY, SimulatedDisk(Image.of(folders))))


def refused(source: Source) -> DamagedBackup:
    """Restoring it fails, and leaves nothing."""
    disk = SimulatedDisk(HOME)
    with pytest.raises(DamagedBackup) as caught:
        restore(source, BACK, system=disk)
    assert disk.everything() == SimulatedDisk(HOME).everything()
    return caught.value


def test_every_flipped_bit_of_every_object_is_noticed_and_the_object_named(backup: SimulatedDisk) -> None:
    random = Random(5)
    for name, data in backup.content(f"{AWAY}/objects").items():
        for bit in random.sample(range(8 * len(data)), 8):
            flipped = bytearray(data)
            flipped[bit >> 3] ^= 1 << (bit & 7)
            error = refused(newest(changed(backup, lambda files: files.update({name: bytes(flipped)}))))  # noqa: B023
            assert f"{AWAY}/objects/{name}: its checksum does not match" in str(error)


def test_a_missing_a_short_and_a_long_object_are_named_all_at_once(backup: SimulatedDisk) -> None:
    first, second, third, *_ = sorted(backup.content(f"{AWAY}/objects"))

    def change(files: dict[str, bytes]) -> None:
        del files[first]
        files[second] = files[second][:-1]
        files[third] += b"\0"

    error = refused(newest(changed(backup, change)))
    assert sorted(damage.file.rpartition("/")[2] for damage in error.damage) == [first, second, third]
    assert f"{first}: it is missing" in str(error)
    assert f"{second}: " in str(error)
    assert " bytes expected, found " in str(error)
    assert str(error).count("\n") == 2


def test_every_truncation_and_flipped_bit_of_a_snapshot_is_noticed(backup: SimulatedDisk) -> None:
    ((name, data),) = backup.content(f"{AWAY}/snapshots").items()
    random = Random(6)
    broken = [data[:length] for length in random.sample(range(len(data)), 20)]
    for bit in random.sample(range(8 * len(data)), 40):
        flipped = bytearray(data)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        broken.append(bytes(flipped))
    for content in broken:
        repository = changed(backup, lambda files: files.update({name: content}), "snapshots")  # noqa: B023
        with pytest.raises((DamagedBackup, UnknownFormat)) as caught:
            repository.snapshots()
        assert name in str(caught.value)


def test_a_snapshot_of_a_later_version_is_said_to_be_one(backup: SimulatedDisk) -> None:
    def change(files: dict[str, bytes]) -> None:
        for name, data in files.items():
            files[name] = data.replace(b"keystead snapshot 1 ", b"keystead snapshot 7 ", 1)

    with pytest.raises(UnknownFormat, match="snapshot version 7"):
        changed(backup, change, "snapshots").snapshots()


def test_a_place_without_a_backup_is_said_to_have_none() -> None:
    with pytest.raises(WrongRepository, match="there is no backup in"):
        away()[1].existing()


def test_power_lost_at_any_moment_of_a_restore_leaves_the_whole_store_or_none(
    life: RecordedLife, backup: SimulatedDisk
) -> None:
    source = newest(Repository(Folder(AWAY, backup)))
    until = Until(source.sequence // 2)
    disk, random = SimulatedDisk(HOME), Random(2)
    caught: set[Image] = set()
    disk.after = lambda _: caught.update(disk.crash_states(random, 2))
    restore(source, BACK, until, system=disk)
    outcomes = set()
    for image in caught:
        there = image.files(BACK)
        outcomes.add(bool(there))
        again = SimulatedDisk(image)
        if there:
            with pytest.raises(IntoExisting):
                restore(source, BACK, until, system=again)
        else:
            restore(source, BACK, until, system=again)
        engine = opened(again, path=BACK)
        assert engine.log.next_sequence - 1 == until.sequence
        assert state_of(engine) == life.states.get(until.sequence or 0, state_of(engine))
    assert outcomes == {True, False}


def test_a_call_that_fails_at_any_moment_of_a_restore_leaves_nothing(backup: SimulatedDisk) -> None:
    source = newest(Repository(Folder(AWAY, backup)))
    failed = 0
    for call in range(1, 1000):
        disk = SimulatedDisk(HOME)
        disk.fault = Fault(call, errno.EIO)
        try:
            restore(source, BACK, system=disk)
        except (OSError, DiskFailure, DirectoryUnusable):
            failed += 1
            if any(path == BACK for path, _ in disk.everything().folders):
                assert opened(disk.kill(), path=BACK).log.next_sequence - 1 == source.sequence  # but for the last sync
        if not disk.faults_met:
            break
    assert failed > 40


def test_an_existing_directory_is_refused_whatever_is_in_it(backup: SimulatedDisk) -> None:
    disk = SimulatedDisk(Image.of({"/home": {}, BACK: {}}))
    with pytest.raises(IntoExisting, match="exists"):
        restore(newest(Repository(Folder(AWAY, backup))), BACK, system=disk)


def test_two_restores_to_the_same_name_do_not_meet(backup: SimulatedDisk) -> None:
    disk = SimulatedDisk(HOME)
    lock = DirectoryLock.acquire("/home/.back.restoring", system=disk)
    with pytest.raises(StoreLocked):
        restore(newest(Repository(Folder(AWAY, backup))), BACK, system=disk)
    lock.release()
    restore(newest(Repository(Folder(AWAY, backup))), BACK, system=disk)


def test_a_restored_store_has_another_history_and_goes_on(life: RecordedLife, backup: SimulatedDisk) -> None:
    source = newest(Repository(Folder(AWAY, backup)))
    disk = SimulatedDisk(HOME)
    restore(source, BACK, Until(source.sequence - 2), system=disk)
    engine = opened(disk, path=BACK)
    assert engine.history_id != life.engine_now.history_id
    engine.databases[0].keyspace.put(b"new", b"value")
    engine.end_turn()
    engine.sync()
    state = state_of(engine)
    engine.close()
    assert state_of(opened(disk, path=BACK)) == state
    _, other = away()
    assert restored(newest(other))[1] == state if back_up(disk, other, BACK) else False
