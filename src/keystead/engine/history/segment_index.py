"""The index of a sealed segment, in a file beside it. Follows docs/format.md, "Index of a segment".

Derived data: what is missing or bad is told by None, never by an error, and can be built again.
"""

from __future__ import annotations

import re
import struct
import sys
from array import array
from typing import TYPE_CHECKING, cast

from xxhash import xxh3_64_intdigest as checksum

from keystead.engine.format import FILE_HEADER, SEGMENT_MAGIC, BadHeader, index_name
from keystead.engine.history.frame_index import FrameIndex, Mark, Part
from keystead.engine.history.tail_index import TailIndex, keys_in_order
from keystead.engine.reading import read_header
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keystead.engine.files import Directory, File
    from keystead.engine.manifest import SegmentRecord

NAME = re.compile(r"segment-\d{10,}(?:-r\d+)?\.idx")
"""Of every index file."""
MAGIC = b"KEYSTIDX"
VERSION = 1
_HEADER = struct.Struct("<8sHHIQQQQIIIIQ")
_MARK = struct.Struct("<QQQ")
_PART = struct.Struct("<IIIII")
_CHECKSUM = struct.Struct("<Q")


class SegmentIndex(FrameIndex):
    """An index as it stands in its file; the large sections are looked at there."""

    def __init__(self, data: memoryview) -> None:
        """*data* was checked."""
        super().__init__()
        *_, marks, binds, parts, removals, keys = _HEADER.unpack_from(data)
        at = _HEADER.size
        sections = []
        for size in (marks * _MARK.size, binds * 4, parts * _PART.size, removals * 4, keys * 8):
            sections.append(data[at : at + size])
            at += size
        self.marks = [Mark(*each) for each in _MARK.iter_unpack(sections[0])]
        self.binds = list(_numbers("I", sections[1]))
        self.part_at = {part.place: part for part in (Part(*each) for each in _PART.iter_unpack(sections[2]))}
        self.removals = _numbers("I", sections[3])
        self.runs = [_numbers("Q", sections[4])]


def _numbers(kind: str, data: memoryview) -> Sequence[int]:
    if sys.byteorder == "little":
        return cast("Sequence[int]", data.cast(kind))  # type: ignore[call-overload]  # "I" or "Q"
    numbers = array(kind, data.tobytes())
    numbers.byteswap()
    return numbers


def encode(index: FrameIndex, store_id: int, record: SegmentRecord) -> bytes:
    """The bytes of a sealed segment's index file."""
    keys = array("Q", keys_in_order(index)) if index.runs else array("Q")
    parts = list(index.part_at.values())
    counts = len(index.marks), len(index.binds), len(parts), len(index.removals), len(keys)
    assert record.length is not None
    assert record.checksum is not None
    identity = int(record.salt, 16), record.number, record.length, int(record.checksum, 16)
    sections = (
        _HEADER.pack(MAGIC, VERSION, 0, 0, *identity, *counts),
        b"".join(_MARK.pack(*mark) for mark in index.marks),
        _bytes(array("I", index.binds)),
        b"".join(_PART.pack(*part) for part in parts),
        _bytes(array("I", index.removals)),
        _bytes(keys),
    )
    data = b"".join(sections)
    return data + _CHECKSUM.pack(checksum(data, store_id))


def _bytes(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def load(directory: Directory, store_id: int, record: SegmentRecord) -> SegmentIndex | None:
    """The index of a sealed segment; None when there is none, or none that is whole and this segment's."""
    try:
        with directory.open_to_read(index_name(record.file)) as file:
            size = file.size()
            if size < _HEADER.size + _CHECKSUM.size:
                return None
            data = memoryview(file.map(size))
    except OSError:
        return None
    if checksum(data[: -_CHECKSUM.size], store_id) != _CHECKSUM.unpack_from(data, size - _CHECKSUM.size)[0]:
        return None
    magic, version, _, _, salt, number, length, of_segment, *_ = _HEADER.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION) or record.checksum is None:
        return None
    if (salt, number, length, of_segment) != (
        int(record.salt, 16),
        record.number,
        record.length,
        int(record.checksum, 16),
    ):
        return None
    return SegmentIndex(data)


def build(
    path: str,
    file: File,
    store_id: int,
    hash_seed: int,
    record: SegmentRecord,
    between_frames: Callable[[], None] = lambda: None,
) -> TailIndex:
    """Read a sealed segment from end to end. DamagedData."""
    assert record.length is not None
    try:
        header = read_header(path, store_id, SEGMENT_MAGIC, memoryview(file.read_at(0, FILE_HEADER.size)))
    except BadHeader as error:
        raise DamagedData(path, 0, str(error)) from error
    index = TailIndex(path, header.salt, hash_seed, header.first_sequence)
    index.grow(file, record.length, between_frames=between_frames)
    if index.end != record.length:
        raise DamagedData(path, index.end, "a frame's checksum does not match")
    return index


def store(directory: Directory, record: SegmentRecord, data: bytes) -> None:
    """Write an index file: temporary file → its sync → rename. OSError, DiskFailure.

    The directory is not synced: after a crash the index may not be there, and is built again. Were it synced here, in
    a process of its own, a failure might be told here and never to the one to whom it is final.
    """
    name = index_name(record.file)
    temporary = f"{name}.tmp"
    directory.remove(temporary)
    try:
        with directory.create(temporary) as file:
            file.write_at(0, data)
            file.sync()
        directory.rename(temporary, name)
    except BaseException:
        directory.remove(temporary)
        raise
