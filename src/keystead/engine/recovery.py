"""Directory → view: reads checkpoint and segments, and tells a torn tail from damage. Changes nothing on disk.

Owns: the judgement in docs/format.md, "Start-up". Must not know: what is done about a torn tail (`opening.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from keystead.engine.checkpoint import Progress, read_checkpoint
from keystead.engine.format import (
    COMMIT,
    FILE_HEADER,
    MARK,
    PART,
    SEGMENT_MAGIC,
    BadHeader,
    FileHeader,
    Frame,
    frames,
    frames_beyond,
    next_nonzero,
)
from keystead.engine.operations import decode_entries
from keystead.engine.reading import frames_in, read_header
from keystead.engine.view import ReplayError, View
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from keystead.engine.files import Directory, File
    from keystead.engine.manifest import Generation, Manifest, SegmentRecord


@dataclass(slots=True)
class OpenSegment:
    """A segment that was not sealed: *data* is the whole file, *end* the offset up to which it is good."""

    record: SegmentRecord
    data: memoryview
    header: FileHeader
    end: int
    last_frame: Frame | None = None
    unclosed: set[int] = field(default_factory=set)
    """Part groups whose commit frame is not here."""


@dataclass(slots=True)
class TornTail:
    """Bytes that are no frames and that nothing proves durable: never acknowledged."""

    file: str
    offset: int
    data: bytes


@dataclass(slots=True)
class Recovered:
    """What reading the newest generation found."""

    view: View
    position: int = 0
    """The log's end."""
    proven: int = 0
    """Everything before this position was durable."""
    open_segments: list[OpenSegment] = field(default_factory=list)
    unused: list[SegmentRecord] = field(default_factory=list)
    """Prepared segments that were never written to, or hold nothing but a torn tail."""
    torn: list[TornTail] = field(default_factory=list)


def recover(directory: Directory, manifest: Manifest, recovered: Recovered) -> Iterator[Progress]:
    """Read the newest generation into *recovered*, yielding progress. DamagedData names file and offset."""
    generation = manifest.current
    sizes = _sizes(directory, generation)
    done, total = 0, sum(sizes.values())
    view = recovered.view
    if generation.checkpoint is not None:
        for progress in read_checkpoint(directory, manifest.store_id, generation.checkpoint, view):
            yield Progress(progress.done, total)
        recovered.position = recovered.proven = generation.checkpoint.position
        done = generation.checkpoint.length
    for index, record in enumerate(generation.segments):
        if record.length is not None:
            steps = read_sealed(directory, manifest.store_id, record, recovered)
        else:
            steps = _read_open_tail(directory, manifest.store_id, generation.segments[index:], recovered)
        for progress in steps:
            yield Progress(done + progress.done, total)
        done += sizes[record.file]
        if record.length is None:
            break


def _sizes(directory: Directory, generation: Generation) -> dict[str, int]:
    sizes = {}
    names = [segment.file for segment in generation.segments]
    for name in names + ([generation.checkpoint.file] if generation.checkpoint else []):
        try:
            with directory.open(name) as file:
                sizes[name] = file.size()
        except FileNotFoundError:
            raise DamagedData(f"{directory.path}/{name}", 0, "the file is missing") from None
    return sizes


def read_sealed(directory: Directory, store_id: int, record: SegmentRecord, recovered: Recovered) -> Iterator[Progress]:
    """Replay a sealed segment. Every byte of it was durable, so whatever is wrong with it is damage."""
    with directory.open(record.file) as file:
        yield from _read_sealed(f"{directory.path}/{record.file}", file, store_id, record, recovered)


def _read_sealed(
    path: str, file: File, store_id: int, record: SegmentRecord, recovered: Recovered
) -> Iterator[Progress]:
    length = record.length or 0
    size = file.size()
    if size < length:
        raise DamagedData(path, size, f"{length} bytes expected, found {size}")
    try:
        header = read_header(path, store_id, SEGMENT_MAGIC, memoryview(file.read_at(0, min(FILE_HEADER.size, length))))
    except BadHeader as error:
        raise DamagedData(path, 0, str(error)) from error
    _check_place(path, header, record, recovered.position)
    offset = FILE_HEADER.size
    for frame in frames_in(file, header.salt, offset, length):
        replay(frame, recovered.view, path)
        offset = frame.end
        yield Progress(offset, length)
    if offset != length:
        raise DamagedData(path, offset, "a frame's checksum does not match")
    recovered.view.forget_parts()
    recovered.position = recovered.proven = header.base_position + length


