"""Cutting a log after a transaction: what a restored store keeps of it.

Owns: which generations lead to a moment, where the last segment ends, and a frame with fewer transactions. Must not
know: where the files come from, what becomes of the directory.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import Enum, auto
from itertools import islice
from typing import NamedTuple

from xxhash import xxh3_64_hexdigest

from keystead.backup.failures import MomentNotKept
from keystead.engine.files import Directory
from keystead.engine.format import COMMIT, FILE_HEADER, SEGMENT_MAGIC, BadHeader, FileHeader, Frame, encode_frame
from keystead.engine.manifest import CheckpointRecord, Generation, Manifest, SegmentRecord
from keystead.engine.operations import Author, Entry, Group, decode_entries, encode_entries
from keystead.engine.reading import frames_in, read_header
from keystead.errors import DamagedData


class Until(NamedTuple):
    """The last transaction to keep: that number, or the last one committed by that time; all when neither is said."""

    sequence: int | None = None
    time_ms: int | None = None

    def covers_checkpoint(self, checkpoint: CheckpointRecord) -> bool:
        """Whether everything in the checkpoint is to be kept."""
        if self.sequence is not None:
            return checkpoint.sequence - 1 <= self.sequence
        return self.time_ms is None or checkpoint.time_ms <= self.time_ms

    def is_past(self, first_sequence: int, time_ms: int) -> bool:
        """Whether a frame that begins so is behind the moment."""
        if self.sequence is not None:
            return first_sequence > self.sequence
        return self.time_ms is not None and time_ms > self.time_ms

    def __str__(self) -> str:
        if self.sequence is not None:
            return f"transaction {self.sequence:,}"
        return written(self.time_ms) if self.time_ms is not None else "its end"


class Kept(Enum):
    """What of a segment stands before the moment."""

    ALL = auto()
    A_PART = auto()
    NOTHING = auto()


def written(at_ms: int) -> str:
    """A time for people, to the millisecond, in the machine's zone."""
    seconds, ms = divmod(at_ms, 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{ms:03}"


def generations_until(manifest: Manifest, until: Until) -> list[Generation]:
    """Those that lead to the moment, oldest first; it is in the last one. MomentNotKept says how far back it goes."""
    count = 0
    for index, generation in enumerate(manifest.generations):
        if generation.checkpoint is None or until.covers_checkpoint(generation.checkpoint):
            count = index + 1
    if count:
        return manifest.generations[:count]
    oldest = manifest.generations[0].checkpoint
    assert oldest is not None
    raise MomentNotKept(
        f"{until} is not kept any more; the oldest moment that is, is transaction {oldest.sequence - 1:,} "
        f"at {written(oldest.time_ms)}"
    )


def reaches_beyond(directory: Directory, manifest: Manifest, record: SegmentRecord, until: Until) -> bool:
    """Whether nothing behind this sealed segment is to be kept, as far as its header, or else its frames, tell.

    The time in its record is a bound: the last commit in it may be earlier. DamagedData.
    """
    if until.time_ms is not None and record.time_ms <= until.time_ms:
        return False
    with directory.open_to_read(record.file) as file:
        header = _header(directory, manifest, record, memoryview(file.read_at(0, FILE_HEADER.size)))
        if until.sequence is not None:
            return header.first_sequence > until.sequence
        frames = frames_in(file, header.salt, FILE_HEADER.size, record.length or 0)
        return any(frame.kind == COMMIT and until.is_past(frame.first_sequence, frame.time_ms) for frame in frames)


def cut(directory: Directory, manifest: Manifest, record: SegmentRecord, until: Until) -> Kept:
    """End a sealed segment of *directory*, a copy that nobody uses yet, after the moment, and say so in its record.

    A frame with several transactions, some of them later, is written again with the earlier ones. Durable when this
    returns. DamagedData.
    """
    if until == Until() or (until.time_ms is not None and record.time_ms <= until.time_ms):
        return Kept.ALL
    with directory.open(record.file) as file:
        header = _header(directory, manifest, record, memoryview(file.read_at(0, FILE_HEADER.size)))
        if until.sequence is not None and header.first_sequence > until.sequence:
            return Kept.NOTHING
        end, time_ms = 0, 0
        for frame in frames_in(file, header.salt, FILE_HEADER.size, record.length or 0):
            if frame.kind != COMMIT:
                continue
            if until.is_past(frame.first_sequence, frame.time_ms):
                break
            end, time_ms = frame.end, frame.time_ms
            if until.sequence is not None and until.is_past(frame.first_sequence + frame.number - 1, time_ms):
                data = _shortened(header, frame, until.sequence - frame.first_sequence + 1)
                file.write_at(frame.offset, data)
                end = frame.offset + len(data)
                break
        else:
            return Kept.ALL  # a mark or a part at its end included
        if not end:
            return Kept.NOTHING
        file.truncate(end)
        file.sync()
        record.length, record.time_ms = end, time_ms
        record.checksum = xxh3_64_hexdigest(file.read_at(0, end))
    return Kept.A_PART


def _header(directory: Directory, manifest: Manifest, record: SegmentRecord, data: memoryview) -> FileHeader:
    path = f"{directory.path}/{record.file}"
    try:
        return read_header(path, manifest.store_id, SEGMENT_MAGIC, data)
    except BadHeader as error:
        raise DamagedData(path, 0, str(error)) from error


def _shortened(header: FileHeader, frame: Frame, transactions: int) -> bytes:
    payload = encode_entries(first_transactions(decode_entries(frame.payload), transactions))
    return encode_frame(
        header.salt,
        frame.offset,
        COMMIT,
        payload,
        number=transactions,
        first_sequence=frame.first_sequence,
        time_ms=frame.time_ms,
        durable_position=frame.durable_position,
    )


def first_transactions(entries: Iterable[Entry], count: int) -> list[Entry]:
    """The entries that are the first *count* transactions, with their authors."""
    kept: list[Entry] = []
    following = iter(entries)
    for entry in following:
        if not isinstance(entry, Author):
            if not count:
                break
            count -= 1
        kept.append(entry)
        if isinstance(entry, Group):
            kept += islice(following, entry.operations)
    return kept
