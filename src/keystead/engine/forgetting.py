"""Forgetting: sealed files → the same without a key. In a process of its own. Follows docs/format.md, "Erasing".

Owns: which operations are erased, and the files that are written without them. Must not know: the running engine; who
makes the manifest name the result (`maintenance.py`).
"""

from __future__ import annotations

import os
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from xxhash import xxh3_64

from keystead.engine import manifest as manifests
from keystead.engine.background_process import end_with_parent, full_disk_as_status
from keystead.engine.checkpoint import read_databases, without_keys
from keystead.engine.erasure import Erasure, Rewritten
from keystead.engine.files import Directory
from keystead.engine.format import (
    COMMIT,
    ERASED_VERSION,
    FILE_HEADER,
    PART,
    SEGMENT_MAGIC,
    BadHeader,
    FileHeader,
    Frame,
    encode_file_header,
    encode_frame,
)
from keystead.engine.giving_way import with_rests
from keystead.engine.history.transactions import FIRST_DATABASES
from keystead.engine.keyspace import SYSTEM_KEYSPACE
from keystead.engine.operations import FILLER, Author, Bind, Entry, Group, Parts, decode_entries
from keystead.engine.reading import WINDOW_BYTES, frames_in, read_header
from keystead.errors import DamagedData, KeysteadError

if TYPE_CHECKING:
    from keystead.engine.files import File
    from keystead.engine.manifest import Manifest, SegmentRecord

REQUEST_LENGTH = struct.Struct("<I")
MOST_WORDS = 16
"""With more keys it is quicker to decode everything than to look for each of them before."""
_BIND = b"\x93\x07"
"""How each bind begins."""
_split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def forget(
    directory: Directory, erasure: Erasure, take: Callable[[Iterator[None]], object] = lambda steps: deque(steps, 0)
) -> Rewritten:
    """Write what takes the place of the sealed files that hold what is to be erased; durable when this returns.

    *take* takes the steps of it. OSError, DamagedData; then what was written means nothing, and is removed here, by the
    next try or the next start.
    """
    rewritten = Rewritten()
    take(rewriting(directory, erasure, rewritten))
    return rewritten


def rewriting(directory: Directory, erasure: Erasure, rewritten: Rewritten) -> Iterator[None]:
    """The same in steps; what was written is put into *rewritten*."""
    manifest = manifests.load(directory)
    assert manifest is not None, "a store that is open has a manifest"
    shown: set[int] = set()
    yield from find_keyspaces(directory, manifest, erasure, shown)
    going = Going(erasure, shown)
    try:
        for record in _sealed(manifest):
            yield from _rewrite_segment(directory, manifest.store_id, record, going, rewritten)
        for generation in manifest.generations:
            checkpoint = generation.checkpoint
            if checkpoint is not None and checkpoint.sequence <= erasure.through + 1:
                new = without_keys(directory, manifest.store_id, checkpoint, going.may_be_in, going.names)
                rewritten.checkpoints += [new] if new is not None else []
    except BaseException:  # the room is wanted, by others too
        for name in rewritten.names():
            directory.remove(name)
        raise
    directory.sync()


def _sealed(manifest: Manifest) -> list[SegmentRecord]:
    return [record for generation in manifest.generations for record in generation.segments if record.length]


class Going:
    """What is to be erased: keys of these *keyspaces*, which the database has shown, and of the system's."""

    def __init__(self, erasure: Erasure, keyspaces: set[int]) -> None:
        self.through = erasure.through
        self._keyspaces = keyspaces
        self._keys = frozenset(erasure.keys)
        self._system_prefix = erasure.system_prefix
        words = [*self._keys, *([erasure.system_prefix] if erasure.system_prefix else [])]
        self._words = words if len(words) <= MOST_WORDS else None

    def may_be_in(self, payload: bytes) -> bool:
        """Whether it is worth while to decode that."""
        return self._words is None or any(word in payload for word in self._words)

    def names(self, keyspace: int, key: bytes) -> bool:
        """Whether that key is among it."""
        if keyspace == SYSTEM_KEYSPACE:
            return bool(self._system_prefix) and key.startswith(self._system_prefix)
        return keyspace in self._keyspaces and key in self._keys