def _check_place(path: str, header: FileHeader, record: SegmentRecord, position: int) -> None:
    if header.number != record.number or header.salt != int(record.salt, 16):
        raise DamagedData(path, 0, f"this is segment {header.number}, written in place of segment {record.number}")
    if header.base_position != position:
        raise DamagedData(path, 0, f"it begins at position {header.base_position}, but the log ends at {position}")


def _read_open_tail(
    directory: Directory, store_id: int, records: list[SegmentRecord], recovered: Recovered
) -> Iterator[Progress]:
    """Replay the segments that were being written when the process ended, up to the log's end."""
    contents = [memoryview(directory.read(record.file)) for record in records]
    for index, (record, data) in enumerate(zip(records, contents, strict=True)):
        path = f"{directory.path}/{record.file}"
        try:
            if next_nonzero(data, 0) == len(data):
                raise BadHeader("it is empty")
            header = read_header(path, store_id, SEGMENT_MAGIC, data)
            _check_place(path, header, record, recovered.position)
        except (BadHeader, DamagedData) as error:
            reason = error.reason if isinstance(error, DamagedData) else str(error)
            _refuse_if_proven(path, 0, reason, records[index:], contents[index:], recovered)
            _discard(directory, records[index:], contents[index:], recovered)
            return
        segment = OpenSegment(record, data, header, FILE_HEADER.size)
        for frame in frames(header.salt, data, segment.end):
            replay(frame, recovered.view, path)
            segment.end, segment.last_frame = frame.end, frame
            recovered.proven = max(recovered.proven, frame.durable_position)
            yield Progress(segment.end, len(data))
        recovered.open_segments.append(segment)
        segment.unclosed = recovered.view.forget_parts()
        recovered.position = header.base_position + segment.end
        if next_nonzero(data, segment.end) < len(data):
            reason = "a frame's checksum does not match"
            _refuse_if_proven(path, segment.end, reason, records[index:], contents[index:], recovered)
            recovered.torn.append(TornTail(path, segment.end, bytes(data[segment.end :]).rstrip(b"\0")))
            _discard(directory, records[index + 1 :], contents[index + 1 :], recovered)
            return


def _refuse_if_proven(
    path: str,
    offset: int,
    reason: str,
    records: list[SegmentRecord],
    contents: list[memoryview],
    recovered: Recovered,
) -> None:
    """Bad bytes begin at *offset* of the first of these segments: does a good frame behind them prove them durable?"""
    start = offset
    for record, data in zip(records, contents, strict=True):
        for frame in frames_beyond(int(record.salt, 16), data, start):
            if frame.durable_position > recovered.position:
                raise DamagedData(path, offset, f"{reason}, and a later frame proves that it was durable")
        start = 0


def _discard(
    directory: Directory, records: list[SegmentRecord], contents: list[memoryview], recovered: Recovered
) -> None:
    for record, data in zip(records, contents, strict=True):
        recovered.unused.append(record)
        if next_nonzero(data, 0) < len(data):
            recovered.torn.append(TornTail(f"{directory.path}/{record.file}", 0, bytes(data).rstrip(b"\0")))


def replay(frame: Frame, view: View, path: str) -> None:
    """Apply one good frame of a segment to *view*. DamagedData when it makes no sense all the same."""
    try:
        if frame.kind == COMMIT:
            view.commit(decode_entries(frame.payload), frame.first_sequence, frame.number, frame.time_ms)
        elif frame.kind == PART:
            view.add_part(frame.number, bytes(frame.payload))
        elif frame.kind == MARK:
            view.time_ms = max(view.time_ms, frame.time_ms)  # store time had come so far
        else:
            raise ReplayError(f"a frame of kind {frame.kind}")
    except (msgspec.DecodeError, ReplayError, OverflowError) as error:
        raise DamagedData(path, frame.offset, f"its content makes no sense: {error}") from error
