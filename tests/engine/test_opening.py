"""Creating a store and going on with one: the order of writes at a start."""

from __future__ import annotations

import errno
from pathlib import Path
from random import Random

import pytest
from simulated_disk import Fault, Image, SimulatedDisk
from stores import PATH, SMALL, QueuedBackground, opened, state_of
from workload import EMPTY_DISK

from keystead.engine.engine import Engine
from keystead.engine.format import FILE_HEADER, frames
from keystead.errors import DamagedData, DiskFailure

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


def test_a_torn_tail_is_on_the_medium_at_every_moment_of_a_start() -> None:
    """Rule 7: it is cut off only when its copy is durable, name included."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"k", b"v")
    put(engine, b"torn", b"all that is left of it", acknowledged=False)
    files = disk.content(PATH)
    segment = engine.log.segment.file.name
    files[segment] = files[segment].replace(b"torn", b"tore")  # no checksum matches any more
    image = Image.of({PATH: files})
    assert keys_of(image) == [b"k"]
    for crashed in crashes_while_starting(image):
        assert any(b"all that is left of it" in data for data in crashed.files(PATH).values())


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
    files = disk.content(PATH)
    rewritten = memoryview(files[engine.log.segment.file.name])
    assert list(frames(engine.log.segment.salt, rewritten, FILE_HEADER.size)) == []
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


def test_segments_without_a_manifest_are_never_taken_for_an_interrupted_creation() -> None:
    """Found by reading: a directory whose MANIFEST was lost was made a new, empty store, and its files removed."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"k", b"v")
    engine.request_checkpoint()
    for _ in range(3):
        engine.housekeep(1)
        engine.sync()
    engine.close()
    files = disk.content(PATH)
    del files["MANIFEST"]
    for kept in [set(files), *({name} for name in files if name.endswith((".log", ".ckp")))]:
        some = {name: data for name, data in files.items() if name in kept}
        if not any(data.strip(b"\0")[64:] for name, data in some.items() if name != "LOCK"):
            continue
        disk = SimulatedDisk(Image.of({PATH: some}))
        with pytest.raises(DamagedData, match="missing") as caught:
            opened(disk)
        assert caught.value.file == f"{PATH}/MANIFEST"
        assert set(disk.content(PATH)) - {"LOCK"} == set(some) - {"LOCK"}


def test_an_interrupted_creation_is_begun_again() -> None:
    """Whatever it left, it has acknowledged nothing."""
    disk = SimulatedDisk(EMPTY_DISK)
    random = Random(3)
    images: list[Image] = []
    disk.after = lambda _: images.extend(disk.crash_states(random, 20))
    engine = opened(disk)
    disk.after = lambda _: None
    for image in set(images):
        disk = SimulatedDisk(image)
        again = opened(disk)
        put(again, b"k", b"v")
        assert keys_of(disk.synced()) == [b"k"]
    engine.close()


def test_files_of_other_people_are_left_alone() -> None:
    """Found by reading: every *.log, *.ckp and *.tmp that no manifest named was removed.

    `keystead serve --dir . > keystead.log` would have lost its log, and worse.
    """
    names = ("server.log", "notes.tmp", "model.ckp", "segment-1.log", "segment-0000000001.log.0.broken")
    theirs = dict.fromkeys(names, b"precious")
    disk = SimulatedDisk(Image.of({PATH: theirs}))
    opened(disk).close()
    disk.kill()
    left_over = {"MANIFEST.tmp": b"x", "checkpoint-0000000009.ckp.tmp": b"x", "segment-0000000009.log": b"x"}
    files = disk.content(PATH) | left_over
    disk = SimulatedDisk(Image.of({PATH: files}))
    opened(disk)
    assert theirs.items() <= disk.content(PATH).items()
    assert not left_over.keys() & disk.content(PATH).keys()


def test_a_new_store_survives_a_power_loss_with_the_directories_above_it() -> None:
    """Found by reading: the data directory itself was never synced in its parent (rule 12)."""
    disk = SimulatedDisk(EMPTY_DISK)
    path = "/home/new/data"
    engine = opened(disk, path=path)
    put(engine, b"k", b"v")
    again = opened(SimulatedDisk(disk.synced()), path=path)
    assert sorted(state_of(again)[0]) == [b"k"]


def test_a_directory_that_was_there_is_synced_in_its_parent_too() -> None:
    """A process may have died between making it and syncing that."""
    disk = SimulatedDisk(EMPTY_DISK)
    disk.mkdir(PATH)
    engine = opened(disk)
    put(engine, b"k", b"v")
    assert keys_of(disk.synced()) == [b"k"]


def test_a_full_disk_keeps_no_store_closed() -> None:
    """Rule 6: a start after a crash gives up what was only reserved; reads and deletes go on."""
    disk = SimulatedDisk(EMPTY_DISK)
    options = SMALL._replace(reserve_bytes=2048)
    engine = opened(disk, options)
    for i in range(10):
        put(engine, b"%d" % i, b"v" * 20)
    put(engine, b"torn", b"v", acknowledged=False)
    disk.kill()
    disk.fill()
    engine = opened(disk, options)
    assert len(state_of(engine)[0]) == 11
    assert engine.refusal is not None
    engine.databases[0].keyspace.delete(b"0")
    engine.end_turn()
    engine.sync()
    assert engine.durable_turn == 1
    disk.capacity = None
    engine.housekeep(1)
    assert engine.refusal is None
    engine.close()
    assert disk.open_descriptors == []


def test_a_start_without_any_room_says_so_and_lets_everything_go() -> None:
    """It can be tried again when there is room."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"k", b"v")
    disk.kill()
    disk.capacity = 0
    with pytest.raises(DiskFailure, match="No space left"):
        opened(disk)
    assert disk.open_descriptors == []
    disk.capacity = None
    assert sorted(state_of(opened(disk))[0]) == [b"k"]


def test_a_cleanly_stopped_store_goes_on_in_its_segment() -> None:
    """No new file, no new manifest; and the mark is written again, for nothing proves it."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"k", b"v")
    engine.close()
    before = disk.content(PATH)
    calls: list[str] = []
    disk.after = calls.append
    engine = opened(disk)
    assert "rename" not in calls
    assert calls.count("sync") == 1
    after = disk.content(PATH)
    assert before["MANIFEST"] == after["MANIFEST"]
    assert engine.log.durable_position == engine.log.position
    put(engine, b"more", b"v")
    engine.close()
    assert keys_of(disk.synced()) == [b"k", b"more"]


def test_nothing_is_written_to_a_store_that_is_opened_and_closed(tmp_path: Path) -> None:
    """On a real disk: not a byte of it differs."""
    engine = Engine.open(str(tmp_path))
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    Engine.open(str(tmp_path)).close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_start_after_a_failed_sync_trusts_the_page_cache_with_nothing() -> None:
    """Rule 7: the cache shows what the disk never got; what is acknowledged after the start must be on the disk."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"a", b"v")
    for key in (b"b", b"c", b"d"):
        put(engine, key, b"v", acknowledged=False)
    disk.calls = 0
    disk.fault = Fault(1, errno.EIO, only=("sync",))
    with pytest.raises(DiskFailure):
        engine.sync()
    disk.kill()
    again = opened(disk)
    shown = sorted(state_of(again)[0])
    assert shown == [b"a", b"b", b"c", b"d"]
    assert keys_of(disk.synced()) == shown
    put(again, b"e", b"v")
    assert keys_of(disk.synced()) == [*shown, b"e"]
