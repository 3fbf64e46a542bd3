"""The log's end: the segment being written, the space reserved ahead of it, and what a sync must cover.

Owns: offsets, reservations, switching to the next segment. Must not know: what payloads mean, manifests, when to sync.

Space is allocated and filled with zeros ahead of the writes. So a full disk shows before a write is accepted, and a
sync has only data to write, no metadata: about 95 µs against 165 µs for an append here.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from xxhash import xxh3_64

from keystead.engine.format import (
    FILE_HEADER,
    SEGMENT_MAGIC,
    FileHeader,
    encode_file_header,
    encode_frame,
)
from keystead.errors import DiskFailure

if TYPE_CHECKING:
    from keystead.engine.files import File

NO_SPACE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
ZERO_STEP_BYTES = 1 << 20
_ZEROS = memoryview(bytes(ZERO_STEP_BYTES))


class SyncTicket(NamedTuple):
    """What one sync covers: when all *files* are synced, the log is durable up to *position* and turn *turn*."""

    files: tuple[File, ...]
    position: int
    turn: int

    @property
    def descriptors(self) -> list[int]:
        """What to sync, for whoever syncs in another process."""
        return [file.descriptor for file in self.files]


@dataclass(slots=True)
class Segment:
    """A segment that is or was being written. *end* and *digest* cover what is in the file, without the zeros ahead."""

    file: File
    number: int
    salt: int
    base: int
    first_sequence: int
    end: int
    digest: xxh3_64
    last_ms: int = 0
    zeroed: int = 0
    allocated: int = 0


class Log:
    """Appends frames. Every frame of a store passes through here, in order."""

    def __init__(self, store_id: int, segment: Segment, durable_position: int, reserve_bytes: int) -> None:
        self.syncs_commits = True
        """Whether every commit is synced (fsync "always")."""
        self.sync_under_way = False
        self._store_id = store_id
        self._reserve_bytes = reserve_bytes
        self.segment = segment
        self.retired: list[Segment] = []
        """Segments that are full: to be sealed when they are durable."""
        self.durable_position = durable_position
        self.marked_position = 0
        """The highest durable position that a frame in the log states."""
        self.staged = 0
        """Transactions whose parts are being written: they must be closed in the same segment."""
        self.starved = False
        """No space could be reserved: data that grows must be refused."""
        self.next_sequence = 1
        """Of the first transaction of the next commit frame; the engine's count."""
        self._unsynced: list[File] = []
        self._syncing: tuple[File, ...] = ()
        self._to_close: list[File] = []
        """Sealed, but part of the sync under way."""
        self._held = b""
        """Frames that met a full disk: they keep their place, and are written again when there is room."""
        self.next_segment: tuple[File, int, int] | None = None
        """File, number and salt of the prepared segment that follows."""
        self.syncs = 0

    @property
    def position(self) -> int:
        """The log's end, held frames included."""
        return self.segment.base + self.segment.end + len(self._held)

    @property
    def holding(self) -> bool:
        """Whether frames wait for room on the disk."""
        return bool(self._held)

    @property
    def held_bytes(self) -> int:
        """What waits for room on the disk."""
        return len(self._held)

    def durable_bytes(self) -> dict[int, int]:
        """Of each segment that is not sealed and has durable bytes, by its number: up to where."""
        ends = {each.number: min(each.end, self.durable_position - each.base) for each in (*self.retired, self.segment)}
        return {number: end for number, end in ends.items() if end > 0}

    def append(self, frames: list[tuple[int, bytes, int]], time_ms: int) -> bool:
        """Write frames of (kind, payload, number) in one go, without syncing; False when the disk had no room for them.

        They are then held, and everything after them too, until `resume` writes them. DiskFailure for any other error.
        """
        segment = self.segment
        offset = segment.end + len(self._held)
        chunks: list[bytes] = []
        for kind, payload, number in frames:
            frame = encode_frame(
                segment.salt,
                offset,
                kind,
                payload,
                number=number,
                first_sequence=self.next_sequence,
                time_ms=time_ms,
                durable_position=self.durable_position,
            )
            chunks.append(frame)
            offset += len(frame)
        segment.last_ms = time_ms
        self.marked_position = self.durable_position
        if self._held:
            self._held += b"".join(chunks)
            return False
        return self._write(chunks)

    def _write(self, chunks: list[bytes]) -> bool:
        segment = self.segment
        end = segment.end
        write_at = segment.file.write_at
        try:
            for chunk in chunks:
                write_at(end, chunk)
                end += len(chunk)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise DiskFailure(f"writing {segment.file.name}: {error.strerror}") from error
            self._held = b"".join(chunks)
            self._cut_back()
            return False
        for chunk in chunks:
            segment.digest.update(chunk)
        segment.end = end
        # Zeros go only where nothing was written: this write may have reached beyond what was reserved.
        if end > segment.zeroed:
            segment.zeroed = end
        if end > segment.allocated:
            segment.allocated = end
        if not self._unsynced or self._unsynced[-1] is not segment.file:
            self._unsynced.append(segment.file)
        if end + ZERO_STEP_BYTES // 2 > segment.zeroed:
            self.reserve()
        return True

    def _cut_back(self) -> None:
        # Part of the frame may be in the file: a start now would call it a torn tail, which it is.
        segment = self.segment
        try:
            segment.file.truncate(segment.end)
        except OSError as error:
            raise DiskFailure(f"cutting {segment.file.name} back: {error.strerror}") from error
        segment.zeroed = segment.allocated = segment.end
        self.starved = True

    def resume(self) -> None:
        """Try again to reserve space and to write held frames."""
        self.reserve()
        if self._held and not self.starved:
            held, self._held = self._held, b""
            self._write([held])

    def reserve(self) -> None:
        """Keep space allocated and zeroed ahead of the end; sets `starved` when there is none to be had."""
        segment = self.segment
        try:
            wanted = segment.end + len(self._held) + self._reserve_bytes
            if segment.allocated < wanted - self._reserve_bytes // 2:
                segment.file.allocate(segment.allocated, wanted - segment.allocated)
                segment.allocated = wanted
            while segment.zeroed < min(segment.end + ZERO_STEP_BYTES, segment.allocated):
                # Space that was only allocated reads as zeros too; writing them spares the syncs the conversion.
                step = min(ZERO_STEP_BYTES, segment.allocated - segment.zeroed)
                segment.file.write_at(segment.zeroed, _ZEROS[:step])
                segment.zeroed += step
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise DiskFailure(f"reserving space in {segment.file.name}: {error.strerror}") from error
            self.starved = True
        else:
            self.starved = False

    def has_room(self, length: int) -> bool:
        """Whether the next frames may have *length* bytes and leave a reserve; the space is kept for them then.

        To be asked before a change larger than the reserve is recorded. DiskFailure.
        """
        segment = self.segment
        wanted = segment.end + length + self._reserve_bytes // 2
        if self._held or self.starved:
            return False
        if wanted > segment.allocated:
            try:
                segment.file.allocate(segment.allocated, wanted - segment.allocated)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise DiskFailure(f"reserving space in {segment.file.name}: {error.strerror}") from error
                return False
            segment.allocated = wanted
        return True

    def switch(self, time_ms: int) -> None:
        """Go on in the prepared next segment; the old one is retired, and no frame is held."""
        assert self.next_segment is not None
        assert not self._held
        file, number, salt = self.next_segment
        self.next_segment = None
        old = self.segment
        base, first_sequence = old.base + old.end, self.next_sequence
        header = encode_file_header(
            self._store_id, FileHeader(SEGMENT_MAGIC, salt, number, base, first_sequence, time_ms)
        )
        allocated = self._reserve_bytes  # by `zero_fill`
        self.retired.append(old)
        self.segment = Segment(file, number, salt, base, first_sequence, 0, xxh3_64(), time_ms, allocated, allocated)
        self._write([header])
        assert self.segment.end == FILE_HEADER.size or self._held

    def begin_sync(self, turn: int) -> SyncTicket | None:
        """What must be synced now to make everything appended durable; None when everything is."""
        if not self._unsynced:
            return None
        files, self._unsynced = tuple(self._unsynced), []
        self.sync_under_way = True
        self._syncing = files
        return SyncTicket(files, self.segment.base + self.segment.end, turn)

    def finish_sync(self, ticket: SyncTicket) -> None:
        """That sync succeeded."""
        self.sync_under_way = False
        self._syncing = ()
        self.durable_position = max(self.durable_position, ticket.position)
        self.syncs += 1
        while self._to_close:
            self._to_close.pop().close()

    def sync(self, ticket: SyncTicket) -> None:
        """Do the syncing of *ticket* here. DiskFailure is final: what the disk holds is unknown from then on."""
        for file in ticket.files:
            file.sync()

    def sealed(self, segment: Segment) -> None:
        """A retired segment was synced, cut to its length and recorded as sealed."""
        self.retired.remove(segment)
        self._unsynced = [file for file in self._unsynced if file is not segment.file]
        self.durable_position = max(self.durable_position, segment.base + segment.end)
        if segment.file in self._syncing:
            self._to_close.append(segment.file)  # somebody is about to sync this descriptor
        else:
            segment.file.close()

    def zero_fill(self, file: File) -> None:
        """Reserve the space that a new segment begins with. OSError."""
        file.allocate(0, self._reserve_bytes)
        for offset in range(0, self._reserve_bytes, ZERO_STEP_BYTES):
            file.write_at(offset, _ZEROS[: min(ZERO_STEP_BYTES, self._reserve_bytes - offset)])

    def close(self) -> None:
        """Close every file, without syncing."""
        for file in (*self._to_close, *(segment.file for segment in self.retired), self.segment.file):
            file.close()
        if self.next_segment is not None:
            self.next_segment[0].close()
