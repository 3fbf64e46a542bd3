"""What becomes of files: rotation, sealing, checkpoints, retention, the reserve."""

from __future__ import annotations

import errno
from random import Random

import pytest
from simulated_disk import Fault, Image, SimulatedDisk
from stores import PATH, SMALL, START_MS, HandClock, QueuedBackground, opened, state_of
from workload import EMPTY_DISK
from xxhash import xxh3_64_hexdigest

from keystead.engine import manifest as manifests
from keystead.engine import reserve
from keystead.engine.background import CheckpointFailed, InlineBackground
from keystead.engine.engine import Engine, Options
from keystead.engine.files import Directory
from keystead.engine.format import CHECKPOINT_MAGIC, SEGMENT_MAGIC, decode_file_header
from keystead.engine.maintenance import RETRY_MS, SHORTAGE_RETRY_MS
from keystead.engine.manifest import CheckpointRecord, Manifest
from keystead.errors import DamagedData, DiskFailure

pytestmark = pytest.mark.usefixtures("small_sizes")


class Stage:
    """A store whose background work is done in the foreground or when the test says so."""

    def __init__(self, options: Options = SMALL, background: InlineBackground | None = None) -> None:
        self.disk = SimulatedDisk(EMPTY_DISK)
        self.clock = HandClock()
        self.background = background or InlineBackground()
        self.engine = opened(self.disk, options, self.clock, background=self.background)
        self.written = 0

    def write(self, length: int = 100) -> None:
        """A turn of that many bytes, acknowledged."""
        self.written += 1
        self.engine.clock.refresh()
        self.engine.databases[0].keyspace.put(b"%d" % (self.written % 5), bytes(length))
        self.engine.end_turn()
        self.engine.sync()

    def write_segment(self) -> None:
        """As much as rotates."""
        number = self.engine.log.segment.number
        while self.engine.log.segment.number == number:
            self.write()
            self.housekeep(2)

    def housekeep(self, times: int = 1) -> None:
        """Steps, and the syncs after them."""
        for _ in range(times):
            self.engine.housekeep(1)
            self.engine.end_turn()
            self.engine.sync()

    def restart_after_kill(self) -> None:
        """The next start seals what the last process was writing, and begins a segment."""
        self.disk.kill()
        self.engine = opened(self.disk, self.engine.options, self.clock, background=self.background)

    @property
    def manifest(self) -> Manifest:
        """What is on the disk."""
        manifest = manifests.load(Directory(PATH, self.disk))
        assert manifest is not None
        return manifest

    @property
    def files(self) -> set[str]:
        """What is in the directory, apart from what every store has."""
        return set(self.disk.content(PATH)) - {"LOCK", "MANIFEST", "reserve"}


@pytest.fixture
def stage() -> Stage:
    """Everything at once."""
    return Stage()


@pytest.fixture
def queued() -> Stage:
    """Jobs wait; the reserve is there."""
    stage = Stage(background=QueuedBackground())
    stage.housekeep()
    run(stage)
    stage.housekeep()
    return stage


def run(stage: Stage) -> None:
    """The jobs that wait."""
    assert isinstance(stage.background, QueuedBackground)
    stage.background.run()


# --- Rotation and sealing -------------------------------------------------------------------------------------------


def test_a_segment_is_prepared_when_half_is_full_and_named_before_it_is_used(queued: Stage) -> None:
    """Invariant 2 of the format: on disk before anything in it is acknowledged."""
    while queued.engine.log.segment.end < SMALL.segment_bytes // 2:
        queued.write()
    queued.housekeep()
    assert queued.engine.log.next_segment is None
    run(queued)
    assert [record.number for record in queued.manifest.current.segments] == [1, 2]
    assert manifests.parse(queued.disk.synced().files(PATH)["MANIFEST"], "").files() <= queued.files
    queued.housekeep()
    assert queued.engine.log.next_segment is not None
    assert queued.engine.log.segment.number == 1
    while queued.engine.log.segment.end < SMALL.segment_bytes:
        queued.write()
    queued.housekeep()
    assert queued.engine.log.segment.number == 2


