"""Taking a backup: from a look at a store to a snapshot in a repository, copying what is not there yet.

Owns: the order (objects, then the snapshot that names them), and how the growing end of the log is kept in parts.
Must not know: who wants it or how often, kinds of places but for hard links.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from xxhash import xxh3_64, xxh3_64_hexdigest

from keystead.backup.digests import ViewDigest, digested
from keystead.backup.failures import Damage, DamagedBackup, PlaceFailure, WrongRepository
from keystead.backup.folder import Folder
from keystead.backup.looking import Look, Watch, sealed
from keystead.backup.repository import Repository
from keystead.backup.snapshots import Part, Snapshot, StoredFile, new_snapshot_id, object_name
from keystead.engine import manifest as manifests
from keystead.engine.clock import wall_clock_ms
from keystead.engine.files import Directory
from keystead.engine.manifest import CheckpointRecord, Manifest, SegmentRecord
from keystead.errors import DamagedData

COPY_BYTES = 1 << 20
HEARTBEAT_MS = 10_000
"""So often a snapshot is written anew though nothing changed: it says up to when there was nothing."""
GRACE_MS = 3_600_000
"""So long what a snapshot has replaced stays: somebody may be restoring from the snapshot as it was."""
MERGED_PARTS = 7
"""So many parts of a log's end, none in a higher class of size than the next one, become one with it."""

Report = Callable[[str, int, int], None]
"""What is done, how much of how much."""


