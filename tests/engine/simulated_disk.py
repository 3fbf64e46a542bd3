"""A disk that loses power and calls that fail: `System` (engine/files.py) in memory.

It keeps apart what a process reads (the page cache) and what is on the medium, by the assumptions of docs/format.md:
what was synced is unchanged; what was not may be there, be missing, be there in part or be zeros, sector by sector, in
any order; creations, renames and removals are durable after the directory is synced, and until then each may or may not
have happened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from keystead.engine.files import LOCK_NAME

if TYPE_CHECKING:
    from random import Random

SECTOR_BYTES = 512
SHORT_WRITE = 0
"""Instead of an errno: the write writes half of what it should."""

Content = dict[str, bytes]
"""A directory's files."""


class Image(NamedTuple):
    """What is on the medium: path of each directory, and its files. Equal images hash alike."""

    folders: tuple[tuple[str, tuple[tuple[str, bytes], ...]], ...]

    def files(self, path: str) -> Content:
        """The files of one directory; none when it does not exist."""
        return dict(next((files for folder, files in self.folders if folder == path), ()))

    @classmethod
    def of(cls, folders: Mapping[str, Mapping[str, bytes]]) -> Image:
        """The image with these directories and files."""
        return cls(tuple((path, tuple(sorted(files.items()))) for path, files in sorted(folders.items())))


class Write(NamedTuple):
    """These bytes from that offset on."""

    offset: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        """Write; a gap before the offset reads as zeros."""
        if self.offset > len(content):
            content.extend(bytes(self.offset - len(content)))
        content[self.offset : self.offset + len(self.data)] = self.data

    def torn(self, random: Random) -> Iterator[Write]:
        """Sector by sector: there, missing, or zeros."""
        end = self.offset + len(self.data)
        start = self.offset
        while start < end:
            stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
            fate = random.random()
            if fate < 0.45:
                yield Write(start, self.data[start - self.offset : stop - self.offset])
            elif fate < 0.6:
                yield Write(start, bytes(stop - start))
            start = stop


class Resize(NamedTuple):
    """The file has that length now."""

    length: int

    def apply(self, content: bytearray) -> None:
        """Cut off, or append zeros."""
        if self.length < len(content):
            del content[self.length :]
        else:
            content.extend(bytes(self.length - len(content)))

    def torn(self, random: Random) -> Iterator[Resize]:
        """A length is written whole or not at all."""
        if random.random() < 0.5:
            yield self


Change = Write | Resize


class Inode:
    """A file, under whatever name."""

    __slots__ = ("changes", "content", "durable", "locked_by")

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = durable
        """What is on the medium, apart from *changes*."""
        self.content: bytes | bytearray = durable
        """What a process reads."""
        self.changes: list[Change] = []
        """Made since the last sync, in order."""
        self.locked_by = 0
        """The descriptor through which it is locked."""

    def change(self, change: Change) -> None:
        """Change what is read; the medium may get it any time before the next sync."""
        if isinstance(self.content, bytes):
            self.content = bytearray(self.content)
        change.apply(self.content)
        self.changes.append(change)

    def sync(self) -> None:
        """Everything is on the medium now."""
        if self.changes:
            self.durable = applied(self.durable, self.changes)
            self.changes = []

    def after_power_loss(self, random: Random) -> bytes:
        """One of the contents that the medium may have."""
        changes = self.changes
        if not changes:
            return self.durable
        fate = random.randrange(7)
        if fate == 0:
            return self.durable
        if fate == 1:
            return applied(self.durable, changes)
        if fate == 2:
            return applied(self.durable, changes[: random.randrange(len(changes))])
        if fate == 3:
            return applied(self.durable, [change for change in changes if random.random() < 0.5])
        if fate == 4:
            return applied(self.durable, random.sample(changes, random.randint(1, len(changes))))
        torn_from = 0 if fate == 5 else random.randrange(len(changes))
        torn = [piece for change in changes[torn_from:] for piece in change.torn(random)]
        return applied(self.durable, [*changes[:torn_from], *torn])


