"""From a directory to a log that can be appended to: creates a new store, or makes what recovery read fit to go on.

Owns: the order of writes at a start. Must not know: keyspaces in use, turns, the server.
"""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Iterable
from typing import TypeAlias

from xxhash import xxh3_64

from keystead.engine import manifest as manifests
from keystead.engine.files import Directory
from keystead.engine.format import (
    COMMIT,
    FILE_HEADER,
    MARK,
    PART,
    SEGMENT_MAGIC,
    VERSION,
    FileHeader,
    encode_file_header,
    encode_frame,
    frames,
    next_nonzero,
    segment_name,
)
from keystead.engine.history import segment_index
from keystead.engine.log import NO_SPACE, Log, Segment
from keystead.engine.manifest import Generation, Manifest, SegmentRecord
from keystead.engine.operations import Parts, decode_entries
from keystead.engine.recovery import OpenSegment, Recovered, TornTail
from keystead.engine.reserve import RESERVE_NAME
from keystead.errors import DamagedData

STORED = re.compile(r"segment-\d{10,}(?:-r\d+)?\.log|checkpoint-\d{10,}(?:-r\d+)?\.ckp")
TEMPORARY = re.compile(r"(?:MANIFEST|checkpoint-\d{10,}(?:-r\d+)?\.ckp|segment-\d{10,}(?:-r\d+)?\.idx)\.tmp")
"""Names that are ours: no other file in the directory is touched, whatever people keep there."""


Rewritten: TypeAlias = tuple[int, int, int, int, bytes]
"""A frame to be written again: kind, first sequence, time, number, payload."""


def create_store(
    directory: Directory, now_ms: int, reserve_bytes: int, *, unsynced: bool = False
) -> tuple[Manifest, Log]:
    """A new, empty store: its first segment, then the manifest that names it. *unsynced*: see `continue_store`.

    DamagedData when there are files of a store already: without its manifest nobody knows which of them count.
    """
    for name in directory.names():
        if STORED.fullmatch(name) and not _left_by_creation(directory, name):
            raise DamagedData(f"{directory.path}/{manifests.MANIFEST_NAME}", 0, f"it is missing, but {name} is there")
    new_id = manifests.new_id
    manifest = Manifest(new_id(), new_id(), [Generation(None, [])], new_id(), unsynced)
    _remove_strangers(directory, manifest)  # a creation that was interrupted before its manifest
    log = _start_segment(directory, manifest, 1, 0, 1, now_ms, reserve_bytes)
    try:
        directory.sync()
        directory.sync_in_parent()
        manifests.store(directory, manifest)
    except BaseException:
        log.close()
        raise
    return manifest, log


def _left_by_creation(directory: Directory, name: str) -> bool:
    """Whether a creation that did not come to its manifest may have left this file: a first segment without frames."""
    data = memoryview(directory.read(name))
    return name == segment_name(1) and next_nonzero(data, FILE_HEADER.size) >= len(data)


def continue_store(
    directory: Directory, manifest: Manifest, recovered: Recovered, reserve_bytes: int, *, unsynced: bool = False
) -> Log:
    """The log of a recovered store, ready to be appended to. Everything recovered is durable when this returns.

    *unsynced*: commits will be acknowledged before they are synced. The manifest knows that when this returns, for a
    start after a crash must give the history another id then: a sequence number that was told might be reused.

    What lies above the last proven position is written again into a new segment and synced: a crash may have left it
    in the page cache only, and after a failed sync that cache holds what the disk does not.
    """
    try:
        return _continue(directory, manifest, recovered, reserve_bytes, unsynced)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
    # A full disk does not keep a store closed: reads and deletes must go on.
    _give_up_reserves(directory, recovered)
    return _continue(directory, manifest, recovered, reserve_bytes, unsynced)


