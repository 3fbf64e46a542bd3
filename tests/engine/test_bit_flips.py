"""Every bit of a small store flipped, every file cut at every byte.

Rules 7 and 8: what is proven durable is refused with file and offset, what is not is cut off and kept; the data found
is never anything but the state after one of the turns.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH, SMALL, START_MS, HandClock, QueuedBackground, State, opened, state_of
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.format import COMMIT, FILE_HEADER, MARK, PART, Frame, frames
from keystead.engine.manifest import Manifest
from keystead.engine.operations import Author
from keystead.errors import DamagedData, OpenError

pytestmark = pytest.mark.usefixtures("small_sizes")


class Store(NamedTuple):
    """The files of a store, and its state after so many bytes of log."""

    files: dict[str, bytes]
    states: dict[int, State]
    """By log position: what there was when the log ended there."""

    @property
    def last(self) -> State:
        """What there was in the end."""
        return list(self.states.values())[-1]

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""
        return manifests.parse(self.files["MANIFEST"], "MANIFEST")

    def open_segments(self) -> list[str]:
        """The files that were being written, in order."""
        return [record.file for record in self.manifest.current.segments if record.length is None]

    def frames_of(self, file: str) -> list[Frame]:
        """The frames of a segment."""
        salt = next(int(r.salt, 16) for g in self.manifest.generations for r in g.segments if r.file == file)
        return list(frames(salt, memoryview(self.files[file]), FILE_HEADER.size))

    def base(self, file: str) -> int:
        """The log position at which a segment begins."""
        return FILE_HEADER.unpack_from(self.files[file])[6]

    def with_file(self, file: str, data: bytes) -> SimulatedDisk:
        """A disk on which that file is another one."""
        return SimulatedDisk(Image.of({PATH: self.files | {file: data}}))


class Recorder:
    """Notes the state at each position that the log comes to."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.states = {engine.log.position: state_of(engine)}

    def note(self) -> None:
        """End the turn."""
        self.engine.end_turn()
        self.states[self.engine.log.position] = state_of(self.engine)


def change_everything(recorder: Recorder, clock: HandClock) -> None:
    """Turns with every kind of entry; some are synced, and none of the last ones."""
    engine = recorder.engine
    zero, one = engine.databases[:2]
    engine.author = Author("ada", "c")
    zero.keyspace.put(b"k", b"v")
    zero.keyspace.put(b"e", b"", clock.at_ms + 5)
    recorder.note()
    engine.sync()
    zero.keyspace.patch(b"k", 3, b"x")
    zero.keyspace.set_expiry(b"k", clock.at_ms + 50)
    recorder.note()
    clock.at_ms += 5
    engine.clock.refresh()
    zero.keyspace.delete(b"e")
    recorder.note()
    engine.sync()
    engine.swap(zero, one)
    engine.flush(one)
    recorder.note()
    zero.keyspace.put(b"large", b"l" * 220)
    recorder.note()
    zero.keyspace.delete(b"large")
    recorder.note()
    engine.sync()
    engine.append_mark()
    recorder.states[engine.log.position] = state_of(engine)
    engine.sync()
    one.keyspace.put(b"last", b"1")
    recorder.note()
    engine.sync()
    one.keyspace.put(b"unsynced", b"2")
    recorder.note()


@functools.cache
def store_of_all_kinds() -> Store:
    """Two generations; the newest has a checkpoint, a sealed segment, an open one and a prepared one."""
    clock = HandClock()
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk, SMALL._replace(segment_bytes=600, reserve_bytes=128), clock)
    engine.databases[2].keyspace.put(b"in the checkpoint", b"c")
    engine.databases[2].keyspace.put(b"expiring", b"c", START_MS + 10**9)
    engine.end_turn()
    engine.sync()
    engine.request_checkpoint()
    engine.housekeep(1)
    engine.sync()
    engine.databases[2].keyspace.put(b"in the sealed segment", b"s")
    engine.end_turn()
    engine.sync()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.maintenance, "_checkpoint_due", lambda: False)
        engine.request_checkpoint()
        engine.housekeep(1)
        engine.sync()
        engine.maintenance._wishes.clear()
        engine.housekeep(1)
        recorder = Recorder(engine)
        change_everything(recorder, clock)
        engine.housekeep(1)
    current = manifests.parse(disk.content(PATH)["MANIFEST"], "").current
    assert current.checkpoint is not None
    assert [record.length is not None for record in current.segments] == [True, False, False]
    return Store(disk.everything().files(PATH), recorder.states)


