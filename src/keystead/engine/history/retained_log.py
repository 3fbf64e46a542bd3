"""The log as far as it is kept: generations of segments, and what was when.

Owns: which files hold which moment, which keyspace a database showed, and the value of a key at a moment. Must not
know: the questions that are built on that. Files may be dropped at any time: every method may raise FileNotFoundError,
after which a new manifest is to be followed; and DamagedData.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from keystead.engine.format import COMMIT, MASK_64
from keystead.engine.history.answers import Moment, NotCommitted
from keystead.engine.history.checkpoint_keys import CheckpointKeys
from keystead.engine.history.kept import Kept
from keystead.engine.history.log_segment import LogSegment, Touch
from keystead.engine.history.transactions import FIRST_DATABASES, Databases, HistoryDropped, after
from keystead.engine.keyspace import apply_patch
from keystead.engine.operations import Bind, Keyed, Patch, Put, PutExpiring, SetExpiry

if TYPE_CHECKING:
    from keystead.engine.files import Directory
    from keystead.engine.manifest import Generation, Manifest

State: TypeAlias = tuple[bytes, int] | None
"""A key's value and expiry, whether or not its time was up; None: no such key."""


class RetainedGeneration:
    """A checkpoint, or nothing, and the segments after it that have been begun."""

    def __init__(self, checkpoint: CheckpointKeys | None, segments: list[LogSegment]) -> None:
        self.checkpoint = checkpoint
        self.segments = segments
        record = checkpoint.record if checkpoint else None
        self.start = Moment(record.sequence - 1, record.time_ms) if record else Moment(0, 0)
        """The moment before its first transaction."""
        self._looked_at = 0
        """Of so many segments the binds are known: by sequence, and what the databases showed behind each."""
        self._bound: list[int] = []
        self._shown: list[Databases] = []

    @property
    def databases(self) -> Databases:
        """What the databases showed at its start."""
        return self.checkpoint.databases if self.checkpoint else FIRST_DATABASES

    def find(self, keyspace: int, key: bytes) -> State:
        """The key at its start."""
        return self.checkpoint.find(keyspace, key) if self.checkpoint else None

    def changes_of(self, key: bytes, sequence: int, *, binds: bool = False) -> Iterator[Touch]:
        """What transactions up to that one did to the key, in any keyspace; newest first."""
        for segment in reversed(self.segments):
            if segment.header.first_sequence > sequence:
                continue
            for touch in segment.changes_of(key, segment.end_of(sequence), binds=binds):
                if touch.sequence <= sequence:
                    yield touch

    def databases_at(self, sequence: int) -> Databases:
        """What the databases showed after that transaction."""
        while self._looked_at < len(self.segments):
            segment = self.segments[self._looked_at]
            if segment.header.first_sequence > sequence:
                break
            for touch in segment.binds():
                self._shown.append(after(self._shown[-1] if self._shown else self.databases, touch.operations))
                self._bound.append(touch.sequence)
            self._looked_at += 1
        behind = bisect_right(self._bound, sequence)
        return self._shown[behind - 1] if behind else self.databases

    def binds_of(self, database: int, sequence: int) -> list[int]:
        """The transactions up to that one that bound the database, in order."""
        found: list[int] = []
        for segment in self.segments:
            if segment.header.first_sequence > sequence:
                break
            binding = [touch for touch in segment.binds() if any(bind.database == database for bind in binds_in(touch))]
            found += [touch.sequence for touch in binding if touch.sequence <= sequence]
        return found


