"""The end of a log that another process is writing: how far its whole frames reach, and that those are durable.

Owns: reading an open segment bit by bit, and what to refuse. Must not know: manifests, repositories.
"""

from __future__ import annotations

from xxhash import xxh3_64

from keystead.engine.files import File
from keystead.engine.format import (
    COMMIT,
    FILE_HEADER,
    MARK,
    SEGMENT_MAGIC,
    BadHeader,
    frames_beyond,
    next_nonzero,
)
from keystead.engine.manifest import SegmentRecord
from keystead.engine.reading import frames_in, read_header
from keystead.errors import DamagedData

_GLANCE_BYTES = 1 << 12
_DIGEST_STEP_BYTES = 1 << 20


class Tail:
    """One open segment, as far as it was read. `end` never exceeds what is on the medium once `make_durable` returned.

    Marks at the end are left out: they say nothing that a backup needs, and an idle store would be shipped again.
    """

    def __init__(self, path: str, store_id: int, record: SegmentRecord, file: File) -> None:
        """BadHeader when nothing was written to it yet, or it is not the segment of that record."""
        self._path = path
        self.file = file
        self.record = record
        header = read_header(path, store_id, SEGMENT_MAGIC, memoryview(file.read_at(0, FILE_HEADER.size)))
        if header.number != record.number or header.salt != int(record.salt, 16):
            raise BadHeader("it is another segment")
        self.base = header.base_position
        self.end = FILE_HEADER.size
        """Up to here there are whole frames, and the last one is no mark."""
        self.whole = FILE_HEADER.size
        """The same, marks at the end included."""
        self.next_sequence = header.first_sequence
        self.time_ms = 0
        """Of the last commit in it; 0 while there is none."""
        self._proven = header.base_position
        self._digest = xxh3_64()
        self._digested = 0
        self._looked_through = False

    def advance(self) -> None:
        """Take in the frames that were appended since. DamagedData when bytes that were durable are none any more."""
        self._read_frames()
        # Bytes behind the last frame are most often the next one, which was being written: it is whole by now.
        if self._something_behind() and not self._read_frames():
            self._refuse_damage()

    def _read_frames(self) -> bool:
        before = self.whole
        for frame in frames_in(self.file, int(self.record.salt, 16), self.whole, self.file.size()):
            self.whole = frame.end
            self._proven = max(self._proven, frame.durable_position)
            if frame.kind != MARK:
                self.end = frame.end
            if frame.kind == COMMIT:
                self.next_sequence = frame.first_sequence + frame.number
                self.time_ms = frame.time_ms
        return self.whole > before

    def _something_behind(self) -> bool:
        size = self.file.size()
        if self._looked_through:
            size = min(size, self.whole + _GLANCE_BYTES)
        self._looked_through = True
        behind = memoryview(self.file.read_at(self.whole, size - self.whole))
        return next_nonzero(behind, 0) < len(behind)

    def _refuse_damage(self) -> None:
        data = memoryview(self.file.read_at(0, self.file.size()))
        for frame in frames_beyond(int(self.record.salt, 16), data, self.whole):
            if frame.durable_position > self.base + self.whole and not self._read_frames():
                reason = "a frame's checksum does not match, and a later frame proves that it was durable"
                raise DamagedData(self._path, self.whole, reason)

    def take_marks(self) -> None:
        """Another segment follows: its place is counted from the last byte of this one, marks included."""
        self.end = self.whole

    def make_durable(self, proven: int) -> None:
        """Return when all up to `end` is on the medium; *proven* is a position before which everything is known to be.

        Most often a later frame says so. The last one is synced here, through a descriptor of our own: a failure is
        reported to the writer's descriptor all the same. DiskFailure.
        """
        if self.base + self.end > max(proven, self._proven):
            self.file.sync()
            self._proven = self.base + self.end

    @property
    def proven(self) -> int:
        """Everything before this position of the log is durable."""
        return self._proven

    def checksum(self) -> str:
        """Of the bytes up to `end`, which only ever grows."""
        while self._digested < self.end:
            chunk = self.file.read_at(self._digested, min(_DIGEST_STEP_BYTES, self.end - self._digested))
            self._digest.update(chunk)
            self._digested += len(chunk)
        return self._digest.hexdigest()


def has_frames(record: SegmentRecord, file: File) -> bool:
    """Whether any good frame of the segment is in the file, wherever."""
    data = memoryview(file.read_at(0, file.size()))
    return next(frames_beyond(int(record.salt, 16), data, 0), None) is not None
