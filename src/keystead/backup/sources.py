"""What a store is restored from: a snapshot of a repository, or the directory of a store itself.

Owns: reading whole files and telling whether they are what they were; which snapshot leads to a moment. Must not know:
what becomes of the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from xxhash import xxh3_64

from keystead.backup.cutting import Until, generations_until, written
from keystead.backup.failures import Damage, DamagedBackup, MomentNotKept
from keystead.backup.looking import Watch
from keystead.backup.repository import Repository
from keystead.backup.snapshots import Snapshot
from keystead.engine.clock import wall_clock_ms
from keystead.engine.files import Directory
from keystead.engine.manifest import CheckpointRecord, Manifest, SegmentRecord

_CHUNK_BYTES = 1 << 20


class Source(Protocol):
    """Files of a store, all of which are sealed."""

    manifest: Manifest
    sequence: int
    """Of the last transaction."""
    known_until_ms: int
    """Up to this time there is no transaction but those in it."""
    digest: str
    """Of the whole view; "" when nobody computed it."""

    def chunks(self, record: SegmentRecord | CheckpointRecord) -> Iterator[bytes]:
        """A file. DamagedBackup, at the latest after its last byte, when it is not what was sealed."""


class SnapshotSource:
    """A snapshot."""

    def __init__(self, repository: Repository, snapshot: Snapshot) -> None:
        self._repository = repository
        self._files = {file.file: file for file in snapshot.files}
        self._name = repository.path(f"snapshots/{snapshot.id}.json")
        self.manifest = snapshot.parsed_manifest()
        self.sequence, self.digest = snapshot.sequence, snapshot.digest
        self.known_until_ms = snapshot.known_until_ms

    def chunks(self, record: SegmentRecord | CheckpointRecord) -> Iterator[bytes]:
        """The parts of the file, each checked, and all of them together."""
        stored = self._files.get(record.file)
        if stored is None:
            raise DamagedBackup([Damage(self._name, f"it does not say where {record.file} is")])
        parts = (chunk for part in stored.parts for chunk in self._repository.checked(part))
        yield from _sealed(parts, record, f"{record.file} of {self._name}")


class DirectorySource:
    """The directory of a store, open elsewhere or not: its own past. Close it."""

    def __init__(self, path: str) -> None:
        """DirectoryUnusable, DamagedData."""
        self._watch = Watch(Directory(path))
        self._path = path
        now_ms = wall_clock_ms()
        look = self._watch.look(lambda _: True)
        self.manifest, self.sequence, self.digest = look.manifest, look.sequence, ""
        self.known_until_ms = max(now_ms, look.time_ms)

    def chunks(self, record: SegmentRecord | CheckpointRecord) -> Iterator[bytes]:
        """The file, up to where it was sealed or was seen to be durable."""
        yield from _sealed(self._read(record), record, f"{self._path}/{record.file}")

    def _read(self, record: SegmentRecord | CheckpointRecord) -> Iterator[bytes]:
        file, offset, length = self._watch.files.hold(record.file), 0, record.length or 0
        while chunk := file.read_at(offset, min(_CHUNK_BYTES, length - offset)):
            yield chunk
            offset += len(chunk)

    def close(self) -> None:
        """Let the files go."""
        self._watch.close()


def _sealed(chunks: Iterator[bytes], record: SegmentRecord | CheckpointRecord, name: str) -> Iterator[bytes]:
    digest, length = xxh3_64(), 0
    for chunk in chunks:
        digest.update(chunk)
        length += len(chunk)
        yield chunk
    if length != record.length:
        raise DamagedBackup([Damage(name, f"{record.length} bytes expected, found {length}")])
    if digest.hexdigest() != record.checksum:
        raise DamagedBackup([Damage(name, "its checksum does not match")])


def snapshot_for(snapshots: Sequence[Snapshot], until: Until) -> Snapshot:
    """The one, of some, oldest first, that leads to the moment. MomentNotKept says which moments there are.

    A time means what was true then: of the snapshots taken later the earliest counts, for a store that was restored
    since has another past. A sequence number is one of the newest history.
    """
    newest = snapshots[-1]
    if until == Until():
        return newest
    history = newest.parsed_manifest().history
    behind = [
        snapshot
        for snapshot in snapshots
        if (
            snapshot.sequence >= until.sequence and snapshot.parsed_manifest().history == history
            if until.sequence is not None
            else snapshot.known_until_ms >= (until.time_ms or 0)
        )
    ]
    failure = MomentNotKept(
        f"the backup ends before {until}: the newest snapshot, {newest.id}, has the transactions up to "
        f"{newest.sequence:,}, and was taken at {written(newest.taken_ms)}"
    )
    for snapshot in behind:
        try:
            generations_until(snapshot.parsed_manifest(), until)
        except MomentNotKept as error:
            failure = error
        else:
            return snapshot
    raise failure
