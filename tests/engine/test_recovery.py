"""What a start reads: a torn tail is told from damage (rule 7)."""

from __future__ import annotations

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH, SMALL, HandClock, QueuedBackground, opened, state_of
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.format import (
    COMMIT,
    ERASED_VERSION,
    FILE_HEADER,
    MARK,
    PART,
    SEGMENT_MAGIC,
    SHARD,
    FileHeader,
    encode_file_header,
    encode_frame,
    frames,
)
from keystead.engine.manifest import SegmentRecord
from keystead.engine.operations import PARTS, PUT, encode_entries
from keystead.engine.recovery import Recovered, recover
from keystead.engine.view import View
from keystead.errors import DamagedData, UnknownFormat

pytestmark = pytest.mark.usefixtures("small_sizes")

FIRST, SECOND = "segment-0000000001.log", "segment-0000000002.log"


def put(engine: Engine, key: bytes, *, synced: bool = True) -> None:
    """One turn with one put."""
    engine.databases[0].keyspace.put(key, b"value of " + key)
    engine.end_turn()
    if synced:
        engine.sync()


def keys_of(engine: Engine) -> list[bytes]:
    """The keys of database 0."""
    return sorted(state_of(engine)[0])


def files_after(*keys: bytes, closed: bool = False) -> dict[str, bytes]:
    """The files of a store in which each of these keys was put and synced."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    for key in keys:
        put(engine, key)
    if closed:
        engine.close()
    return disk.synced().files(PATH)


def reopened(files: dict[str, bytes]) -> tuple[Engine, dict[str, bytes]]:
    """A start from these files, and what it made of them."""
    disk = SimulatedDisk(Image.of({PATH: files}))
    engine = opened(disk)
    return engine, disk.content(PATH)


def offsets(files: dict[str, bytes], file: str = FIRST) -> list[int]:
    """Where the frames of a segment begin, and where they end."""
    salt = next(
        int(record.salt, 16)
        for record in manifests.parse(files["MANIFEST"], "MANIFEST").current.segments
        if record.file == file
    )
    found = list(frames(salt, memoryview(files[file]), FILE_HEADER.size))
    return [frame.offset for frame in found] + [found[-1].end]


def damaged(data: bytes, offset: int) -> bytes:
    """One byte is another one."""
    return data[:offset] + bytes((data[offset] ^ 0x40,)) + data[offset + 1 :]


def test_a_bad_frame_that_nothing_proves_durable_is_a_torn_tail() -> None:
    """It is cut off, kept beside, and counted."""
    files = files_after(b"a", b"b", b"c")
    *_, last, end = offsets(files)
    files[FIRST] = damaged(files[FIRST], last + 50)
    engine, left = reopened(files)
    assert keys_of(engine) == [b"a", b"b"]
    assert left[f"{FIRST}.{last}.broken"] == files[FIRST][last:end].rstrip(b"\0")
    assert engine.torn_bytes == engine.info().torn_bytes == len(left[f"{FIRST}.{last}.broken"])


def test_a_bad_frame_that_a_later_one_proves_durable_is_damage() -> None:
    """Whoever was acknowledged must not be forgotten: refuse, and name file and offset."""
    files = files_after(b"a", b"b", b"c")
    _, second, *_ = offsets(files)
    files[FIRST] = damaged(files[FIRST], second + 50)
    with pytest.raises(DamagedData) as caught:
        reopened(files)
    assert (caught.value.file, caught.value.offset) == (f"{PATH}/{FIRST}", second)
    assert caught.value.exit_code == 65


def test_after_a_clean_stop_the_last_frame_is_proven_too() -> None:
    """By the mark; of the mark itself nothing is proven, and nothing is lost with it."""
    files = files_after(b"a", b"b", closed=True)
    *_, last, mark, end = offsets(files)
    with pytest.raises(DamagedData):
        reopened(files | {FIRST: damaged(files[FIRST], last + 50)})
    engine, left = reopened(files | {FIRST: damaged(files[FIRST], mark + 20)})
    assert keys_of(engine) == [b"a", b"b"]
    assert f"{FIRST}.{mark}.broken" in left
    assert end > mark


def test_an_idle_log_is_marked_too() -> None:
    """So that what was written last before a long rest is no torn tail (rule 7); once, however long it rests."""
    disk, clock = SimulatedDisk(EMPTY_DISK), HandClock()
    engine = opened(disk, wall_ms=clock)
    put(engine, b"a")
    ends = []
    for _ in range(20):
        clock.at_ms += 100
        engine.housekeep(1)
        engine.sync()
        ends.append(engine.log.segment.end)
    files = disk.synced().files(PATH)
    _, mark, end = offsets(files)
    assert sorted(set(ends)) == [mark, end]
    with pytest.raises(DamagedData):
        reopened(files | {FIRST: damaged(files[FIRST], mark - 8)})


def test_a_frame_proves_what_was_durable_across_segments() -> None:
    """Damage at the end of one segment is proven by a frame of the next.

    Found by this test: the error then named byte 0 instead of where the damage is.
    """
    disk, background = SimulatedDisk(EMPTY_DISK), QueuedBackground()
    engine = opened(disk, SMALL._replace(segment_bytes=100), background=background)
    put(engine, b"a")
    engine.housekeep(1)
    background.run()
    put(engine, b"b")
    engine.housekeep(1)
    assert engine.log.segment.number == 2
    put(engine, b"c")
    files = disk.synced().files(PATH)
    *_, last, end = offsets(files)
    with pytest.raises(DamagedData) as caught:
        reopened(files | {FIRST: damaged(files[FIRST], last + 50)})
    assert (caught.value.file, caught.value.offset) == (f"{PATH}/{FIRST}", last)
    with pytest.raises(DamagedData):
        reopened(files | {FIRST: files[FIRST][:last]})
    # Of the second segment nothing is proven: as a whole it may be a torn tail.
    engine, left = reopened(files | {SECOND: damaged(files[SECOND], 20)})
    assert keys_of(engine) == [b"a", b"b"]
    assert left[f"{SECOND}.0.broken"]
    assert end > last


def test_what_lies_above_the_last_proven_point_is_written_again_and_synced() -> None:
    """Rule 7: after a failed sync the page cache holds what the disk does not."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"a")
    put(engine, b"b", synced=False)
    disk.kill()
    again = opened(disk)
    assert keys_of(again) == [b"a", b"b"]
    assert again.log.segment.number == 2
    after_power_loss, _ = reopened(disk.synced().files(PATH))
    assert keys_of(after_power_loss) == [b"a", b"b"]


