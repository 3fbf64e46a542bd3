"""Checkpoints: a view written to one file, shard by shard, and read back. Follows docs/format.md, "Checkpoint"."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import msgspec
from xxhash import xxh3_64

from keystead.engine.expiries import ShardExpiries
from keystead.engine.format import (
    CHECKPOINT_MAGIC,
    END,
    FILE_HEADER,
    FRAME_HEADER,
    KIND_OFFSET,
    SHARD,
    BadHeader,
    FileHeader,
    checkpoint_name,
    decode_frame,
    encode_file_header,
    encode_frame,
    frame_bytes,
)
from keystead.engine.keyspace import SHARDS, SYSTEM_KEYSPACE
from keystead.engine.manifest import CheckpointRecord
from keystead.engine.reading import frames_in, read_header
from keystead.engine.values import value_bytes
from keystead.engine.view import ReplayError
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from keystead.engine.files import Directory, File
    from keystead.engine.format import Frame
    from keystead.engine.values import Value
    from keystead.engine.view import View

_encode = msgspec.msgpack.Encoder().encode
_decode_shard = msgspec.msgpack.Decoder(tuple[int, int, int, dict[bytes, bytes], list[int]]).decode
_decode_end = msgspec.msgpack.Decoder(tuple[dict[int, int], int]).decode


SYNC_STEP_BYTES: Final = 1 << 20
"""Synced so often, the file never keeps the disk busy for long: a sync of the log behind one of 90 MB took 25 ms."""
UNFINISHED = ".tmp"
"""Behind the name of a checkpoint that is being written."""


class Progress(NamedTuple):
    """How far a long piece of work is, in bytes."""

    done: int
    total: int


class CheckpointWriter:
    """Writes one checkpoint under a temporary name; `finish` makes it durable and gives it its own."""

    def __init__(self, directory: Directory, store_id: int, number: int, view: View, position: int) -> None:
        self._directory = directory
        self._name = checkpoint_name(number)
        directory.remove(self._temporary)
        self._file: File = directory.create(self._temporary)
        self._salt = secrets.randbits(64)
        self._record = CheckpointRecord(self._name, number, 0, "", position, view.next_sequence, view.time_ms)
        self._digest = xxh3_64()
        self._shard_frames = 0
        self._synced = 0
        header = FileHeader(CHECKPOINT_MAGIC, self._salt, number, position, view.next_sequence, view.time_ms)
        try:
            self._append(encode_file_header(store_id, header))
        except BaseException:
            self.abandon()
            raise

    @property
    def _temporary(self) -> str:
        return f"{self._name}{UNFINISHED}"

    def _append(self, data: bytes) -> None:
        self._file.write_at(self._record.length, data)
        self._digest.update(data)
        self._record.length += len(data)
        if self._record.length - self._synced > SYNC_STEP_BYTES:
            self._file.sync()
            self._synced = self._record.length

    def write_shards(self, view: View, shards: range) -> Iterator[None]:
        """Write these shards of every keyspace that a database shows, and the system's; yields after each frame."""
        kept = {*view.databases, SYSTEM_KEYSPACE}
        for number, keyspace in sorted(view.keyspaces.items()):
            if number not in kept:
                continue
            for i in shards:
                shard = keyspace.shards[i]
                if shard:
                    size = sum(map(len, shard)) + sum(map(value_bytes, shard.values()))
                    payload = _encode((number, i, size, *_in_order_of_expiry(shard, keyspace.expires[i])))
                    self._append(encode_frame(self._salt, self._record.length, SHARD, payload, number=len(shard)))
                    self._shard_frames += 1
                    yield

    def finish(self, view: View) -> CheckpointRecord:
        """Write the end, then: sync the file → rename → sync the directory. Only then may a manifest name it."""
        payload = _encode((dict(enumerate(view.databases)), view.next_keyspace))
        self._append(encode_frame(self._salt, self._record.length, END, payload, number=self._shard_frames))
        self._record.checksum = self._digest.hexdigest()
        self._file.sync()
        self._file.close()
        self._directory.rename(self._temporary, self._name)
        self._directory.sync()
        return self._record

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._directory.remove(self._temporary)


