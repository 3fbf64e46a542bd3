"""Every n-th call to the system fails, once or for ever, through open, run, rotate, checkpoint and close.

Rules 5 and 6. EIO is final: nothing is acknowledged afterwards. A full disk and a shortage of descriptors are not:
reads and deletes go on, and writing resumes by itself. Short writes and interrupted calls are nothing at all. Whatever
happened, the next start finds a moment not older than the last acknowledged one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from simulated_disk import SHORT_WRITE, Fault, SimulatedDisk
from stores import EMPTY, SMALL, HandClock, State, opened, state_of
from workload import EMPTY_DISK

from keystead.engine.engine import Engine, Options
from keystead.engine.files import OperatingSystem
from keystead.engine.history.questions import Outcome, UndoOutlined, UndoStepsFound
from keystead.engine.history.undo_steps import UndoStep
from keystead.engine.operations import Author
from keystead.engine.undoing import Undoing, undo
from keystead.errors import DirectoryUnusable, DiskFailure, UndoRefused, WriteRefused

NEEDS_ROOM = ("pwrite", "allocate", "rename", "mkdir", "open")
"""The calls that a full disk fails. A sync is not among them: ENOSPC from a sync is final like any other error."""


class Life:
    """One life of a store, always the same: every kind of change, rotation, checkpoints, retention, a clean stop.

    `states[durable:]` are what a start may find; the first is of the empty store.
    """

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk
        self.clock = HandClock()
        self.states: list[State] = [EMPTY]
        self.durable = 0
        self.refused = False
        """Whether growth was ever refused."""
        self.engine: Engine | None = None
        self._first_turn = 0

    def open(self) -> None:
        """Start."""
        options = SMALL._replace(history_max_bytes=4_000)
        self.engine = opened(self.disk, options, self.clock)
        found = state_of(self.engine)
        assert found in self.states[self.durable :]
        self.durable = self._first_turn = len(self.states) - 1 - self.states[::-1].index(found)
        del self.states[self.durable + 1 :]

    def acknowledge(self) -> None:
        """Note what the engine says is durable."""
        assert self.engine is not None
        self.durable = max(self.durable, self._first_turn + self.engine.durable_turn)

    def turn(self, change: Callable[[Engine], object], *, grows: bool = True) -> None:
        """One turn, synced. Changes that grow are not made while the engine refuses them, as clients are told."""
        engine = self.engine
        assert engine is not None
        self.refused |= engine.refusal is not None
        if engine.refusal is None or not grows:
            change(engine)
        if engine.ops:
            self.states.append(state_of(engine))
            engine.end_turn()
        engine.sync()
        self.acknowledge()

    def housekeep(self, ms: int = 1_100) -> None:
        """Time passes, and what is due is done."""
        engine = self.engine
        assert engine is not None
        self.clock.at_ms += ms
        engine.housekeep(1)
        if engine.ops:
            self.states.append(state_of(engine))
            engine.end_turn()
        engine.sync()
        self.acknowledge()

    def close(self) -> None:
        """A clean stop. A turn that a full disk holds back is not among what it acknowledges."""
        engine = self.engine
        assert engine is not None
        held = engine.log.holding
        engine.close()
        self.acknowledge()
        if not held and not engine.log.holding:
            assert self.durable == len(self.states) - 1

    def run(self) -> None:
        """From the beginning to the end."""
        self.open()
        now_ms = self.clock.at_ms
        self.turn(lambda e: e.databases[0].keyspace.put(b"a", b"1" * 40))
        self.turn(lambda e: e.databases[0].keyspace.put(b"expiring", b"x", now_ms + 2_000))
        self.turn(lambda e: e.databases[0].keyspace.put(b"large", b"l" * 400))
        for i in range(6):
            self.turn(lambda e, i=i: e.databases[i % 2].keyspace.put(b"%d" % i, b"v" * 60))
            self.housekeep()
        self.turn(lambda e: e.databases[0].keyspace.patch(b"a", 3, b"patched"))
        self.turn(lambda e: e.swap(e.databases[0], e.databases[1]))
        self.turn(lambda e: e.databases[1].keyspace.delete(b"2"), grows=False)
        assert self.engine is not None
        self.engine.request_checkpoint()
        self.housekeep()
        self.housekeep()
        self.turn(lambda e: e.flush(e.databases[0]), grows=False)
        for i in range(4):
            self.turn(lambda e, i=i: e.databases[2].keyspace.put(b"%d" % i, b"w" * 90))
            self.housekeep()
        self.close()
        self.open()
        self.turn(lambda e: e.databases[0].keyspace.put(b"in the second life", b"1"))
        self.housekeep()
        self.close()


class UndoingLife(Life):
    """One in which deletes are undone: by transactions whose parts are written over several turns, with changes of
    others between them."""

    def undo(self) -> None:
        """Delete what there is of database 0, at once, and have it back."""
        engine = self.engine
        assert engine is not None
        keyspace = engine.databases[0].keyspace
        steps = [UndoStep(0, key, *was, None, 0) for key, was in state_of(engine)[0].items()]

        def delete(engine: Engine) -> None:
            start = len(engine.ops)
            for step in steps:
                keyspace.delete(step.key)
            engine.end_group(start)

        self.turn(delete, grows=False)
        outcomes = iter([UndoOutlined(None, [], []), UndoStepsFound(steps, None)])
        undoing = undo(engine, 1, "refuse", Author("ada", "laptop"))
        with contextlib.closing(undoing), contextlib.suppress(WriteRefused, UndoRefused):
            self._drive(undoing, outcomes, steps)
        engine.sync()
        self.acknowledge()

    def _drive(self, undoing: Undoing, outcomes: Iterator[Outcome], steps: list[UndoStep]) -> None:
        engine = self.engine
        assert engine is not None
        outcome, others = None, 0
        while True:
            turn = engine.open_turn
            first, *rest = state_of(engine)
            undone = {step.key: (step.before or b"", step.before_expires_at_ms) for step in steps}
            self.states.append(({**first, **undone}, *rest))
            try:
                question = undoing.send(outcome)
            except StopIteration:
                return
            finally:
                if engine.open_turn == turn:
                    self.states.pop()
            outcome = next(outcomes) if question is not None else None
            if question is None:
                others += 1
                self.turn(lambda e: e.databases[1].keyspace.put(b"of another", b"%d" % others))  # noqa: B023
                self.housekeep(400)

    def run(self) -> None:
        """From the beginning to the end."""
        self.open()
        for i in range(4):
            self.turn(lambda e, i=i: e.databases[0].keyspace.put(b"%d" % i, b"v" * 90))
        self.undo()
        self.housekeep()
        assert self.engine is not None
        self.engine.request_checkpoint()
        self.undo()
        self.housekeep()
        self.close()
        self.open()
        self.undo()
        self.close()


def calls_of_a_life(only: tuple[str, ...] = (), kind: type[Life] = Life) -> int:
    """How many there are when none fails."""
    disk = SimulatedDisk(EMPTY_DISK)
    disk.fault = Fault(1 << 60, errno.EIO, only=only)
    life = kind(disk)
    life.run()
    assert life.durable == len(life.states) - 1 > 10
    return disk.calls


Seed = Callable[[int], Random]


@pytest.fixture
def small(small_sizes: None, seeded: Seed) -> Seed:  # noqa: ARG001  # one asks for the other
    """Small sizes, and the same ids and salts in every life."""
    return seeded


def lives(
    small: Seed, error: int, *, for_ever: bool, only: tuple[str, ...] = (), kind: type[Life] = Life
) -> Iterator[tuple[int, Life]]:
    """A life for each call, with the call that is to fail in it."""
    small(1)
    for call in range(1, calls_of_a_life(only, kind) + 1):
        small(1)
        disk = SimulatedDisk(EMPTY_DISK)
        disk.fault = Fault(call, error, for_ever, only)
        yield call, kind(disk)


def assert_nothing_is_lost(life: Life, random: Random, what: str) -> None:
    """A start after a kill, and starts after power losses, find a moment not older than the last acknowledged one."""
    disk = life.disk
    images = list(disk.crash_states(random, 3))
    for image in images:
        found = state_of(opened(SimulatedDisk(image)))
        assert found in life.states[life.durable :], f"{what}, after a power loss"
    again = opened(disk.kill())
    assert state_of(again) in life.states[life.durable :], f"{what}, after a kill"
    # What this start acknowledges must not be lost either: the page cache may hold what the disk does not.
    again.databases[5].keyspace.put(b"after", b"it")
    again.end_turn()
    again.sync()
    assert state_of(opened(SimulatedDisk(disk.synced()))) == state_of(again), f"{what}, after the next start"
    again.close()
    assert disk.open_descriptors == [], what


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
def test_an_io_error_is_final(small: Seed, for_ever: bool) -> None:
    """Rule 5: DiskFailure, and from then on no turn becomes durable, whatever is tried."""
    failed = 0
    for call, life in lives(small, errno.EIO, for_ever=for_ever):
        try:
            life.run()
        except (DiskFailure, DirectoryUnusable):
            failed += 1
            engine = life.engine
            if engine is not None and engine.failed is not None:
                durable = engine.durable_turn
                for action in (engine.sync, engine.begin_sync, lambda: engine.housekeep(1)):  # noqa: B023
                    with pytest.raises(DiskFailure):
                        action()
                engine.databases[0].keyspace.put(b"k", b"v")
                with pytest.raises(DiskFailure):
                    engine.end_turn()
                assert engine.durable_turn == durable, call
                engine.close()
                assert life.disk.open_descriptors == [], call
        else:
            # The only calls that may fail unnoticed are those that name the holder in the lock file.
            assert life.disk.faults_met <= 4, call
        assert_nothing_is_lost(life, Random(call), f"EIO at call {call}")
    assert failed > 250


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=["ENOSPC", "EDQUOT", "EFBIG"])
@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
def test_a_full_disk_is_waited_for(small: Seed, error: int, for_ever: bool) -> None:
    """Rule 6: refusal, deletes and reads go on, and when there is room writing resumes in the same process."""
    refused = 0
    for call, life in lives(small, error, for_ever=for_ever, only=NEEDS_ROOM):
        what = f"errno {error} at call {call}"
        try:
            life.run()
        except (DiskFailure, DirectoryUnusable):
            # A start that needs room and has none says so; nothing was served, and it can be tried again.
            assert life.disk.open_descriptors == [], what
        refused += life.refused
        life.disk.fault = None
        assert_nothing_is_lost(life, Random(call), what)
    assert refused or not for_ever


def test_writing_resumes_in_the_same_process_when_there_is_room_again(small: Seed) -> None:
    """The disk is full from each call on until the end of the life; then it is not."""
    held = 0
    for call, life in lives(small, errno.ENOSPC, for_ever=True, only=NEEDS_ROOM):
        life.disk.fault = None
        life.open()
        life.disk.calls = 0
        life.disk.fault = Fault(call, errno.ENOSPC, for_ever=True, only=NEEDS_ROOM)
        for i in range(12):
            life.turn(lambda e, i=i: e.databases[i % 2].keyspace.put(b"%d" % (i % 5), b"v" * 80))
            life.turn(lambda e, i=i: e.databases[0].keyspace.delete(b"%d" % (i % 3)), grows=False)
            life.housekeep()
        engine = life.engine
        assert engine is not None
        held += engine.log.holding
        if life.disk.faults_met == 0:
            break
        life.disk.fault = None
        for _ in range(4):
            life.housekeep()
        assert engine.refusal is None, call
        assert engine.durable_turn == engine.open_turn - 1, call
        life.turn(lambda e: e.databases[0].keyspace.put(b"again", b"x"))
        assert life.durable == len(life.states) - 1
        assert state_of(opened(SimulatedDisk(life.disk.synced()))) == state_of(engine), call
    assert held


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize(
    ("error", "only"),
    [(errno.EIO, ()), (errno.ENOSPC, NEEDS_ROOM), (SHORT_WRITE, ("pwrite",))],
    ids=["EIO", "ENOSPC", "short"],
)
def test_an_undo_is_there_as_a_whole_or_not_at_all(
    small: Seed, error: int, only: tuple[str, ...], for_ever: bool
) -> None:
    """Its parts are on disk long before what commits them, and between them what others have changed."""
    met = 0
    for call, life in lives(small, error, for_ever=for_ever, only=only, kind=UndoingLife):
        what = f"error {error} at call {call}"
        with contextlib.suppress(DiskFailure, DirectoryUnusable):
            life.run()
        met += life.disk.faults_met
        if life.engine is not None:
            assert not life.engine.staged, what
        life.disk.fault = None
        assert_nothing_is_lost(life, Random(call), what)
    assert met


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM], ids=["EMFILE", "ENFILE", "ENOMEM"])
def test_a_shortage_of_descriptors_or_memory_is_waited_for(small: Seed, error: int) -> None:
    """It says nothing about the disk: maintenance tries again; a start that fails can be tried again."""
    for call, life in lives(small, error, for_ever=False, only=("open",)):
        what = f"errno {error} at the {call}th open"
        try:
            life.run()
        except (DiskFailure, DirectoryUnusable):
            assert life.disk.open_descriptors == [], what
        else:
            assert life.durable == len(life.states) - 1
        life.disk.fault = None
        assert_nothing_is_lost(life, Random(call), what)


def test_short_writes_are_nothing(small: Seed) -> None:
    """Each write in turn, and all of them: the life is as without them."""
    for call, life in lives(small, SHORT_WRITE, for_ever=False, only=("pwrite",)):
        life.run()
        assert life.disk.faults_met == 1
        assert life.durable == len(life.states) - 1, call
    disk = SimulatedDisk(EMPTY_DISK)
    disk.fault = Fault(1, SHORT_WRITE, for_ever=True)
    life = Life(disk)
    life.run()
    assert life.durable == len(life.states) - 1
    assert disk.faults_met > 500


@pytest.mark.parametrize("first", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_two_faults_are_no_worse_than_one(small: Seed, first: int) -> None:
    """A fault, a start that meets another one, and a start."""
    small(1)
    total = calls_of_a_life()
    for call in range(1, total, 9):
        for second in range(1, 60, 7):
            small(1)
            disk = SimulatedDisk(EMPTY_DISK)
            disk.fault = Fault(call, first)
            life = Life(disk)
            with contextlib.suppress(DiskFailure, DirectoryUnusable):
                life.run()
            disk.kill()
            disk.calls, disk.fault = 0, Fault(second, errno.EIO)
            with contextlib.suppress(DiskFailure, DirectoryUnusable):
                opened(disk)
            disk.kill()
            found = state_of(opened(SimulatedDisk(disk.crash_state(Random(call)))))
            assert found in life.states[life.durable :], f"faults at call {call}, and at call {second} of the start"


# --- The real system ------------------------------------------------------------------------------------------------


def test_interrupted_calls_are_nothing(tmp_path: Path) -> None:
    """A signal every half millisecond, during large reservations too: Python calls again (PEP 475), and so need we not.

    Catching EINTR ourselves was rejected: it would be code that no run can reach.
    """
    caught = 0

    def count(*_: object) -> None:
        nonlocal caught
        caught += 1

    before = signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        engine = Engine.open(str(tmp_path), Options(reserve_bytes=32 << 20))
        for i in range(200):
            engine.databases[0].keyspace.put(b"%d" % i, os.urandom(20_000))
            engine.end_turn()
            engine.sync()
            engine.housekeep(1)
        expected = state_of(engine)
        engine.close()
        again = Engine.open(str(tmp_path))
        found = state_of(again)
        again.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert found == expected
    assert caught > 50


def test_every_call_to_the_system_is_one_that_python_calls_again() -> None:
    """Or one that is never interrupted. Whoever adds a call to the seam has to think of EINTR."""
    called_again = {
        "open",
        "pread",
        "pwrite",
        "sync",
        "sync_directory",
        "ftruncate",
        "allocate",
        "unlink_slowly",
        "lock",
    }
    never_interrupted = {"close", "size", "map", "rename", "link", "unlink", "listdir", "mkdir", "rmdir"}
    assert called_again | never_interrupted == {name for name in vars(OperatingSystem) if not name.startswith("_")}


STORE_PROGRAM = """
import sys
from keystead.engine.background import InlineBackground
from keystead.engine.engine import Engine, Options
from keystead.errors import DiskFailure
engine = Engine(sys.argv[1], Options(segment_bytes=1 << 16, reserve_bytes=1 << 16), background=InlineBackground())
acknowledged = 0
try:
    for _ in engine.load():
        pass
    for i in range(200):
        engine.databases[0].keyspace.put(b"%d" % i, b"v" * 500)
        engine.end_turn()
        engine.sync()
        assert engine.durable_turn == engine.open_turn - 1
        acknowledged = i + 1
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()
    engine.close()
