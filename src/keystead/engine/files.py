"""The only calls to the operating system that touch the store's directory.

`System` is the seam: the real one is `os`; tests put in one that counts, fails, or simulates a power cut, so a crash is
an ordinary unit test. What is above it (`Directory`, `File`) is exercised by those tests too. Must not know: formats.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import mmap
import os
import sys
import time
from pathlib import Path
from typing import Protocol, TypeAlias

from keystead.errors import DirectoryUnusable, DiskFailure, StoreLocked

LOCK_NAME = "LOCK"
FREE_STEP_BYTES = 4 << 20


Mapped: TypeAlias = mmap.mmap | bytes
"""A file's bytes; a mapped file's are read when they are looked at."""


class System(Protocol):
    """What is needed of an operating system, in `os`' words; every call may raise OSError, pwrite may write less."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int: ...
    def close(self, fd: int) -> None: ...
    def pread(self, fd: int, length: int, offset: int) -> bytes: ...
    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int: ...
    def sync(self, fd: int) -> None: ...
    def sync_directory(self, path: str) -> None: ...
    def ftruncate(self, fd: int, length: int) -> None: ...
    def allocate(self, fd: int, offset: int, length: int) -> None: ...
    def size(self, fd: int) -> int: ...
    def map(self, fd: int, length: int) -> Mapped: ...
    def rename(self, old: str, new: str) -> None: ...
    def link(self, existing: str, name: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def unlink_slowly(self, path: str) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def listdir(self, path: str) -> list[str]: ...
    def mkdir(self, path: str, mode: int = 0o700) -> None: ...
    def lock(self, fd: int) -> None: ...


def sync_descriptor(fd: int) -> None:
    """Return when everything written to *fd* is on the medium; OSError otherwise, and then for good."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync there leaves data in the drive's cache
    else:
        os.fdatasync(fd)


class OperatingSystem:
    """The real one."""

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    pread = staticmethod(os.pread)
    pwrite = staticmethod(os.pwrite)
    sync = staticmethod(sync_descriptor)
    ftruncate = staticmethod(os.ftruncate)
    rename = staticmethod(os.rename)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)
    rmdir = staticmethod(os.rmdir)
    listdir = staticmethod(os.listdir)
    mkdir = staticmethod(os.mkdir)

    @staticmethod
    def unlink_slowly(path: str) -> None:
        """Remove a name, and free the space of a large file bit by bit: where the disk is told of freed blocks, 90 MB
        at once keep it busy for 12 ms. What somebody has opened, or has by another name, stays as it is."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.unlink(path)
            file = os.fstat(fd)
            if file.st_nlink == 0 and _is_open_here_alone(fd):
                for length in range(file.st_size - FREE_STEP_BYTES, 0, -FREE_STEP_BYTES):
                    os.ftruncate(fd, length)
                    os.fsync(fd)
        finally:
            os.close(fd)

    @staticmethod
    def lock(fd: int) -> None:
        """Lock the open file for this process until it is closed. OSError when another one has it locked."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @staticmethod
    def sync_directory(path: str) -> None:
        """Make creations, renames and removals in *path* durable."""
        fd = os.open(path, os.O_RDONLY)
        try:
            if sys.platform == "darwin":
                sync_descriptor(fd)
            else:
                os.fsync(fd)  # to fdatasync names may be metadata that can wait
        finally:
            os.close(fd)

    @staticmethod
    def allocate(fd: int, offset: int, length: int) -> None:
        """Reserve disk space; the file grows to hold it. OSError (ENOSPC, EDQUOT) when there is none."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, offset, length)
        elif os.fstat(fd).st_size < offset + length:
            write_all(OperatingSystem(), fd, bytes(length), offset)

    @staticmethod
    def map(fd: int, length: int) -> mmap.mmap:
        """The first *length* bytes of the open file, which must never be cut while they are mapped; more than none."""
        return mmap.mmap(fd, length, prot=mmap.PROT_READ)

    @staticmethod
    def size(fd: int) -> int:
        """Bytes in the open file."""
        return os.fstat(fd).st_size


def _is_open_here_alone(fd: int) -> bool:
    """Whether this is known to be the only descriptor, in any process, by which the file is open."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)  # is granted to nobody else
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    return True


def write_all(system: System, fd: int, data: bytes | memoryview, offset: int) -> None:
    """pwrite until all is written."""
    write_rest(system, fd, data, offset, 0)


def write_rest(system: System, fd: int, data: bytes | memoryview, offset: int, written: int) -> None:
    """pwrite until all is written, of which the first *written* bytes are."""
    view = memoryview(data)
    while written < len(view):
        count = system.pwrite(fd, view[written:], offset + written)
        if count == 0:
            raise OSError(errno.EIO, "a write wrote nothing")
        written += count


class File:
    """One open file of the store."""

    __slots__ = ("_system", "descriptor", "name")

    def __init__(self, system: System, name: str, descriptor: int) -> None:
        self._system = system
        self.name = name
        self.descriptor = descriptor

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of *data*. OSError; part of it may be written then."""
        written = self._system.pwrite(self.descriptor, data, offset)
        if written != len(data):
            write_rest(self._system, self.descriptor, data, offset, written)

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to *length* bytes; fewer only at the end of the file."""
        chunks = []
        while length > 0:
            chunk = self._system.pread(self.descriptor, length, offset)
            if not chunk:
                break
            chunks.append(chunk)
            offset += len(chunk)
            length -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def map(self, length: int) -> Mapped:
        """The first *length* bytes, for as long as somebody looks at them; only of files that never change again."""
        return self._system.map(self.descriptor, length)

    def sync(self) -> None:
        """Return when everything written is on the medium. DiskFailure, whatever the error: never sync again.

        A full disk is no exception here: after a failed sync the pages count as clean, and the next sync "succeeds".
        """
        try:
            self._system.sync(self.descriptor)
        except OSError as error:
            raise DiskFailure(f"syncing {self.name}: {error.strerror}") from error

    def truncate(self, length: int) -> None:
        """Cut the file to *length* bytes."""
        self._system.ftruncate(self.descriptor, length)

    def allocate(self, offset: int, length: int) -> None:
        """Reserve disk space for that range."""
        self._system.allocate(self.descriptor, offset, length)

    def size(self) -> int:
        """Bytes in the file."""
        return self._system.size(self.descriptor)

    def close(self) -> None:
        """Close it; harmless when it is closed."""
        if self.descriptor >= 0:
            self._system.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Directory:
    """The store's directory and what may be done in it."""

    def __init__(self, path: str, system: System | None = None) -> None:
        self.path = path
        self.system: System = system or OperatingSystem()

    def _full(self, name: str) -> str:
        return f"{self.path}/{name}"

    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return sorted(self.system.listdir(self.path))

    def create(self, name: str) -> File:
        """A new file to write and read. Durable only after it *and* the directory are synced. FileExistsError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return File(self.system, name, self.system.open(self._full(name), flags, 0o600))

    def open_or_create(self, name: str) -> File:
        """A file to write and read, made if need be."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return File(self.system, name, self.system.open(self._full(name), flags, 0o600))

    def open(self, name: str) -> File:
        """An existing file to write and read. FileNotFoundError."""
        return File(self.system, name, self.system.open(self._full(name), os.O_RDWR | os.O_CLOEXEC))

    def open_to_read(self, name: str) -> File:
        """An existing file, only to be read. FileNotFoundError."""
        return File(self.system, name, self.system.open(self._full(name), os.O_RDONLY | os.O_CLOEXEC))

    def read(self, name: str) -> bytes:
        """The whole file. FileNotFoundError."""
        with self.open_to_read(name) as file:
            return file.read_at(0, file.size())

    def sync(self) -> None:
        """Make creations, renames and removals durable. DiskFailure, as for `File.sync`."""
        try:
            self.system.sync_directory(self.path)
        except OSError as error:
            raise DiskFailure(f"syncing {self.path}: {error.strerror}") from error

    def sync_in_parent(self) -> None:
        """Make the directory itself durable, where the one that it is in may be read."""
        try:
            self.system.sync_directory(parent_of(self.path))
        except PermissionError:
            return
        except OSError as error:
            raise DiskFailure(f"syncing {parent_of(self.path)}: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Remove a file; harmless when it is gone. Durable after sync()."""
        with contextlib.suppress(FileNotFoundError):
            self.system.unlink(self._full(name))

    def remove_slowly(self, name: str) -> None:
        """The same, taking its time, so that nobody else has to wait for the disk."""
        with contextlib.suppress(FileNotFoundError):
            self.system.unlink_slowly(self._full(name))

    def rename(self, old: str, new: str) -> None:
        """Rename, replacing *new*. Durable after sync()."""
        self.system.rename(self._full(old), self._full(new))

    def replace(self, name: str, data: bytes) -> None:
        """Write a file as a whole: after a crash it is the old one or the new one.

        The order is the point: temporary file → its sync → rename → directory's sync. Only after this returns may
        anything that the old file named be deleted.
        """
        temporary = f"{name}.tmp"
        self.remove(temporary)
        with self.create(temporary) as file:
            file.write_at(0, data)
            file.sync()
        self.rename(temporary, name)
        self.sync()


def make_directory(system: System, path: str) -> None:
    """Make a directory (0700) and those above it; each is durable in its parent before anything is put into it."""
    try:
        system.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        if parent_of(path) == path:
            raise
        make_directory(system, parent_of(path))
        system.mkdir(path, 0o700)
    system.sync_directory(parent_of(path))


def parent_of(path: str) -> str:
    """The directory that holds *path*."""
    return os.path.dirname(os.path.abspath(path))


class DirectoryLock:
    """The proof that this process is the only one that has the store open. Ends with the process at the latest."""

    def __init__(self, system: System, descriptor: int) -> None:
        self._system = system
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: str, *, create: bool = True, system: System | None = None) -> DirectoryLock:
        """Lock the directory, creating it (0700) if asked. StoreLocked names the holder; DirectoryUnusable says why."""
        system = system or OperatingSystem()
        try:
            if create:
                make_directory(system, path)
            descriptor = system.open(f"{path}/{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DirectoryUnusable(path, error.strerror or str(error)) from error
        try:
            system.lock(descriptor)
        except OSError as error:
            holder = read_holder(system, descriptor)
            system.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise DirectoryUnusable(path, f"it cannot be locked: {error.strerror}") from error
            raise StoreLocked(path, holder) from error
        write_holder(system, descriptor)
        return cls(system, descriptor)

    def release(self) -> None:
        """Let others open the store."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self._system.ftruncate(self._descriptor, 0)
            self.abandon()

    def abandon(self) -> None:
        """In a forked child: close the descriptor and leave the parent's lock alone."""
        if self._descriptor >= 0:
            self._system.close(self._descriptor)
            self._descriptor = -1


def write_holder(system: System, descriptor: int) -> None:
    """Say in the lock file who holds it, for the message that a second opener gets; on a full disk it stays unsaid."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]) if sys.argv and sys.argv[0] else "python"
    holder = {"pid": os.getpid(), "command": command, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    with contextlib.suppress(OSError):
        system.ftruncate(descriptor, 0)
        write_all(system, descriptor, json.dumps(holder).encode(), 0)


def read_holder(system: System, descriptor: int) -> str:
    """Who says to hold the lock, in words; empty when the file does not (yet) say so."""
    try:
        holder = json.loads(system.pread(descriptor, 4096, 0))
        return f"pid {holder['pid']}, {holder['command']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