def test_bytes_behind_the_end_are_a_torn_tail_however_far_they_are() -> None:
    """Zeros may lie between."""
    files = files_after(b"a")
    *_, end = offsets(files)
    files[FIRST] = files[FIRST].ljust(2000, b"\0") + b"noise\0\0"
    engine, left = reopened(files)
    assert keys_of(engine) == [b"a"]
    assert left[f"{FIRST}.{end}.broken"].strip(b"\0") == b"noise"


def test_a_frame_at_another_place_is_no_frame() -> None:
    """Blocks of an older file, or a copy of a frame: the checksum knows salt and offset."""
    files = files_after(b"a", b"b")
    first, second, end = offsets(files)
    frame = files[FIRST][first:second]
    files[FIRST] = files[FIRST][:end] + frame
    engine, left = reopened(files)
    assert keys_of(engine) == [b"a", b"b"]
    assert left[f"{FIRST}.{end}.broken"] == frame.rstrip(b"\0")


def test_a_missing_file_is_damage() -> None:
    """Of whatever kind."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"a")
    engine.request_checkpoint()
    engine.housekeep(1)
    engine.close()
    files = disk.synced().files(PATH)
    current = manifests.parse(files["MANIFEST"], "").current
    assert current.checkpoint is not None
    for name in (current.checkpoint.file, current.segments[0].file):
        with pytest.raises(DamagedData, match="missing") as caught:
            reopened({other: data for other, data in files.items() if other != name})
        assert caught.value.file == f"{PATH}/{name}"


# --- Forged segments: every checksum is right -----------------------------------------------------------------------


def with_segment(files: dict[str, bytes], data: bytes, *, sealed: bool) -> dict[str, bytes]:
    """The store with this as its only segment."""
    manifest = manifests.parse(files["MANIFEST"], "")
    record = manifest.current.segments[0]
    record.length = len(data) if sealed else None
    record.checksum = "00" if sealed else None
    return files | {record.file: data, "MANIFEST": manifests.render(manifest)}


def forged(files: dict[str, bytes], frames: list[tuple[int, object]], **header: int) -> bytes:
    """A segment with these frames of (kind, entries)."""
    manifest = manifests.parse(files["MANIFEST"], "")
    salt = int(manifest.current.segments[0].salt, 16)
    fields = {"salt": salt, "number": 1, "base_position": 0, "first_sequence": 1, "created_ms": 0} | header
    data = encode_file_header(manifest.store_id, FileHeader(SEGMENT_MAGIC, **fields))
    for kind, entries in frames:
        payload = entries if isinstance(entries, bytes) else encode_entries(entries)
        data += encode_frame(fields["salt"], len(data), kind, payload, number=1, first_sequence=1)
    return data


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "open"])
@pytest.mark.parametrize(
    "frame",
    [
        (COMMIT, [(3, 0, b"never put")]),
        (COMMIT, [(77, 0, b"k")]),
        (COMMIT, b""),
        (COMMIT, [(10, 1, 5)]),
        (SHARD, []),
        (9, []),
    ],
    ids=["delete of nothing", "unknown tag", "no entries", "parts that are not there", "shard", "unknown kind"],
)
def test_good_frames_that_make_no_sense_are_refused(frame: tuple[int, object], sealed: bool) -> None:
    """No checksum is wrong, so nothing is torn: a newer version wrote this, or frames before it are missing."""
    files = files_after(b"a")
    data = forged(files, [(COMMIT, [(1, 0, b"k", b"v")]), frame])
    with pytest.raises(DamagedData, match="makes no sense") as caught:
        reopened(with_segment(files, data, sealed=sealed))
    assert caught.value.offset > FILE_HEADER.size


@pytest.mark.parametrize(
    ("header", "reason"),
    [({"number": 3}, "written in place of"), ({"salt": 5}, "written in place of"), ({"base_position": 8}, "begins at")],
    ids=["number", "salt", "position"],
)
def test_a_sealed_segment_in_a_wrong_place_is_damage(header: dict[str, int], reason: str) -> None:
    """A gap, or a file of another generation."""
    files = files_after(b"a")
    data = forged(files, [], **header)
    with pytest.raises(DamagedData, match=reason):
        reopened(with_segment(files, data, sealed=True))


@pytest.mark.parametrize("length", [0, 63, 100])
def test_a_sealed_segment_that_is_too_short_is_damage(length: int) -> None:
    """At the byte where it ends."""
    files = with_segment(files_after(b"a"), files_after(b"a")[FIRST], sealed=True)
    files[FIRST] = files[FIRST][:length]
    with pytest.raises(DamagedData, match="expected") as caught:
        reopened(files)
    assert caught.value.offset == length


@pytest.mark.parametrize("window_bytes", [45, 200, 5_000])
def test_a_sealed_segment_is_read_a_window_at_a_time(monkeypatch: pytest.MonkeyPatch, window_bytes: int) -> None:
    """A frame may be larger than a window, or end where one does."""
    files = files_after(b"a", b"b", b"large" * 1_000, b"c")
    expected = state_of(reopened(files)[0])
    whole = files[FIRST][: offsets(files)[-1]]
    monkeypatch.setattr("keystead.engine.reading.WINDOW_BYTES", window_bytes)
    assert state_of(reopened(with_segment(files, whole, sealed=True))[0]) == expected


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "open"])
def test_parts_that_a_segment_leaves_open_mean_nothing_in_the_next(sealed: bool) -> None:
    """Rule 2: part groups are numbered within a segment, so two of one number are no longer transaction."""
    files = files_after(b"a")
    manifest = manifests.parse(files["MANIFEST"], "")
    large = encode_entries([(PUT, 0, b"large", b"v")])
    first = forged(files, [(PART, b"orphaned")])
    whole = [(PART, large), (COMMIT, [(PARTS, 1, len(large))])]
    second = forged(files, whole, number=2, salt=9, base_position=len(first))
    manifest.current.segments.append(SegmentRecord(2, f"{9:016x}"))
    for record, data in zip(manifest.current.segments, (first, second), strict=True):
        record.length = len(data) if sealed else None
        record.checksum = "00" if sealed else None
    engine, _ = reopened({FIRST: first, SECOND: second, "MANIFEST": manifests.render(manifest)})
    assert keys_of(engine) == [b"large"]


def test_a_mark_that_does_not_prove_everything_before_it_is_no_clean_end() -> None:
    """Rule 7: what it does not prove is written again and synced, as without a mark."""
    files = files_after(b"a")
    data = forged(files, [(COMMIT, [(PUT, 0, b"k", b"v")]), (MARK, b"")])
    engine, left = reopened(with_segment(files, data, sealed=False))
    assert keys_of(engine) == [b"k"]
    assert engine.log.segment.file.name == SECOND
    assert FIRST not in left


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "open"])
def test_a_segment_of_a_newer_version_is_refused_as_such(sealed: bool) -> None:
    """Found by reading: an open one was cut off as a torn tail, and with it everything that a newer Keystead wrote."""
    files = files_after(b"a")
    data = forged(files, [], version=ERASED_VERSION + 1)
    with pytest.raises(UnknownFormat, match=f"version {ERASED_VERSION + 1}") as caught:
        reopened(with_segment(files, data, sealed=sealed))
    assert caught.value.exit_code == 65


def test_reading_changes_nothing_and_tells_its_progress() -> None:
    """`check` reads a store that must stay as it is; a start on a large log shows how far it is."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    for i in range(50):
        put(engine, b"%d" % i)
        engine.housekeep(1)
    disk.kill()
    directory = Directory(PATH, disk)
    manifest = manifests.load(directory)
    assert manifest is not None
    changed: list[str] = []
    disk.after = changed.append
    recovered = Recovered(View(manifest.seed))
    done = [progress.done for progress in recover(directory, manifest, recovered)]
    totals = {progress.total for progress in recover(directory, manifest, Recovered(View(manifest.seed)))}
    assert changed == []
    assert done == sorted(done)
    assert len(done) > 10
    assert done[-1] <= totals.pop()
    assert totals == set()
    assert recovered.position == engine.log.position
