"""Looking at a store that may be open in another process: its files as they are at one moment, held open.

Owns: which files belong together, and that none of them goes away while it is read. Must not know: repositories. Takes
no lock and asks nobody: whoever has the store open goes on to append, seal, rotate and drop files meanwhile.
"""

from __future__ import annotations

import contextlib
import copy
import resource
from collections.abc import Callable, Set

from keystead.backup.tails import Tail, has_frames
from keystead.engine import manifest as manifests
from keystead.engine.files import Directory, File
from keystead.engine.format import COMMIT, FILE_HEADER, SEGMENT_MAGIC, BadHeader
from keystead.engine.history.transactions import ATTEMPTS
from keystead.engine.manifest import MANIFEST_NAME, CheckpointRecord, Generation, Manifest, SegmentRecord
from keystead.engine.reading import frames_in, read_header
from keystead.errors import DamagedData, DirectoryUnusable


class HeldFile(File):
    """An open file that several readers share: it is closed by who holds it, not by who has read it."""

    __slots__ = ()

    def close(self) -> None:
        """Stay open."""

    def let_go(self) -> None:
        """Close it."""
        super().close()


class HeldFiles(Directory):
    """Files of a directory, open: what is unlinked meanwhile can still be read."""

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory.path, directory.system)
        self._held: dict[str, HeldFile] = {}

    def hold(self, name: str) -> HeldFile:
        """Open a file, or go on to hold it. FileNotFoundError."""
        held = self._held.get(name)
        if held is None:
            opened = super().open_to_read(name)
            held = self._held[name] = HeldFile(opened._system, name, opened.descriptor)
        return held

    def open(self, name: str) -> File:
        """The held file."""
        return self.hold(name)

    def open_to_read(self, name: str) -> File:
        """The held file."""
        return self.hold(name)

    @property
    def held(self) -> set[str]:
        """Names of the files that are open."""
        return set(self._held)

    def let_go(self, but: Set[str] = frozenset()) -> None:
        """Close all files but these."""
        for name in [name for name in self._held if name not in but]:
            self._held.pop(name).let_go()


