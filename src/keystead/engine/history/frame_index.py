"""Where in one segment each key is changed: what an index knows, whether it is a file's or grows in memory.

Follows docs/format.md, "Index of a segment". Must not know: files, what frames hold.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from xxhash import xxh3_64_intdigest as digest

from keystead.engine.format import FRAME_ALIGNMENT

PLACE_BITS = 32
MASK_32 = 0xFFFF_FFFF


def offset_of(place: int) -> int:
    """The offset in the segment."""
    return place * FRAME_ALIGNMENT


def place_of(offset: int) -> int:
    """The place of the frame at that offset."""
    return offset // FRAME_ALIGNMENT


def key_hash(key: bytes, seed: int) -> int:
    """What an index knows of a key."""
    return digest(key, seed) & MASK_32


class Mark(NamedTuple):
    """Where to begin looking for a sequence number or a time."""

    place: int
    first_sequence: int
    time_ms: int


class Part(NamedTuple):
    """A part frame whose group is closed in the segment."""

    place: int
    commit: int
    """The place of the frame that closes it."""
    group: int
    skipped: int
    """How many bytes of its payload belong to an operation that began before, or to no operation."""
    operations: int
    """How many begin in it."""


class Found(NamedTuple):
    """A commit frame, and those of its part frames in which something that is looked for begins."""

    commit: int
    parts: list[int]


class FrameIndex:
    """What there is where. Places are those of commit frames, or of part frames in which the operation begins."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.binds: list[int] = []
        self.removals: Sequence[int] = []
        self.runs: list[Sequence[int]] = []
        """Of keys: each sorted, all places of one after all places of the one before it."""
        self.part_at: dict[int, Part] = {}
        """By place, in order."""

    def start_of(self, sequence: int) -> int:
        """A place from which on a walk comes by the frame of that transaction, and not before many others."""
        return self._mark(bisect_right(self.marks, sequence, key=lambda mark: mark.first_sequence))

    def start_at(self, time_ms: int) -> int:
        """The same for the first frame later than that time."""
        return self._mark(bisect_right(self.marks, time_ms, key=lambda mark: mark.time_ms))

    def _mark(self, behind: int) -> int:
        return self.marks[max(0, behind - 1)].place

    def changes(self, hash_: int, end: int, also: Sequence[int] = ()) -> Iterator[Found]:
        """Where keys of that hash are changed, in commit frames before *end*; newest first.

        *also*: further places that are looked for.
        """
        low, high = hash_ << PLACE_BITS, (hash_ << PLACE_BITS) + end
        spans = [(run, bisect_left(run, low), bisect_left(run, high)) for run in self.runs]
        chosen = self._by_commit(also, end)
        for part in self._parts_in(spans, low):
            if part.commit < end:
                chosen.setdefault(part.commit, []).append(part.place)
        return self._merged(spans, chosen)

    def removed(self, end: int) -> Iterator[Found]:
        """Where keys are removed or databases bound, in commit frames before *end*; newest first."""
        spans = [(self.removals, 0, bisect_left(self.removals, end))]
        chosen = self._by_commit(self.binds, end)
        for part in self._parts_in(spans, 0):
            if part.commit < end:
                chosen.setdefault(part.commit, []).append(part.place)
        return self._merged(spans, chosen)

    def _by_commit(self, places: Sequence[int], end: int) -> dict[int, list[int]]:
        chosen: dict[int, list[int]] = {}
        for place in places:
            part = self.part_at.get(place)
            if part is None and place < end:
                chosen.setdefault(place, [])
            elif part is not None and part.commit < end:
                chosen.setdefault(part.commit, []).append(place)
        return chosen

    def _parts_in(self, spans: list[tuple[Sequence[int], int, int]], low: int) -> Iterator[Part]:
        if not self.part_at:
            return
        for run, start, stop in spans:
            if stop - start <= len(self.part_at):
                for i in range(start, stop):
                    part = self.part_at.get(run[i] & MASK_32)
                    if part is not None:
                        yield part
            else:
                for part in self.part_at.values():
                    i = bisect_left(run, low + part.place, start, stop)
                    if i < stop and run[i] == low + part.place:
                        yield part

    def _merged(self, spans: list[tuple[Sequence[int], int, int]], chosen: dict[int, list[int]]) -> Iterator[Found]:
        # A part frame stands before the frame that closes its group, with other commits between them: what counts is
        # where it is closed.
        waiting = sorted(chosen)
        part_at = self.part_at
        for run, start, stop in reversed(spans):
            for i in range(stop - 1, start - 1, -1):
                place = run[i] & MASK_32
                if place in part_at:
                    continue
                while waiting and waiting[-1] > place:
                    commit = waiting.pop()
                    yield Found(commit, sorted(set(chosen[commit])))
                if waiting and waiting[-1] == place:
                    waiting.pop()
                yield Found(place, sorted(set(chosen.get(place, ()))))
        for commit in reversed(waiting):
            yield Found(commit, sorted(set(chosen[commit])))