def test_a_sealed_segment_is_cut_and_recorded_with_length_checksum_and_time(stage: Stage) -> None:
    """Rule 8."""
    stage.clock.at_ms += 5
    stage.engine.clock.refresh()
    stage.write_segment()
    record = stage.manifest.generations[0].segments[0]
    data = stage.disk.synced().files(PATH)[record.file]
    assert (record.length, record.checksum) == (len(data), xxh3_64_hexdigest(data))
    assert record.time_ms == stage.engine.clock.now_ms
    assert data.rstrip(b"\0")[-1:]
    assert stage.engine.log.retired == []


def test_every_file_has_a_salt_of_its_own(stage: Stage) -> None:
    """Rule 8: so what is left of one file, or copied from it, is never taken for a part of another."""
    stage.write_segment()
    stage.write_segment()
    stage.engine.request_checkpoint()
    stage.housekeep(3)
    stage.write()
    stage.restart_after_kill()
    stage.write_segment()
    stage.engine.request_checkpoint()
    stage.housekeep(3)
    salts = []
    for name, data in stage.disk.content(PATH).items():
        magic = {".log": SEGMENT_MAGIC, ".ckp": CHECKPOINT_MAGIC}.get(name[-4:])
        if magic and data.strip(b"\0"):
            salts.append(decode_file_header(stage.manifest.store_id, magic, memoryview(data)).salt)
    assert len(salts) == len(set(salts)) >= 6


def test_with_fsync_always_sealing_waits_for_the_commits_own_sync(queued: Stage) -> None:
    """It would be a sync in the background of what somebody waits for in the foreground."""
    stage = queued
    while stage.engine.log.next_segment is None:
        stage.write()
        stage.housekeep()
        run(stage)
    while stage.engine.log.segment.end < SMALL.segment_bytes:
        stage.write()
    stage.engine.databases[0].keyspace.put(b"not", b"durable")
    stage.engine.end_turn()
    stage.engine.housekeep(1)
    assert len(stage.engine.log.retired) == 1
    stage.engine.housekeep(1)
    assert not stage.background.waiting  # type: ignore[attr-defined]
    ticket = stage.engine.begin_sync()
    assert ticket is not None
    stage.engine.log.sync(ticket)
    stage.engine.housekeep(1)
    assert not stage.background.waiting  # type: ignore[attr-defined]
    stage.engine.finish_sync(ticket)
    stage.engine.housekeep(1)
    run(stage)
    stage.engine.housekeep(1)
    assert stage.engine.log.retired == []


@pytest.mark.parametrize("fsync", ["never", "interval"])
def test_without_syncs_sealing_does_the_syncing(fsync: str) -> None:
    """And what is sealed is durable."""
    stage = Stage(SMALL._replace(fsync=fsync))  # type: ignore[arg-type]
    engine = stage.engine
    while not any(record.length for record in stage.manifest.generations[0].segments):
        engine.databases[0].keyspace.put(b"k", bytes(100))
        engine.end_turn()
        engine.housekeep(1)
    record = stage.manifest.generations[0].segments[0]
    assert engine.log.durable_position >= (record.length or 0)
    assert len(stage.disk.synced().files(PATH)[record.file]) == record.length


def test_turns_go_on_while_jobs_are_under_way(queued: Stage) -> None:
    """Nothing waits for a thread."""
    for i in range(200):
        queued.write()
        queued.engine.housekeep(1)
        if i % 7 == 0:
            run(queued)
    assert queued.engine.log.segment.number > 4
    assert state_of(opened(SimulatedDisk(queued.disk.synced()))) == state_of(queued.engine)