def applied(durable: bytes, changes: list[Change]) -> bytes:
    """*durable* after these changes."""
    content = bytearray(durable)
    for change in changes:
        change.apply(content)
    return bytes(content)


Entry = tuple[str, "Inode | Folder | None"]
"""A name, and what it stands for from now on."""


class Folder:
    """A directory."""

    __slots__ = ("changes", "durable", "entries")

    def __init__(self) -> None:
        self.entries: dict[str, Inode | Folder] = {}
        self.durable: dict[str, Inode | Folder] = {}
        self.changes: list[tuple[Entry, ...]] = []
        """Made since the last sync; each happens as a whole or not at all."""

    def change(self, *entries: Entry) -> None:
        """Rename, create or remove, in one step."""
        _enter(self.entries, entries)
        self.changes.append(entries)

    def sync(self) -> None:
        """All names are on the medium now."""
        self.durable = dict(self.entries)
        self.changes = []

    def after_power_loss(self, random: Random) -> dict[str, Inode | Folder]:
        """One of the sets of names that the medium may have."""
        fate = random.randrange(4) if self.changes else 0
        if fate == 0:
            return self.durable
        if fate == 1:
            return self.entries
        names = dict(self.durable)
        cut = random.randrange(len(self.changes) + 1)
        for i, change in enumerate(self.changes):
            if i < cut if fate == 2 else random.random() < 0.5:
                _enter(names, change)
        return names


def _enter(names: dict[str, Inode | Folder], entries: tuple[Entry, ...]) -> None:
    for name, node in entries:
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Fault(NamedTuple):
    """From the call of that number on (the first is 1), once or for ever, calls fail with that errno."""

    call: int
    error: int
    for_ever: bool = False
    only: tuple[str, ...] = ()
    """Count and fail only calls of these names; of any when there is none."""


