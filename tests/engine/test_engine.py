"""One open store: turns, what is durable, expiry, flushes, refusals, watches, its end."""

from __future__ import annotations

import errno
from pathlib import Path
from random import Random

import pytest
from simulated_disk import Fault, SimulatedDisk
from stores import PATH, SMALL, START_MS, HandClock, Reader, opened, state_of
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine import operations as op
from keystead.engine.engine import DISK_FULL, OUT_OF_MEMORY, Engine, Options
from keystead.engine.files import LOCK_NAME
from keystead.engine.format import COMMIT, FILE_HEADER, MARK, frames
from keystead.engine.keyspace import SHARDS
from keystead.engine.operations import SYSTEM, Author, decode_entries
from keystead.errors import DiskFailure


@pytest.fixture
def disk() -> SimulatedDisk:
    """An empty disk."""
    return SimulatedDisk(EMPTY_DISK)


@pytest.fixture
def clock() -> HandClock:
    """The machine's clock."""
    return HandClock()


@pytest.fixture
def engine(small_sizes: None, disk: SimulatedDisk, clock: HandClock) -> Engine:  # noqa: ARG001
    """A new store."""
    return opened(disk, SMALL, clock)


class Session:
    """Somebody who watches."""

    def __init__(self) -> None:
        self.dirty = False


def logged(disk: SimulatedDisk) -> list[list[op.Entry]]:
    """The entries of each commit frame of the first segment."""
    files = disk.content(PATH)
    record = manifests.parse(files["MANIFEST"], "").generations[0].segments[0]
    data = memoryview(files[record.file])
    found = frames(int(record.salt, 16), data, FILE_HEADER.size)
    return [decode_entries(frame.payload) for frame in found if frame.kind == COMMIT]


# --- Turns ----------------------------------------------------------------------------------------------------------


def test_a_turn_is_one_frame_and_durable_after_its_sync(engine: Engine, disk: SimulatedDisk) -> None:
    """Rules 2 and 3."""
    keyspace = engine.databases[0].keyspace
    assert (engine.open_turn, engine.appended_turn, engine.durable_turn) == (1, 0, 0)
    assert engine.end_turn() == 0  # nothing was recorded
    keyspace.put(b"a", b"1")
    keyspace.put(b"b", b"2")
    assert engine.end_turn() == 1
    assert (engine.open_turn, engine.appended_turn, engine.durable_turn) == (2, 1, 0)
    assert len(logged(disk)) == 1
    engine.sync()
    assert engine.durable_turn == 1
    assert engine.log.next_sequence == 3
    assert engine.begin_sync() is None
    engine.sync()
    assert engine.info().syncs == 1  # counted twice once


def test_nothing_is_acknowledged_that_was_appended_after_the_sync_began(engine: Engine) -> None:
    """Rule 3."""
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"a", b"1")
    engine.end_turn()
    ticket = engine.begin_sync()
    assert ticket is not None
    keyspace.put(b"b", b"2")
    engine.end_turn()
    assert engine.durable_turn == 0
    engine.log.sync(ticket)
    engine.finish_sync(ticket)
    assert engine.durable_turn == 1
    assert keyspace.read(b"b", Reader()) is None


@pytest.mark.usefixtures("few_shards")
@pytest.mark.parametrize("fsync", ["never", "interval"])
def test_without_fsync_always_a_turn_counts_as_durable_when_it_is_appended(disk: SimulatedDisk, fsync: str) -> None:
    """That is the choice: nobody waits, and nothing is hidden."""
    engine = opened(disk, SMALL._replace(fsync=fsync))  # type: ignore[arg-type]
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"a", b"1")
    engine.end_turn()
    assert engine.durable_turn == 1
    assert keyspace.read(b"a", Reader()) == b"1"
    engine.flush(engine.databases[0])
    assert engine.databases[0].keyspace.read(b"a", Reader()) == b"1"
    engine.end_turn()
    assert engine.databases[0].keyspace.read(b"a", Reader()) is None
    engine.sync()
    assert engine.log.durable_position == engine.log.position


