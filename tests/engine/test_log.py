"""The log's end: offsets, reserved space, full disks, the next segment, and what a sync must cover."""

from __future__ import annotations

import errno

import pytest
from simulated_disk import Fault, Image, SimulatedDisk
from stores import PATH
from xxhash import xxh3_64

from keystead.engine import log as logs
from keystead.engine.files import Directory
from keystead.engine.format import (
    COMMIT,
    FILE_HEADER,
    MARK,
    PART,
    SEGMENT_MAGIC,
    FileHeader,
    decode_file_header,
    encode_file_header,
    frames,
)
from keystead.engine.log import Log, Segment
from keystead.errors import DiskFailure

STORE_ID, SALT, NEXT_SALT = 1, 2, 3
RESERVE = 4096


class Stage:
    """A log on a simulated disk, at position 1000."""

    def __init__(self) -> None:
        self.disk = SimulatedDisk(Image.of({PATH: {}}))
        self.directory = Directory(PATH, self.disk)
        file = self.directory.create("segment")
        header = encode_file_header(STORE_ID, FileHeader(SEGMENT_MAGIC, SALT, 1, 1000, 1, 0))
        file.write_at(0, header)
        file.sync()
        end = len(header)
        self.log = Log(STORE_ID, Segment(file, 1, SALT, 1000, 1, end, xxh3_64(header), 0, end, end), 1064, RESERVE)
        self.log.reserve()

    def append(self, payload: bytes = b"payload", kind: int = COMMIT, time_ms: int = 5) -> bool:
        """One frame."""
        return self.log.append([(kind, payload, 1)], time_ms)

    def sync(self) -> None:
        """Begin and finish one."""
        ticket = self.log.begin_sync(0)
        assert ticket is not None
        self.log.sync(ticket)
        self.log.finish_sync(ticket)

    def payloads(self, name: str = "segment", salt: int = SALT) -> list[bytes]:
        """What a start would read."""
        data = memoryview(self.disk.content(PATH)[name])
        return [bytes(frame.payload) for frame in frames(salt, data, FILE_HEADER.size)]

    def fill(self) -> None:
        """No byte more than what files have now."""
        self.disk.fill()


@pytest.fixture
def stage() -> Stage:
    """A new one."""
    return Stage()


def test_frames_follow_each_other_and_say_how_far_the_log_was_durable(stage: Stage) -> None:
    """Rule 7: that is what proof is made of."""
    log = stage.log
    log.next_sequence = 7
    log.append([(PART, b"part", 1), (COMMIT, b"commit", 2)], 5)
    stage.sync()
    end = log.position
    stage.append(b"", MARK, 6)
    data = memoryview(stage.disk.content(PATH)["segment"])
    read = list(frames(SALT, data, FILE_HEADER.size))
    assert [(frame.kind, bytes(frame.payload), frame.number) for frame in read] == [
        (PART, b"part", 1),
        (COMMIT, b"commit", 2),
        (MARK, b"", 1),
    ]
    assert [frame.durable_position for frame in read] == [1064, 1064, end]
    assert [frame.time_ms for frame in read] == [5, 5, 6]
    assert {frame.first_sequence for frame in read} == {7}
    assert log.position == 1000 + log.segment.end
    assert log.marked_position == end
    assert log.segment.digest.digest() == xxh3_64(data[: log.segment.end]).digest()


def test_space_ahead_is_reserved_and_zero(stage: Stage) -> None:
    """So that a sync has no metadata to write, and a full disk shows before a write is accepted."""
    for i in range(200):
        stage.append(b"%d" % i * 30)
        segment = stage.log.segment
        content = stage.disk.content(PATH)["segment"]
        assert segment.zeroed <= segment.allocated == len(content)
        assert segment.allocated >= segment.end + RESERVE // 2
        assert not any(content[segment.end :])
    assert len(stage.payloads()) == 200


