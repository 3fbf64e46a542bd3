"""Creating a store and going on with one: the order of writes at a start."""

from __future__ import annotations

from random import Random

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH, SMALL, QueuedBackground, opened, state_of
from workload import EMPTY_DISK

from keystead.engine.engine import Engine

pytestmark = pytest.mark.usefixtures("small_sizes")


def put(engine: Engine, key: bytes, value: bytes, *, acknowledged: bool = True) -> None:
    """One turn with one put."""
    engine.databases[0].keyspace.put(key, value)
    engine.end_turn()
    if acknowledged:
        engine.sync()


def keys_of(image: Image) -> list[bytes]:
    """The keys that a start from there finds."""
    return sorted(state_of(opened(SimulatedDisk(image)))[0])


def crashes_while_starting(image: Image) -> list[Image]:
    """The states after a power loss at each call of a start from there: all, nothing and some of what was un-synced."""
    images: list[Image] = []
    disk = SimulatedDisk(image)
    random = Random(1)
    disk.after = lambda _: images.extend(disk.crash_states(random, 10))
    opened(disk)
    return images


def store_with_two_open_segments() -> Image:
    """Everything in it was acknowledged, but nothing proves that of what is in the second segment."""
    disk = SimulatedDisk(EMPTY_DISK)
    background = QueuedBackground()
    engine = opened(disk, SMALL._replace(segment_bytes=100), background=background)
    put(engine, b"first", b"1")
    put(engine, b"second", b"2")
    engine.housekeep(1)
    background.run()  # the next segment is prepared
    engine.housekeep(1)  # and switched to; the sealing of the old one waits
    put(engine, b"third", b"3")
    assert engine.log.segment.number == 2
    return disk.synced()


def test_a_start_keeps_the_segments_that_the_manifest_names_until_it_is_replaced() -> None:
    """Found by test_power_loss: a start gave the new segment the number of one of which nothing was proven.

    So it removed a file with acknowledged data, and a crash before the new manifest left a store without it.
    """
    image = store_with_two_open_segments()
    assert keys_of(image) == [b"first", b"second", b"third"]
    for crashed in crashes_while_starting(image):
        assert keys_of(crashed) == [b"first", b"second", b"third"]


def test_parts_without_their_commit_frame_are_not_written_again() -> None:
    """Found by test_power_loss: a start kept the parts of a torn transaction in its new segment.

    The next large transaction had the same part number, so the two were joined, and the store called damaged.
    """
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"before", b"1")
    begin = engine.log.segment.end
    put(engine, b"large", bytes(300), acknowledged=False)
    files = disk.content(PATH)
    segment = engine.log.segment.file.name
    commit_frame = len(files[segment][: engine.log.segment.end].rstrip(b"\0")) - 8
    assert commit_frame > begin + 300
    files[segment] = files[segment][:commit_frame]
    disk = SimulatedDisk(Image.of({PATH: files}))
    engine = opened(disk)
    assert sorted(state_of(engine)[0]) == [b"before"]
    put(engine, b"large", bytes(400))
    assert keys_of(disk.synced()) == [b"before", b"large"]


def test_part_numbers_are_unique_within_a_segment_that_is_written_by_two_processes() -> None:
    """They began at 1 with each start, though a cleanly stopped store goes on in the same segment."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"large", bytes(300))
    number = engine.turn.next_part
    engine.close()
    engine = opened(disk)
    assert engine.log.segment.number == 1
    assert engine.turn.next_part == number > 1