def test_a_choice_of_less_durability_lets_go_who_waits(engine: Engine) -> None:
    """CONFIG SET appendfsync."""
    engine.databases[0].keyspace.put(b"a", b"1")
    engine.end_turn()
    assert engine.durable_turn == 0
    engine.configure(SMALL._replace(fsync="never"))
    assert engine.durable_turn == 1
    engine.configure(SMALL)
    engine.databases[0].keyspace.put(b"a", b"2")
    engine.end_turn()
    assert engine.durable_turn == 1
    engine.sync()
    assert engine.durable_turn == 2


def test_a_group_is_all_there_or_not_at_all(engine: Engine, disk: SimulatedDisk) -> None:
    """Rule 2, with a transaction that travels in parts: whatever the crash."""
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"before", b"")
    engine.end_turn()
    engine.sync()
    images = set()
    random = Random(4)
    disk.after = lambda _: images.update(disk.crash_states(random, 100))
    start = len(engine.ops)
    keyspace.put(b"large", bytes(400))
    engine.databases[1].keyspace.put(b"other", bytes(200))
    keyspace.delete(b"before")
    engine.end_group(start)
    engine.end_turn()
    engine.sync()
    disk.after = lambda _: None
    found = {
        tuple(tuple(sorted(database)) for database in state_of(opened(SimulatedDisk(image)))[:2]) for image in images
    }
    assert found == {((b"before",), ()), ((b"large",), (b"other",))}


def test_authors_and_commit_times_are_logged(engine: Engine, disk: SimulatedDisk, clock: HandClock) -> None:
    """For "who changed this"; expiry is the store's own doing."""
    ada = Author("ada", "console")
    engine.author = ada
    engine.databases[0].keyspace.put(b"a", b"1", START_MS + 10)
    engine.end_turn()
    clock.at_ms += 20
    for _ in range(10):
        engine.housekeep(1)
    engine.end_turn()
    engine.databases[0].keyspace.put(b"b", b"1")
    engine.end_turn()
    assert [entries[0] for entries in logged(disk)] == [ada, SYSTEM, ada]
    assert logged(disk)[1][:2] == [SYSTEM, op.Expired(0, b"a")]
    data = memoryview(disk.content(PATH)["segment-0000000001.log"])
    times = [frame.time_ms for frame in frames(engine.log.segment.salt, data, FILE_HEADER.size)]
    assert times == [START_MS, START_MS + 20, START_MS + 20]


@pytest.mark.usefixtures("few_shards")
def test_store_time_never_goes_back_across_restarts(disk: SimulatedDisk, clock: HandClock) -> None:
    """Rule 1. Found by reading: the time of the mark at a clean stop was forgotten, so commit times could decrease."""
    engine = opened(disk, SMALL, clock)
    engine.databases[0].keyspace.put(b"a", b"1", START_MS + 5_000)
    engine.end_turn()
    engine.sync()
    clock.at_ms += 4_000
    engine.housekeep(1)
    engine.end_turn()
    engine.close()
    clock.at_ms -= 1_000_000
    engine = opened(disk, SMALL, clock)
    assert engine.clock.now_ms == START_MS + 4_000
    engine.databases[0].keyspace.put(b"b", b"1")
    engine.end_turn()
    engine.close()
    data = memoryview(disk.content(PATH)["segment-0000000001.log"])
    times = [frame.time_ms for frame in frames(engine.log.segment.salt, data, FILE_HEADER.size)]
    assert times == sorted(times)
    assert len(times) == 4


# --- Expiry and flushes in slices (rule 11) -------------------------------------------------------------------------


def test_every_expired_key_is_found_within_a_bounded_number_of_steps(disk: SimulatedDisk, clock: HandClock) -> None:
    """Each step looks at a fiftieth of the shards: about five seconds for all of them at ten steps a second."""
    engine = opened(disk, Options(), clock)
    for i in range(5_000):
        engine.databases[i % 16].keyspace.put(b"%d" % i, b"", START_MS + 10)
    engine.end_turn()
    clock.at_ms += 10
    most = 0
    for _ in range(60):
        before = engine.expired_keys
        engine.housekeep(10)
        engine.end_turn()
        most = max(most, engine.expired_keys - before)
    assert engine.expired_keys == engine.info().expired_keys == 5_000
    assert engine.info().keys == 0
    assert most < 500


