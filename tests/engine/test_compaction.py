"""Compaction: checkpoint and sealed segments become the next checkpoint, in one pass or in several."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from simulated_disk import Fault, Image, SimulatedDisk
from stores import PATH, START_MS, HandClock, opened, state_of
from workload import EMPTY_DISK

from keystead.engine import compaction, giving_way
from keystead.engine import manifest as manifests
from keystead.engine.background import InlineBackground
from keystead.engine.background_process import NO_SPACE_STATUS
from keystead.engine.checkpoint import Progress, read_checkpoint
from keystead.engine.compaction import compact, compacting
from keystead.engine.engine import Engine, Options
from keystead.engine.expiries import expiry_of
from keystead.engine.files import Directory
from keystead.engine.format import checkpoint_name
from keystead.engine.maintenance import Maintenance
from keystead.engine.manifest import CheckpointRecord
from keystead.engine.view import View
from keystead.errors import DamagedData


def fill(engine: Engine, clock: HandClock, rounds: int = 4) -> None:
    """Every kind of change, over several segments."""
    first, second = engine.databases[0], engine.databases[1]
    for number in range(rounds):
        for i in range(40):
            first.keyspace.put(b"%d" % i, b"%d-%d" % (number, i))
            second.keyspace.put(b"e%d" % i, b"", clock.at_ms + 100 + i)
        first.keyspace.patch(b"7", 2, b"patched")
        second.keyspace.set_expiry(b"e39", 0)
        first.keyspace.delete(b"8")
        start = len(engine.ops)
        first.keyspace.put(b"large", bytes(900))
        first.keyspace.put(b"larger", bytes(1200))
        engine.end_group(start)
        engine.end_turn()
        engine.sync()
        clock.at_ms += 110
        for _ in range(20):
            engine.housekeep(1)
            engine.end_turn()
            engine.sync()
        if number % 2:
            engine.swap(first, second)
        elif number:
            engine.flush(engine.databases[2])
            engine.databases[2].keyspace.put(b"in the new one", b"")
        engine.end_turn()
        engine.sync()


@pytest.fixture
def disk(small_sizes: None) -> SimulatedDisk:  # noqa: ARG001  # one asks for the other
    """A store of several sealed segments."""
    disk, clock = SimulatedDisk(EMPTY_DISK), HandClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Maintenance, "_checkpoint_due", lambda _: False)
        engine = opened(disk, wall_ms=clock)
        fill(engine, clock)
    return disk


def sealed(disk: SimulatedDisk) -> list[int]:
    """Numbers of the sealed segments."""
    manifest = manifests.load(Directory(PATH, disk))
    assert manifest is not None
    return [record.number for record in manifest.current.segments if record.length is not None]


def state_in(disk: SimulatedDisk, record: CheckpointRecord) -> dict[int, dict[bytes, tuple[bytes, int]]]:
    """What a checkpoint says."""
    manifest = manifests.load(Directory(PATH, disk))
    assert manifest is not None
    view = View(manifest.seed)
    for _ in read_checkpoint(Directory(PATH, disk), manifest.store_id, record, view):
        pass
    return {
        number: {
            key: (bytes(value), expiry_of(expires, key))
            for shard, expires in zip(keyspace.shards, keyspace.expires, strict=True)
            for key, value in shard.items()
        }
        for number, keyspace in view.keyspaces.items()
    }


@pytest.mark.parametrize("pass_bytes", [1 << 30, 3000, 1000])
def test_a_checkpoint_says_what_the_segments_say_however_many_passes_it_takes(
    disk: SimulatedDisk, pass_bytes: int
) -> None:
    """Rule 10; more passes than shards are no trouble either."""
    numbers = sealed(disk)
    assert len(numbers) > 3
    one_pass = compact(Directory(PATH, disk), numbers[-1])
    expected = state_in(disk, one_pass)
    assert sum(map(len, expected.values())) > 50
    record = compact(Directory(PATH, disk), numbers[-1], pass_bytes)
    assert state_in(disk, record) == expected
    assert (record.position, record.sequence, record.time_ms) == (
        one_pass.position,
        one_pass.sequence,
        one_pass.time_ms,
    )


def test_the_next_checkpoint_is_made_of_the_last_one_and_what_came_after(disk: SimulatedDisk) -> None:
    """And a start from it finds what is in memory."""
    disk.kill()
    clock = HandClock(START_MS + 10_000)
    engine = opened(disk, wall_ms=clock)
    for _ in range(3):
        fill(engine, clock, 2)
        engine.request_checkpoint()
        for _ in range(3):
            engine.housekeep(1)
            engine.sync()
        assert not engine.maintenance.busy
        assert state_of(opened(SimulatedDisk(disk.synced()), wall_ms=HandClock())) == state_of(engine)
    assert engine.info().checkpoints >= 3


def test_a_part_of_the_sealed_segments_may_be_taken(disk: SimulatedDisk) -> None:
    """The record says where the log goes on."""
    numbers = sealed(disk)
    manifest = manifests.load(Directory(PATH, disk))
    assert manifest is not None
    record = compact(Directory(PATH, disk), numbers[1])
    lengths = [segment.length for segment in manifest.current.segments[:2]]
    assert (record.number, record.position) == (numbers[1], sum(length or 0 for length in lengths))


def test_progress_goes_on_and_on(disk: SimulatedDisk) -> None:
    """For the bar of `keystead compact`."""
    result: list[CheckpointRecord] = []
    steps = list(compacting(Directory(PATH, disk), sealed(disk)[-1], result))
    assert len(steps) > 5
    assert len(result) == 1


def test_a_checkpoint_is_never_made_of_damaged_files(disk: SimulatedDisk) -> None:
    """Rule 8: or the damage would be written down as truth. Nothing is left behind."""
    files = disk.content(PATH)
    name = "segment-0000000002.log"
    files[name] = files[name][:200] + bytes((files[name][200] ^ 1,)) + files[name][201:]
    disk = SimulatedDisk(Image.of({PATH: files}))
    with pytest.raises(DamagedData):
        compact(Directory(PATH, disk), sealed(disk)[-1])
    assert disk.content(PATH) == files
    assert disk.open_descriptors == []


def test_a_checkpoint_that_fails_anywhere_leaves_nothing_behind(disk: SimulatedDisk) -> None:
    """Every call once, until it succeeds."""
    number, before, descriptors = sealed(disk)[-1], set(disk.content(PATH)), disk.open_descriptors
    for call in range(1, 1000):
        disk.calls, disk.faults_met = 0, 0
        disk.fault = Fault(call, errno.ENOSPC)
        try:
            record = compact(Directory(PATH, disk), number)
        except Exception:
            left = set(disk.content(PATH)) - before
            assert left <= {checkpoint_name(number)}, f"call {call}"
            assert disk.open_descriptors == descriptors, f"call {call}"
            continue
        if not disk.faults_met:
            break
    disk.fault = None
    assert state_in(disk, record)


# --- The process ----------------------------------------------------------------------------------------------------


@pytest.fixture
def real(tmp_path: Path) -> str:
    """A real store with one sealed segment."""
    engine = Engine(str(tmp_path), Options(reserve_bytes=4096))
    list(engine.load())
    engine.databases[0].keyspace.put(b"k", b"v" * 1000)
    engine.end_turn()
    engine.sync()
    engine.close()
    engine = Engine(str(tmp_path), Options(reserve_bytes=4096, segment_bytes=100), background=InlineBackground())
    list(engine.load())
    engine.maintenance._checkpoint_not_before_ms = 1 << 62
    for _ in range(3):
        engine.housekeep(1)
        engine.sync()
    engine.close()
    return str(tmp_path)


def test_the_process_prints_the_record_of_the_checkpoint_it_made(real: str) -> None:
    """The parent names it in the manifest, and nobody else does."""
    before = Path(real, "MANIFEST").read_bytes()
    command = [sys.executable, "-P", giving_way.__file__, "keystead.engine.compaction", real, "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        assert process.wait() == 0
    record = msgspec.json.decode(output, type=CheckpointRecord)
    assert record.length == os.stat(f"{real}/{record.file}").st_size
    assert Path(real, "MANIFEST").read_bytes() == before


FAILING = """
import errno, sys
from keystead.engine import compaction
def full(*_):
    raise OSError(int(sys.argv[1]), "as the test has it")