def _continue(
    directory: Directory, manifest: Manifest, recovered: Recovered, reserve_bytes: int, unsynced: bool
) -> Log:
    for torn in recovered.torn:
        _keep(directory, torn)
    before = manifests.render(manifest)
    next_manifest = copy.deepcopy(manifest)
    if manifest.unsynced or not manifest.history:
        next_manifest.history = manifests.new_id()
    next_manifest.unsynced = unsynced
    generation = next_manifest.current
    # Above every segment that the manifest names now: until it is replaced, a crash must find each of them as it is.
    number = max((record.number for record in generation.segments), default=_last_number(manifest)) + 1
    generation.segments = [record for record in generation.segments if record not in recovered.unused]
    clean = _clean_end(recovered)
    rewritten = [] if clean else _frames_above(recovered.open_segments, recovered.proven)
    for segment in recovered.open_segments[: -1 if clean else None]:
        _seal(generation, segment, min(segment.end, recovered.proven - segment.header.base_position), recovered)
    if clean is not None:
        log = _reopen(directory, manifest, clean, reserve_bytes)
    else:
        view = recovered.view
        first_sequence = rewritten[0][1] if rewritten else view.next_sequence
        log = _start_segment(
            directory, next_manifest, number, recovered.proven, first_sequence, view.time_ms, reserve_bytes, rewritten
        )
    try:
        if not clean:
            directory.sync()
        if manifests.render(next_manifest) != before:
            manifests.store(directory, next_manifest)
        # Only now, with the new manifest durable, may what it no longer names go.
        for segment in recovered.open_segments:
            _cut(directory, generation, segment)
        _remove_strangers(directory, next_manifest)
        directory.sync()
    except BaseException:
        log.close()
        raise
    manifest.generations = next_manifest.generations
    manifest.history, manifest.unsynced = next_manifest.history, unsynced
    return log


def _give_up_reserves(directory: Directory, recovered: Recovered) -> None:
    """Let go of disk space that was only kept back: the reserve, and zeros behind the ends of segments."""
    directory.remove(RESERVE_NAME)
    for segment in recovered.open_segments:
        torn = bytes(segment.data[segment.end :]).rstrip(b"\0")
        _truncate(directory, segment.record.file, segment.end + len(torn))
    torn_files = {torn.file.rpartition("/")[2] for torn in recovered.torn}
    for record in recovered.unused:
        if record.file not in torn_files:
            _truncate(directory, record.file, 0)


def _truncate(directory: Directory, name: str, length: int) -> None:
    with directory.open(name) as file:
        if file.size() > length:
            file.truncate(length)
            file.sync()


def _clean_end(recovered: Recovered) -> OpenSegment | None:
    """The segment to go on in, when a mark at the log's end proves everything before it durable.

    Never one of an earlier version of the format: what is appended may not be known to it.
    """
    if not recovered.open_segments or recovered.torn:
        return None
    segment = recovered.open_segments[-1]
    mark = segment.last_frame
    if mark is None or mark.kind != MARK or segment.header.version != VERSION:
        return None
    proves_all = mark.durable_position == segment.header.base_position + mark.offset
    return segment if proves_all else None


def _reopen(directory: Directory, manifest: Manifest, segment: OpenSegment, reserve_bytes: int) -> Log:
    # The mark itself is above the last proven position, so it is written again, in its place, and synced.
    mark = segment.last_frame
    assert mark is not None
    header = segment.header
    file = directory.open(segment.record.file)
    data = encode_frame(
        header.salt,
        mark.offset,
        MARK,
        b"",
        first_sequence=mark.first_sequence,
        time_ms=mark.time_ms,
        durable_position=mark.durable_position,
    )
    end = mark.offset + len(data)
    size = len(segment.data)
    digest = xxh3_64(segment.data[:end])
    live = Segment(
        file, header.number, header.salt, header.base_position, header.first_sequence, end, digest, mark.time_ms
    )
    live.zeroed = live.allocated = size
    log = Log(manifest.store_id, live, header.base_position + end, reserve_bytes)
    log.marked_position = log.durable_position
    try:
        file.write_at(mark.offset, data)
        file.sync()
        log.reserve()
    except BaseException:
        file.close()
        raise
    return log


