"""Checkpoints: a view written down, shard by shard, and read back."""

from __future__ import annotations

import errno
from random import Random

import pytest
from simulated_disk import Fault, Image, SimulatedDisk
from stores import PATH, state_of_view
from xxhash import xxh3_64_hexdigest

from keystead.engine import operations as op
from keystead.engine.checkpoint import SYNC_STEP_BYTES, CheckpointWriter, read_checkpoint
from keystead.engine.files import Directory
from keystead.engine.format import (
    CHECKPOINT_MAGIC,
    END,
    ERASED_VERSION,
    FILE_HEADER,
    MARK,
    SHARD,
    FileHeader,
    encode_file_header,
    encode_frame,
)
from keystead.engine.keyspace import SHARDS
from keystead.engine.manifest import CheckpointRecord
from keystead.engine.operations import encode_entries
from keystead.engine.view import View
from keystead.errors import DamagedData, UnknownFormat

STORE_ID, SEED = 5, 6


@pytest.fixture
def disk() -> SimulatedDisk:
    """A disk with an empty data directory."""
    return SimulatedDisk(Image.of({PATH: {}}))


@pytest.fixture
def directory(disk: SimulatedDisk) -> Directory:
    """The data directory."""
    return Directory(PATH, disk)


def view_of_all_kinds() -> View:
    """Values, expiries, patched strings, empty ones, keyspaces that were swapped and one that nobody shows."""
    view = View(SEED)
    entries: list[op.Entry] = [op.Put(0, b"%d" % i, b"v" * i) for i in range(100)]
    entries += [op.PutExpiring(1, b"%d" % i, b"", 1000 + i) for i in range(20)]
    entries += [op.Patch(0, b"7", 3, b"patched"), op.Put(5, b"", b""), op.Bind(0, 1), op.Bind(1, 0), op.Bind(5, 40)]
    view.commit(entries, 1, 125, 1_700_000_000_000)
    return view


def write(directory: Directory, view: View, step: int = SHARDS) -> CheckpointRecord:
    """The view as checkpoint 3 at position 4096."""
    writer = CheckpointWriter(directory, STORE_ID, 3, view, 4096)
    for low in range(0, SHARDS, step):
        for _ in writer.write_shards(view, range(low, min(SHARDS, low + step))):
            pass
    return writer.finish(view)


def read(directory: Directory, record: CheckpointRecord, wanted: range = range(SHARDS)) -> View:
    """The view in it."""
    view = View(SEED, wanted)
    for progress in read_checkpoint(directory, STORE_ID, record, view, wanted):
        assert 0 < progress.done <= progress.total == record.length
    return view


@pytest.mark.parametrize("step", [SHARDS, 100])
def test_what_is_written_is_read(directory: Directory, step: int) -> None:
    """In one go and in passes."""
    view = view_of_all_kinds()
    record = write(directory, view, step)
    again = read(directory, record)
    assert state_of_view(again) == state_of_view(view)
    assert (again.databases, again.next_keyspace) == (view.databases, 41)
    assert (again.next_sequence, again.time_ms) == (126, 1_700_000_000_000)
    data = directory.read(record.file)
    assert (record.length, record.checksum) == (len(data), xxh3_64_hexdigest(data))
    assert (record.number, record.position, record.sequence) == (3, 4096, 126)


def test_patching_on_after_reading_works(directory: Directory) -> None:
    """Values come back as bytes."""
    again = read(directory, write(directory, view_of_all_kinds()))
    again.commit([op.Patch(0, b"7", 0, b"on")], 126, 1, 0)
    assert state_of_view(again)[1][b"7"][0].startswith(b"on")


def test_some_shards_alone_can_be_read(directory: Directory) -> None:
    """A pass over a large store."""
    view = view_of_all_kinds()
    record = write(directory, view)
    low, high = (read(directory, record, wanted) for wanted in (range(300), range(300, SHARDS)))
    together = tuple(a | b for a, b in zip(state_of_view(low), state_of_view(high), strict=True))
    assert together == state_of_view(view)
    assert len(state_of_view(low)[1]) < 100


