"""Index files: what is in them, and that nothing depends on their being there or whole."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH, SMALL, HandClock, opened, state_of_view
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.files import Directory
from keystead.engine.history import segment_index
from keystead.engine.history.indexing import build_missing
from keystead.engine.history.past import Past

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.engine.manifest import Manifest

pytestmark = pytest.mark.usefixtures("small_sizes")


def busy_store(disk: SimulatedDisk) -> Engine:
    """With changes of every kind in several sealed segments, one of them in parts."""
    clock = HandClock()
    engine = opened(disk, SMALL, clock)
    for number in range(30):
        database = engine.databases[number % 3]
        database.keyspace.put(b"k%d" % (number % 7), b"v" * 40 + b"%d" % number)
        if number == 9:
            start = len(engine.ops)
            for i in range(12):
                database.keyspace.put(b"big%d" % i, b"w" * 30)
            engine.flush(engine.databases[1])
            engine.end_group(start)
        if number % 5 == 4:
            database.keyspace.delete(b"k%d" % (number % 7))
        clock.at_ms += 10
        engine.end_turn()
        engine.sync()
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()
    return engine


def manifest_of(disk: SimulatedDisk) -> Manifest:
    manifest = manifests.load(Directory(PATH, disk))
    assert manifest is not None
    return manifest


def indexes(disk: SimulatedDisk) -> set[str]:
    return {name for name in disk.content(PATH) if name.endswith(".idx")}


def answers(disk: SimulatedDisk) -> object:
    """What somebody is told of the past."""
    with Past(Directory(PATH, disk)) as past:
        keys = [b"k%d" % number for number in range(7)] + [b"big%d" % number for number in range(12)]
        changes = {(database, key): past.key_changes(database, key, 99) for database in range(3) for key in keys}
        views = [state_of_view(past.view_at(past.moment(n))) for n in range(past.newest.sequence + 1)]
        values = [past.values_at(0, keys, past.moment(n)) for n in range(past.newest.sequence + 1)]
        return changes, views, values, [past.removed(database, b"", None, 99, 1e18) for database in range(3)]


def test_every_sealed_segment_has_an_index() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    busy_store(disk)
    manifest = manifest_of(disk)
    sealed = [record for record in manifest.segments() if record.length is not None]
    assert len(sealed) > 3
    assert {name for name in manifest.all_files() if name.endswith(".idx")} == indexes(disk)
    for record in sealed:
        assert segment_index.load(Directory(PATH, disk), manifest.store_id, record) is not None


def test_without_indexes_the_answers_are_the_same() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    busy_store(disk)
    expected = answers(disk)
    for name in indexes(disk):
        Directory(PATH, disk).remove(name)
    assert answers(disk) == expected
    assert indexes(disk) == set(), "who reads writes nothing"


def test_a_start_builds_what_was_lost_or_is_bad() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    busy_store(disk).close()
    before = {name: data for name, data in disk.content(PATH).items() if name.endswith(".idx")}
    names = sorted(before)
    bad = bytearray(before[names[1]])
    bad[100] ^= 4
    disk = SimulatedDisk(Image.of({PATH: disk.content(PATH) | {names[1]: bytes(bad)}}))
    Directory(PATH, disk).remove(names[0])
    opened(disk).housekeep(1)
    assert before.items() <= disk.content(PATH).items()


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    busy_store(disk)
    manifest = manifest_of(disk)
    record = next(record for record in manifest.segments() if record.length is not None)
    name = record.file.replace(".log", ".idx")
    data = disk.content(PATH)[name]
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        directory = Directory(PATH, SimulatedDisk(Image.of({PATH: {name: bytes(flipped)}})))
        assert segment_index.load(directory, manifest.store_id, record) is None, bit
    for length in range(len(data)):
        directory = Directory(PATH, SimulatedDisk(Image.of({PATH: {name: data[:length]}})))
        assert segment_index.load(directory, manifest.store_id, record) is None, length


def test_no_flipped_bit_changes_an_answer() -> None:
    """Every byte of an index, one of its bits; a check names that index, and no other file."""
    disk = SimulatedDisk(EMPTY_DISK)
    busy_store(disk)
    content, manifest = disk.content(PATH), manifest_of(disk)
    expected = answers(disk)
    name = min(indexes(disk))
    for at in range(len(content[name])):
        flipped = bytearray(content[name])
        flipped[at] ^= 1 << at % 8
        bad = SimulatedDisk(Image.of({PATH: content | {name: bytes(flipped)}}))
        found: list[CheckedGeneration] = []
        for _ in check(Directory(PATH, bad), manifest, found):
            pass
        assert [file for each in found for file in each.bad_indexes] == [f"{PATH}/{name}"], at
        assert not any(each.damage for each in found), at
        if at % 16 == 0:
            assert answers(bad) == expected, at


def test_the_index_of_another_segment_is_not_taken_for_this_ones() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    busy_store(disk)
    manifest = manifest_of(disk)
    one, other = [record for record in manifest.segments() if record.length is not None][:2]
    data = disk.content(PATH)[one.file.replace(".log", ".idx")]
    directory = Directory(PATH, SimulatedDisk(Image.of({PATH: {other.file.replace(".log", ".idx"): data}})))
    assert segment_index.load(directory, manifest.store_id, other) is None


def test_it_goes_with_its_segment() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = busy_store(disk)
    assert "segment-0000000001.idx" in indexes(disk)
    engine.configure(engine.options._replace(history_max_age_ms=0, history_max_bytes=0))
    engine.request_checkpoint()
    for _ in range(9):
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()
    assert "segment-0000000001.idx" not in indexes(disk)
    assert indexes(disk) <= manifest_of(disk).all_files()


def test_an_index_written_while_its_segment_is_dropped_does_not_stay() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    busy_store(disk)
    directory = Directory(PATH, disk)
    with directory.create("segment-0000000999.idx") as file:
        file.write_at(0, b"of a segment that is gone")
    build_missing(directory, verify=False)
    assert "segment-0000000999.idx" not in indexes(disk)


def test_a_full_disk_costs_no_more_than_the_index() -> None:
    """It is tried again later; sealing, writing and reading go on."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = busy_store(disk)
    for name in indexes(disk):
        Directory(PATH, disk).remove(name)
    disk.fill(10)
    with pytest.raises(OSError, match="No space"):
        build_missing(Directory(PATH, disk), verify=False)
    assert not [name for name in disk.content(PATH) if name.endswith(".tmp")]
    engine.databases[0].keyspace.delete(b"k1")
    engine.end_turn()
    engine.sync()
    disk.capacity = None
    build_missing(Directory(PATH, disk), verify=False)
    assert indexes(disk)


