"""Every byte on disk, without I/O; follows docs/format.md heading by heading.

Owns: headers, frames, checksums, and telling good bytes from bad. Must not know: files, keyspaces, what to do
about damage.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from xxhash import xxh3_64_intdigest as checksum

VERSION = 2
"""What is written, unless something has been erased."""
ERASED_VERSION = 3
"""Of a segment from which something has been erased. All up to this one are read: see docs/format.md, "History of
versions"."""
MASK_64 = (1 << 64) - 1

# --- Frame ----------------------------------------------------------------------------------------------------------

FRAME_HEADER = struct.Struct("<QIB3xIQQQ")
_COVERED_HEADER = struct.Struct("<IB3xIQQQ")
_CHECKSUM = struct.Struct("<Q")
KIND_OFFSET = 12
FRAME_ALIGNMENT = 8
NO_FRAME = bytes(FRAME_HEADER.size)

COMMIT = 1
PART = 2
MARK = 3
SHARD = 4
END = 5
_SEGMENT_KINDS = frozenset(bytes((kind, 0, 0, 0)) for kind in (COMMIT, PART, MARK))
"""With the zeros that stand behind the kind."""

PADDING = [bytes(n) for n in range(FRAME_ALIGNMENT)]


class Frame(NamedTuple):
    """One frame as read back; *offset* and *end* are those in its file."""

    offset: int
    end: int
    kind: int
    number: int
    first_sequence: int
    time_ms: int
    durable_position: int
    payload: memoryview


def encode_frame(
    salt: int,
    offset: int,
    kind: int,
    payload: bytes,
    *,
    number: int = 0,
    first_sequence: int = 0,
    time_ms: int = 0,
    durable_position: int = 0,
) -> bytes:
    """The bytes of one frame that will stand at *offset* of the file with that *salt*."""
    length = len(payload)
    padding = PADDING[-(FRAME_HEADER.size + length) % FRAME_ALIGNMENT]
    covered = _COVERED_HEADER.pack(length, kind, number, first_sequence, time_ms, durable_position) + payload + padding
    return _CHECKSUM.pack(checksum(covered, salt + offset & MASK_64)) + covered


def decode_frame(salt: int, data: memoryview, offset: int, base: int = 0) -> Frame | None:
    """The good frame at *offset* of *data*, which are the file's bytes from *base* on; or None."""
    if offset + FRAME_HEADER.size > len(data):
        return None
    expected, length, kind, number, first_sequence, time_ms, durable = FRAME_HEADER.unpack_from(data, offset)
    end = offset + FRAME_HEADER.size + length
    padded_end = end + -(FRAME_HEADER.size + length) % FRAME_ALIGNMENT
    if not kind or padded_end > len(data):
        return None
    if checksum(data[offset + _CHECKSUM.size : padded_end], salt + base + offset & MASK_64) != expected:
        return None
    payload = data[offset + FRAME_HEADER.size : end]
    return Frame(base + offset, base + padded_end, kind, number, first_sequence, time_ms, durable, payload)


def frame_bytes(data: memoryview, offset: int) -> int:
    """How long the frame at *offset* says it is, padding included; 0 where not even its header is there."""
    if offset + FRAME_HEADER.size > len(data):
        return 0
    length: int = FRAME_HEADER.unpack_from(data, offset)[1]
    return FRAME_HEADER.size + length + -(FRAME_HEADER.size + length) % FRAME_ALIGNMENT


def frames(salt: int, data: memoryview, offset: int) -> Iterator[Frame]:
    """The chain of good frames from *offset* on; it ends before the first bytes that are not one."""
    while (frame := decode_frame(salt, data, offset)) is not None:
        yield frame
        offset = frame.end