def test_a_million_keys_that_expire_at_once_expire_a_few_at_a_time(engine: Engine, clock: HandClock) -> None:
    """One shard gives up two hundred a step, no more."""
    for i in range(5_000):
        engine.databases[0].keyspace.put(b"%d" % i, b"", START_MS + 10)
    engine.end_turn()
    clock.at_ms += 10
    steps = 0
    while engine.info().keys:
        before = engine.expired_keys
        engine.housekeep(1)
        assert engine.expired_keys - before <= 200
        assert steps < 100
        engine.end_turn()
        steps += 1
    assert steps >= 25


def test_a_step_of_expiry_ends_with_its_budget(disk: SimulatedDisk, clock: HandClock) -> None:
    """At a million expiring keys a fiftieth of the shards has twenty thousand: they are looked at in several steps."""
    engine = opened(disk, Options(), clock)
    keyspace = engine.databases[0].keyspace
    for i in range(5_000):
        keyspace.put(b"%d" % i, b"", START_MS + 10)
    engine.end_turn()
    clock.at_ms += 10
    largest_shard = max(len(expires.slots) for expires in keyspace.expires if expires is not None)
    engine.housekeep(0)
    assert 0 < engine.expired_keys <= largest_shard


def test_expiry_can_be_switched_off(engine: Engine, clock: HandClock) -> None:
    """DEBUG SET-ACTIVE-EXPIRE 0: keys are absent all the same."""
    engine.databases[0].keyspace.put(b"a", b"", START_MS + 10)
    engine.end_turn()
    engine.active_expire = False
    clock.at_ms += 10
    for _ in range(20):
        engine.housekeep(1)
    assert engine.info().keys == 1
    assert engine.databases[0].keyspace.get(b"a") is None


def test_a_flush_is_one_operation_and_memory_is_freed_in_slices(disk: SimulatedDisk) -> None:
    """Rules 1 and 11: at any number of keys."""
    engine = opened(disk, Options())
    for i in range(3_000):
        engine.databases[0].keyspace.put(b"%d" % i, b"v")
    engine.end_turn()
    engine.sync()
    old = engine.databases[0].keyspace
    engine.flush(engine.databases[0])
    assert engine.ops == [(op.BIND, 0, 16)]
    assert len(engine.databases[0].keyspace) == 0
    assert engine.databases[0].keyspace.read(b"7", Reader()) == b"v"
    engine.end_turn()
    engine.housekeep(0)
    assert len(old) == 3_000  # others are still shown it
    engine.sync()
    assert engine.databases[0].keyspace.read(b"7", Reader()) is None
    assert engine.pending_frees > SHARDS // 2
    engine.housekeep(0)
    assert engine.pending_frees  # without time nothing is freed
    engine.housekeep(1_000)
    assert not engine.pending_frees
    assert engine.used_bytes() == 0


def test_flushing_what_is_empty_is_no_operation(engine: Engine) -> None:
    """FLUSHALL of sixteen databases binds those that have keys, as one transaction."""
    engine.flush_all()
    assert engine.ops == []
    for number in (3, 5):
        engine.databases[number].keyspace.put(b"k", b"")
    engine.end_turn()
    engine.flush_all()
    assert engine.ops == [(op.BIND, 3, 16), (op.BIND, 5, 17)]
    sequence = engine.log.next_sequence
    engine.end_turn()
    assert engine.log.next_sequence == sequence + 1


@pytest.mark.usefixtures("few_shards")
def test_keyspace_ids_are_never_used_again(disk: SimulatedDisk) -> None:
    """Rule 1: history tells a flushed keyspace from the one after it."""
    ids = []
    for _ in range(3):
        engine = opened(disk)
        for _ in range(2):
            engine.databases[0].keyspace.put(b"k", b"")
            engine.flush(engine.databases[0])
            ids.append(engine.databases[0].keyspace.id)
        engine.end_turn()
        engine.request_checkpoint()
        engine.sync()
        engine.housekeep(1)
        engine.close()
    assert ids == [16, 17, 18, 19, 20, 21]