def read_checkpoint(
    directory: Directory, store_id: int, record: CheckpointRecord, view: View, wanted: range = range(SHARDS)
) -> Iterator[Progress]:
    """Put the *wanted* shards of a checkpoint into *view*. DamagedData names file and offset."""
    path = f"{directory.path}/{record.file}"
    try:
        file = directory.open_to_read(record.file)
    except FileNotFoundError:
        raise DamagedData(path, 0, "the file is missing") from None
    with file:
        yield from read_opened(path, file, store_id, record, view, wanted)


def read_databases(directory: Directory, store_id: int, record: CheckpointRecord) -> list[int]:
    """The keyspace that each database showed then, without reading the data. DamagedData."""
    path = f"{directory.path}/{record.file}"
    with directory.open_to_read(record.file) as file:
        header = checked_header(path, file, store_id, record)
        offset = FILE_HEADER.size
        while offset < record.length:
            start = memoryview(file.read_at(offset, FRAME_HEADER.size))
            length = frame_bytes(start, 0)
            if not length:
                break
            if start[KIND_OFFSET] == END:
                frame = decode_frame(header.salt, memoryview(file.read_at(offset, length)), 0, offset)
                if frame is None:
                    break
                databases, _ = _decode_end(frame.payload)
                return [databases[number] for number in sorted(databases)]
            offset += length
    raise DamagedData(path, offset, "its end cannot be found")


def shard_place(payload: memoryview) -> tuple[int, int]:
    """The keyspace and the shard that a shard frame says to be of, from the beginning of its payload. ReplayError."""
    keyspace, at = _unsigned(payload, 1)
    shard, _ = _unsigned(payload, at)
    return keyspace, shard


def _unsigned(data: memoryview, at: int) -> tuple[int, int]:
    """The MessagePack integer there, and where it ends."""
    first = data[at]
    if first < 0x80:
        return first, at + 1
    if not 0xCC <= first <= 0xCF:
        raise ReplayError(f"{first:#x} where a number should be")
    end = at + 1 + (1 << first - 0xCC)
    return int.from_bytes(data[at + 1 : end], "big"), end


def shard_keys(payload: memoryview) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
    """Values and expiries in a shard frame. msgspec.DecodeError."""
    _, _, _, values, times = _decode_shard(payload)
    return values, dict(zip(values, times, strict=False))


def shown_keyspaces(payload: memoryview) -> tuple[int, ...]:
    """The keyspace that each database showed, of the end frame. msgspec.DecodeError."""
    databases, _ = _decode_end(payload)
    return tuple(databases[number] for number in sorted(databases))


def read_opened(
    path: str, file: File, store_id: int, record: CheckpointRecord, view: View, wanted: range = range(SHARDS)
) -> Iterator[Progress]:
    """`read_checkpoint` of a file that is open."""
    header = checked_header(path, file, store_id, record)
    size = record.length
    offset, shard_frames, ended = FILE_HEADER.size, 0, False
    for frame in frames_in(file, header.salt, FILE_HEADER.size, size):
        try:
            if frame.kind == SHARD and not ended:
                number, i, payload_bytes, shard, times = _decode_shard(frame.payload)
                if not 0 <= i < SHARDS or frame.number != len(shard) or len(times) > len(shard):
                    raise DamagedData(path, offset, f"shard {i} of keyspace {number} contradicts itself")
                if i in wanted:
                    keyspace = view.keyspace(number)
                    keyspace.payload_bytes += payload_bytes
                    keyspace.shards[i] = cast("dict[bytes, Value]", shard)
                    keyspace.expires[i] = ShardExpiries(shard, times) if times else None
                shard_frames += 1
            elif frame.kind == END and frame.number == shard_frames and not ended:
                databases, view.next_keyspace = _decode_end(frame.payload)
                view.databases = [databases[number] for number in range(len(view.databases))]
                ended = True
            else:
                raise DamagedData(path, offset, f"a frame of kind {frame.kind} does not belong here")
        except (msgspec.DecodeError, KeyError, IndexError, OverflowError) as error:
            raise DamagedData(path, offset, f"a frame's content makes no sense: {error}") from error
        offset = frame.end
        yield Progress(offset, size)
    if offset != size or not ended:
        raise DamagedData(path, offset, "a frame's checksum does not match")
    view.next_sequence, view.time_ms = record.sequence, record.time_ms