# --- Which keyspaces -------------------------------------------------------------------------------------------------


def find_keyspaces(directory: Directory, manifest: Manifest, erasure: Erasure, shown: set[int]) -> Iterator[None]:
    """Put the keyspaces that the database has shown into *shown*, as far back as the log reaches and up to the
    erasure's end."""
    first = manifest.generations[0].checkpoint
    databases = FIRST_DATABASES if first is None else read_databases(directory, manifest.store_id, first)
    shown.add(databases[erasure.database])
    for record in _sealed(manifest):
        with directory.open_to_read(record.file) as file:
            for block in _blocks(_frames(directory, file, manifest.store_id, record)):
                if _BIND in block.payload:
                    shown |= {
                        entry.keyspace
                        for sequence, entry in block.numbered()
                        if isinstance(entry, Bind)
                        and entry.database == erasure.database
                        and sequence <= erasure.through
                    }
                yield


# --- Segments --------------------------------------------------------------------------------------------------------


class Block(NamedTuple):
    """Entries that stand together: those of a commit frame, or of a part group, which is cut into several frames."""

    frames: list[Frame]
    payload: bytes
    """Of all of them."""
    sequence: int
    """Of the first transaction; 0 for a part group that was never committed."""
    in_parts: bool

    def numbered(self) -> Iterator[tuple[int, Entry]]:
        """The entries, each with the sequence number of the transaction that it belongs to."""
        entries = decode_entries(self.payload)
        return ((self.sequence, entry) for entry in entries) if self.in_parts else _numbered(entries, self.sequence)


def _numbered(entries: list[Entry], sequence: int) -> Iterator[tuple[int, Entry]]:
    following = iter(entries)
    for entry in following:
        yield sequence, entry
        if isinstance(entry, Group):
            for operation in islice(following, entry.operations):
                yield sequence, operation
        if not isinstance(entry, Author):
            sequence += 1


def _frames(directory: Directory, file: File, store_id: int, record: SegmentRecord) -> Iterator[Frame]:
    """The frames of a sealed segment. DamagedData where one is missing."""
    path = f"{directory.path}/{record.file}"
    header = _header(path, file, store_id)
    end = FILE_HEADER.size
    for frame in frames_in(file, header.salt, end, record.length or 0):
        yield frame
        end = frame.end
    if end != record.length:
        raise DamagedData(path, end, "a frame's checksum does not match")


def _header(path: str, file: File, store_id: int) -> FileHeader:
    try:
        return read_header(path, store_id, SEGMENT_MAGIC, memoryview(file.read_at(0, FILE_HEADER.size)))
    except BadHeader as error:
        raise DamagedData(path, 0, str(error)) from error


def _blocks(frames: Iterator[Frame]) -> Iterator[Block]:
    """The blocks of one segment; part groups when they are committed, what is left of others at the end."""
    groups: dict[int, list[Frame]] = {}
    for frame in frames:
        if frame.kind == PART:
            # The window that a frame was read in is as large as all of them: let it go.
            groups.setdefault(frame.number, []).append(frame._replace(payload=memoryview(bytes(frame.payload))))
        elif frame.kind == COMMIT:
            block = Block([frame], bytes(frame.payload), frame.first_sequence, in_parts=False)
            if groups:
                for sequence, entry in block.numbered():
                    if isinstance(entry, Parts):
                        yield _group(groups.pop(entry.part, []), sequence)
            yield block
    for frames_of_one in groups.values():
        yield _group(frames_of_one, 0)


def _group(frames: list[Frame], sequence: int) -> Block:
    return Block(frames, b"".join(frame.payload for frame in frames), sequence, in_parts=True)