def test_swapping_a_database_with_itself_is_nothing(engine: Engine) -> None:
    """And with another one a transaction of two binds."""
    engine.swap(engine.databases[0], engine.databases[0])
    assert engine.ops == []
    engine.swap(engine.databases[0], engine.databases[1])
    assert engine.ops == [(op.BIND, 0, 1), (op.BIND, 1, 0)]
    engine.end_turn()
    assert engine.log.next_sequence == 2


# --- Watches --------------------------------------------------------------------------------------------------------


def test_a_flush_tells_the_watchers_of_keys_that_existed(engine: Engine) -> None:
    """As Redis has it: an absent key was not changed by FLUSHDB."""
    there, absent = Session(), Session()
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"k", b"")
    keyspace.watch(b"k", there)
    keyspace.watch(b"none", absent)
    engine.flush(engine.databases[0])
    assert (there.dirty, absent.dirty) == (True, False)
    engine.databases[0].keyspace.put(b"none", b"")
    assert absent.dirty


def test_a_swap_tells_watchers_and_leaves_the_watches_with_the_database() -> None:
    """Found by reading: they were exchanged twice, so a watch went away with the keyspace."""
    engine = opened(SimulatedDisk(EMPTY_DISK))
    zero, one = engine.databases[:2]
    one.keyspace.put(b"in one", b"")
    changed, untouched = Session(), Session()
    zero.keyspace.watch(b"in one", changed)
    zero.keyspace.watch(b"later", untouched)
    engine.swap(zero, one)
    assert (changed.dirty, untouched.dirty) == (True, False)
    one.keyspace.put(b"later", b"")
    assert not untouched.dirty
    zero.keyspace.put(b"later", b"")
    assert untouched.dirty


# --- Refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_shards")
def test_above_maxmemory_changes_that_grow_data_are_refused_until_it_shrinks(disk: SimulatedDisk) -> None:
    """And whoever asked to be told is told, once each way."""
    engine = opened(disk, SMALL._replace(maxmemory=20_000))
    told: list[str | None] = []
    engine.on_refusal_change = lambda: told.append(engine.refusal)
    keyspace = engine.databases[0].keyspace
    for i in range(50):
        keyspace.put(b"%d" % i, bytes(300))
    engine.end_turn()
    engine.housekeep(1)
    assert engine.refusal == OUT_OF_MEMORY
    assert OUT_OF_MEMORY.startswith("OOM ")
    again = opened(SimulatedDisk(disk.everything()), SMALL._replace(maxmemory=20_000))
    assert again.refusal == OUT_OF_MEMORY
    for i in range(30):
        keyspace.delete(b"%d" % i)
    engine.end_turn()
    engine.housekeep(1)
    engine.housekeep(1)
    assert told == [OUT_OF_MEMORY, None]
    engine.configure(SMALL._replace(maxmemory=1))
    assert engine.refusal == OUT_OF_MEMORY
    engine.configure(SMALL)
    assert engine.refusal is None


def test_memory_is_looked_at_between_two_steps_too(disk: SimulatedDisk) -> None:
    """A client that writes a gigabyte between two steps of housekeeping must not get through."""
    engine = opened(disk, Options(maxmemory=1 << 20))
    for i in range(20):
        engine.databases[0].keyspace.put(b"%d" % i, bytes(100_000))
        engine.end_turn()
        if engine.refusal:
            break
    assert engine.refusal == OUT_OF_MEMORY
    assert engine.used_bytes() < (1 << 20) + 500_000