def test_power_lost_at_any_call_leaves_a_store_that_opens_and_says_the_same() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    busy_store(disk).close()
    expected = answers(disk)
    for name in indexes(disk):
        Directory(PATH, disk).remove(name)
    Directory(PATH, disk).sync()
    random, images = Random(3), []
    disk.after = lambda _: images.extend(disk.crash_states(random, 3))
    build_missing(Directory(PATH, disk), verify=True)
    assert len(images) > 20
    for image in dict.fromkeys(images):
        after = SimulatedDisk(image)
        assert answers(after) == expected
        opened(after).close()
        assert indexes(after) <= manifest_of(after).all_files()
        assert not [name for name in after.content(PATH) if name.endswith(".tmp")]


def test_without_history_no_index_is_built_until_it_is_wanted() -> None:
    """Who turns history off need not pay for it; who turns it on again has all indexes."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk, SMALL._replace(history_max_bytes=0), HandClock())

    def write() -> None:
        for number in range(60):
            engine.databases[0].keyspace.put(b"%d" % number, bytes(200))
            engine.end_turn()
            engine.sync()
            engine.housekeep(1)

    write()
    assert engine.log.segment.number > 1
    assert indexes(disk) == set()
    engine.configure(SMALL)
    write()
    assert indexes(disk)