def frames_beyond(salt: int, data: memoryview, offset: int) -> Iterator[Frame]:
    """Every good frame at or after *offset*, wherever it begins: what bad bytes are judged by.

    A frame's length cannot be trusted once a frame is bad, so each aligned offset is tried. Zeros are skipped quickly.
    """
    offset += -offset % FRAME_ALIGNMENT
    while offset + FRAME_HEADER.size <= len(data):
        if not any(data[offset : offset + FRAME_ALIGNMENT]):  # a checksum of zero is passed over: once in 2**64 frames
            offset = next_nonzero(data, offset) // FRAME_ALIGNMENT * FRAME_ALIGNMENT
        # Looked at first, or noise would be hashed megabytes at a time, wherever it happens to read as a length.
        may_be = bytes(data[offset + KIND_OFFSET : offset + KIND_OFFSET + 4]) in _SEGMENT_KINDS
        frame = decode_frame(salt, data, offset) if may_be else None
        if frame is not None:
            yield frame
            offset = frame.end
        else:
            offset += FRAME_ALIGNMENT


def next_nonzero(data: memoryview, offset: int) -> int:
    """The first offset at or after *offset* whose byte is not zero; the length of *data* when there is none."""
    step = 1 << 16
    for start in range(offset, len(data), step):
        chunk = bytes(data[start : start + step])
        rest = chunk.lstrip(b"\0")
        if rest:
            return start + len(chunk) - len(rest)
    return len(data)


# --- Segment, Checkpoint --------------------------------------------------------------------------------------------

FILE_HEADER = struct.Struct("<8sHHIQQQQQQ")
_FILE_CHECKSUM_OFFSET = FILE_HEADER.size - _CHECKSUM.size
SEGMENT_MAGIC = b"KEYSTLOG"
CHECKPOINT_MAGIC = b"KEYSTCKP"


class FileHeader(NamedTuple):
    """The header of a segment or a checkpoint."""

    magic: bytes
    salt: int
    number: int
    base_position: int
    first_sequence: int
    created_ms: int
    version: int = VERSION


class BadHeader(Exception):
    """These bytes are not the header that was asked for; the text says why."""


class OtherVersion(Exception):
    """A good header, written in the format of that version, which is not known here."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


def encode_file_header(store_id: int, header: FileHeader) -> bytes:
    """The first 64 bytes of a file of the store."""
    magic, salt, number, base_position, first_sequence, created_ms, version = header
    unsealed = FILE_HEADER.pack(magic, version, 0, 0, salt, number, base_position, first_sequence, created_ms, 0)[
        :_FILE_CHECKSUM_OFFSET
    ]
    return unsealed + _CHECKSUM.pack(checksum(unsealed, store_id))


def decode_file_header(store_id: int, magic: bytes, data: memoryview) -> FileHeader:
    """The header at the start of *data*. BadHeader when it is damaged, of another kind or store; OtherVersion."""
    if len(data) < FILE_HEADER.size:
        raise BadHeader("the file is shorter than its header")
    found, version, _, _, salt, number, base_position, first_sequence, created_ms, expected = FILE_HEADER.unpack_from(
        data
    )
    if checksum(data[:_FILE_CHECKSUM_OFFSET], store_id) != expected:
        raise BadHeader("the header's checksum does not match: damaged, or a file of another store")
    if found != magic:
        raise BadHeader(f"this is not a {magic.decode()} file")
    if not 1 <= version <= ERASED_VERSION:
        raise OtherVersion(version)
    return FileHeader(magic, salt, number, base_position, first_sequence, created_ms, version)


def segment_name(number: int, revision: int = 0) -> str:
    """The file name of a segment; of that *revision*, when it was written again."""
    return f"segment-{number:010}{_revised(revision)}.log"


def index_name(segment_file: str) -> str:
    """The file name of the index of a segment."""
    return segment_file.removesuffix(".log") + ".idx"


def checkpoint_name(number: int, revision: int = 0) -> str:
    """The file name of the checkpoint that contains the segments up to that number."""
    return f"checkpoint-{number:010}{_revised(revision)}.ckp"


def _revised(revision: int) -> str:
    return f"-r{revision}" if revision else ""