def allow_many_files() -> None:
    """All files that are to be copied are held open, so that none is dropped before its turn."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS has a lower bound of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Look:
    """A store at one moment."""

    def __init__(self, manifest: Manifest, sequence: int, time_ms: int, open_files: set[str]) -> None:
        self.manifest = manifest
        """Every segment of it is sealed: the ones that were being written where their durable part ended."""
        self.sequence = sequence
        """Of the last transaction in it; 0 when there is none."""
        self.time_ms = time_ms
        self.open_files = open_files
        """Files that go on to grow."""


Wanted = Callable[[SegmentRecord | CheckpointRecord], bool]


class Watch:
    """Looks at one directory again and again; what was read of an open segment is not read again."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.files = HeldFiles(directory)
        self._tails: dict[tuple[int, str], Tail] = {}

    def look(self, wanted: Wanted, *, whole_generation: bool = False) -> Look:
        """The store now. Held are the sealed files that are *wanted*, the open ones, and on demand all of the newest
        generation. DamagedData, DirectoryUnusable, DiskFailure."""
        for attempt in range(ATTEMPTS):
            manifest = self._manifest()
            try:
                return self._look(manifest, wanted, whole_generation)
            except FileNotFoundError as error:  # dropped since the manifest was read, or missing
                if attempt == ATTEMPTS - 1:
                    raise DamagedData(str(error.filename), 0, "the file is missing") from None
        raise AssertionError("not reached")

    def _manifest(self) -> Manifest:
        try:
            manifest = manifests.load(self._directory)
        except (NotADirectoryError, PermissionError) as error:
            raise DirectoryUnusable(self._directory.path, error.strerror or str(error)) from error
        if manifest is None:
            raise DirectoryUnusable(self._directory.path, f"there is no {MANIFEST_NAME} in it")
        return manifest

    def _look(self, manifest: Manifest, wanted: Wanted, whole_generation: bool) -> Look:
        manifest = copy.deepcopy(manifest)
        open_records = [record for record in manifest.current.segments if record.length is None]
        newest = sealed_of(manifest.current)
        # All are opened before the first is read: a copy may take longer than retention needs to drop the next one.
        for record in sealed(manifest):
            if wanted(record) or (whole_generation and record in newest):
                self.files.hold(record.file)
        tails = self._read_tails(manifest, open_records)
        kept = [record for record in manifest.current.segments if record.length is not None]
        for tail in tails:
            if tail.end > FILE_HEADER.size:
                time_ms = tail.time_ms or (kept[-1].time_ms if kept else 0)
                kept.append(SegmentRecord(tail.record.number, tail.record.salt, time_ms, tail.end, tail.checksum()))
        manifest.current.segments = kept
        sequence, time_ms = self._end(manifest, tails)
        return Look(manifest, sequence, time_ms, {tail.record.file for tail in tails})

    def _read_tails(self, manifest: Manifest, records: list[SegmentRecord]) -> list[Tail]:
        tails: list[Tail] = []
        position = _sealed_position(manifest.current)
        for record in records:
            tail = self._tail(manifest, record)
            if tail is None:
                break
            if tails:
                tails[-1].advance()  # it got its last frames before this one got its header
                tails[-1].take_marks()
                position = tails[-1].base + tails[-1].end
            if tail.base != position:
                path = f"{self._directory.path}/{record.file}"
                raise DamagedData(path, 0, f"it begins at position {tail.base}, but the log ends at {position}")
            tail.advance()
            tails.append(tail)
        self._tails = {(tail.record.number, tail.record.salt): tail for tail in tails}
        proven = max((tail.proven for tail in tails), default=0)
        for tail in tails:
            tail.make_durable(proven)
        return tails

    def _tail(self, manifest: Manifest, record: SegmentRecord) -> Tail | None:
        """An open segment; None when nothing was written to it yet."""
        known = self._tails.get((record.number, record.salt))
        if known is not None:
            return known
        self.files.let_go({name for name in self.files.held if name != record.file})  # a file of that name may be new
        path, file = f"{self._directory.path}/{record.file}", self.files.hold(record.file)
        try:
            return Tail(path, manifest.store_id, record, file)
        except BadHeader:
            if not has_frames(record, file):
                return None  # prepared, or the header is being written
        try:
            return Tail(path, manifest.store_id, record, file)
        except BadHeader as error:
            raise DamagedData(path, 0, f"{error}, but there are frames behind it") from error

    def _end(self, manifest: Manifest, tails: list[Tail]) -> tuple[int, int]:
        """Sequence number and time of the last transaction."""
        times = [record.time_ms for record in sealed(manifest) if record.time_ms]
        time_ms = max(times, default=0)
        if tails:
            return tails[-1].next_sequence - 1, time_ms
        segments = manifest.current.segments
        if segments:
            return self._last_sequence(manifest, segments[-1]), time_ms
        checkpoint = manifest.current.checkpoint
        return (checkpoint.sequence - 1 if checkpoint else 0), time_ms

    def _last_sequence(self, manifest: Manifest, record: SegmentRecord) -> int:
        """Of a log that nobody has gone on with since it was sealed: a restored store."""
        file, path = self.files.hold(record.file), f"{self._directory.path}/{record.file}"
        try:
            header = read_header(path, manifest.store_id, SEGMENT_MAGIC, memoryview(file.read_at(0, FILE_HEADER.size)))
        except BadHeader as error:
            raise DamagedData(path, 0, str(error)) from error
        sequence = header.first_sequence - 1
        for frame in frames_in(file, header.salt, FILE_HEADER.size, record.length or 0):
            if frame.kind == COMMIT:
                sequence = frame.first_sequence + frame.number - 1
        return sequence

    def close(self) -> None:
        """Let the files go."""
        self.files.let_go()


def _sealed_position(generation: Generation) -> int:
    """Where the sealed part of the log ends."""
    start = generation.checkpoint.position if generation.checkpoint else 0
    return start + sum(record.length or 0 for record in generation.segments)


def sealed(manifest: Manifest) -> list[SegmentRecord | CheckpointRecord]:
    """The records of all files that never change again, oldest first."""
    return [record for generation in manifest.generations for record in sealed_of(generation)]


def sealed_of(generation: Generation) -> list[SegmentRecord | CheckpointRecord]:
    """Those of one generation."""
    first = [generation.checkpoint] if generation.checkpoint is not None else []
    return [*first, *(record for record in generation.segments if record.length is not None)]