def without_keys(
    directory: Directory,
    store_id: int,
    record: CheckpointRecord,
    may_hold: Callable[[bytes], bool],
    goes: Callable[[int, bytes], bool],
) -> CheckpointRecord | None:
    """Write the checkpoint again without some keys, as its next revision, and sync it, though not its name.

    *goes* says so of a keyspace and key, *may_hold* whether a shard's payload may have one. None when it has none.
    """
    path = f"{directory.path}/{record.file}"
    with directory.open_to_read(record.file) as source:
        header = checked_header(path, source, store_id, record)
        holding = (frame for frame in _frames(path, source, header, record) if may_hold(bytes(frame.payload)))
        if not any(_without(bytes(frame.payload), goes)[0] != frame.number for frame in holding if frame.kind == SHARD):
            return None
    revision = (record.revision or 0) + 1
    new = msgspec.structs.replace(record, file=checkpoint_name(record.number, revision), length=0, revision=revision)
    digest = xxh3_64()
    directory.remove(new.file)  # of a try that came to no end
    with directory.open_to_read(record.file) as source, directory.create(new.file) as file:

        def append(data: bytes) -> None:
            file.write_at(new.length, data)
            digest.update(data)
            new.length += len(data)

        append(source.read_at(0, FILE_HEADER.size))
        shard_frames = 0
        for frame in _frames(path, source, header, record):
            number, payload = frame.number, bytes(frame.payload)
            if frame.kind == END:
                number = shard_frames
            elif may_hold(payload):
                number, payload = _without(payload, goes)
            if number or frame.kind == END:
                append(encode_frame(header.salt, new.length, frame.kind, payload, number=number))
                shard_frames += 1
        file.sync()
    new.checksum = digest.hexdigest()
    return new


def _frames(path: str, file: File, header: FileHeader, record: CheckpointRecord) -> Iterator[Frame]:
    end = FILE_HEADER.size
    for frame in frames_in(file, header.salt, end, record.length):
        yield frame
        end = frame.end
    if end != record.length:
        raise DamagedData(path, end, "a frame's checksum does not match")


def _without(payload: bytes, goes: Callable[[int, bytes], bool]) -> tuple[int, bytes]:
    """How many keys are left of a shard, and its payload then."""
    number, i, size, shard, times = _decode_shard(payload)
    going = [(at, key) for at, key in enumerate(shard) if goes(number, key)]
    for at, key in reversed(going):
        size -= len(key) + len(shard.pop(key))
        if at < len(times):
            del times[at]
    return len(shard), _encode((number, i, size, shard, times))


def checked_header(path: str, file: File, store_id: int, record: CheckpointRecord) -> FileHeader:
    """The header of that very checkpoint. DamagedData."""
    size = file.size()
    if size != record.length:
        raise DamagedData(path, min(size, record.length), f"{record.length} bytes expected, found {size}")
    try:
        header = read_header(path, store_id, CHECKPOINT_MAGIC, memoryview(file.read_at(0, FILE_HEADER.size)))
    except BadHeader as error:
        raise DamagedData(path, 0, str(error)) from error
    named = (record.number, record.position, record.sequence)
    if (header.number, header.base_position, header.first_sequence) != named:
        raise DamagedData(path, 0, "this is another checkpoint than the manifest names")
    return header


def _in_order_of_expiry(
    shard: dict[bytes, Value], expires: ShardExpiries | None
) -> tuple[dict[bytes, Value], list[int]]:
    """Keys with an expiry first, and their expiries: so no key is written twice, nor in memory twice after a start."""
    if expires is None:
        return shard, []
    ordered = {key: shard[key] for key in expires.slots}
    ordered.update(shard)
    return ordered, expires.in_order()