compaction.compact = full
compaction.main(["/nowhere", "1"])
"""


@pytest.mark.parametrize(("error", "status"), [(errno.ENOSPC, NO_SPACE_STATUS), (errno.EDQUOT, 28), (errno.EIO, 1)])
def test_its_status_tells_a_full_disk_from_other_failures(error: int, status: int) -> None:
    """A full disk gives up the reserve and tries again."""
    command = [sys.executable, "-c", FAILING, str(error)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.wait(30) == status  # with the pipe still open: its end would end the process first


ENDLESS = """
import time
from keystead.engine import compaction
compaction.compact = lambda *_: (print("begun", flush=True), time.sleep(60))
compaction.main(["/nowhere", "1"])
"""


def test_it_rests_between_its_steps(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 11: it must not keep a core from the server."""
    rests: list[int] = []

    def count(steps: Iterator[Progress]) -> None:
        rests.append(len(list(steps)))

    monkeypatch.setattr(compaction, "with_rests", count)
    monkeypatch.setattr(compaction, "end_with_parent", lambda: None)
    monkeypatch.setattr(compaction.sys, "stdout", SimpleNamespace(buffer=BytesIO(), flush=lambda: None))
    compaction.main([real, "1"])
    assert len(rests) == 1
    assert rests[0] > 1


def test_it_ends_with_its_parent() -> None:
    """However the parent ended: its end of the pipe is closed then."""
    command = [sys.executable, "-c", ENDLESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(30) == 1


def test_it_knows_nothing_of_the_running_engine() -> None:
    """It reads sealed files alone; so it may be imported without the engine."""
    assert "engine" not in vars(compaction)
