"""One segment of the log, read wherever its index says. Changes nothing on disk.

Owns: frames by place, and what transactions in them did. Must not know: other segments, keyspaces in use.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from keystead.engine.format import (
    COMMIT,
    FILE_HEADER,
    FRAME_HEADER,
    SEGMENT_MAGIC,
    BadHeader,
    FileHeader,
    Frame,
)
from keystead.engine.history import segment_index
from keystead.engine.history.frame_index import Found, FrameIndex, key_hash, offset_of, place_of
from keystead.engine.history.tail_index import TailIndex
from keystead.engine.history.transactions import (
    FIRST_DATABASES,
    Databases,
    PartGroups,
    Transaction,
    after,
    transactions,
)
from keystead.engine.operations import SYSTEM, Author, Bind, Change, Entry, Group, Keyed, Parts, decode_entries
from keystead.engine.reading import FRAME_BYTES, WINDOW_BYTES, frames_in, read_frame, read_header
from keystead.engine.view import ReplayError
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from keystead.engine.files import Directory, File
    from keystead.engine.history.kept import Kept
    from keystead.engine.manifest import Manifest, SegmentRecord

WALK_BYTES = 1 << 16
NO_OPERATIONS: frozenset[type[Any]] = frozenset((Author, Group, Parts))
_key_of = attrgetter("key")
NO_GROUP = b"\xdd"
"""MessagePack: an array whose length follows in 32 bits."""


class Touch(NamedTuple):
    """What one transaction did, as far as it was looked for."""

    sequence: int
    time_ms: int
    author: Author
    operations: list[Keyed | Bind]


class Wanted(NamedTuple):
    """Operations that are looked for. A frame may hold thousands of others, which are passed over in C loops."""

    trait: Callable[[Entry], object]
    """What an entry is told by; of C, for it is asked of each entry."""
    traits: frozenset[object]
    """Of those that may be wanted, and of the entries that are no operations."""
    is_wanted: Callable[[Change], bool]
    """Whether one of these traits is wanted."""


def of_kinds(kinds: frozenset[type[Any]], is_wanted: Callable[[Change], bool] = lambda _: True) -> Wanted:
    """Operations of these kinds, as far as they are wanted."""
    return Wanted(type, kinds | NO_OPERATIONS, lambda change: type(change) in kinds and is_wanted(change))


def _of_key(key: bytes, *, binds: bool) -> Wanted:
    """Operations on that key, in any keyspace; and what binds databases."""
    return Wanted(_key_of, frozenset((key, None)), lambda change: binds if type(change) is Bind else change.key == key)


class LogSegment:
    """A segment that the manifest names. Its file and its index are opened when they are wanted: FileNotFoundError.

    Whoever goes through it calls *between_frames* often; what that raises ends the question, and harms no other.
    """

    def __init__(
        self,
        directory: Directory,
        manifest: Manifest,
        record: SegmentRecord,
        kept: Kept,
        between_frames: Callable[[], None] = lambda: None,
    ) -> None:
        self.record = record
        self.path = f"{directory.path}/{record.file}"
        self._directory = directory
        self._store_id = manifest.store_id
        self._seed = manifest.seed
        self._kept = kept
        self._between_frames = between_frames
        self._tail: TailIndex | None = None
        self._binds: tuple[int, list[Touch]] = (0, [])

    @property
    def file(self) -> File:
        """The open file."""
        return self._kept.file(self.record)

    @cached_property
    def header(self) -> FileHeader:
        """Its header. DamagedData."""
        try:
            return read_header(
                self.path, self._store_id, SEGMENT_MAGIC, memoryview(self.file.read_at(0, FILE_HEADER.size))
            )
        except BadHeader as error:
            raise DamagedData(self.path, 0, str(error)) from error

    @cached_property
    def first_ms(self) -> int:
        """The time of its first frame, or, while it has none, one that is not later."""
        start = self.file.read_at(FILE_HEADER.size, FRAME_HEADER.size)
        frame = next(frames_in(self.file, self.header.salt, FILE_HEADER.size, self.size, FRAME_BYTES), None)
        if frame is None and any(start):
            raise DamagedData(self.path, FILE_HEADER.size, "a frame's checksum does not match")
        return self.header.created_ms if frame is None else frame.time_ms

    @property
    def size(self) -> int:
        """Up to which offset there may be frames."""
        return self.file.size() if self.record.length is None else self.record.length

    @property
    def index(self) -> FrameIndex:
        """Where in it what is: of its index file, or, where there is no good one, built now and kept."""
        if self._tail is not None:
            return self._tail
        assert self.record.length is not None, "a segment that is being written has a tail"
        return self._kept.index(self.record, self._load)

    def _load(self) -> FrameIndex:
        found = segment_index.load(self._directory, self._store_id, self.record)
        if found is not None:
            return found
        return segment_index.build(self.path, self.file, self._store_id, self._seed, self.record, self._between_frames)

    def inherit(self, other: LogSegment) -> None:
        """This one is sealed now: what the other one, while it was being written, has learnt of it still holds."""
        tail = other._tail
        if tail is not None and tail.end == self.record.length and tail.still_holds(self.file, self.record.length):
            self._tail = tail

    def forget_tail(self) -> None:
        """By now it has an index file."""
        self._tail = None

    def held_by(self, kept: Kept) -> LogSegment:
        """The same, with a file of its own, open."""
        other = copy.copy(self)
        other._kept = kept
        _ = other.file
        return other

    @property
    def is_begun(self) -> bool:
        """Whether it has its header: one that is only prepared is all zeros."""
        return self.record.length is not None or any(self.file.read_at(0, FILE_HEADER.size))

    def grow(self, until: int) -> TailIndex:
        """Take in what has been appended before transaction *until*; only while it is not sealed."""
        if self._tail is not None and not self._tail.still_holds(self.file, None):
            self._tail = None
        if self._tail is None:
            self._tail = TailIndex(self.path, self.header.salt, self._seed, self.header.first_sequence)
            self.__dict__.pop("first_ms", None)
        self._tail.grow(self.file, self.size, until, self._between_frames)
        return self._tail

    # --- Where a moment is ------------------------------------------------------------------------------------------

    def frames(self, place: int = place_of(FILE_HEADER.size), window_bytes: int = WINDOW_BYTES) -> Iterator[Frame]:
        """The frames from that place on, as far as its index knows them. DamagedData when they end before."""
        index = self.index
        end = index.end if isinstance(index, TailIndex) else self.size
        offset = offset_of(place)
        for frame in frames_in(self.file, self.header.salt, offset, end, window_bytes):
            yield frame
            offset = frame.end
            self._between_frames()
        if offset != end:
            raise DamagedData(self.path, offset, "a frame's checksum does not match")

    def commit_of(self, sequence: int) -> Frame:
        """The commit frame with that transaction, which is in this segment. DamagedData."""
        for frame in self.frames(self.index.start_of(sequence), WALK_BYTES):
            if frame.kind == COMMIT and frame.first_sequence <= sequence < frame.first_sequence + frame.number:
                return frame
        raise DamagedData(self.path, 0, f"transaction {sequence} cannot be found")

    def end_of(self, sequence: int) -> int:
        """The place behind the commit frame with that transaction; behind all, when it is not in this segment."""
        if self.header.first_sequence > sequence:
            return 0
        index = self.index
        if not index.marks:
            return place_of(self.size)
        if isinstance(index, TailIndex) and sequence + 1 >= index.next_sequence:
            return place_of(index.end)
        for frame in self.frames(index.start_of(sequence), WALK_BYTES):
            if frame.kind == COMMIT and sequence < frame.first_sequence + frame.number:
                return place_of(frame.end)
        return place_of(self.size)

    def committed_by(self, time_ms: int) -> int | None:
        """How many transactions of the log were committed at that time or before; None: all that are in it."""
        if not self.index.marks:
            return None
        for frame in self.frames(self.index.start_at(time_ms), WALK_BYTES):
            if frame.time_ms > time_ms:
                return frame.first_sequence - 1
        return None

    # --- What was done ----------------------------------------------------------------------------------------------

    def changes_of(self, key: bytes, end: int, *, binds: bool = False) -> Iterator[Touch]:
        """What transactions before the place *end* did to the key, in any keyspace; newest first.

        *binds*: and all that bound databases.
        """
        index = self.index
        wanted = _of_key(key, binds=binds)
        for found in index.changes(key_hash(key, self._seed), end, index.binds if binds else ()):
            yield from reversed(self.touches(found, wanted))

    def binds(self) -> list[Touch]:
        """All transactions that bound databases, in order."""
        index = self.index
        known = index.end if isinstance(index, TailIndex) else -1
        if self._binds[0] != known:
            chosen = index.changes(0, place_of(self.size), index.binds) if index.binds else ()
            wanted = of_kinds(frozenset((Bind,)))
            touches = [touch for found in chosen for touch in reversed(self.touches(found, wanted))]
            self._binds = known, touches[::-1]
        return self._binds[1]

    def touches(self, found: Found, wanted: Wanted) -> list[Touch]:
        """What transactions of a commit frame did, as far as it is wanted; in order. DamagedData."""
        self._between_frames()
        frame = self._frame(found.commit)
        try:
            return list(self._touches(frame, found.parts, wanted))
        except (msgspec.DecodeError, ReplayError) as error:
            raise DamagedData(self.path, frame.offset, f"its content makes no sense: {error}") from error

    def _touches(self, frame: Frame, parts: Sequence[int], wanted: Wanted) -> Iterator[Touch]:
        trait, traits, is_wanted = wanted
        entries = decode_entries(frame.payload)
        author, looked_at, begin_none = SYSTEM, 0, 0
        for at in [at for at, found in enumerate(map(trait, entries)) if found in traits]:
            if at < looked_at:
                continue  # it is in a group
            entry, sequence = entries[at], frame.first_sequence + at - begin_none
            looked_at = at + 1
            operations: Sequence[Change]
            if isinstance(entry, Author):
                author = entry
                begin_none += 1
                continue
            if isinstance(entry, Group):
                looked_at += entry.operations
                begin_none += entry.operations
                operations = cast("list[Change]", entries[at + 1 : looked_at])  # a group has no other
            elif isinstance(entry, Parts):
                part_at = self.index.part_at
                chosen = [place for place in parts if part_at[place].group == entry.part]
                operations = [change for place in chosen for change in self._beginning_in(place)]
            else:
                operations = (entry,)
            touching = [change for change in operations if trait(change) in traits and is_wanted(change)]
            if touching:
                yield Touch(sequence, frame.time_ms, author, cast("list[Keyed | Bind]", touching))

    def _beginning_in(self, place: int) -> list[Change]:
        """The operations that begin in that part frame: the last of them may end in a later one."""
        part_at = self.index.part_at
        part = part_at[place]
        payload = [bytes(self._frame(place).payload[part.skipped :])]
        for other in part_at.values():
            if other.place > place and other.commit == part.commit and other.group == part.group:
                payload.append(bytes(self._frame(other.place).payload[: other.skipped]))
                if other.operations:
                    break
        array = NO_GROUP + part.operations.to_bytes(4, "big")
        return decode_entries(array + b"".join(payload))  # type: ignore[return-value]  # nothing else is in a part group

    def _frame(self, place: int) -> Frame:
        return read_frame(self.path, self.file, self.header.salt, offset_of(place))

    def transactions_from(self, sequence: int, databases: Databases) -> Iterator[Transaction]:
        """The transactions from that one on, which is in this segment; *databases* as they were before it."""
        for frame in self.frames(place_of(self.commit_of(sequence).offset)):
            if frame.kind == COMMIT:
                for transaction in self.transactions_in(frame, FIRST_DATABASES):
                    if transaction.sequence >= sequence:
                        yield transaction._replace(databases=databases)
                        databases = after(databases, transaction.operations)

    def transactions_back(self, before: int, databases_at: Callable[[int], Databases]) -> Iterator[Transaction]:
        """The transactions before that one, newest first; *databases_at* tells what was shown behind a transaction.

        Read from mark to mark, the last first: so no more is read than is asked for, and little is held at once.
        """
        marks = self.index.marks
        for at in range(bisect_left(marks, before, key=lambda mark: mark.first_sequence) - 1, -1, -1):
            end = offset_of(marks[at + 1].place) if at + 1 < len(marks) else None
            for frame in reversed(self._commits_between(marks[at].place, end, before)):
                told = list(self.transactions_in(frame, databases_at(frame.first_sequence - 1)))
                yield from (transaction for transaction in reversed(told) if transaction.sequence < before)

    def _commits_between(self, place: int, end: int | None, before: int) -> list[Frame]:
        """The commit frames from that place on and before that offset, as far as they begin before a transaction."""
        commits = []
        for frame in self.frames(place, WALK_BYTES):
            if frame.offset == end or frame.first_sequence >= before:
                break
            if frame.kind == COMMIT:
                commits.append(frame)
        return commits

    def transactions_in(self, frame: Frame, databases: Databases) -> Iterator[Transaction]:
        """The transactions of a commit frame of this segment, in order; *databases* as they were before them."""
        try:
            entries = decode_entries(frame.payload)
            groups = PartGroups()
            closed = place_of(frame.offset)
            if any(type(entry) is Parts for entry in entries):
                for part in self.index.part_at.values():
                    if part.commit == closed:
                        groups.add(part.group, bytes(self._frame(part.place).payload))
            yield from transactions(entries, frame.first_sequence, frame.time_ms, databases, groups)
        except (msgspec.DecodeError, ReplayError) as error:
            raise DamagedData(self.path, frame.offset, f"its content makes no sense: {error}") from error
