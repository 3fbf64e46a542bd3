"""Backups of a store in whatever state it is: what gets there, what is not copied again, and crashes on the way."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from random import Random

import pytest
from simulated_disk import Fault, Image, SimulatedDisk
from stores import PATH, SMALL, HandClock, QueuedBackground, State, opened, state_of
from workload import EMPTY_DISK

from backup.lives import AWAY, RecordedLife, away, back_up, newest, restored
from keystead.backup.cutting import Until
from keystead.backup.failures import Damage, DamagedBackup, MomentNotKept, PlaceFailure, WrongRepository
from keystead.backup.folder import Folder
from keystead.backup.repository import Repository
from keystead.backup.restoring import restore
from keystead.backup.snapshots import Part, Snapshot
from keystead.backup.sources import SnapshotSource, snapshot_for
from keystead.backup.taking import GRACE_MS, HEARTBEAT_MS, Taking, merged
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.format import MARK, frames
from keystead.errors import DamagedData

Seed = Callable[[int], Random]
pytestmark = pytest.mark.usefixtures("small_sizes")


def put(engine: Engine, *keys: bytes, value: bytes = b"v", sync: bool = True) -> None:
    """One transaction a key, each in a turn of its own."""
    for key in keys:
        engine.databases[0].keyspace.put(key, value)
        engine.end_turn()
        if sync:
            engine.sync()


def checkpoint(engine: Engine) -> None:
    engine.request_checkpoint()
    while engine.maintenance.working:
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()


def started() -> tuple[SimulatedDisk, Engine]:
    disk = SimulatedDisk(EMPTY_DISK)
    return disk, opened(disk)


def test_a_store_that_is_being_written_to_is_backed_up_and_goes_on() -> None:
    disk, engine = started()
    _, repository = away()
    put(engine, b"a", b"b")
    assert back_up(disk, repository) == 2
    put(engine, b"c")
    assert restored(newest(repository))[0] == 2
    assert back_up(disk, repository) == 3
    assert restored(newest(repository)) == (3, state_of(engine))


def test_what_is_appended_but_not_yet_synced_is_made_durable_before_it_is_in_a_backup() -> None:
    disk, engine = started()
    _, repository = away()
    put(engine, b"a")
    put(engine, b"b", sync=False)
    assert back_up(disk, repository) == 2
    after_a_power_cut = opened(SimulatedDisk(disk.synced()))
    assert state_of(after_a_power_cut) == state_of(engine)


def test_a_new_store_without_a_transaction_can_be_backed_up_and_restored() -> None:
    disk, engine = started()
    _, repository = away()
    assert back_up(disk, repository) == 0
    assert restored(newest(repository)) == (0, state_of(engine))


def test_a_restored_store_that_was_never_started_can_be_backed_up() -> None:
    disk, engine = started()
    put(engine, b"a", b"b")
    engine.close()
    _, repository = away()
    back_up(disk, repository)
    back = SimulatedDisk(Image.of({"/home": {}}))
    restore(newest(repository), PATH, system=back)
    _, other = away()
    assert back_up(back, other) == 2
    assert restored(newest(other))[1] == state_of(opened(back))


def test_a_sealed_file_is_copied_once() -> None:
    disk, engine = started()
    away_disk, repository = away()
    for number in range(40):
        put(engine, b"%d" % number, value=b"x" * 50)
        engine.housekeep(1)
    back_up(disk, repository)
    put(engine, b"another")
    away_disk.trace = []
    back_up(disk, repository)
    puts = {call for call in away_disk.trace if call.startswith("pwrite") and "/objects/" in call}
    assert len(puts) == 1
    assert len(repository.objects()) > 3


def test_a_backup_of_a_store_that_has_not_changed_has_the_same_digest_without_reading_it_again() -> None:
    disk, engine = started()
    put(engine, *[b"%d" % number for number in range(20)])
    checkpoint(engine)
    _, repository = away()
    back_up(disk, repository)
    disk.trace = []
    back_up(disk, repository)
    first, second = repository.snapshots()
    assert first.digest == second.digest != ""
    assert not [call for call in disk.trace if call.startswith("pread") and "checkpoint" in call]
    put(engine, b"another")
    back_up(disk, repository)
    assert repository.snapshots()[-1].digest not in ("", first.digest)


def test_marks_of_an_idle_log_are_not_shipped() -> None:
    disk, engine = started()
    _, repository = away()
    put(engine, b"a")
    back_up(disk, repository)
    before = repository.objects()
    for _ in range(10):
        engine.housekeep(1)
        engine.sync()
    data = memoryview(disk.content(PATH)["segment-0000000001.log"])
    assert any(frame.kind == MARK for frame in frames(engine.log.segment.salt, data, 64))
    back_up(disk, repository)
    assert repository.objects() == before


def test_files_that_retention_drops_while_they_are_copied_are_in_the_backup_all_the_same() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    clock = HandClock()
    engine = opened(disk, SMALL._replace(history_max_age_ms=0, history_max_bytes=0), clock)
    for number in range(30):
        put(engine, b"%d" % number, value=b"x" * 30)
        engine.housekeep(1)
    state = state_of(engine)

    class SlowFolder(Folder):
        """While the first object travels, the store makes a checkpoint and drops all there was."""

        dropped = False

        def put(self, name: str, chunks: Iterable[bytes]) -> None:
            if name.startswith("objects/") and not self.dropped:
                self.dropped = True
                names = {name for name in disk.content(PATH) if name.startswith("segment-")}
                assert len(names) > 2
                checkpoint(engine)
                clock.at_ms += 10_000
                put(engine, b"later")
                checkpoint(engine)
                assert not names & disk.content(PATH).keys()
            super().put(name, chunks)

    repository = Repository(SlowFolder(AWAY, SimulatedDisk(Image.of({"/away": {}}))))
    assert back_up(disk, repository) == 30
    assert restored(newest(repository)) == (30, state)


def test_a_file_that_is_dropped_before_it_is_linked_is_copied() -> None:
    disk = SimulatedDisk(Image.of({"/home": {}, "/away": {}}))
    clock = HandClock()
    engine = opened(disk, SMALL._replace(history_max_age_ms=0, history_max_bytes=0), clock)
    for number in range(30):
        put(engine, b"%d" % number, value=b"x" * 30)
        engine.housekeep(1)
    state = state_of(engine)

    class SlowFolder(Folder):
        """Before the first link is made, the store drops all there was."""

        links = 0

        def link(self, name: str, source: str) -> None:
            if not self.links:
                checkpoint(engine)
                clock.at_ms += 10_000
                put(engine, b"later")
                checkpoint(engine)
            self.links += 1
            super().link(name, source)

    folder = SlowFolder(AWAY, disk)
    taking = Taking(Directory(PATH, disk), Repository(folder), link=True)
    assert taking.take(with_digest=True).sequence == 30
    assert folder.links > 1
    assert restored(newest(Repository(folder))) == (30, state)


def test_another_stores_backups_are_not_mixed_in() -> None:
    disk, engine = started()
    put(engine, b"a")
    _, repository = away()
    back_up(disk, repository)
    with pytest.raises(WrongRepository, match="holds backups of another store"):
        back_up(started()[0], repository)


def test_a_sealed_file_that_is_damaged_in_the_store_is_named_and_does_not_get_into_the_backup() -> None:
    disk, engine = started()
    put(engine, *[b"%d" % number for number in range(20)])
    checkpoint(engine)
    engine.close()
    content = disk.content(PATH)
    name = min(content, key=lambda name: not name.startswith("checkpoint"))
    content[name] = content[name][:-9] + b"\xff" + content[name][-8:]
    _, repository = away()
    with pytest.raises(DamagedData, match=name):
        back_up(SimulatedDisk(Image.of({PATH: content})), repository)
    assert repository.snapshots() == []
    assert not [stored for stored in repository.objects() if name.partition(".")[0] in stored]


def test_damage_in_the_growing_end_of_the_log_is_named_and_not_taken_for_its_end() -> None:
    disk, engine = started()
    put(engine, b"a", b"b", b"c", b"d")
    content = disk.content(PATH)
    segment = bytearray(content["segment-0000000001.log"])
    first = next(frames(engine.log.segment.salt, memoryview(segment), 64))
    segment[first.end + 50] ^= 1
    content["segment-0000000001.log"] = bytes(segment)
    _, repository = away()
    with pytest.raises(DamagedData, match=r"at byte \d+: .* a later frame proves that it was durable"):
        back_up(SimulatedDisk(Image.of({PATH: content})), repository)


def test_a_frame_that_is_half_written_is_left_out() -> None:
    disk, engine = started()
    put(engine, b"a", b"b")
    content = disk.content(PATH)
    segment = bytearray(content["segment-0000000001.log"])
    end = engine.log.segment.end
    segment[end : end + 20] = b"\1" * 20
    content["segment-0000000001.log"] = bytes(segment)
    _, repository = away()
    assert back_up(SimulatedDisk(Image.of({PATH: content})), repository) == 2


def lived(seeded: Seed) -> tuple[RecordedLife, SimulatedDisk, SimulatedDisk]:
    """A store, a repository with a backup of it, and the store some time later."""
    life = RecordedLife(seeded(7))
    life.open()
    life.run(25)
    away_disk, repository = away()
    back_up(life.disk, repository)
    life.run(25)
    return life, life.disk, away_disk


def usable(image: Image, life: RecordedLife, store: SimulatedDisk) -> None:
    """Every snapshot there is can be restored, and the next backup is as good as if nothing had happened."""
    disk = SimulatedDisk(image)
    repository = Repository(Folder(AWAY, disk))
    for snapshot in repository.snapshots():
        sequence, state = restored(SnapshotSource(repository, snapshot))
        assert state == life.states[sequence]
    last = back_up(store, repository)
    assert restored(newest(repository)) == (last, life.states[last])
    named = {name for snapshot in repository.snapshots() for name in snapshot.objects()}
    assert repository.objects().keys() == named, "nothing is left over"
    assert not [name for name in disk.content(f"{AWAY}/objects") if name.endswith(".partial")]


def test_power_lost_at_any_moment_of_a_backup_leaves_the_repository_usable(seeded: Seed) -> None:
    life, store, away_disk = lived(seeded)
    random = Random(1)
    caught: dict[Image, str] = {}

    def catch(call: str) -> None:
        for image in away_disk.crash_states(random, 2):
            caught.setdefault(image, call)

    away_disk.after = catch
    back_up(store, Repository(Folder(AWAY, away_disk)))
    assert len(caught) > 15
    for image in caught:
        usable(image, life, store)


def test_a_call_that_fails_at_any_moment_of_a_backup_leaves_the_repository_usable(seeded: Seed) -> None:
    life, store, away_disk = lived(seeded)
    before = away_disk.everything()
    failed = 0
    for call in range(1, 500):
        disk = SimulatedDisk(before)
        disk.fault = Fault(call, errno.EIO)
        try:
            back_up(store, Repository(Folder(AWAY, disk)))
        except PlaceFailure:
            failed += 1
        if not disk.faults_met:
            break
        disk.fault = None
        usable(disk.everything(), life, store)
    assert failed > 20


def test_a_full_disk_of_the_backup_is_said_and_nothing_is_lost(seeded: Seed) -> None:
    life, store, away_disk = lived(seeded)
    away_disk.fill(100)
    with pytest.raises(PlaceFailure, match="No space left"):
        back_up(store, Repository(Folder(AWAY, away_disk)))
    away_disk.capacity = None
    usable(away_disk.everything(), life, store)


class Shipping:
    """A follower whose rounds the test makes."""

    def __init__(self, disk: SimulatedDisk, repository: Repository) -> None:
        self.now_ms = 1_700_000_100_000
        self.taking = Taking(Directory(PATH, disk), repository, now_ms=lambda: self.now_ms)
        self.taking.begin_snapshot()

    def round(self, after_ms: int = 500) -> Snapshot:
        self.now_ms += after_ms
        return self.taking.update()


def test_the_growing_end_is_shipped_bit_by_bit_and_every_round_can_be_restored() -> None:
    disk, engine = started()
    _, repository = away()
    shipping = Shipping(disk, repository)
    for number in range(60):
        put(engine, b"%d" % number)
        engine.housekeep(1)
        engine.sync()
        shipping.round()
        assert len(repository.snapshots()) == 1
        assert restored(newest(repository)) == (number + 1, state_of(engine))


def test_what_a_round_replaced_stays_for_whoever_is_restoring_it_and_goes_later() -> None:
    disk, engine = started()
    _, repository = away()
    shipping = Shipping(disk, repository)
    seen: list[tuple[int, Snapshot, State]] = []
    for number in range(60):
        put(engine, b"%d" % number)
        engine.housekeep(1)
        engine.sync()
        snapshot = shipping.round(GRACE_MS // 20)
        seen.append((shipping.now_ms, snapshot, state_of(engine)))
        for taken_ms, older, state in seen:
            if taken_ms > shipping.now_ms - GRACE_MS:
                assert restored(SnapshotSource(repository, older)) == (older.sequence, state)
    assert not seen[0][1].objects().keys() <= repository.objects().keys()
    put(engine, b"the last")
    shipping.round(GRACE_MS)
    put(engine, b"the very last")
    now = shipping.round(GRACE_MS)
    before = repository.objects()
    assert now.objects().keys() <= before.keys()
    shipping.taking.prune(None)
    assert repository.objects() == before, "nor is it swept away before its time"
    Taking(Directory(PATH, disk), repository).prune(None)
    assert repository.objects().keys() == now.objects().keys()


def test_a_snapshot_that_reaches_further_back_than_the_store_is_not_replaced() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    clock = HandClock()
    engine = opened(disk, SMALL._replace(history_max_age_ms=5_000), clock)
    _, repository = away()
    shipping = Shipping(disk, repository)
    states = {}
    for number in range(6):
        put(engine, b"%d" % number)
        states[number + 1] = state_of(engine)
        shipping.round()
        clock.at_ms += 2_000
        checkpoint(engine)
        engine.clock.refresh()
        engine.housekeep(1)
        shipping.round()
    snapshots = repository.snapshots()
    assert 1 < len(snapshots) < 6
    shipping.taking.prune(None)
    for sequence, state in states.items():
        until = Until(sequence)
        assert restored(SnapshotSource(repository, snapshot_for(snapshots, until)), until) == (sequence, state)
    with pytest.raises(MomentNotKept):
        restored(newest(repository), Until(1))


def test_parts_stay_few_and_each_byte_is_stored_a_few_times_only() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk, SMALL._replace(segment_bytes=1 << 22))
    _, repository = away()
    shipping = Shipping(disk, repository)
    for number in range(400):
        put(engine, b"%d" % number)
        shipping.round()
        (file,) = repository.snapshots()[0].files
        assert len(file.parts) <= 28
    assert shipping.taking.copied_bytes < 5 * engine.log.segment.end
    assert restored(newest(repository)) == (400, state_of(engine))


def test_a_sealed_segment_takes_the_place_of_its_parts() -> None:
    disk, engine = started()
    _, repository = away()
    shipping = Shipping(disk, repository)
    for number in range(10):
        put(engine, b"%d" % number)
        shipping.round()
    checkpoint(engine)
    shipping.round()
    files = {file.file: file.parts for file in repository.snapshots()[0].files}
    assert [len(parts) for parts in files.values()] == [1, 1]
    Taking(Directory(PATH, disk), repository).prune(None)
    assert len(repository.objects()) == 2


def test_a_follower_that_is_started_again_goes_on_where_the_last_one_ended() -> None:
    disk, engine = started()
    _, repository = away()
    first = Shipping(disk, repository)
    put(engine, *[b"%d" % number for number in range(5)], value=b"x" * 20)
    first.round()
    put(engine, b"another")
    second = Shipping(disk, repository)
    second.round()
    assert 0 < second.taking.copied_bytes < first.taking.copied_bytes
    assert restored(newest(repository)) == (6, state_of(engine))


def test_a_place_that_failed_and_came_back_empty_is_filled_again() -> None:
    disk, engine = started()
    away_disk, repository = away()
    shipping = Shipping(disk, repository)
    put(engine, *[b"%d" % number for number in range(20)])
    checkpoint(engine)
    put(engine, b"a")
    shipping.round()
    put(engine, b"b")
    away_disk.fault = Fault(1, errno.EIO, for_ever=True)
    with pytest.raises(PlaceFailure):
        shipping.round()
    away_disk.fault = None
    for name in repository.objects():
        repository.place.remove(name)
    shipping.round()
    assert restored(newest(repository)) == (22, state_of(engine))


def test_a_store_that_rests_is_written_down_again_now_and_then_only() -> None:
    disk, engine = started()
    away_disk, repository = away()
    shipping = Shipping(disk, repository)
    put(engine, b"a")
    taken_ms = shipping.round().taken_ms
    away_disk.trace = []
    shipping.round()
    assert away_disk.trace == []
    assert shipping.taking.looked_ms == taken_ms + 500
    shipping.round(HEARTBEAT_MS)
    assert repository.snapshots()[0].taken_ms == taken_ms + 500 + HEARTBEAT_MS


@pytest.mark.parametrize("number", range(6))
def test_a_follower_of_random_lives_has_what_was_acknowledged_when_it_last_looked(number: int, seeded: Seed) -> None:
    life = RecordedLife(seeded(number))
    life.open()
    _, repository = away()
    shipping = Shipping(life.disk, repository)
    life.spared = lambda: [file.descriptor for file in shipping.taking._watch.files._held.values()]
    for _ in range(50):
        life.run(1)
        if life.disk is not shipping.taking._directory.system:
            shipping = Shipping(life.disk, repository)  # it lived on the machine whose power was cut
        snapshot = shipping.round()
        sequence, state = restored(newest(repository))
        assert sequence == snapshot.sequence == life.engine_now.log.next_sequence - 1
        assert state == life.states[sequence]


def test_old_snapshots_are_pruned_with_what_only_they_named() -> None:
    disk, engine = started()
    _, repository = away()
    for number in range(4):
        put(engine, b"%d" % number)
        back_up(disk, repository)
    taking = Taking(Directory(PATH, disk), repository)
    assert taking.prune(2) == 2
    assert [snapshot.sequence for snapshot in repository.snapshots()] == [3, 4]
    assert repository.objects().keys() == {name for one in repository.snapshots() for name in one.objects()}
    assert restored(newest(repository)) == (4, state_of(engine))


def test_what_no_snapshot_names_is_swept_away_by_the_next_backup() -> None:
    disk, engine = started()
    put(engine, b"a")
    _, repository = away()
    repository.place.put("objects/stray", [b"left by a backup that was interrupted"])
    back_up(disk, repository)
    assert repository.objects().keys() == repository.snapshots()[0].objects().keys()


def test_beside_a_snapshot_that_cannot_be_read_another_is_taken_and_nothing_is_removed() -> None:
    disk, engine = started()
    away_disk, repository = away()
    put(engine, b"a")
    back_up(disk, repository)
    put(engine, b"b")
    back_up(disk, repository)
    name = repository.snapshots()[0].id
    content = away_disk.content(f"{AWAY}/snapshots")[f"{name}.json"]
    repository.place.put(f"snapshots/{name}.json", [content[:-10]])
    before = repository.objects()
    put(engine, b"c")
    with pytest.raises(DamagedBackup, match=name):
        back_up(disk, repository)
    damage: list[Damage] = []
    assert [snapshot.sequence for snapshot in repository.snapshots(damage)] == [2, 3]
    assert before.items() <= repository.objects().items()
    shipping = Shipping(disk, repository)
    shipping.round()
    put(engine, b"d")
    shipping.round()
    assert before.items() <= repository.objects().items()


@pytest.mark.parametrize(
    ("parts", "length", "taken"),
    [
        ([], 9, 0),
        ([9] * 6, 9, 0),
        ([9] * 7, 9, 7),
        ([9] * 6 + [900], 9, 0),
        ([900] + [9] * 7, 9, 7),
        ([70] * 7 + [9] * 7, 9, 14),
    ],
)
def test_small_parts_are_joined_with_what_follows(parts: list[int], length: int, taken: int) -> None:
    assert merged([Part("", part, "") for part in parts], length) == taken


def test_jobs_of_the_store_under_way_do_not_matter() -> None:
    """A segment that is full but not sealed yet, and the one after it, are both growing ends."""
    disk = SimulatedDisk(EMPTY_DISK)
    background = QueuedBackground()
    engine = opened(disk, background=background)
    _, repository = away()
    shipping = Shipping(disk, repository)
    for number in range(60):
        put(engine, b"%d" % number, value=b"x" * 30)
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()
        if number % 7 == 6:
            background.run()
        shipping.round()
        assert restored(newest(repository)) == (number + 1, state_of(engine))


def test_a_segment_that_ends_with_a_mark_and_is_not_sealed_yet_leads_to_the_next_one() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    background = QueuedBackground()
    engine = opened(disk, background=background)
    put(engine, b"a")
    for _ in range(10):
        engine.housekeep(1)
        engine.sync()
    assert engine.log.marked_position, "the log is idle, and says so"
    engine.request_checkpoint()
    while not engine.log.retired:
        background.run()
        engine.housekeep(1)
    put(engine, b"b")
    assert not [record for record in engine.maintenance.manifest.current.segments if record.length is not None]
    _, repository = away()
    assert back_up(disk, repository) == 2
    assert restored(newest(repository)) == (2, state_of(engine))
