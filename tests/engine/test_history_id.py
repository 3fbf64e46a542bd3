"""The history's id: in one history a sequence number never means anything else. See docs/format.md, "History id"."""

from __future__ import annotations

import errno
from random import Random

import pytest
from simulated_disk import Fault, SimulatedDisk
from stores import SMALL, QueuedBackground, opened
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.engine import Engine, Fsync, Options
from keystead.engine.files import Directory
from keystead.errors import DiskFailure

UNSYNCED: list[Fsync] = ["interval", "never"]


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(EMPTY_DISK)


def with_fsync(fsync: Fsync) -> Options:
    return SMALL._replace(fsync=fsync)


def put(engine: Engine, value: bytes = b"v") -> None:
    """A turn, made as durable as the engine's promises are."""
    engine.databases[0].keyspace.put(b"k", value)
    engine.end_turn()
    if engine.options.fsync == "always":
        engine.sync()
    assert engine.durable_turn == engine.open_turn - 1


def on_disk(disk: SimulatedDisk) -> manifests.Manifest:
    """What a power cut now would leave of the manifest."""
    manifest = manifests.load(Directory("/home/data", SimulatedDisk(disk.synced())))
    assert manifest is not None
    return manifest


def test_every_store_has_an_id_of_its_own() -> None:
    ids = {opened(SimulatedDisk(EMPTY_DISK)).history_id for _ in range(3)}
    assert len(ids) == 3
    assert {len(history) for history in ids} == {16}


def test_with_fsync_always_a_kill_and_a_power_cut_keep_it(disk: SimulatedDisk) -> None:
    """Nothing that anybody was told of can be lost."""
    engine = opened(disk)
    history = engine.history_id
    put(engine)
    assert not on_disk(disk).unsynced
    disk.kill()
    engine = opened(disk)
    assert engine.history_id == history
    put(engine)
    assert opened(SimulatedDisk(disk.crash_state(Random(1)))).history_id == history


@pytest.mark.parametrize("fsync", UNSYNCED)
def test_without_it_a_clean_stop_keeps_it_and_a_kill_does_not(disk: SimulatedDisk, fsync: Fsync) -> None:
    engine = opened(disk, with_fsync(fsync))
    history = engine.history_id
    assert on_disk(disk).unsynced, "known before anything is acknowledged"
    put(engine)
    engine.close()
    assert not on_disk(disk).unsynced
    engine = opened(disk, with_fsync(fsync))
    assert engine.history_id == history
    assert on_disk(disk).unsynced
    disk.kill()
    engine = opened(disk)
    assert engine.history_id != history
    assert not on_disk(disk).unsynced, "this process syncs before it acknowledges"
    changed = engine.history_id
    disk.kill()
    assert opened(disk).history_id == changed


def test_a_mark_at_the_end_of_the_log_is_no_proof(disk: SimulatedDisk) -> None:
    """It says what was durable before it, and not that nothing stood after it: that the power cut took."""
    engine = opened(disk, with_fsync("interval"))
    put(engine)
    engine.sync()
    engine.append_mark()
    engine.sync()
    history, told = engine.history_id, engine.log.next_sequence
    after_mark = disk.synced()
    put(engine)
    again = opened(SimulatedDisk(after_mark))
    assert again.log.next_sequence == told, "the number of the lost transaction comes again"
    assert again.history_id != history


def test_less_durability_is_given_only_when_the_manifest_knows(disk: SimulatedDisk) -> None:
    """CONFIG SET appendfsync; whoever waits for a sync goes on waiting meanwhile."""
    background = QueuedBackground()
    engine = opened(disk, background=background)
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.end_turn()
    engine.configure(with_fsync("never"))
    assert (engine.durable_turn, on_disk(disk).unsynced) == (0, False)
    assert not engine.at_rest
    background.run()
    assert (engine.durable_turn, on_disk(disk).unsynced) == (0, True)
    engine.housekeep(1)
    assert engine.durable_turn == 1
    background.stop()


def test_a_choice_that_is_taken_back_meanwhile_does_not_hold(disk: SimulatedDisk) -> None:
    background = QueuedBackground()
    engine = opened(disk, background=background)
    engine.configure(with_fsync("never"))
    engine.configure(SMALL)
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.end_turn()
    background.run()
    engine.housekeep(1)
    assert engine.durable_turn == 0
    background.stop()


@pytest.mark.parametrize("fsync", UNSYNCED)
def test_a_choice_made_while_running_counts_until_the_next_clean_stop(disk: SimulatedDisk, fsync: Fsync) -> None:
    engine = opened(disk)
    history = engine.history_id
    engine.configure(with_fsync(fsync))
    put(engine)
    engine.configure(SMALL)
    put(engine)
    assert opened(SimulatedDisk(disk.everything())).history_id != history
    engine.close()
    assert opened(disk).history_id == history


def test_a_stop_on_a_full_disk_proves_nothing(disk: SimulatedDisk) -> None:
    """The last sync could not be made, or the manifest could not be written: then the id changes."""
    engine = opened(disk, with_fsync("interval"))
    history = engine.history_id
    put(engine)
    disk.fill(0)
    for _ in range(20):
        put_held(engine)
    assert engine.log.holding
    engine.close()
    disk.capacity = None
    assert opened(disk).history_id != history


def put_held(engine: Engine) -> None:
    """A turn for which there may be no room."""
    engine.databases[0].keyspace.put(b"k", bytes(300))
    engine.end_turn()


def test_a_failed_last_sync_proves_nothing(disk: SimulatedDisk) -> None:
    engine = opened(disk, with_fsync("interval"))
    put(engine)
    disk.fault = Fault(1, errno.EIO, for_ever=True, only=("sync",))
    with pytest.raises(DiskFailure):
        engine.close()
    assert on_disk(disk).unsynced