def test_the_disk_never_has_much_to_write_at_once(disk: SimulatedDisk, directory: Directory) -> None:
    """Rule 11: the log's next sync would wait behind all of it."""
    view = View(SEED)
    view.commit([op.Put(0, b"%d" % i, bytes(100_000)) for i in range(50)], 1, 50, 0)
    writer = CheckpointWriter(directory, STORE_ID, 3, view, 4096)
    directory.sync()  # so that the name, at least, would survive
    behind = []
    for _ in writer.write_shards(view, range(SHARDS)):
        written, synced = (sum(map(len, image.files(PATH).values())) for image in (disk.everything(), disk.synced()))
        behind.append(written - synced)
    writer.finish(view)
    assert max(behind) < SYNC_STEP_BYTES + 200_000


def test_an_empty_view_is_a_checkpoint_too(directory: Directory) -> None:
    """Header and end."""
    again = read(directory, write(directory, View(SEED)))
    assert not any(state_of_view(again))
    assert again.next_sequence == 1


def test_it_is_durable_under_its_name_when_it_is_finished_and_not_before(
    disk: SimulatedDisk, directory: Directory
) -> None:
    """Rule 12."""
    random = Random(2)
    names: set[str] = set()
    complete: set[bytes] = set()

    def look(_: str) -> None:
        for image in disk.crash_states(random, 20):
            files = image.files(PATH)
            names.update(files)
            complete.add(files.get("checkpoint-0000000003.ckp", b""))

    disk.after = look
    record = write(directory, view_of_all_kinds())
    disk.after = lambda _: None
    data = directory.read(record.file)
    assert names == {record.file, f"{record.file}.tmp"}
    assert complete == {b"", data}
    assert disk.synced().files(PATH) == {record.file: data}
    assert disk.open_descriptors == []


def test_what_is_abandoned_leaves_nothing(disk: SimulatedDisk, directory: Directory) -> None:
    """And a left-over of a crash is no obstacle."""
    writer = CheckpointWriter(directory, STORE_ID, 3, View(SEED), 0)
    writer.abandon()
    assert directory.names() == []
    assert disk.open_descriptors == []
    directory.create("checkpoint-0000000003.ckp.tmp").close()
    write(directory, View(SEED))
    assert directory.names() == ["checkpoint-0000000003.ckp"]


def test_a_header_that_cannot_be_written_leaves_no_descriptor(disk: SimulatedDisk, directory: Directory) -> None:
    """The next attempt comes in a second, and the one after it."""
    disk.fault = Fault(1, errno.ENOSPC, only=("pwrite",))
    with pytest.raises(OSError, match="No space"):
        CheckpointWriter(directory, STORE_ID, 3, View(SEED), 0)
    assert disk.open_descriptors == []
    assert directory.names() == []


# --- Refusals -------------------------------------------------------------------------------------------------------


def forge(directory: Directory, frames: list[tuple[int, bytes, int]], **header: int) -> CheckpointRecord:
    """A checkpoint whose checksums are all right, with these frames of (kind, payload, number)."""
    fields = {"salt": 1, "number": 3, "base_position": 4096, "first_sequence": 1, "created_ms": 0} | header
    data = encode_file_header(STORE_ID, FileHeader(CHECKPOINT_MAGIC, **fields))
    for kind, payload, number in frames:
        data += encode_frame(1, len(data), kind, payload, number=number)
    directory.remove("forged")
    with directory.create("forged") as file:
        file.write_at(0, data)
    return CheckpointRecord("forged", 3, len(data), xxh3_64_hexdigest(data), 4096, 1, 0)