def _start_segment(
    directory: Directory,
    manifest: Manifest,
    number: int,
    base: int,
    first_sequence: int,
    created_ms: int,
    reserve_bytes: int,
    rewritten: Iterable[Rewritten] = (),
) -> Log:
    salt = secrets.randbits(64)
    record = SegmentRecord(number, f"{salt:016x}")
    manifest.current.segments.append(record)
    directory.remove(record.file)
    file = directory.create(record.file)
    header = FileHeader(SEGMENT_MAGIC, salt, number, base, first_sequence, created_ms)
    live = Segment(file, number, salt, base, first_sequence, 0, xxh3_64(), created_ms)
    data = bytearray(encode_file_header(manifest.store_id, header))
    for kind, sequence, time_ms, frame_number, payload in rewritten:
        data += encode_frame(
            salt,
            len(data),
            kind,
            payload,
            number=frame_number,
            first_sequence=sequence,
            time_ms=time_ms,
            durable_position=base,
        )
    live.end = live.zeroed = live.allocated = len(data)
    live.digest.update(data)
    log = Log(manifest.store_id, live, base + len(data), reserve_bytes)
    try:
        file.write_at(0, bytes(data))
        log.reserve()
        file.sync()
    except BaseException:
        file.close()
        raise
    log.marked_position = base if len(data) > FILE_HEADER.size else log.durable_position
    return log


def _frames_above(segments: list[OpenSegment], proven: int) -> list[Rewritten]:
    """What stands above the last proven position, with the parts of transactions that are committed there: they may
    have been written, and proven, long before."""
    above: list[Rewritten] = []
    for segment in segments:
        all_frames = list(frames(segment.header.salt, segment.data, FILE_HEADER.size))
        base = segment.header.base_position
        from_here = [frame for frame in all_frames if frame.offset + base >= proven and frame.kind != MARK]
        committed = {
            entry.part
            for frame in from_here
            if frame.kind == COMMIT
            for entry in decode_entries(frame.payload)
            if isinstance(entry, Parts)
        }
        if from_here:
            # As young as what they now stand before: neither numbers nor times go back along the log.
            sequence, time_ms = from_here[0].first_sequence, from_here[0].time_ms
            above += [
                (PART, sequence, time_ms, frame.number, bytes(frame.payload))
                for frame in all_frames
                if frame.kind == PART and frame.number in committed and frame.offset + base < proven
            ]
        above += [
            (frame.kind, frame.first_sequence, frame.time_ms, frame.number, bytes(frame.payload))
            for frame in from_here
            if not (frame.kind == PART and frame.number in segment.unclosed)
        ]
    return above


def _seal(generation: Generation, segment: OpenSegment, length: int, recovered: Recovered) -> None:
    """Record a segment as sealed at *length*; one of which nothing is proven leaves the generation."""
    record = next(record for record in generation.segments if record.number == segment.header.number)
    if length < FILE_HEADER.size:
        generation.segments.remove(record)
        return
    record.length = length
    record.checksum = xxh3_64(segment.data[:length]).hexdigest()
    record.time_ms = recovered.view.time_ms


def _cut(directory: Directory, generation: Generation, segment: OpenSegment) -> None:
    for record in generation.segments:
        if record.number == segment.header.number and record.length is not None:
            _truncate(directory, record.file, record.length)


def _keep(directory: Directory, torn: TornTail) -> None:
    name = f"{torn.file.rpartition('/')[2]}.{torn.offset}.broken"
    directory.remove(name)
    with directory.create(name) as file:
        file.write_at(0, torn.data)
        file.sync()


def _last_number(manifest: Manifest) -> int:
    generation = manifest.current
    return generation.checkpoint.number if generation.checkpoint else 0


def _remove_strangers(directory: Directory, manifest: Manifest) -> None:
    """Remove what an interrupted checkpoint, rotation or replacement left: our kinds of file that no manifest names."""
    known = manifest.all_files()
    for name in directory.names():
        if name not in known and any(kind.fullmatch(name) for kind in (STORED, segment_index.NAME, TEMPORARY)):
            directory.remove(name)
