"""Reading the log: which transactions there were, from a sequence number on, in order. Changes nothing on disk.

Owns: how frames become transactions again; which files hold the past, and how far it reaches back. Must not know: who
asks, how it is shown. The store may be open in another process, which appends, seals and drops files meanwhile: every
file that is needed is opened before the first is read. Meant for a process of its own: decoding takes the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from keystead.engine import manifest as manifests
from keystead.engine.checkpoint import read_databases
from keystead.engine.format import (
    COMMIT,
    FILE_HEADER,
    MASK_64,
    PART,
    SEGMENT_MAGIC,
    BadHeader,
    FileHeader,
    Frame,
)
from keystead.engine.operations import SYSTEM, Author, Bind, Change, Entry, Group, Parts, decode_entries
from keystead.engine.reading import frames_in, read_header
from keystead.engine.view import DATABASES, ReplayError
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from keystead.engine.files import Directory, File
    from keystead.engine.manifest import Generation, Manifest, SegmentRecord

ATTEMPTS = 10
"""How often the files are looked up anew when retention drops one between the manifest and its opening."""

Databases: TypeAlias = tuple[int, ...]
"""The id of the keyspace that each numbered database shows."""

FIRST_DATABASES: Databases = tuple(range(DATABASES))


class HistoryDropped(Exception):
    """What was asked for is older than what is kept. *floor* is the first transaction that can still be read."""

    def __init__(self, floor: int) -> None:
        super().__init__(f"transactions before {floor} are not kept any more")
        self.floor = floor


class Transaction(NamedTuple):
    """What was committed as one."""

    sequence: int
    time_ms: int
    author: Author
    databases: Databases
    """As they were before it."""
    operations: list[Change]


class PartGroups:
    """Part frames that went by, until the entry that closes their group."""

    def __init__(self) -> None:
        self._payloads: dict[int, list[bytes]] = {}

    def add(self, group: int, payload: bytes) -> None:
        """The next part of a group."""
        self._payloads.setdefault(group, []).append(payload)

    def clear(self) -> None:
        """A segment ended: groups that were not closed in it mean nothing."""
        self._payloads.clear()

    def operations(self, parts: Parts) -> list[Change]:
        """The operations of the transaction that the group holds. ReplayError when it is not whole."""
        payload = b"".join(self._payloads.pop(parts.part, ()))
        if len(payload) != parts.length:
            raise ReplayError(f"part group {parts.part} has {len(payload)} bytes instead of {parts.length}")
        return decode_entries(payload)  # type: ignore[return-value]  # a part group holds nothing but operations


def transactions(
    entries: list[Entry], first_sequence: int, time_ms: int, databases: Databases, parts: PartGroups
) -> Iterator[Transaction]:
    """What the entries of one commit frame say; *databases* as they were before it. ReplayError."""
    author = SYSTEM
    sequence = first_sequence
    following = iter(entries)
    for entry in following:
        operations: list[Change]
        if isinstance(entry, Author):
            author = entry
            continue
        if isinstance(entry, Group):
            operations = _group(following, entry.operations)
        elif isinstance(entry, Parts):
            operations = parts.operations(entry)
        else:
            operations = [entry]
        yield Transaction(sequence, time_ms, author, databases, operations)
        databases = after(databases, operations)
        sequence += 1


def _group(following: Iterator[Entry], count: int) -> list[Change]:
    operations = list(islice(following, count))
    if len(operations) != count:
        raise ReplayError(f"a group of {count} operations has {len(operations)}")
    return operations  # type: ignore[return-value]  # nothing but operations is in a group


def after(databases: Databases, operations: Iterable[Change]) -> Databases:
    """What the databases show after these operations."""
    for operation in operations:
        if type(operation) is Bind:
            shown = list(databases)
            shown[operation.database] = operation.keyspace
            databases = tuple(shown)
    return databases


def floor_of(manifest: Manifest) -> int:
    """The first transaction that is still kept."""
    return _first_of(manifest.generations[0])


def _first_of(generation: Generation) -> int:
    return generation.checkpoint.sequence if generation.checkpoint else 1


def _begun(record: SegmentRecord, file: File) -> bool:
    """Whether a segment has its header: one that is prepared has none before its first frame."""
    return record.length is not None or any(file.read_at(0, FILE_HEADER.size))


class History:
    """The past of a store from one transaction on, with its files open. Close it, or use it in a `with` statement."""

    def __init__(self, directory: Directory, first: int) -> None:
        """HistoryDropped when *first* is not kept any more; DamagedData."""
        self._directory = directory
        self._first = first
        self._files: list[tuple[SegmentRecord, File]] = []
        for attempt in range(ATTEMPTS):
            manifest = manifests.load(directory)
            if manifest is None:
                raise DamagedData(f"{directory.path}/{manifests.MANIFEST_NAME}", 0, "the file is missing")
            try:
                self._open(manifest)
                break
            except FileNotFoundError as error:  # dropped since the manifest was read, or missing
                self.close()
                if attempt == ATTEMPTS - 1:
                    raise DamagedData(str(error.filename), 0, "the file is missing") from None

    def _open(self, manifest: Manifest) -> None:
        if self._first < floor_of(manifest):
            raise HistoryDropped(floor_of(manifest))
        self.history_id = manifest.history
        self._store_id = manifest.store_id
        start = max(i for i, generation in enumerate(manifest.generations) if _first_of(generation) <= self._first)
        checkpoint = manifest.generations[start].checkpoint
        self._position = checkpoint.position if checkpoint else 0
        self._next_sequence = checkpoint.sequence if checkpoint else 1
        self._databases = FIRST_DATABASES
        if checkpoint is not None:
            self._databases = tuple(read_databases(self._directory, self._store_id, checkpoint))
        for generation in manifest.generations[start:]:
            for record in generation.segments:
                self._files.append((record, self._directory.open_to_read(record.file)))

    def read(self, until: int | None) -> Iterator[Transaction]:
        """The transactions from the first one on and before *until*, which must all be durable. DamagedData.

        To be read once. What stands behind them in the log is not looked at: it may be being written. None: up to the
        last whole frame.
        """
        end = MASK_64 if until is None else until
        for record, file in self._files:
            if self._next_sequence >= end or (until is None and not _begun(record, file)):
                return
            yield from self._segment(record, file, end)
        if until is not None and self._next_sequence < until:
            last = self._files[-1][0].file if self._files else manifests.MANIFEST_NAME
            raise DamagedData(
                f"{self._directory.path}/{last}", 0, f"the log ends before transaction {self._next_sequence}"
            )

    def _segment(self, record: SegmentRecord, file: File, until: int) -> Iterator[Transaction]:
        path = f"{self._directory.path}/{record.file}"
        size = file.size() if record.length is None else record.length
        header = self._header(path, file)
        parts = PartGroups()
        end = FILE_HEADER.size
        for frame in frames_in(file, header.salt, FILE_HEADER.size, size):
            if frame.kind == PART:
                parts.add(frame.number, bytes(frame.payload))
            elif frame.kind == COMMIT:
                yield from self._commit(path, frame, parts)
            end = frame.end
            if self._next_sequence >= until:
                return
        if record.length is not None and end != record.length:
            raise DamagedData(path, end, "a frame's checksum does not match")
        self._position += end

    def _header(self, path: str, file: File) -> FileHeader:
        try:
            header = read_header(path, self._store_id, SEGMENT_MAGIC, memoryview(file.read_at(0, FILE_HEADER.size)))
        except BadHeader as error:
            raise DamagedData(path, 0, str(error)) from error
        if header.base_position != self._position:
            raise DamagedData(path, 0, f"it begins at position {header.base_position}, not at {self._position}")
        return header

    def _commit(self, path: str, frame: Frame, parts: PartGroups) -> Iterator[Transaction]:
        databases = self._databases
        try:
            entries = decode_entries(frame.payload)
            for transaction in transactions(entries, frame.first_sequence, frame.time_ms, databases, parts):
                databases = after(transaction.databases, transaction.operations)
                if transaction.sequence >= self._first:
                    yield transaction
        except (msgspec.DecodeError, ReplayError) as error:
            raise DamagedData(path, frame.offset, f"its content makes no sense: {error}") from error
        self._databases = databases
        self._next_sequence = frame.first_sequence + frame.number

    def close(self) -> None:
        """Let the files go."""
        for _, file in self._files:
            file.close()
        self._files.clear()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
