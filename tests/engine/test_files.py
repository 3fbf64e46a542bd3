"""The calls to the operating system: whole writes, replaced files, one opener."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from simulated_disk import SHORT_WRITE, Fault, Image, SimulatedDisk
from stores import PATH
from workload import EMPTY_DISK

from keystead.engine.engine import Engine, Options
from keystead.engine.files import FREE_STEP_BYTES, LOCK_NAME, Directory, DirectoryLock, OperatingSystem, make_directory
from keystead.errors import DirectoryUnusable, DiskFailure, StoreLocked


@pytest.fixture
def disk() -> SimulatedDisk:
    """A disk with an empty data directory."""
    return SimulatedDisk(Image.of({PATH: {}}))


@pytest.fixture
def directory(disk: SimulatedDisk) -> Directory:
    """The data directory."""
    return Directory(PATH, disk)


@pytest.fixture(params=["real", "simulated"])
def either(request: pytest.FixtureRequest, tmp_path: Path, directory: Directory) -> Directory:
    """A real and a simulated directory: the one must be to the engine what the other is."""
    return Directory(str(tmp_path)) if request.param == "real" else directory


# --- Files ----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(either: Directory) -> None:
    """Anywhere in a file; gaps and reserved space read as zeros."""
    with either.create("f") as file:
        file.write_at(4, b"abc")
        assert file.read_at(0, 100) == b"\0\0\0\0abc"
        assert file.read_at(5, 1) == b"b"
        file.allocate(0, 10)
        assert file.size() == 10
        assert file.read_at(0, 100) == b"\0\0\0\0abc\0\0\0"
        file.truncate(5)
        file.allocate(0, 3)
        file.sync()
        assert file.size() == 5
    assert either.read("f") == b"\0\0\0\0a"
    assert file.descriptor == -1
    file.close()


def test_names_and_their_errors(either: Directory) -> None:
    """What exists is not created, what does not is not opened, and removing what is gone is no error."""
    either.create("b").close()
    either.open_or_create("a").close()
    either.open_or_create("a").close()
    with pytest.raises(FileExistsError):
        either.create("b")
    with pytest.raises(FileNotFoundError):
        either.open("c")
    with pytest.raises(FileNotFoundError):
        either.read("c")
    assert either.names() == ["a", "b"]
    either.rename("b", "a")
    either.remove("c")
    either.sync()
    either.sync_in_parent()
    assert either.names() == ["a"]
    either.remove("a")
    assert either.names() == []


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """0600, in a directory of 0700."""
    path = str(tmp_path / "new" / "data")
    DirectoryLock.acquire(path).release()
    directory = Directory(path)
    directory.create("f").close()
    assert os.stat(path).st_mode & 0o777 == 0o700
    for name in ("f", LOCK_NAME):
        assert os.stat(f"{path}/{name}").st_mode & 0o777 == 0o600


def test_short_writes_are_completed(disk: SimulatedDisk, directory: Directory) -> None:
    """`pwrite` may write less than it was asked to."""
    file = directory.create("f")
    disk.calls = 0
    disk.fault = Fault(1, SHORT_WRITE, for_ever=True)
    file.write_at(1, b"0123456789")
    assert disk.content(PATH)["f"] == b"\x000123456789"
    assert disk.calls == 5  # of 5, 2, 1, 1 and 1 bytes


def test_a_write_that_writes_nothing_is_an_error_and_no_endless_loop(
    disk: SimulatedDisk, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that is beyond help."""
    file = directory.create("f")
    monkeypatch.setattr(disk, "pwrite", lambda *_: 0)
    with pytest.raises(OSError, match="wrote nothing"):
        file.write_at(0, b"abc")