# --- Checkpoints ----------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_due_when_sealed_segments_outgrow_the_last_one(stage: Stage) -> None:
    """So the log that a start reads stays in proportion to the data."""
    for _ in range(300):
        stage.write()
        stage.housekeep()
        current = stage.manifest.current
        sealed = sum(record.length or 0 for record in current.segments)
        assert sealed < 2 * max(current.checkpoint.length if current.checkpoint else 0, SMALL.segment_bytes) + 400
    assert stage.engine.maintenance.checkpoints > 5
    assert len(stage.manifest.generations) == stage.engine.maintenance.checkpoints + 1


def test_a_checkpoint_that_is_asked_for_holds_everything_committed_before(stage: Stage) -> None:
    """SAVE, BGSAVE."""
    stage.write()
    stage.engine.request_checkpoint()
    assert stage.engine.maintenance.busy
    stage.housekeep(2)
    assert not stage.engine.maintenance.busy
    checkpoint = stage.manifest.current.checkpoint
    assert checkpoint is not None
    assert checkpoint.sequence == 2
    assert stage.engine.info().last_checkpoint_ms == stage.engine.clock.now_ms


def test_asking_twice_without_a_change_makes_no_second_file(stage: Stage) -> None:
    """But counts as done."""
    stage.write()
    for expected in (1, 2):
        stage.engine.request_checkpoint()
        stage.housekeep(3)
        assert stage.engine.maintenance.checkpoints == expected
        assert not stage.engine.maintenance.busy
    assert len(stage.manifest.generations) == 2
    empty = Stage()
    empty.engine.request_checkpoint()
    empty.housekeep(2)
    assert not empty.engine.maintenance.busy