def test_on_a_full_disk_growth_is_refused_and_deletes_go_on(engine: Engine, disk: SimulatedDisk) -> None:
    """Rule 6; it ends by itself."""
    keyspace = engine.databases[0].keyspace
    for i in range(5):
        keyspace.put(b"%d" % i, b"")
    engine.end_turn()
    engine.sync()
    told: list[str | None] = []
    engine.on_refusal_change = lambda: told.append(engine.refusal)
    disk.fill()
    while engine.refusal is None:
        keyspace.put(b"k", b"v")
        engine.end_turn()
        engine.sync()
    assert engine.refusal == DISK_FULL
    assert DISK_FULL.startswith("MISCONF ")
    assert engine.durable_turn == engine.open_turn - 1
    keyspace.delete(b"0")
    engine.end_turn()
    engine.sync()
    assert engine.durable_turn == engine.open_turn - 1
    engine.housekeep(1)
    assert engine.refusal == DISK_FULL
    disk.capacity = None
    engine.housekeep(1)
    assert told == [DISK_FULL, None]


def test_a_turn_that_meets_a_full_disk_is_held_and_then_acknowledged(engine: Engine, disk: SimulatedDisk) -> None:
    """Rule 6: nothing is rolled back; strangers are shown what is durable; those who wait are let go when it is."""
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"k", b"old")
    engine.end_turn()
    engine.sync()
    durable = engine.durable_turn
    disk.fill()
    keyspace.put(b"k", bytes(5_000))
    turn = engine.end_turn()
    assert (engine.appended_turn, engine.refusal) == (turn - 1, DISK_FULL)
    engine.sync()
    engine.housekeep(1)
    assert engine.durable_turn == durable
    assert keyspace.get(b"k") == bytes(5_000)
    assert keyspace.read(b"k", Reader()) == b"old"
    keyspace.delete(b"k")
    last = engine.end_turn()
    disk.capacity = None
    engine.housekeep(1)
    assert engine.appended_turn == last
    assert engine.refusal is None
    engine.sync()
    assert engine.durable_turn == last
    assert keyspace.read(b"k", Reader()) is None
    assert state_of(opened(SimulatedDisk(disk.synced()))) == state_of(engine)


def test_room_is_asked_for_before_a_large_change(engine: Engine, disk: SimulatedDisk) -> None:
    """A value larger than the reserve must be refused before it touches memory."""
    assert engine.log.has_room(5_000)
    disk.fill()
    assert not engine.log.has_room(50_000)


# --- Failures and ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_failed_sync_is_final(engine: Engine, disk: SimulatedDisk, error: int) -> None:
    """Rule 5: it is not tried again on that descriptor, and nothing is acknowledged afterwards."""
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"k", b"v")
    engine.end_turn()
    disk.calls = 0
    disk.fault = Fault(1, error, only=("sync",))
    with pytest.raises(DiskFailure, match="syncing"):
        engine.sync()
    for action in (engine.sync, engine.begin_sync, lambda: engine.housekeep(1)):
        with pytest.raises(DiskFailure):
            action()
    keyspace.put(b"k", b"w")
    with pytest.raises(DiskFailure):
        engine.end_turn()
    assert disk.calls == 1
    assert engine.durable_turn == 0
    assert keyspace.read(b"k", Reader()) is None
    engine.close()
    assert disk.calls == 1
    assert disk.open_descriptors == []


def test_a_sync_that_ends_after_a_failure_elsewhere_acknowledges_nothing(engine: Engine) -> None:
    """Found by reading: a helper's late success would have advanced what is durable."""
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.end_turn()
    ticket = engine.begin_sync()
    assert ticket is not None
    engine.failed = DiskFailure("the disk is gone")
    with pytest.raises(DiskFailure):
        engine.finish_sync(ticket)
    assert engine.durable_turn == 0


def test_two_syncs_at_once_are_a_mistake_of_the_caller(engine: Engine) -> None:
    """The before-images of the first would be lost."""
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.end_turn()
    assert engine.begin_sync() is not None
    engine.databases[0].keyspace.put(b"k", b"w")
    engine.end_turn()
    with pytest.raises(AssertionError):
        engine.begin_sync()