def test_short_reads_are_completed(directory: Directory, disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pread` may read less than is there."""
    with directory.create("f") as file:
        file.write_at(0, b"0123456789")
    read = disk.pread
    monkeypatch.setattr(disk, "pread", lambda fd, length, offset: read(fd, min(length, 3), offset))
    assert directory.read("f") == b"0123456789"


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_every_failed_sync_is_a_disk_failure(disk: SimulatedDisk, directory: Directory, error: int) -> None:
    """Rule 5, the full disk included: nobody can take it for one that may be tried again."""
    file = directory.create("f")
    disk.fault = Fault(1, error, only=("sync",))
    disk.calls = 0
    with pytest.raises(DiskFailure, match="syncing f"):
        file.sync()
    for sync in (directory.sync, directory.sync_in_parent):
        disk.fault = Fault(1, error, only=("sync_directory",))
        disk.calls = 0
        with pytest.raises(DiskFailure, match="syncing /home"):
            sync()


def test_on_macos_a_sync_reaches_the_medium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 12. Found by breaking it: directories were synced with fsync, which leaves names in the drive's cache.

    So a segment could be acknowledged into, and be gone with its name after a power cut.
    """
    full_fsync = 51
    asked: list[tuple[int, int]] = []
    directory = Directory(str(tmp_path))
    with directory.create("f") as file, monkeypatch.context() as macos:
        macos.setattr("sys.platform", "darwin")
        macos.setattr(fcntl, "F_FULLFSYNC", full_fsync, raising=False)
        macos.setattr(fcntl, "fcntl", lambda fd, command: asked.append((os.fstat(fd).st_ino, command)))
        file.sync()
        directory.sync()
    assert asked == [(path.stat().st_ino, full_fsync) for path in (tmp_path / "f", tmp_path)]


def test_a_parent_that_may_not_be_read_is_left_alone(disk: SimulatedDisk, directory: Directory) -> None:
    """Somebody else made the data directory, and made it durable."""
    disk.fault = Fault(1, errno.EACCES, only=("sync_directory",))
    disk.calls = 0
    directory.sync_in_parent()
    assert disk.faults_met == 1


def test_a_replaced_file_is_the_old_one_or_the_new_one(disk: SimulatedDisk, directory: Directory) -> None:
    """Rule 12: temporary file, its sync, rename, the directory's sync, in this order, whatever the crash."""
    random = Random(1)
    directory.replace("f", b"old" * 300)
    states: list[object] = []
    disk.after = lambda _: states.extend(image.files(PATH).get("f") for image in disk.crash_states(random, 50))
    directory.replace("f", b"new" * 300)
    disk.after = lambda _: None
    assert set(states) == {b"old" * 300, b"new" * 300}
    assert disk.synced().files(PATH) == {"f": b"new" * 300}


def test_a_left_over_temporary_file_is_no_obstacle(directory: Directory) -> None:
    """From a crash."""
    directory.create("f.tmp").close()
    directory.replace("f", b"new")
    assert directory.names() == ["f"]


def test_a_new_directory_is_durable_before_anything_is_put_into_it() -> None:
    """Found by reading: nobody synced the parent, so a power cut could take the whole store (rule 12)."""
    disk = SimulatedDisk(EMPTY_DISK)
    make_directory(disk, "/home/a/b")
    assert "/home/a/b" in [path for path, _ in disk.synced().folders]
    make_directory(disk, "/home/a/b")


# --- Removing slowly ------------------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of ten and a half steps."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * (FREE_STEP_BYTES // 2 + 10 * FREE_STEP_BYTES))
    return path


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What files were cut to, each time they were synced."""
    seen: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(os.fstat(fd).st_size))
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells whether a file is open")
def test_the_space_of_a_large_file_is_freed_bit_by_bit(large: Path, lengths: list[int]) -> None:
    """Rule 11: the disk must not be kept busy."""
    Directory(str(large.parent)).remove_slowly("large")
    assert not large.exists()
    assert lengths == [FREE_STEP_BYTES * step + FREE_STEP_BYTES // 2 for step in range(9, -1, -1)]


def test_what_somebody_reads_stays_whole_when_it_is_removed_slowly(large: Path, lengths: list[int]) -> None:
    """The history is read from files that retention may drop meanwhile."""
    content = large.read_bytes()
    with large.open("rb") as reader:
        Directory(str(large.parent)).remove_slowly("large")
        assert reader.read() == content
    assert not large.exists()
    assert lengths == []


def test_another_name_of_what_is_removed_slowly_stays_whole(large: Path, lengths: list[int]) -> None:
    """A backup by hard links, say."""
    content = large.read_bytes()
    link = large.with_name("link")
    link.hardlink_to(large)
    Directory(str(large.parent)).remove_slowly("large")
    assert link.read_bytes() == content
    assert lengths == []


def test_a_file_that_is_gone_can_be_removed_slowly(tmp_path: Path) -> None:
    """As `remove` has it."""
    Directory(str(tmp_path)).remove_slowly("gone")


# --- The lock -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["real", "simulated"])
def test_a_second_opener_is_told_who_holds_the_store(kind: str, tmp_path: Path) -> None:
    """Rule 9."""
    system = OperatingSystem() if kind == "real" else SimulatedDisk(EMPTY_DISK)
    path = str(tmp_path) if kind == "real" else PATH
    lock = DirectoryLock.acquire(path, system=system)
    for _ in range(2):
        with pytest.raises(StoreLocked) as caught:
            DirectoryLock.acquire(path, system=system)
        assert f"pid {os.getpid()}" in caught.value.holder
        assert caught.value.exit_code == 75
    lock.release()
    lock.release()
    again = DirectoryLock.acquire(path, system=system)
    again.release()


HOLDER = """
import sys
from keystead.engine.engine import Engine, Options
engine = Engine.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A store that another process has open, and that process."""
    path = str(tmp_path / "data")
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield path, process
        process.kill()


def test_another_process_is_refused_until_the_holder_is_gone(held: tuple[str, subprocess.Popen[bytes]]) -> None:
    """The lock ends with the process that held it, however it ended."""
    path, process = held
    with pytest.raises(StoreLocked, match=f"pid {process.pid}"):
        Engine(path)
    process.kill()
    process.wait()
    Engine.open(path).close()


def test_a_failed_start_lets_the_directory_go(tmp_path: Path) -> None:
    """Else the process that repairs it would be refused by the one that could not open it."""
    Engine.open(str(tmp_path)).close()
    (tmp_path / "MANIFEST").write_bytes(b"")
    engine = Engine(str(tmp_path))
    with pytest.raises(Exception, match="damaged"):
        list(engine.load())
    DirectoryLock.acquire(str(tmp_path)).release()


def test_an_unusable_directory_is_named_with_the_reason(tmp_path: Path) -> None:
    """A file in the way, a path that is none."""
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(DirectoryUnusable) as caught:
            DirectoryLock.acquire(str(path))
        assert caught.value.directory == str(path)
        assert caught.value.exit_code == 73
    with pytest.raises(DirectoryUnusable):
        DirectoryLock.acquire(str(tmp_path / "missing"), create=False)


def test_a_file_system_without_locks_is_unusable() -> None:
    """And not a store that somebody else holds."""
    disk = SimulatedDisk(EMPTY_DISK)
    disk.fault = Fault(1, errno.ENOLCK, only=("lock",))
    with pytest.raises(DirectoryUnusable, match="cannot be locked"):
        DirectoryLock.acquire(PATH, system=disk)
    assert disk.open_descriptors == []


def test_a_holder_that_cannot_be_named_holds_all_the_same() -> None:
    """On a full disk there is no room for the name: the start must not fail for that."""
    disk = SimulatedDisk(EMPTY_DISK)
    disk.fault = Fault(1, errno.ENOSPC, for_ever=True, only=("pwrite",))
    lock = DirectoryLock.acquire(PATH, system=disk)
    with pytest.raises(StoreLocked) as caught:
        DirectoryLock.acquire(PATH, system=disk)
    assert caught.value.holder == ""
    lock.release()


def test_a_forked_child_lets_go_without_touching_the_parents_lock(tmp_path: Path) -> None:
    """Rule 9: the child's copy of the descriptor is closed, the parent's lock and log are as they were."""
    engine = Engine.open(str(tmp_path), Options(reserve_bytes=4096))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytest-xdist has threads, which the child does not use
        child = os.fork()
    if child == 0:  # no assertion may escape into a second pytest
        try:
            engine.abandon()
            try:
                DirectoryLock.acquire(str(tmp_path))
            except StoreLocked:
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(StoreLocked, match=f"pid {os.getpid()}"):
        DirectoryLock.acquire(str(tmp_path))
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.end_turn()
    engine.sync()
    probe = os.open(f"{tmp_path}/{LOCK_NAME}", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(probe)
    engine.close()
    again = Engine.open(str(tmp_path))
    assert again.databases[0].keyspace.get(b"k") == b"v"
    again.close()


def test_descriptors_do_not_pass_to_programs_that_are_started(tmp_path: Path) -> None:
    """A checkpoint's process, or anything an embedding program starts, must not keep the lock."""
    engine = Engine.open(str(tmp_path))
    descriptors = [engine.log.segment.file.descriptor, engine._lock._descriptor]
    assert not any(os.get_inheritable(descriptor) for descriptor in descriptors)
    engine.close()