class SimulatedDisk:
    """A `System`. `after` is called after every call that changed something, with the call's name."""

    def __init__(self, image: Image | None = None) -> None:
        self.after: Callable[[str], None] = lambda _: None
        self.fault: Fault | None = None
        self.calls = 0
        """How many calls were made, or how many of the name that the fault is restricted to."""
        self.faults_met = 0
        self.trace: list[str] | None = None
        """When it is a list, calls are noted in it."""
        self.capacity: int | None = None
        """Bytes that all files together may have."""
        self.root = Folder()
        self._folders: dict[str, Folder] = {"/": self.root}
        self._open: dict[int, tuple[Inode, str]] = {}
        self._next_descriptor = 100
        for path, files in image.folders if image else ():
            self._put_folder(path, files)

    def _put_folder(self, path: str, files: tuple[tuple[str, bytes], ...]) -> None:
        folder = self._folders.get(path)
        if folder is None:
            folder = self._folders[path] = Folder()
            parent, _, name = path.rpartition("/")
            self._put_folder(parent or "/", ())
            self._folders[parent or "/"].change((name, folder))
            self._folders[parent or "/"].sync()
        for name, content in files:
            folder.change((name, Inode(content)))
        folder.sync()

    # --- What tests do with it --------------------------------------------------------------------------------------

    def kill(self, spared: Collection[int] = ()) -> SimulatedDisk:
        """The process ends without a word: descriptors and locks are gone, the page cache stays, and so do the
        descriptors of another process (*spared*)."""
        for descriptor in self._open.keys() - set(spared):
            self._forget(descriptor)
        self.fault = None
        return self

    def fill(self, left_bytes: int = 0) -> None:
        """Leave room for so many bytes only."""
        self.capacity = 0
        self.capacity = left_bytes - self._room()

    @property
    def open_descriptors(self) -> list[str]:
        """Paths of the files that are open."""
        return sorted(path for _, path in self._open.values())

    def crash_states(self, random: Random, count: int) -> Iterator[Image]:
        """States that the medium may be in if power is lost now: nothing un-synced, everything, and *count* others."""
        yield self.synced()
        yield self.everything()
        for _ in range(count):
            yield self.crash_state(random)

    def synced(self) -> Image:
        """The state after a power loss in which nothing un-synced is there."""
        return self._image(lambda folder: folder.durable, lambda inode: inode.durable)

    def everything(self) -> Image:
        """The state after a power loss in which all that was written is there, though nobody waited for it."""
        return self._image(lambda folder: folder.entries, lambda inode: applied(inode.durable, inode.changes))

    def crash_state(self, random: Random) -> Image:
        """One possible state after a power loss."""
        return self._image(lambda folder: folder.after_power_loss(random), lambda inode: inode.after_power_loss(random))

    def _image(self, names: Callable[[Folder], dict[str, Inode | Folder]], content: Callable[[Inode], bytes]) -> Image:
        folders: dict[str, dict[str, bytes]] = {}

        def add(path: str, folder: Folder) -> None:
            files = folders.setdefault(path or "/", {})
            for name, node in names(folder).items():
                if isinstance(node, Folder):
                    add(f"{path}/{name}", node)
                elif name != LOCK_NAME:  # what is in it means nothing when nobody holds it
                    files[name] = content(node)

        add("", self.root)
        return Image.of(folders)

    def content(self, path: str) -> Content:
        """What a process reads in that directory now."""
        folder = self._folders[path]
        return {name: bytes(node.content) for name, node in folder.entries.items() if isinstance(node, Inode)}

    # --- Faults -----------------------------------------------------------------------------------------------------

    def _call(self, name: str, path: str) -> bool:
        """Note a call and fail it if it is its turn; True when it is a write that shall be short."""
        fault = self.fault
        if fault is not None and fault.only and name not in fault.only:
            return False
        self.calls += 1
        if self.trace is not None:
            self.trace.append(f"{name} {path}")
        if fault is None or self.calls < fault.call or (self.calls > fault.call and not fault.for_ever):
            return False
        if fault.error == SHORT_WRITE:
            self.faults_met += name == "pwrite"
            return name == "pwrite"
        self.faults_met += 1
        raise OSError(fault.error, os.strerror(fault.error), path)

    def _room(self) -> int:
        if self.capacity is None:
            return 1 << 62
        inodes = {id(inode): inode for inode, _ in self._open.values()}
        for folder in self._folders.values():
            inodes |= {id(node): node for node in folder.entries.values() if isinstance(node, Inode)}
        return self.capacity - sum(len(inode.content) for inode in inodes.values())

    # --- System -----------------------------------------------------------------------------------------------------

    def _split(self, path: str) -> tuple[Folder, str]:
        parent, _, name = path.rpartition("/")
        folder = self._folders.get(parent or "/")
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, "No such directory", path)
        return folder, name

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:  # noqa: ARG002  # as in os
        self._call("open", path)
        folder, name = self._split(path)
        node = folder.entries.get(name)
        if isinstance(node, Folder):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", path)
        if node is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "No such file", path)
            node = Inode()
            folder.change((name, node))
            self.after("create")
        elif flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, "File exists", path)
        descriptor = self._next_descriptor = self._next_descriptor + 1
        self._open[descriptor] = (node, path)
        return descriptor

    def _inode(self, descriptor: int, call: str) -> Inode:
        if descriptor not in self._open:
            raise OSError(errno.EBADF, "Bad file descriptor")
        inode, path = self._open[descriptor]
        self._call(call, path)
        return inode

    def close(self, fd: int) -> None:
        if fd not in self._open:
            raise OSError(errno.EBADF, "Bad file descriptor")
        self._forget(fd)

    def _forget(self, descriptor: int) -> None:
        inode, _ = self._open.pop(descriptor)
        if inode.locked_by == descriptor:
            inode.locked_by = 0

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        content = self._inode(fd, "pread").content
        if offset == 0 and length >= len(content):
            return bytes(content)
        return bytes(content[offset : offset + length])

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        if fd not in self._open:
            raise OSError(errno.EBADF, "Bad file descriptor")
        inode, path = self._open[fd]
        short = self._call("pwrite", path)
        written = bytes(data)
        if short:
            written = written[: max(1, len(written) // 2)]
        if self.capacity is not None:
            fits = max(0, len(inode.content) + self._room() - offset)
            if fits == 0 and written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            written = written[:fits]
        inode.change(Write(offset, written))
        self.after("pwrite")
        return len(written)

    def sync(self, fd: int) -> None:
        try:
            inode = self._inode(fd, "sync")
        except OSError:
            if fd in self._open:
                self._lose(self._open[fd][0])
            raise
        inode.sync()
        self.after("sync")

    @staticmethod
    def _lose(inode: Inode) -> None:
        # As Linux has it: after a failed sync the pages count as clean. They are read, but no later sync writes them.
        # Every second change got there, so that neither "all" nor "nothing" can be relied on.
        inode.durable = applied(inode.durable, inode.changes[::2])
        inode.changes = []

    def sync_directory(self, path: str) -> None:
        self._call("sync_directory", path)
        self._folders[path].sync()
        self.after("sync_directory")

    def ftruncate(self, fd: int, length: int) -> None:
        self._inode(fd, "ftruncate").change(Resize(length))
        self.after("ftruncate")

    def allocate(self, fd: int, offset: int, length: int) -> None:
        inode = self._inode(fd, "allocate")
        if offset + length > len(inode.content):
            if offset + length - len(inode.content) > self._room():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            inode.change(Resize(offset + length))
            self.after("allocate")

    def size(self, fd: int) -> int:
        return len(self._inode(fd, "size").content)

    def map(self, fd: int, length: int) -> bytes:
        return bytes(self._inode(fd, "map").content[:length])

    def rename(self, old: str, new: str) -> None:
        self._call("rename", old)
        folder, old_name = self._split(old)
        other, new_name = self._split(new)
        assert folder is other
        if old_name not in folder.entries:
            raise FileNotFoundError(errno.ENOENT, "No such file", old)
        node = folder.entries[old_name]
        folder.change((old_name, None), (new_name, node))
        if isinstance(node, Folder):
            inside = [path for path in self._folders if path == old or path.startswith(f"{old}/")]
            self._folders.update({new + path[len(old) :]: self._folders.pop(path) for path in inside})
        self.after("rename")

    def link(self, existing: str, name: str) -> None:
        self._call("link", name)
        folder, base = self._split(existing)
        other, new_base = self._split(name)
        if base not in folder.entries:
            raise FileNotFoundError(errno.ENOENT, "No such file", existing)
        if new_base in other.entries:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        other.change((new_base, folder.entries[base]))
        self.after("link")

    def unlink(self, path: str) -> None:
        self._call("unlink", path)
        folder, name = self._split(path)
        if name not in folder.entries:
            raise FileNotFoundError(errno.ENOENT, "No such file", path)
        folder.change((name, None))
        self.after("unlink")

    unlink_slowly = unlink  # how soon space is free makes no difference to what survives

    def listdir(self, path: str) -> list[str]:
        self._call("listdir", path)
        if path not in self._folders:
            raise FileNotFoundError(errno.ENOENT, "No such directory", path)
        return list(self._folders[path].entries)

    def mkdir(self, path: str, mode: int = 0o700) -> None:  # noqa: ARG002  # as in os
        self._call("mkdir", path)
        folder, name = self._split(path)
        if name in folder.entries:
            raise FileExistsError(errno.EEXIST, "File exists", path)
        made = self._folders[path] = Folder()
        folder.change((name, made))
        self.after("mkdir")

    def rmdir(self, path: str) -> None:
        self._call("rmdir", path)
        folder, name = self._split(path)
        if self._folders[path].entries:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        del self._folders[path]
        folder.change((name, None))
        self.after("rmdir")

    def lock(self, fd: int) -> None:
        inode = self._inode(fd, "lock")
        if inode.locked_by:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        inode.locked_by = fd