class FailingBackground(InlineBackground):
    """Checkpoints fail as often as it is told."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def compact(self, directory: Directory, number: int) -> CheckpointRecord:
        """Fail, or merge."""
        if self.errors:
            raise self.errors.pop(0)
        return super().compact(directory, number)


@pytest.mark.parametrize(
    "error",
    [CheckpointFailed("killed"), DamagedData("file", 0, "bits"), OSError(errno.EMFILE, "Too many open files")],
    ids=["process", "damage", "descriptors"],
)
def test_a_checkpoint_that_fails_stops_nothing_and_is_tried_again(error: Exception) -> None:
    """Nothing is lost: the log has everything; segments go on being sealed meanwhile.

    Found by reading: rotation and sealing stood still for 30 s after a checkpoint had failed.
    """
    stage = Stage(background=FailingBackground(error))
    stage.write_segment()
    assert stage.engine.info().checkpoint_failed
    assert stage.engine.maintenance.failure_reason
    sealed = len(stage.manifest.current.segments)
    stage.clock.at_ms += SHORTAGE_RETRY_MS
    stage.write_segment()
    assert len(stage.manifest.current.segments) > sealed
    assert stage.engine.info().checkpoints == 0
    stage.clock.at_ms += RETRY_MS
    stage.housekeep(2)
    assert stage.engine.info().checkpoints == 1
    assert not stage.engine.info().checkpoint_failed


def test_a_checkpoint_that_is_asked_for_again_need_not_wait() -> None:
    """Whoever asks wants to know now."""
    stage = Stage(background=FailingBackground(CheckpointFailed("killed")))
    stage.write()
    stage.engine.request_checkpoint()
    stage.housekeep(2)
    assert stage.engine.info().checkpoint_failed
    assert not stage.engine.maintenance.busy
    stage.engine.request_checkpoint()
    stage.housekeep(2)
    assert stage.engine.info().checkpoints == 1


def test_a_checkpoint_is_made_however_fast_segments_fill(queued: Stage) -> None:
    """Then there is one to seal or to prepare at every step."""
    for _ in range(40):
        queued.write(SMALL.segment_bytes)
        run(queued)
        queued.housekeep()
    assert queued.engine.maintenance.checkpoints > 4
    assert len(queued.manifest.generations) > 4


def test_whoever_asks_for_checkpoints_all_the_time_puts_none_off(queued: Stage) -> None:
    for _ in range(40):
        queued.write(10)
        queued.engine.request_checkpoint()
        run(queued)
        queued.housekeep()
    assert queued.engine.maintenance.checkpoints > 4


def test_a_checkpoint_has_what_was_committed_before_the_last_request(queued: Stage) -> None:
    """However many were asked for while another one ran, and before it was begun."""
    for _ in range(7):
        queued.write(10)
        queued.engine.request_checkpoint()
        run(queued)
        queued.housekeep()
    last = queued.engine.log.next_sequence - 1
    while queued.engine.maintenance.busy:
        run(queued)
        queued.housekeep()
    checkpoint = queued.manifest.current.checkpoint
    assert checkpoint is not None
    assert checkpoint.sequence > last


def test_forgetting_all_the_time_puts_off_no_checkpoint_and_is_not_put_off_by_them(queued: Stage) -> None:
    first = queued.engine.forget(queued.engine.databases[0], [b"first"])
    wishes = [first]
    for number in range(60):
        queued.write(SMALL.segment_bytes)
        wishes.append(queued.engine.forget(queued.engine.databases[0], [b"%d" % number]))
        run(queued)
        queued.housekeep()
    assert queued.engine.maintenance.forgetting > 1
    assert queued.engine.maintenance.checkpoints > 4
    assert sum(wish.rewritten is not None for wish in wishes) > 4


# --- Retention (rule 13) --------------------------------------------------------------------------------------------


def generations(stage: Stage) -> list[int]:
    """The numbers of the checkpoints that generations begin with."""
    return [generation.checkpoint.number if generation.checkpoint else 0 for generation in stage.manifest.generations]


def make_generations(stage: Stage, count: int, apart_ms: int = 0) -> None:
    """Generations, each with one turn of 400 bytes."""
    for _ in range(count):
        stage.write(400)
        stage.engine.request_checkpoint()
        stage.housekeep(3)
        stage.clock.at_ms += apart_ms


def test_generations_are_dropped_whole_and_oldest_first_when_they_are_too_old() -> None:
    """And not before: a moment inside the age must be there to be looked at."""
    stage = Stage(SMALL._replace(history_max_age_ms=10_000))
    make_generations(stage, 4, apart_ms=4_000)
    stage.housekeep()
    assert generations(stage) == [2, 3, 4]  # those that ended 16 and 12 s ago are gone
    stage.clock.at_ms += 2_000
    stage.housekeep()
    assert generations(stage) == [2, 3, 4]
    stage.clock.at_ms += 1
    stage.housekeep()
    assert generations(stage) == [3, 4]
    assert stage.files == stage.manifest.all_files()
    stage.clock.at_ms += 1_000_000
    stage.housekeep()
    assert generations(stage) == [4]


def test_a_generation_is_as_old_as_its_last_change() -> None:
    """Rule 13: as long as any moment inside it is young enough, all of it stays."""
    stage = Stage(SMALL._replace(history_max_age_ms=10_000))
    stage.write()
    stage.restart_after_kill()
    stage.clock.at_ms += 6_000
    make_generations(stage, 1)
    segments = stage.manifest.generations[0].segments
    assert [record.time_ms for record in segments] == [START_MS, START_MS + 6_000]
    stage.clock.at_ms += 10_000
    stage.housekeep()
    assert generations(stage) == [0, 2]
    stage.clock.at_ms += 1
    stage.housekeep()
    assert generations(stage) == [2]


def test_the_size_of_the_newest_generation_costs_no_history() -> None:
    """Rule 13: it is there for the data, not for the past."""
    stage = Stage(SMALL._replace(segment_bytes=20_000, history_max_bytes=8_000))
    make_generations(stage, 2)
    stage.write(5_000)
    stage.write(5_000)
    stage.restart_after_kill()  # which seals them
    stage.housekeep()
    assert stage.manifest.current.stored_bytes() > 8_000
    assert generations(stage) == [0, 1, 2]


def test_generations_are_dropped_when_all_but_the_newest_pass_the_size() -> None:
    """Younger than the age as they are; the newest stays however large it is."""
    stage = Stage(SMALL._replace(history_max_bytes=8_000))
    make_generations(stage, 12)
    old = stage.manifest.generations[:-1]
    assert 1 <= len(old) < 8
    assert sum(generation.stored_bytes() for generation in old) <= 8_000
    assert generations(stage)[-1] == 12
    assert stage.files == stage.manifest.all_files()
    none = Stage(SMALL._replace(history_max_bytes=0))
    make_generations(none, 3)
    assert generations(none) == [3]


def test_other_limits_hold_from_the_next_step_on(stage: Stage) -> None:
    """CONFIG SET."""
    make_generations(stage, 3)
    assert generations(stage) == [0, 1, 2, 3]
    stage.engine.configure(SMALL._replace(history_max_bytes=0))
    stage.housekeep()
    assert generations(stage) == [3]


def test_files_go_only_after_the_manifest_that_does_without_them_is_durable() -> None:
    """Rule 12: whatever a power cut leaves, no manifest names a file that is not there."""
    stage = Stage(SMALL._replace(history_max_age_ms=10_000))
    make_generations(stage, 2)
    stage.clock.at_ms += 20_000
    random = Random(12)
    seen: list[str] = []

    def look(call: str) -> None:
        seen.append(call)
        for image in stage.disk.crash_states(random, 20):
            files = image.files(PATH)
            assert manifests.parse(files["MANIFEST"], "").files() <= files.keys()

    stage.disk.after = look
    stage.housekeep()
    assert seen.count("unlink") > 2


def test_a_new_segment_is_synced_then_its_directory_and_then_it_is_named(queued: Stage) -> None:
    """Rule 12, call by call: its own sync is not left to the first commit, for that is when a bad disk would show."""
    while queued.engine.log.segment.end < SMALL.segment_bytes // 2:
        queued.write()
    queued.housekeep()
    queued.disk.trace = []
    run(queued)
    order = [call for call in queued.disk.trace if call.startswith(("sync", "rename"))]
    assert order == [
        f"sync {PATH}/segment-0000000002.log",
        f"sync_directory {PATH}",
        f"sync {PATH}/MANIFEST.tmp",
        f"rename {PATH}/MANIFEST.tmp",
        f"sync_directory {PATH}",
    ]


def test_every_generation_can_be_read_by_itself(stage: Stage) -> None:
    """Any moment inside the history can be rebuilt from one of them."""
    states = []
    for _ in range(4):
        stage.write(300)
        states.append(state_of(stage.engine))
        stage.engine.request_checkpoint()
        stage.housekeep(3)
    manifest = stage.manifest
    files = stage.disk.content(PATH)
    for i, expected in enumerate(states):
        alone = Manifest(manifest.store, manifest.hash_seed, [manifest.generations[i]])
        names = alone.files()
        image = {name: data for name, data in files.items() if name in names}
        disk = SimulatedDisk(Image.of({PATH: image | {"MANIFEST": manifests.render(alone)}}))
        assert state_of(opened(disk)) == expected


# --- Shortages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE])
def test_a_shortage_during_maintenance_is_waited_for(error: int) -> None:
    """Found by reading: want of a descriptor stopped the server, and a seal that met a full disk was tried for ever."""
    stage = Stage()
    while stage.engine.log.segment.end < SMALL.segment_bytes:
        stage.write()
    stage.disk.calls = 0
    stage.disk.fault = Fault(1, error, for_ever=True, only=("open",))
    for _ in range(5):
        stage.housekeep()
        stage.write()
        stage.clock.at_ms += SHORTAGE_RETRY_MS
    assert stage.disk.faults_met >= 5
    assert stage.engine.log.segment.number == 1
    stage.disk.fault = None
    stage.clock.at_ms += SHORTAGE_RETRY_MS
    stage.housekeep(3)
    assert stage.engine.log.segment.number == 2
    assert state_of(opened(SimulatedDisk(stage.disk.synced()))) == state_of(stage.engine)


@pytest.mark.parametrize("call", ["open", "pwrite", "rename", "sync", "sync_directory", "unlink"])
def test_a_broken_disk_during_maintenance_is_final(call: str) -> None:
    """EIO: whatever it was that failed."""
    stage = Stage()
    while stage.engine.log.segment.end < SMALL.segment_bytes:
        stage.write()
    stage.disk.calls = 0
    stage.disk.fault = Fault(1, errno.EIO, only=(call,))
    with pytest.raises(DiskFailure):
        stage.engine.housekeep(1)
    durable = stage.engine.durable_turn
    for action in (stage.engine.sync, lambda: stage.engine.housekeep(1), stage.engine.begin_sync):
        with pytest.raises(DiskFailure):
            action()
    assert stage.engine.durable_turn == durable


@pytest.mark.parametrize("call", ["sync", "sync_directory"])
def test_a_full_disk_that_shows_at_a_sync_is_final(call: str) -> None:
    """Found by reading: maintenance tried again, and the second sync "succeeds" with the data gone (rule 5)."""
    stage = Stage()
    while stage.engine.log.segment.end < SMALL.segment_bytes:
        stage.write()
    stage.disk.calls = 0
    stage.disk.fault = Fault(1, errno.ENOSPC, only=(call,))
    with pytest.raises(DiskFailure):
        stage.engine.housekeep(1)


def test_disk_space_is_kept_back_for_a_checkpoint_and_given_up_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is what lets old files go, so it must not fail for want of room (rule 6)."""
    monkeypatch.setattr(reserve, "LEAST_RESERVE_BYTES", 8_000)
    stage = Stage(SMALL._replace(history_max_bytes=0))
    stage.write()
    stage.housekeep(2)
    assert len(stage.disk.content(PATH)["reserve"]) == 8_000
    stage.disk.fill()
    stage.engine.request_checkpoint()
    for _ in range(6):
        stage.clock.at_ms += SHORTAGE_RETRY_MS
        stage.housekeep()
    assert stage.engine.info().checkpoints == 1
    assert "reserve" not in stage.files
    stage.disk.capacity = None
    stage.clock.at_ms += reserve.RESERVE_RETRY_MS
    stage.housekeep(3)
    assert len(stage.disk.content(PATH)["reserve"]) == 8_000