@functools.cache
def store_of_two_open_segments() -> Store:
    """A segment that is full but not sealed, and the one after it."""
    clock, background = HandClock(), QueuedBackground()
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk, SMALL._replace(segment_bytes=300, reserve_bytes=128), clock, background=background)
    recorder = Recorder(engine)
    for i in range(4):
        engine.databases[0].keyspace.put(b"%d" % i, b"v" * 20)
        recorder.note()
        engine.sync()
    while engine.log.segment.number == 1:
        background.run()
        engine.housekeep(1)
    recorder.states[engine.log.position] = state_of(engine)
    for i in range(3):
        engine.databases[0].keyspace.put(b"%d" % i, b"w" * 20)
        recorder.note()
        if i < 2:
            engine.sync()
    store = Store(disk.everything().files(PATH), recorder.states)
    assert len(store.open_segments()) == 2
    return store


STORES = {"all kinds": store_of_all_kinds, "two open segments": store_of_two_open_segments}


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The offset of each bit's byte, and the file with that bit flipped."""
    flipped = bytearray(data)
    for bit in range(8 * len(data)):
        flipped[bit >> 3] ^= 1 << (bit & 7)
        yield bit >> 3, bytes(flipped)
        flipped[bit >> 3] ^= 1 << (bit & 7)


def test_the_store_has_frames_of_every_kind() -> None:
    """Or the tests below would show less than they say."""
    store = store_of_all_kinds()
    assert {frame.kind for frame in store.frames_of(store.open_segments()[0])} == {COMMIT, PART, MARK}
    assert len(store.states) >= 8
    assert state_of(opened(SimulatedDisk(Image.of({PATH: store.files})))) == store.last


# --- Files that never change: every difference is refused ------------------------------------------------------------


def finished_files() -> list[str]:
    """The files of the newest generation that a start reads and that never change."""
    current = store_of_all_kinds().manifest.current
    assert current.checkpoint is not None
    sealed = [record.file for record in current.segments if record.length is not None]
    return ["MANIFEST", current.checkpoint.file, *sealed]


@pytest.mark.parametrize("index", range(3), ids=["manifest", "checkpoint", "sealed segment"])
def test_a_finished_file_with_a_flipped_bit_is_refused(index: int) -> None:
    """Each bit of it; the error names the file and a byte not behind the flipped one."""
    store, file = store_of_all_kinds(), finished_files()[index]
    for offset, flipped in flips(store.files[file]):
        with pytest.raises(OpenError) as caught:
            opened(store.with_file(file, flipped))
        error = caught.value
        assert error.exit_code == 65, offset
        assert getattr(error, "file", "") == f"{PATH}/{file}", offset
        assert getattr(error, "offset", 0) <= offset, offset


@pytest.mark.parametrize("index", range(3), ids=["manifest", "checkpoint", "sealed segment"])
def test_a_finished_file_that_is_cut_is_refused(index: int) -> None:
    """At each byte."""
    store, file = store_of_all_kinds(), finished_files()[index]
    data = store.files[file]
    for length in range(len(data)):
        with pytest.raises(DamagedData) as caught:
            opened(store.with_file(file, data[:length]))
        assert caught.value.file == f"{PATH}/{file}", length


@pytest.mark.parametrize("index", range(3), ids=["manifest", "checkpoint", "sealed segment"])
def test_a_refused_start_changes_nothing(index: int) -> None:
    """People look at it, and `check --repair` works on it."""
    store, file = store_of_all_kinds(), finished_files()[index]
    for offset in range(0, len(store.files[file]), 7):
        data = store.files[file]
        disk = store.with_file(file, data[:offset] + bytes((data[offset] ^ 4,)) + data[offset + 1 :])
        before = disk.content(PATH)
        with pytest.raises(OpenError):
            opened(disk)
        after = disk.content(PATH)
        assert after.pop("LOCK") == b""
        assert after == before
        assert disk.open_descriptors == []


# --- Files being written: what is proven is refused, the rest is a torn tail ------------------------------------------


class Verdict(NamedTuple):
    """What must become of a store whose bytes from *offset* of *file* on are bad."""

    file: str
    offset: int
    refused: bool
    state: State


def verdict(store: Store, file: str, offset: int, others: list[Frame]) -> Verdict:
    """Judged by what the *others*, the frames that are still good, prove."""
    position = store.base(file) + offset if offset >= FILE_HEADER.size else store.base(file)
    proven = max((frame.durable_position for frame in others), default=0)
    known = [at for at in store.states if at <= max(position, min(store.states))]
    return Verdict(file, offset, proven > position, store.states[max(known)])