except DiskFailure as failure:
    print(f"{acknowledged} then {failure}")
    sys.exit(failure.exit_code)
print(acknowledged)
"""

STRACE = shutil.which("strace")


def traced(path: Path, *inject: str) -> subprocess.CompletedProcess[str]:
    """The program with faults put between it and the kernel."""
    if STRACE is None:
        pytest.skip("strace is not installed: see scripts/system-packages")
    command = [STRACE, "-f", "-qq", "-o", "/dev/null"]
    for one in inject:
        command += ["-e", f"inject={one}"]
    command += [sys.executable, "-c", STORE_PROGRAM, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("strace is not permitted here")
    return done


def test_the_kernel_may_interrupt_any_call_that_can_be(tmp_path: Path) -> None:
    """Every third call of each kind answers EINTR."""
    kinds = ("pwrite64", "fdatasync", "fsync", "fallocate", "ftruncate", "flock")
    done = traced(tmp_path / "data", *(f"{kind}:error=EINTR:when=1+3" for kind in kinds))
    assert (done.returncode, done.stdout, done.stderr) == (0, "200\n", "")
    engine = Engine.open(str(tmp_path / "data"))
    assert engine.info().keys == 200
    engine.close()


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64", "fallocate", "fsync"])
def test_the_kernel_says_that_the_disk_is_broken(tmp_path: Path, call: str) -> None:
    """Status 74, and everything that was acknowledged before is there at the next start."""
    done = traced(tmp_path / "data", f"{call}:error=EIO:when=6")
    assert done.returncode == 74, done
    acknowledged = int(done.stdout.split()[0])
    engine = Engine.open(str(tmp_path / "data"))
    assert engine.info().keys in (acknowledged, acknowledged + 1)
    engine.close()


FULL_DISK_PROGRAM = """
import os, sys
from keystead.engine.background import InlineBackground
from keystead.engine.engine import DISK_FULL, Engine, Options