def test_a_clean_stop_leaves_a_mark_and_lets_everything_go(engine: Engine, disk: SimulatedDisk) -> None:
    """Rule 7; what was recorded is committed; twice is once."""
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.close()
    engine.close()
    assert disk.open_descriptors == []
    files = disk.synced().files(PATH)
    record = manifests.parse(files["MANIFEST"], "").current.segments[0]
    *_, last = frames(int(record.salt, 16), memoryview(files[record.file]), FILE_HEADER.size)
    assert last.kind == MARK
    assert last.durable_position == last.offset
    assert opened(disk).databases[0].keyspace.get(b"k") == b"v"


def test_a_stop_holds_the_directory_until_everything_is_written(engine: Engine, disk: SimulatedDisk) -> None:
    """Rule 9: whoever opens it next must find the whole log."""
    engine.databases[0].keyspace.put(b"k", b"v")
    held: list[tuple[str, bool]] = []
    disk.after = lambda call: held.append((call, f"{PATH}/{LOCK_NAME}" in disk.open_descriptors))
    engine.close()
    assert ("sync", True) in held
    assert all(locked for _, locked in held)


def test_a_stop_on_a_full_disk_loses_nothing_that_was_acknowledged(engine: Engine, disk: SimulatedDisk) -> None:
    """What was held was never acknowledged."""
    engine.databases[0].keyspace.put(b"k", b"old")
    engine.end_turn()
    engine.sync()
    disk.fill()
    engine.databases[0].keyspace.put(b"k", bytes(5_000))
    engine.end_turn()
    engine.close()
    assert disk.open_descriptors == []
    disk.capacity = None
    assert opened(disk).databases[0].keyspace.get(b"k") == b"old"


def test_the_index_is_built_in_housekeeping_and_follows_flush_and_swap(engine: Engine) -> None:
    """Found by reading: after FLUSHDB every question to the index failed, for nobody had built that of no keys."""
    zero, one = engine.databases[:2]
    for i in range(2_000):
        zero.keyspace.put(b"%04d" % i, b"")
    engine.build_index()
    engine.housekeep(0)
    assert zero.keyspace.index is not None
    assert not zero.keyspace.index.ready  # without time nothing is built (rule 11)
    for _ in range(1_000):
        engine.housekeep(1)
        if zero.keyspace.index.ready:
            break
    assert len(zero.keyspace.index) == 2_000
    engine.swap(zero, one)
    assert one.keyspace.index is not None
    assert len(one.keyspace.index) == 2_000
    engine.flush(one)
    one.keyspace.put(b"new", b"")
    assert one.keyspace.index.range() == [b"new"]


def test_info_says_what_is(engine: Engine, disk: SimulatedDisk) -> None:
    """The figures that INFO and metrics show."""
    engine.databases[0].keyspace.put(b"k", b"v" * 50)
    engine.end_turn()
    before = engine.info()
    assert (before.keys, before.syncs, before.next_sequence) == (1, 0, 2)
    assert before.log_position > before.durable_position
    engine.sync()
    engine.request_checkpoint()
    engine.housekeep(1)
    engine.sync()
    after = engine.info()
    files = disk.content(PATH)
    assert after.durable_position == after.log_position
    assert after.checkpoint_bytes == len(files["checkpoint-0000000001.ckp"])
    assert after.generations == 2
    assert after.stored_bytes == after.checkpoint_bytes + after.log_position
    assert after.torn_bytes == 0
    assert after.used_bytes == engine.used_bytes() > 50


def test_everything_survives_a_real_restart(tmp_path: Path) -> None:
    """On the real system: every kind of operation, patches and parts included."""
    engine = Engine.open(str(tmp_path))
    keyspace = engine.databases[3].keyspace
    keyspace.put(b"large", b"x" * (3 << 20))
    keyspace.put(b"expiring", b"v", engine.clock.now_ms + 10**8)
    keyspace.patch(b"large", 1 << 20, b"patched")
    engine.end_turn()
    engine.sync()
    expected = state_of(engine)
    engine.close()
    again = Engine.open(str(tmp_path))
    assert state_of(again) == expected
    again.close()