class Taking:
    """Takes backups of one directory into one repository, whose only writer it is (lease.py)."""

    def __init__(
        self,
        directory: Directory,
        repository: Repository,
        *,
        link: bool = False,
        check_lease: Callable[[], None] = lambda: None,
        now_ms: Callable[[], int] = wall_clock_ms,
        report: Report = lambda *_: None,
    ) -> None:
        """Reads what the repository has; that a snapshot in it is damaged is no reason not to take another one."""
        self._directory = directory
        self._repository = repository
        self._link = link
        self._check_lease = check_lease
        self._now_ms = now_ms
        self._report = report
        self._watch = Watch(directory)
        self._damage: list[Damage] = []
        self._snapshots = repository.snapshots(self._damage)
        """All that can be read, those of this run included, oldest first."""
        self._objects = repository.objects()
        self._parts: dict[str, list[Part]] = {}
        """Of each segment that is being written, as the newest snapshot has them."""
        self._true_parts: set[str] = set()
        """Segments whose parts were written, or compared with the file, by this run."""
        self._unsure = False
        """The last update failed: nobody knows what is in the repository."""
        self._replaced: deque[tuple[int, str]] = deque()
        """Objects that no snapshot names any more, and since when."""
        self._id = ""
        self._named_by_others: frozenset[str] = frozenset()
        """Objects that snapshots name which this run does not replace any more."""
        self.last: Snapshot | None = None
        """The newest snapshot of this run."""
        self.copied_bytes = 0
        self.looked_ms = 0
        """All that was acknowledged before is in the newest snapshot."""
        self._store = ""
        """The id of the store whose repository this is; empty while it is nobody's."""
        if self._snapshots:
            newest = self._snapshots[-1]
            self._parts = {file.file: list(file.parts) for file in newest.files}
            self._store = newest.parsed_manifest().store
        if link:
            refuse_links_elsewhere(repository)

    def take(self, *, with_digest: bool) -> Snapshot:
        """Look at the store, copy what the repository lacks, write a new snapshot. DamagedData, PlaceFailure."""
        self.begin_snapshot()
        return self.update(with_digest=with_digest)

    def begin_snapshot(self) -> None:
        """The next update makes a snapshot of its own; the one before stays as it is."""
        self._id = new_snapshot_id(self._now_ms(), [snapshot.id for snapshot in self._snapshots])
        self._note_others()

    def update(self, *, with_digest: bool = False) -> Snapshot:
        """Replace the snapshot of this run by one of the store as it is now; what only the old one named goes later.

        A snapshot that reaches further back than the store does now is not replaced: the next one begins. A store that
        has not changed is not written down again before HEARTBEAT_MS.
        """
        if self._unsure:  # a place that failed may have come back empty
            self._objects = self._repository.objects()
            self._true_parts.clear()
        self._unsure = True
        snapshot = self._update(with_digest)
        self._unsure = False
        return snapshot

    def _update(self, with_digest: bool) -> Snapshot:
        taken_ms = self._now_ms()
        look = self._watch.look(self._is_missing, whole_generation=with_digest)
        self._refuse_other_store(look.manifest)
        manifest = manifests.render(look.manifest).decode()
        before = next((snapshot for snapshot in self._snapshots if snapshot.id == self._id), None)
        if before is not None and _beginning(before.parsed_manifest()) != _beginning(look.manifest):
            self.begin_snapshot()
            before = None
        # The manifest has the checksum of the log's end.
        if before is not None and before.manifest == manifest and taken_ms - before.taken_ms < HEARTBEAT_MS:
            self.looked_ms = taken_ms
            return before
        files = [self._stored(record, look) for record in sealed(look.manifest)]
        digest = self._digest(look) if with_digest else ""
        snapshot = Snapshot(taken_ms, look.sequence, look.time_ms, digest, manifest, files, self._id)
        self._watch.files.let_go(look.open_files)
        # Only now, when every object that it names is there, and nobody else may have removed one.
        self._check_lease()
        self._repository.write(snapshot)
        self._snapshots = [*(other for other in self._snapshots if other.id != self._id), snapshot]
        self.last, self.looked_ms = snapshot, taken_ms
        self._parts = {file.file: list(file.parts) for file in files if file.file in look.open_files}
        if before is not None:
            self._remove_replaced(before, taken_ms)
        return snapshot

    def _is_missing(self, record: SegmentRecord | CheckpointRecord) -> bool:
        part = self._whole(record)
        return self._objects.get(part.object) != part.length

    @staticmethod
    def _whole(record: SegmentRecord | CheckpointRecord) -> Part:
        length, checksum = record.length or 0, record.checksum or ""
        return Part(object_name(record.file, 0, length, checksum), length, checksum)

    def _refuse_other_store(self, manifest: Manifest) -> None:
        self._store = self._store or manifest.store
        if self._store != manifest.store:
            raise WrongRepository(
                f"{self._repository.place.address} holds backups of another store; each store needs a place of its own"
            )

    def prune(self, keep: int | None) -> int:
        """Remove all but the newest *keep* snapshots (None: all stay), and every object that no snapshot names; how
        many snapshots went. DamagedBackup, with nothing removed, when one cannot be read: nobody knows what it names.
        """
        if self._damage:
            raise DamagedBackup(self._damage)
        self._check_lease()
        removed = self._snapshots[:-keep] if keep is not None else []
        for snapshot in removed:
            self._repository.remove(snapshot)
        self._snapshots = self._snapshots[len(removed) :]
        self._note_others()
        self._repository.sweep(self._named().union(name for _, name in self._replaced))
        self._objects = self._repository.objects()
        return len(removed)

    # --- Files ------------------------------------------------------------------------------------------------------

    def _stored(self, record: SegmentRecord | CheckpointRecord, look: Look) -> StoredFile:
        if record.file in look.open_files:
            return StoredFile(record.file, self._end_in_parts(record))
        part = self._whole(record)
        if self._is_missing(record):
            self._copy(record.file, part)
        return StoredFile(record.file, [part])

    def _copy(self, file: str, part: Part) -> None:
        if not (self._link and self._linked(file, part)):
            self._repository.place.put(part.object, self._checked(file, part))
            self.copied_bytes += part.length
        self._objects[part.object] = part.length

    def _linked(self, file: str, part: Part) -> bool:
        """Whether the object is another name of the file now: not when that has been dropped, and is only held open."""
        place = self._repository.place
        assert isinstance(place, Folder)
        for _ in self._checked(file, part):
            pass
        try:
            place.link(part.object, f"{self._directory.path}/{file}")
        except FileNotFoundError:
            return False
        return True

    def _checked(self, file: str, part: Part) -> Iterator[bytes]:
        """The bytes of a sealed file. DamagedData, before the last one is stored, when they are not what was sealed."""
        held, digest, offset = self._watch.files.hold(file), xxh3_64(), 0
        while chunk := held.read_at(offset, min(COPY_BYTES, part.length - offset)):
            digest.update(chunk)
            offset += len(chunk)
            self._report(f"copying {file}", offset, part.length)
            yield chunk
        path = f"{self._directory.path}/{file}"
        if offset != part.length:
            raise DamagedData(path, offset, f"{part.length} bytes expected, found {offset}")
        if digest.hexdigest() != part.checksum:
            raise DamagedData(path, 0, "the file's checksum does not match")

    # --- The end of the log -----------------------------------------------------------------------------------------

    def _end_in_parts(self, record: SegmentRecord | CheckpointRecord) -> list[Part]:
        """The parts of a segment that is being written, the newest one put now."""
        held, length = self._watch.files.hold(record.file), record.length or 0
        parts = self._parts.get(record.file, [])
        start = sum(part.length for part in parts)
        if record.file not in self._true_parts or start > length:
            parts = self._still_true(record.file, parts, length)
            start = sum(part.length for part in parts)
            self._true_parts.add(record.file)
        if start == length:
            return parts
        taken = merged(parts, length - start)
        kept = parts[: len(parts) - taken]
        start = sum(part.length for part in kept)
        data = held.read_at(start, length - start)
        checksum = xxh3_64_hexdigest(data)
        part = Part(object_name(record.file, start, len(data), checksum), len(data), checksum)
        if self._objects.get(part.object) != part.length:
            self._repository.place.put(part.object, [data])
            self._objects[part.object] = part.length
            self.copied_bytes += part.length
        return [*kept, part]

    def _still_true(self, file: str, parts: list[Part], length: int) -> list[Part]:
        """Those of an earlier run's parts that are in the repository and hold what the file holds now."""
        held, kept, offset = self._watch.files.hold(file), [], 0
        for part in parts:
            if offset + part.length > length or self._objects.get(part.object) != part.length:
                break
            if xxh3_64_hexdigest(held.read_at(offset, part.length)) != part.checksum:
                break
            kept.append(part)
            offset += part.length
        return kept

    def _note_others(self) -> None:
        others = (snapshot.objects() for snapshot in self._snapshots if snapshot.id != self._id)
        self._named_by_others = frozenset[str]().union(*others)

    def _named(self) -> frozenset[str]:
        own = (snapshot.objects() for snapshot in self._snapshots if snapshot.id == self._id)
        return self._named_by_others.union(*own)

    def _remove_replaced(self, before: Snapshot, now_ms: int) -> None:
        """Remove what earlier rounds replaced GRACE_MS ago, and note what this one did."""
        named = self._named()
        self._replaced += ((now_ms, name) for name in before.objects().keys() - named)
        while self._replaced and self._replaced[0][0] <= now_ms - GRACE_MS:
            _, name = self._replaced.popleft()
            if name not in named and not self._damage:  # a snapshot that cannot be read may name it
                self._repository.place.remove(name)
                self._objects.pop(name, None)

    # --- Digest -----------------------------------------------------------------------------------------------------

    def _digest(self, look: Look) -> str:
        newest = self._snapshots[-1] if self._snapshots else None
        end = look.manifest.history, look.sequence
        if newest is not None and newest.digest and (newest.parsed_manifest().history, newest.sequence) == end:
            return newest.digest  # the same transactions, the same view
        digest = ViewDigest()
        for done, total in digested(self._watch.files, look.manifest, digest):
            self._report("reading the copied store", done, total)
        return digest.hexdigest()

    def close(self) -> None:
        """Let the store's files go."""
        self._watch.close()


def _beginning(manifest: Manifest) -> tuple[str, int]:
    """Of the log that is kept: in which history, and behind which checkpoint."""
    checkpoint = manifest.generations[0].checkpoint
    return manifest.history, checkpoint.number if checkpoint else 0


def refuse_links_elsewhere(repository: Repository) -> None:
    """PlaceFailure when the repository is in no directory."""
    if not isinstance(repository.place, Folder):
        raise PlaceFailure(repository.place.address, "hard links are made on the same disk, nowhere else")


def merged(parts: list[Part], length: int) -> int:
    """How many of the last parts the next one of *length* bytes takes in, so that there are never many.

    A part of each class of size (a power of eight) is written again by about one class after the other: at one part a
    second a segment has at most some fifty, and each byte is stored four times over its life.
    """
    taken = 0
    while len(parts) - taken >= MERGED_PARTS:
        last = parts[len(parts) - taken - MERGED_PARTS : len(parts) - taken]
        if any(_size_class(part.length) > _size_class(length) for part in last):
            break
        length += sum(part.length for part in last)
        taken += MERGED_PARTS
    return taken


def _size_class(length: int) -> int:
    return (length.bit_length() + 2) // 3