class RetainedLog:
    """All that is kept of one directory's log, up to `newest`."""

    def __init__(self, directory: Directory, between_frames: Callable[[], None] = lambda: None) -> None:
        self._directory = directory
        self.between_frames = between_frames
        """Called again and again by all that takes long."""
        self._kept = Kept(directory)
        self._segments: list[LogSegment] = []
        self._checkpoints: dict[str, CheckpointKeys] = {}
        self.generations: list[RetainedGeneration] = []
        self.newest = Moment(0, 0)
        self.seed = 0

    def follow(self, manifest: Manifest, until: int) -> None:
        """Look at the files that this manifest names, as far as there are transactions before *until*."""
        self.seed = manifest.seed
        known = {
            (segment.record.number, segment.record.salt, segment.record.file): segment for segment in self._segments
        }
        checkpoints = self._checkpoints
        self._checkpoints = {}
        generations = []
        for generation in manifest.generations:
            segments = []
            for record in generation.segments:
                segment = LogSegment(self._directory, manifest, record, self._kept, self.between_frames)
                before = known.get((record.number, record.salt, record.file))
                if before is not None and before.record == record:
                    segment = before
                elif before is not None and record.length is not None:
                    segment.inherit(before)
                if segment.is_begun:
                    segments.append(segment)
            generations.append(RetainedGeneration(self._checkpoint(manifest, generation, checkpoints), segments))
        self.generations = generations
        self._segments = [segment for generation in generations for segment in generation.segments]
        self._kept.keep_only(manifest.segments())
        for segment in [each for each in self._segments if each.record.length is not None][:-2]:
            segment.forget_tail()
        self._grow(until)

    def _checkpoint(
        self, manifest: Manifest, generation: Generation, known: dict[str, CheckpointKeys]
    ) -> CheckpointKeys | None:
        record = generation.checkpoint
        if record is None:
            return None
        found = known.get(record.file)
        if found is None or found.record != record:
            found = CheckpointKeys(self._directory, manifest.store_id, manifest.seed, record)
        self._checkpoints[record.file] = found
        return found

    def _grow(self, until: int) -> None:
        next_sequence = self.generations[-1].start.sequence + 1
        sealed = [segment for segment in self.generations[-1].segments if segment.record.length is not None]
        growing = [segment for segment in self.generations[-1].segments if segment.record.length is None]
        for segment in growing:
            next_sequence = segment.grow(until).next_sequence
        if not growing and sealed:
            next_sequence = self._next_after(sealed[-1])
        # Retention may have let all go that was there before *until*, while a question was being looked into.
        self.newest = self._moment(max(min(next_sequence, until) - 1, self.floor.sequence))

    @staticmethod
    def _next_after(segment: LogSegment) -> int:
        next_sequence = segment.header.first_sequence
        for frame in segment.frames(segment.index.marks[-1].place) if segment.index.marks else ():
            next_sequence = frame.first_sequence + (frame.number if frame.kind == COMMIT else 0)
        return next_sequence

    def close(self) -> None:
        """Let all files go."""
        self._kept.close()

    # --- Moments ----------------------------------------------------------------------------------------------------

    @property
    def floor(self) -> Moment:
        """The oldest moment that can be rebuilt."""
        return self.generations[0].start

    def check(self, sequence: int) -> None:
        """HistoryDropped, NotCommitted when that is no moment that can be rebuilt."""
        if sequence < self.floor.sequence:
            raise HistoryDropped(self.floor.sequence + 1)
        if sequence > self.newest.sequence:
            raise NotCommitted(self.newest)

    def generation_of(self, sequence: int) -> RetainedGeneration:
        """The newest generation in which that moment is."""
        self.check(sequence)
        behind = bisect_right(self.generations, sequence, key=lambda generation: generation.start.sequence)
        return self.generations[behind - 1]

    def moment(self, sequence: int) -> Moment:
        """The moment after that transaction. HistoryDropped, NotCommitted."""
        self.check(sequence)
        return self._moment(sequence)

    def _moment(self, sequence: int) -> Moment:
        if sequence == self.floor.sequence:
            return self.floor
        return Moment(sequence, self.segment_of(sequence).commit_of(sequence).time_ms)

    def segment_of(self, sequence: int) -> LogSegment:
        """The segment with that transaction, which is kept."""
        behind = bisect_right(self._segments, sequence, key=lambda segment: segment.header.first_sequence)
        return self._segments[behind - 1]

    def segments_between(self, first: int, until: int) -> list[LogSegment]:
        """The segments with transactions from *first* on and before *until*."""
        start = self._segments.index(self.segment_of(first))
        chosen = []
        for i in range(start, len(self._segments)):
            begins = self._segments[i].header.first_sequence
            ends = self._segments[i + 1].header.first_sequence if i + 1 < len(self._segments) else MASK_64
            if begins < min(until, ends):
                chosen.append(self._segments[i])
        return chosen

    def moment_at(self, time_ms: int) -> Moment:
        """The last moment of that time or before it. HistoryDropped."""
        if time_ms < self.floor.time_ms:
            raise HistoryDropped(self.floor.sequence + 1)
        if time_ms >= self.newest.time_ms:
            return self.newest
        behind = bisect_right(self._segments, time_ms, key=lambda segment: segment.first_ms)
        if not behind:
            return self.floor
        sequence = self._segments[behind - 1].committed_by(time_ms)
        if sequence is None:
            sequence = self._segments[behind].header.first_sequence - 1
        return self.moment(min(sequence, self.newest.sequence))

    # --- Keys -------------------------------------------------------------------------------------------------------

    def databases_at(self, sequence: int) -> Databases:
        """What the databases showed after that transaction."""
        return self.generation_of(sequence).databases_at(sequence)

    def find(self, keyspace: int, key: bytes, sequence: int) -> State:
        """The key after that transaction."""
        generation = self.generation_of(sequence)
        later: list[Keyed] = []
        for touch in generation.changes_of(key, sequence):
            for operation in reversed(touch.operations):
                if isinstance(operation, Bind) or operation.keyspace != keyspace:
                    continue
                if isinstance(operation, (Patch, SetExpiry)):
                    later.append(operation)
                else:
                    return changed(None, [operation, *later[::-1]])
        return changed(generation.find(keyspace, key), later[::-1])


def binds_in(touch: Touch) -> list[Bind]:
    """What it binds."""
    return [each for each in touch.operations if isinstance(each, Bind)]


def changed(state: State, operations: list[Keyed]) -> State:
    """What these operations make of a key."""
    if not operations:
        return state
    value: bytes | bytearray | None
    value, expires_at_ms = state or (None, 0)
    for operation in operations:
        if isinstance(operation, Put):
            value, expires_at_ms = operation.value, 0
        elif isinstance(operation, PutExpiring):
            value, expires_at_ms = operation.value, operation.expires_at_ms
        elif isinstance(operation, SetExpiry):
            expires_at_ms = operation.expires_at_ms
        elif isinstance(operation, Patch):
            value = value if isinstance(value, bytearray) else bytearray(value or b"")
            apply_patch(value, operation.offset, operation.data)
        else:
            value, expires_at_ms = None, 0
    return None if value is None else (bytes(value), expires_at_ms)


def alive(state: State, time_ms: int) -> State:
    """The same, as somebody saw it who read at that time: None when its time was up."""
    return None if state is not None and 0 < state[1] <= time_ms else state