def test_the_reserve_grows_with_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter larger than the last one, within bounds."""
    monkeypatch.setattr(reserve, "MOST_RESERVE_BYTES", 1_500)
    stage = Stage()
    stage.write(500)
    stage.engine.request_checkpoint()
    stage.housekeep(4)
    checkpoint = stage.manifest.current.checkpoint
    assert checkpoint is not None
    assert len(stage.disk.content(PATH)["reserve"]) == checkpoint.length * 5 // 4
    for _ in range(20):
        stage.write(500)
    stage.engine.request_checkpoint()
    stage.housekeep(4)
    assert len(stage.disk.content(PATH)["reserve"]) == 1_500


def test_a_stop_takes_in_what_was_done(queued: Stage) -> None:
    """A segment that was prepared when the stop came is in the manifest and is closed."""
    while not queued.background.waiting:  # type: ignore[attr-defined]
        queued.write()
        queued.engine.housekeep(1)
    queued.engine.close()
    assert queued.disk.open_descriptors == []
    assert len(queued.manifest.current.segments) == 2
    again = opened(queued.disk)
    assert state_of(again) == state_of(queued.engine)


def test_the_engine_says_when_it_has_nothing_to_do(stage: Stage) -> None:
    """So that an embedded store need not be looked after a hundred times a second."""
    engine: Engine = stage.engine
    engine.databases[0].keyspace.put(b"k", b"v")
    assert not engine.at_rest
    engine.end_turn()
    engine.sync()
    assert not engine.at_rest  # a mark is due
    stage.housekeep(6)
    assert engine.at_rest
    engine.request_checkpoint()
    assert not engine.at_rest
    stage.housekeep(8)
    assert engine.at_rest