SHARD_PAYLOAD = encode_entries((0, 0, 2, {b"k": b"v"}, [5]))
END_PAYLOAD = encode_entries(({number: number for number in range(16)}, 16))


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [(SHARD, SHARD_PAYLOAD, 1)],
        [(END, END_PAYLOAD, 1)],
        [(END, END_PAYLOAD, 0), (END, END_PAYLOAD, 0)],
        [(END, END_PAYLOAD, 0), (SHARD, SHARD_PAYLOAD, 1)],
        [(MARK, b"", 0), (END, END_PAYLOAD, 0)],
        [(SHARD, b"", 1), (END, END_PAYLOAD, 1)],
        [(SHARD, encode_entries((0, SHARDS, 2, {b"k": b"v"}, [])), 1), (END, END_PAYLOAD, 1)],
        [(SHARD, encode_entries((0, -1, 2, {b"k": b"v"}, [])), 1), (END, END_PAYLOAD, 1)],
        [(SHARD, encode_entries((0, 0, 2, {"text": b""}, [])), 1), (END, END_PAYLOAD, 1)],
        [(SHARD, encode_entries((0, 0, 2, {b"k": b"v"}, [5, 6])), 1), (END, END_PAYLOAD, 1)],
        [(SHARD, SHARD_PAYLOAD, 2), (END, END_PAYLOAD, 1)],
        [(END, encode_entries(({0: 0}, 16)), 0)],
    ],
    ids=range(13),
)
def test_good_frames_in_a_wrong_order_or_with_wrong_content_are_refused(
    directory: Directory, frames: list[tuple[int, bytes, int]]
) -> None:
    """No end, a wrong count, something behind the end, a shard that cannot be."""
    with pytest.raises(DamagedData) as caught:
        read(directory, forge(directory, frames))
    assert caught.value.file == f"{PATH}/forged"
    assert caught.value.offset >= FILE_HEADER.size


def test_a_checkpoint_of_another_number_or_position_is_refused(directory: Directory) -> None:
    """Its checksums are right, but it is another file than the manifest means."""
    good = [(SHARD, SHARD_PAYLOAD, 1), (END, END_PAYLOAD, 1)]
    read(directory, forge(directory, good))
    for wrong in ({"number": 2}, {"base_position": 8}, {"first_sequence": 2}):
        with pytest.raises(DamagedData):
            read(directory, forge(directory, good, **wrong))


def test_a_missing_file_a_wrong_length_and_a_foreign_store_are_refused(directory: Directory) -> None:
    """Each names the file."""
    record = write(directory, view_of_all_kinds())
    for wrong in (record.length - 1, record.length + 1):
        with pytest.raises(DamagedData, match="bytes expected"):
            read(directory, CheckpointRecord(record.file, 3, wrong, record.checksum, 4096, 126, 0))
    with pytest.raises(DamagedData, match="another store"):
        list(read_checkpoint(directory, STORE_ID + 1, record, View(SEED)))
    directory.remove(record.file)
    with pytest.raises(DamagedData, match="missing"):
        read(directory, record)


def test_bytes_behind_the_end_are_damage(directory: Directory) -> None:
    """However well their number is known."""
    record = forge(directory, [(END, END_PAYLOAD, 0)])
    read(directory, record)
    with directory.open("forged") as file:
        file.write_at(record.length, b"\0" * 8)
    record.length += 8
    with pytest.raises(DamagedData) as caught:
        read(directory, record)
    assert caught.value.offset == record.length - 8


@pytest.mark.parametrize("version", [0, ERASED_VERSION + 1])
def test_an_unknown_version_is_refused_as_such(directory: Directory, version: int) -> None:
    """It is no damage."""
    record = forge(directory, [], version=version)
    with pytest.raises(UnknownFormat, match=f"version {version}, this version of Keystead reads versions up to"):
        read(directory, record)


@pytest.mark.parametrize("window_bytes", [60, 200, 5_000])
def test_a_checkpoint_is_read_a_window_at_a_time(
    directory: Directory, window_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be as large as the machine's memory; a frame may be larger than a window, or end where one does."""
    view = view_of_all_kinds()
    view.commit([op.Put(1, b"large", bytes(20_000))], 126, 1, 1_700_000_000_001)
    record = write(directory, view)
    monkeypatch.setattr("keystead.engine.reading.WINDOW_BYTES", window_bytes)
    assert state_of_view(read(directory, record)) == state_of_view(view)
    data = directory.read(record.file)
    for offset in (70, len(data) // 2, len(data) - 60):
        directory.remove(record.file)
        with directory.create(record.file) as file:
            file.write_at(0, data[:offset] + bytes((data[offset] ^ 1,)) + data[offset + 1 :])
        with pytest.raises(DamagedData):
            read(directory, record)