path = sys.argv[1] + "/data"
options = Options(segment_bytes=200_000, reserve_bytes=100_000, history_max_bytes=0)

def start():
    engine = Engine(path, options, background=InlineBackground())
    for _ in engine.load():
        pass
    return engine

def step(engine):
    engine.housekeep(1)
    engine.end_turn()
    engine.sync()

def acknowledged(engine):
    return engine.durable_turn == engine.open_turn - 1

with open(sys.argv[1] + "/filler", "wb") as filler:
    filler.write(bytes(3_000_000))

# The child fills the disk and is killed on it.
read, write = os.pipe()
if os.fork() == 0:
    engine = start()
    keyspace = engine.databases[0].keyspace
    count = 0
    while engine.refusal is None and count < 100_000:
        keyspace.put(b"%d" % count, os.urandom(1_000))
        engine.end_turn()
        engine.sync()
        count += 1
        if count % 10 == 0:
            step(engine)
    assert engine.refusal == DISK_FULL, engine.refusal
    assert acknowledged(engine)
    assert count > 200, count
    assert all(len(keyspace.get(b"%d" % i)) == 1_000 for i in range(count))
    for i in range(20):
        assert keyspace.delete(b"%d" % i)
        engine.end_turn()
        engine.sync()
        assert acknowledged(engine), i
        step(engine)
    assert engine.refusal == DISK_FULL
    os.write(write, b"%d" % count)
    os._exit(0)