def start_of_structure(store: Store, file: str, offset: int) -> int:
    """Where the frame, the header or the zeros begin that this byte is in."""
    if offset < FILE_HEADER.size:
        return 0
    found = store.frames_of(file)
    return next(
        (frame.offset for frame in found if frame.offset <= offset < frame.end),
        found[-1].end if found else FILE_HEADER.size,
    )


def end_of_frames(store: Store, file: str) -> int:
    """Behind it are only zeros."""
    return start_of_structure(store, file, len(store.files[file])) if any(store.files[file]) else 0


def good_frames(store: Store, bad_file: str, bad_from: int, bad_to: int) -> list[Frame]:
    """The frames of all open segments that do not touch the bad bytes."""
    return [
        frame
        for file in store.open_segments()
        if any(store.files[file])
        for frame in store.frames_of(file)
        if file != bad_file or frame.end <= bad_from or frame.offset >= bad_to
    ]


def assert_judged(store: Store, disk: SimulatedDisk, expected: Verdict, bad: bytes, what: str) -> None:
    """A start does what the verdict says; *bad* are the bytes from the verdict's offset on."""
    error: DamagedData | None = None
    try:
        engine = opened(disk)
    except DamagedData as caught:
        error = caught
    if error is not None:
        assert expected.refused, f"{what}: refused, though nothing proves it durable"
        places = [(expected.file, expected.offset)]
        if not any(bad):  # nothing is wrong but that something is missing: it shows where the log should go on
            places += [(file, 0) for file in store.open_segments() if file > expected.file]
        assert (error.file.rpartition("/")[2], error.offset) in places, what
        return
    assert not expected.refused, f"{what}: went unnoticed, though it was durable"
    assert state_of(engine) == expected.state, what
    kept = disk.content(PATH).get(f"{expected.file}.{expected.offset}.broken", b"")
    assert kept == bad.rstrip(b"\0"), what
    # With it goes every later segment that has anything in it: what is after a hole is no prefix.
    later = store.open_segments()[store.open_segments().index(expected.file) + 1 :]
    harmless = expected.state == store.last and not any(bad)
    cut_off = {file: b"" if harmless else store.files[file].rstrip(b"\0") for file in later}
    for file, data in cut_off.items():
        assert disk.content(PATH).get(f"{file}.0.broken", b"") == data, what
    assert engine.torn_bytes == len(kept) + sum(map(len, cut_off.values())), what


@pytest.mark.parametrize("name", STORES)
def test_a_flipped_bit_in_the_open_tail_is_damage_or_a_torn_tail(name: str) -> None:
    """Each bit of each file that was being written, its header and the zeros behind its end included."""
    store = STORES[name]()
    judged: dict[bool, int] = {True: 0, False: 0}
    for file in store.open_segments():
        data = store.files[file]
        for offset, flipped in flips(data):
            start = start_of_structure(store, file, offset) if any(data) else 0
            if any(data):
                expected = verdict(store, file, start, good_frames(store, file, offset, offset + 1))
            else:  # prepared and never written to: it is cut off as a whole, and nothing is lost
                expected = Verdict(file, 0, False, store.last)
            assert_judged(store, store.with_file(file, flipped), expected, flipped[start:], f"byte {offset} of {file}")
            judged[expected.refused] += 1
    assert min(judged.values()) > 500


@pytest.mark.parametrize("name", STORES)
def test_a_file_of_the_open_tail_that_is_cut_leaves_a_right_prefix(name: str) -> None:
    """At each byte; refused when a frame elsewhere proves that more was durable."""
    store = STORES[name]()
    for file in store.open_segments():
        data = store.files[file]
        for length in range(len(data)):
            start = start_of_structure(store, file, length) if any(data) and length >= FILE_HEADER.size else 0
            if length >= end_of_frames(store, file):  # zeros are missing, and nothing else
                expected = Verdict(file, start, False, store.last)
            else:
                expected = verdict(store, file, start, good_frames(store, file, length, len(data)))
            disk = store.with_file(file, data[:length])
            assert_judged(store, disk, expected, data[start:length], f"{file} cut at {length}")


def test_what_nobody_reads_at_a_start_is_noticed_by_check() -> None:
    """Each bit of an older generation's files."""
    store = store_of_all_kinds()
    for file in [record.file for record in store.manifest.generations[0].segments]:
        for offset, flipped in flips(store.files[file]):
            directory = Directory(PATH, store.with_file(file, flipped))
            found: list[CheckedGeneration] = []
            manifest = manifests.load(directory)
            assert manifest is not None
            for _ in check(directory, manifest, found):
                pass
            damage = [error for checked in found for error in checked.damage]
            assert [error.file for error in damage] == [f"{PATH}/{file}"], offset
            assert damage[0].offset <= offset