def _rewrite_segment(
    directory: Directory,
    store_id: int,
    record: SegmentRecord,
    going: Going,
    rewritten: Rewritten,
) -> Iterator[None]:
    with directory.open_to_read(record.file) as file:
        frames: dict[int, bytes] = {}
        for block in _blocks(_frames(directory, file, store_id, record)):
            payload, operations = _erased(block, going)
            if payload != block.payload:
                frames |= _encoded(int(record.salt, 16), block.frames, payload)
                rewritten.operations += operations
            yield
        if not frames:
            return
        header = _header(f"{directory.path}/{record.file}", file, store_id)
        frames[0] = encode_file_header(store_id, header._replace(version=ERASED_VERSION))
        revision = (record.revision or 0) + 1
        new = msgspec.structs.replace(record, revision=revision)
        rewritten.segments.append(new)
        yield from _copy(directory, file, new, frames)


def _erased(block: Block, going: Going) -> tuple[bytes, int]:
    """The block's payload with fillers for what is to be erased, and how many they are."""
    payload = block.payload
    if not block.sequence:
        return bytes(len(payload)), 0  # means nothing, and may end within an operation
    if not going.may_be_in(payload):
        return payload, 0
    raws = _split(payload)
    offset = len(payload) - sum(memoryview(raw).nbytes for raw in raws)
    changed = bytearray(payload)
    operations = 0
    for raw, (sequence, entry) in zip(raws, block.numbered(), strict=True):
        length = memoryview(raw).nbytes
        if (
            sequence <= going.through
            and not isinstance(entry, Author | Group | Parts | Bind)
            and going.names(entry.keyspace, entry.key)
        ):
            changed[offset : offset + length] = filler(length)
            operations += 1
        offset += length
    return bytes(changed), operations


def filler(length: int) -> bytes:
    """A filler entry of so many bytes; no operation has fewer than five."""
    if length < 4 + (1 << 8):
        head = struct.pack(">BBBB", 0x92, FILLER, 0xC4, length - 4)
    elif length < 5 + (1 << 16):
        head = struct.pack(">BBBH", 0x92, FILLER, 0xC5, length - 5)
    else:
        head = struct.pack(">BBBI", 0x92, FILLER, 0xC6, length - 7)
    return head.ljust(length, b"\0")


def _encoded(salt: int, frames: list[Frame], payload: bytes) -> dict[int, bytes]:
    """By offset: the frames with these bytes as their payloads, cut as they were."""
    encoded = {}
    start = 0
    for frame in frames:
        end = start + len(frame.payload)
        encoded[frame.offset] = encode_frame(
            salt,
            frame.offset,
            frame.kind,
            payload[start:end],
            number=frame.number,
            first_sequence=frame.first_sequence,
            time_ms=frame.time_ms,
            durable_position=frame.durable_position,
        )
        start = end
    return encoded


def _copy(directory: Directory, source: File, record: SegmentRecord, changed: dict[int, bytes]) -> Iterator[None]:
    """Write the segment of that record, a copy but for what is *changed* at these offsets, and complete the record.

    Synced at the end, though not its name; and on the way, for nobody else's sync shall wait for all of it.
    """
    length = record.length or 0
    directory.remove(record.file)  # of a try that came to no end
    digest = xxh3_64()
    with directory.create(record.file) as copy:
        for offset in range(0, length, WINDOW_BYTES):
            copy.write_at(offset, source.read_at(offset, min(WINDOW_BYTES, length - offset)))
            copy.sync()
            yield
        for offset, data in changed.items():
            copy.write_at(offset, data)
            yield
        for offset in range(0, length, WINDOW_BYTES):
            digest.update(copy.read_at(offset, min(WINDOW_BYTES, length - offset)))
            yield
        copy.sync()
    record.checksum = digest.hexdigest()


# --- The process -----------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> None:
    """Entry point of the process: the directory as argument, what to erase on standard input, for a command line is
    public; the result as JSON on standard output."""
    (length,) = REQUEST_LENGTH.unpack(_read(REQUEST_LENGTH.size))
    erasure = msgspec.msgpack.decode(_read(length), type=Erasure)
    end_with_parent()
    try:
        with full_disk_as_status():
            rewritten = forget(Directory(arguments[0]), erasure, with_rests)
    except KeysteadError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(rewritten))
    sys.stdout.flush()


def _read(length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += os.read(0, length - len(data)) or sys.exit(1)
    return data