def test_zeros_are_written_in_steps_ahead_of_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all of a large reservation at once."""
    monkeypatch.setattr(logs, "ZERO_STEP_BYTES", 512)
    stage = Stage()
    zeroed = []
    for i in range(60):
        stage.append(b"%d" % i * 20)
        zeroed.append(stage.log.segment.zeroed)
        assert stage.log.segment.end < stage.log.segment.zeroed <= stage.log.segment.allocated
    assert len(set(zeroed)) > 4
    assert len(stage.payloads()) == 60


def test_a_frame_longer_than_the_reserve_is_written_all_the_same(stage: Stage) -> None:
    """And space is reserved behind it."""
    assert stage.append(b"x" * 3 * RESERVE)
    assert stage.append(b"y")
    assert stage.log.segment.allocated >= stage.log.segment.end + RESERVE // 2
    assert [len(payload) for payload in stage.payloads()] == [3 * RESERVE, 1]


# --- A full disk ----------------------------------------------------------------------------------------------------


def test_without_room_to_reserve_the_log_is_starved_and_goes_on_in_its_reserve(stage: Stage) -> None:
    """Rule 6: data that grows is refused from then on, deletes go on."""
    stage.fill()
    while not stage.log.starved:
        assert stage.append()
    assert stage.log.segment.allocated - stage.log.segment.end > RESERVE // 4
    assert stage.append()
    assert not stage.log.holding
    stage.disk.capacity = None
    stage.log.resume()
    assert not stage.log.starved


def test_frames_that_meet_a_full_disk_are_cut_back_held_and_written_again(stage: Stage) -> None:
    """Rule 6: in order, whole, and with everything that came after them."""
    stage.append(b"before")
    end = stage.log.segment.end
    stage.fill()
    assert not stage.append(b"x" * 2 * RESERVE)
    assert stage.log.holding
    assert stage.log.starved
    assert stage.log.segment.end == end
    assert len(stage.disk.content(PATH)["segment"]) == end
    assert stage.log.position > 1000 + end + 2 * RESERVE
    assert not stage.append(b"after")
    stage.log.resume()
    assert stage.log.holding
    stage.disk.capacity = None
    stage.log.resume()
    assert not stage.log.holding
    assert not stage.log.starved
    assert [payload[:6] for payload in stage.payloads()] == [b"before", b"x" * 6, b"after"]
    assert stage.log.position == 1000 + stage.log.segment.end
    assert (
        stage.log.segment.digest.digest()
        == xxh3_64(stage.disk.content(PATH)["segment"][: stage.log.segment.end]).digest()
    )
    stage.sync()
    assert stage.log.durable_position == stage.log.position


@pytest.mark.parametrize("call", ["pwrite", "allocate", "ftruncate"])
def test_any_other_error_is_final(stage: Stage, call: str) -> None:
    """EIO from a write says that the disk is broken, from a reservation too."""
    stage.fill()
    if call == "ftruncate":
        stage.disk.fault = Fault(stage.disk.calls + 2, errno.EIO, for_ever=True)
    else:
        stage.disk.fault = Fault(1, errno.EIO, for_ever=True, only=(call,))
        stage.disk.calls = 0
    payload = b"x" * RESERVE * 2 if call == "ftruncate" else b"x" * 100
    with pytest.raises(DiskFailure):
        all(stage.append(payload) for _ in range(100))


def test_room_is_asked_for_before_a_large_change(stage: Stage) -> None:
    """What has room is written without being held; what has none is refused before it touches memory."""
    assert stage.log.has_room(100)
    assert stage.log.has_room(10 * RESERVE)
    stage.fill()
    assert stage.append(b"x" * 10 * RESERVE)
    assert not stage.log.has_room(10 * RESERVE)
    while not stage.log.starved:
        stage.append()
    assert not stage.log.has_room(1)
    stage.disk.capacity = None
    stage.log.resume()
    assert stage.log.has_room(1)
    stage.disk.fault = Fault(1, errno.EIO, for_ever=True, only=("allocate",))
    stage.disk.calls = 0
    with pytest.raises(DiskFailure):
        stage.log.has_room(100 * RESERVE)


# --- Syncs and segments ---------------------------------------------------------------------------------------------


def test_a_sync_covers_what_was_appended_before_it_began(stage: Stage) -> None:
    """And says so only when it is finished."""
    log = stage.log
    assert log.begin_sync(0) is None
    stage.append()
    end = log.position
    ticket = log.begin_sync(1)
    assert ticket is not None
    assert (ticket.position, ticket.turn, ticket.files) == (end, 1, (log.segment.file,))
    assert ticket.descriptors == [log.segment.file.descriptor]
    assert log.sync_under_way
    stage.append()
    log.sync(ticket)
    assert log.durable_position == 1064
    log.finish_sync(ticket)
    assert (log.durable_position, log.syncs, log.sync_under_way) == (end, 1, False)
    assert log.begin_sync(2) is not None


def prepare(stage: Stage) -> None:
    """What maintenance does before a switch."""
    file = stage.directory.create("next")
    stage.log.zero_fill(file)
    file.sync()
    stage.log.next_segment = (file, 2, NEXT_SALT)


def test_the_next_segment_begins_where_the_last_one_ends(stage: Stage) -> None:
    """And one sync may cover both."""
    log = stage.log
    prepare(stage)
    assert stage.disk.content(PATH)["next"] == bytes(RESERVE)
    stage.append(b"old")
    log.next_sequence = 9
    old = log.segment
    log.switch(50)
    stage.append(b"new")
    header = decode_file_header(STORE_ID, SEGMENT_MAGIC, memoryview(stage.disk.content(PATH)["next"]))
    assert header == FileHeader(SEGMENT_MAGIC, NEXT_SALT, 2, old.base + old.end, 9, 50)
    assert (stage.payloads(), stage.payloads("next", NEXT_SALT)) == ([b"old"], [b"new"])
    assert log.retired == [old]
    assert log.position == old.base + old.end + log.segment.end
    ticket = log.begin_sync(1)
    assert ticket is not None
    assert ticket.files == (old.file, log.segment.file)
    log.sync(ticket)
    log.finish_sync(ticket)
    log.sealed(old)
    assert log.retired == []
    assert old.file.descriptor == -1
    log.close()
    assert stage.disk.open_descriptors == []


def test_a_file_that_is_being_synced_stays_open_until_it_is() -> None:
    """Found by reading: with fsync interval a segment could be sealed, and closed, during the sync of its descriptor.

    A helper would then have synced another file of that number, and said that all was well.
    """
    stage = Stage()
    prepare(stage)
    stage.append()
    old = stage.log.segment
    stage.log.switch(50)
    ticket = stage.log.begin_sync(1)
    assert ticket is not None
    stage.log.sealed(old)
    assert stage.log.durable_position == old.base + old.end
    stage.log.sync(ticket)
    stage.log.finish_sync(ticket)
    assert old.file.descriptor == -1
    stage.log.close()
    assert stage.disk.open_descriptors == []


def test_a_header_that_meets_a_full_disk_is_held_too(stage: Stage) -> None:
    """It should not, for the space was prepared; but file systems that copy on write make no promises."""
    prepare(stage)
    stage.append()
    stage.disk.fault = Fault(1, errno.ENOSPC, only=("pwrite",))
    stage.disk.calls = 0
    stage.log.switch(50)
    assert stage.log.holding
    stage.append(b"new")
    stage.log.resume()
    assert not stage.log.holding
    assert stage.payloads("next", NEXT_SALT) == [b"new"]
