"""A store's directory remembers its backups."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from simulated_disk import SimulatedDisk
from stores import PATH, opened
from workload import EMPTY_DISK

from keystead.engine.files import Directory
from keystead.engine.remembered import BACKUPS_NAME, Remembered, forget, remember, remembered
from keystead.errors import DamagedData


def test_a_directory_without_backups_remembers_none(tmp_path: Path) -> None:
    assert remembered(Directory(str(tmp_path))) == []


def test_the_newest_backup_of_each_place_is_remembered(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    remember(directory, "/away", 3, 1000)
    remember(directory, "s3://bucket/x", 4, 2000)
    remember(directory, "/away", 7, 3000, linked=True)
    assert remembered(directory) == [Remembered("s3://bucket/x", 4, 2000), Remembered("/away", 7, 3000, linked=True)]


def test_a_place_can_be_forgotten(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    remember(directory, "/away", 3, 1000)
    assert not forget(directory, "/elsewhere")
    assert forget(directory, "/away")
    assert remembered(directory) == []


def test_backups_that_end_at_the_same_moment_are_all_remembered(tmp_path: Path) -> None:
    def end(number: int) -> None:
        remember(Directory(str(tmp_path)), f"/away/{number}", number, 1000)

    threads = [threading.Thread(target=end, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(remembered(Directory(str(tmp_path)))) == 8


def test_every_flipped_bit_of_the_file_is_noticed(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    remember(directory, "/away", 3, 1000)
    data = (tmp_path / BACKUPS_NAME).read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        (tmp_path / BACKUPS_NAME).write_bytes(bytes(flipped))
        with pytest.raises(DamagedData, match=BACKUPS_NAME):
            remembered(directory)


def test_after_a_power_cut_the_file_is_the_old_one_or_the_new_one_and_the_store_starts() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    opened(disk).close()
    remember(Directory(PATH, disk), "/away", 3, 1000)
    caught = set()
    disk.after = lambda _: caught.update((disk.synced(), disk.everything()))
    remember(Directory(PATH, disk), "/away", 7, 3000)
    found = set()
    for image in caught:
        after = SimulatedDisk(image)
        (backup,) = remembered(Directory(PATH, after))
        found.add(backup.sequence)
        opened(after)
        assert remembered(Directory(PATH, after)) == [backup], "a start leaves it alone"
    assert found == {3, 7}
