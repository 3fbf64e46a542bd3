"""The index of a segment that is still being written, or has no index file: it grows as it is read. Changes no file.

Owns: how frames become an index. Must not know: how an index is stored (`segment_index.py`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from itertools import accumulate, chain
from typing import TYPE_CHECKING

import msgspec
from xxhash import xxh3_64_intdigest as digest

from keystead.engine.format import COMMIT, FILE_HEADER, FRAME_HEADER, MASK_64, PART, Frame
from keystead.engine.history.frame_index import MASK_32, PLACE_BITS, FrameIndex, Mark, Part, offset_of, place_of
from keystead.engine.operations import KEYED, REMOVING, Bind, Change, Entry, Parts, decode_entries
from keystead.engine.reading import frames_in, read_frame
from keystead.engine.view import ReplayError
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from keystead.engine.files import File

MARK_BYTES = 1 << 16
FRESH_KEYS = 1 << 12
"""So many are sorted at once, in half a millisecond."""
RUN_KEYS = 1 << 15
_raw_operations = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class TailIndex(FrameIndex):
    """Knows a segment up to `end`, an offset; the next transaction behind that is `next_sequence`."""

    def __init__(self, path: str, salt: int, hash_seed: int, next_sequence: int) -> None:
        super().__init__()
        self._path = path
        self._salt = salt
        self._seed = hash_seed
        self.end = FILE_HEADER.size
        self.next_sequence = next_sequence
        self._last_header = b""
        self._last_offset = 0
        self._open_parts: dict[int, list[int]] = {}
        self._removals: array[int] = array("I")
        self.removals = self._removals
        self._runs: list[array[int]] = []
        self._fresh: list[int] = []

    def grow(
        self, file: File, size: int, until: int = MASK_64, between_frames: Callable[[], None] = lambda: None
    ) -> None:
        """Take in the good frames of transactions before *until* in the first *size* bytes. DamagedData."""
        try:
            for frame in frames_in(file, self._salt, self.end, size):
                if frame.first_sequence >= until:
                    break
                self._add(file, frame)
                self._last_offset, self.end = frame.offset, frame.end
                if len(self._fresh) >= FRESH_KEYS:
                    self._sort_fresh()
                between_frames()
        finally:  # what was taken in when *between_frames* raised need not be read again
            self._sort_fresh()
            if self._last_offset:
                self._last_header = file.read_at(self._last_offset, FRAME_HEADER.size)

    def still_holds(self, file: File, length: int | None) -> bool:
        """Whether what was read is still there: a start cuts off, and a full disk takes back, what was not synced."""
        if length is not None and self.end > length:
            return False
        return not self._last_offset or file.read_at(self._last_offset, FRAME_HEADER.size) == self._last_header

    def _sort_fresh(self) -> None:
        if not self._fresh:
            return
        run = array("Q", sorted(self._fresh))
        self._fresh.clear()
        # As long as the one before is not much longer, they become one: so there are few, and none is sorted often. Nor
        # is any so long that sorting it keeps a core from others for longer than some milliseconds.
        while self._runs and len(self._runs[-1]) < 2 * len(run) and len(self._runs[-1]) + len(run) <= RUN_KEYS:
            run = array("Q", sorted(chain(self._runs.pop(), run)))
        self._runs.append(run)
        self.runs = list(self._runs)

    def _add(self, file: File, frame: Frame) -> None:
        place = place_of(frame.offset)
        if not self.marks or offset_of(self.marks[-1].place) // MARK_BYTES != frame.offset // MARK_BYTES:
            self.marks.append(Mark(place, frame.first_sequence, frame.time_ms))
        if frame.kind == PART:
            self._open_parts.setdefault(frame.number, []).append(place)
        elif frame.kind == COMMIT:
            try:
                entries = decode_entries(frame.payload)
                self._add_operations(place, entries)
                for entry in entries:
                    if type(entry) is Parts:
                        self._add_group(file, place, entry)
            except (msgspec.DecodeError, ReplayError) as error:
                raise DamagedData(self._path, frame.offset, f"its content makes no sense: {error}") from error
            self.next_sequence = frame.first_sequence + frame.number

    def _add_operations(self, place: int, operations: Sequence[Entry]) -> None:
        seed = self._seed
        hashes = {digest(each.key, seed) & MASK_32 for each in operations if type(each) in KEYED}  # type: ignore[arg-type]  # each of these kinds has one
        self._fresh += [hash_ << PLACE_BITS | place for hash_ in hashes]
        # A part frame's place comes late: it stands before other commits that have been taken in since.
        kinds = set(map(type, operations))
        if Bind in kinds:
            insort(self.binds, place)
        if not kinds.isdisjoint(REMOVING):
            insort(self._removals, place)

    def _add_group(self, file: File, commit: int, parts: Parts) -> None:
        places = self._open_parts.pop(parts.part, [])
        payloads = [bytes(read_frame(self._path, file, self._salt, offset_of(place)).payload) for place in places]
        joined = b"".join(payloads)
        if len(joined) != parts.length:
            raise ReplayError(f"part group {parts.part} has {len(joined)} bytes instead of {parts.length}")
        operations: list[Change] = decode_entries(joined)  # type: ignore[assignment]  # a part group holds nothing else
        sizes = [len(memoryview(raw)) for raw in _raw_operations(joined)]
        starts = list(accumulate(sizes, initial=len(joined) - sum(sizes)))[:-1]
        begin = first = 0
        for place, payload in zip(places, payloads, strict=True):
            behind = bisect_left(starts, begin + len(payload))
            skipped = min(len(payload), starts[first] - begin) if first < len(starts) else len(payload)
            self.part_at[place] = Part(place, commit, parts.part, skipped, behind - first)
            self._add_operations(place, operations[first:behind])
            begin, first = begin + len(payload), behind


def keys_in_order(index: FrameIndex) -> Iterable[int]:
    """All of an index' keys."""
    return index.runs[0] if len(index.runs) == 1 else sorted(chain.from_iterable(index.runs))