_, status = os.wait()
assert status == 0, status
count = int(os.read(read, 20))

# On the still full disk the store opens, reads and deletes.
engine = start()
keyspace = engine.databases[0].keyspace
assert len(keyspace) == count - 20, (len(keyspace), count)
assert keyspace.delete(b"20")
engine.end_turn()
engine.sync()
assert acknowledged(engine)

# With room writing resumes, in this process and by itself.
os.unlink(sys.argv[1] + "/filler")
for _ in range(3):
    step(engine)
assert engine.refusal is None
keyspace.put(b"again", bytes(1_000))
engine.end_turn()
engine.sync()
assert acknowledged(engine)
engine.close()
engine = start()
assert len(engine.databases[0].keyspace) == count - 20
engine.close()
print("all is well")
"""


def test_a_really_full_disk(tmp_path: Path) -> None:
    """A file system of 6 MB: refusal, deletes, a kill, a start, room again."""
    unshare = shutil.which("unshare")
    mount = f"mount -t tmpfs -o size=6m none {tmp_path}"
    allowed = unshare and subprocess.run([unshare, "-rm", "sh", "-c", mount], capture_output=True, check=False)
    if not allowed or allowed.returncode:
        pytest.skip("no file system may be mounted here: unshare -rm mount -t tmpfs fails")
    command = [unshare, "-rm", "sh", "-c", f'{mount} && exec "$0" -c "$1" {tmp_path}', sys.executable]
    done = subprocess.run([*command, FULL_DISK_PROGRAM], capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout, done.stderr) == ("all is well\n", "")


@pytest.mark.usefixtures("few_shards")
def test_a_disk_that_fills_at_every_byte(seeded: Seed) -> None:
    """The same with a simulated disk of each size: at whatever write, reservation or new file the room ends."""
    seeded(2)
    options = SMALL._replace(reserve_bytes=300)
    for capacity in range(0, 9_000, 37):
        disk = SimulatedDisk(EMPTY_DISK)
        disk.capacity = capacity
        try:
            engine = opened(disk, options)
        except DiskFailure:
            assert disk.open_descriptors == []
            disk.capacity = None
            opened(disk, options).close()
            continue
        keyspace = engine.databases[0].keyspace
        acknowledged: list[bytes] = []
        for i in range(60):
            if engine.refusal is None:
                keyspace.put(b"%d" % i, b"v" * 60)
            engine.end_turn()
            engine.sync()
            engine.housekeep(1)
            engine.end_turn()
            engine.sync()
            if engine.durable_turn == engine.open_turn - 1:
                acknowledged = sorted(keyspace.keys())
        for image in disk.crash_states(Random(capacity), 3):
            assert set(acknowledged) <= set(state_of(opened(SimulatedDisk(image)))[0]), capacity
        disk.capacity = None
        for _ in range(4):
            engine.clock._wall_ms.at_ms += 1_100  # type: ignore[attr-defined]
            engine.housekeep(1)
            engine.end_turn()
            engine.sync()
        assert engine.refusal is None
        assert engine.durable_turn == engine.open_turn - 1
        assert state_of(opened(SimulatedDisk(disk.synced()))) == state_of(engine)
