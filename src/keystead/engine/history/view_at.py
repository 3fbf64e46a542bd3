"""All keys at a moment: the newest checkpoint that is not after it, and the log from there on."""

from __future__ import annotations

import weakref
from bisect import bisect_left, bisect_right
from itertools import chain
from typing import TYPE_CHECKING, Any

from keystead.engine.expiries import expiry_of
from keystead.engine.format import COMMIT
from keystead.engine.history.answers import Moment
from keystead.engine.key_index import after_prefix
from keystead.engine.recovery import replay
from keystead.engine.view import KeyspaceView, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from keystead.engine.format import Frame
    from keystead.engine.history.log_segment import LogSegment
    from keystead.engine.history.retained_log import RetainedGeneration, RetainedLog
    from keystead.engine.history.transactions import Transaction


PIECE_KEYS = 4_096
SAMPLED = 256
"""Of each shard's keys one in so many is looked at to find out how keys are distributed."""
SAMPLES_A_PART = 8
"""So that a part has about two thousand keys, which are sorted in half a millisecond."""


def view_at(log: RetainedLog, moment: Moment) -> View:
    """The view after that transaction; keys whose time was up but that nobody had removed are in it."""
    view = Replay(log, log.generation_of(moment.sequence)).move_to(moment.sequence)
    view.forget_parts()
    return view


class Replay:
    """A view of one generation that moves on from moment to moment."""

    def __init__(self, log: RetainedLog, generation: RetainedGeneration) -> None:
        self._view = view = View(log.seed)
        # Whoever held it last. Not when the program ends: then all goes at once, and nobody waits.
        weakref.finalize(view, _give_back_all, view.keyspaces, log.between_frames).atexit = False
        if generation.checkpoint is not None:
            generation.checkpoint.read_into(view, log.between_frames)
        self._frames = self._frames_of(generation.segments)
        self._begun: Iterator[Transaction] = iter(())
        """What is left of a commit frame in whose middle a moment was."""

    def _frames_of(self, segments: list[LogSegment]) -> Iterator[tuple[LogSegment, Frame]]:
        for segment in segments:
            for frame in segment.frames():
                yield segment, frame
            self._view.forget_parts()

    def move_to(self, sequence: int) -> View:
        """The view after that transaction, which is not before the last one that was asked for. It is the same object
        every time."""
        view = self._view
        while view.next_sequence <= sequence:
            transaction = next(self._begun, None)
            if transaction is not None:
                view.commit(transaction.operations, transaction.sequence, 1, transaction.time_ms)
                continue
            following = next(self._frames, None)
            assert following is not None, "the moment is not in this generation"
            segment, frame = following
            if frame.kind == COMMIT and frame.first_sequence + frame.number > sequence + 1:
                self._begun = segment.transactions_in(frame, tuple(view.databases))
            else:
                replay(frame, view, segment.path)
        return view


def give_back(pieces: Iterable[dict[bytes, Any] | list[bytes]], between: Callable[[], None]) -> None:
    """Empty one after the other: to free a million keys at once takes a tenth of a second. Raises nothing."""
    for piece in pieces:
        piece.clear()
        try:
            between()
        except Exception:  # the question was called off: the rest may go at once
            return


def _give_back_all(keyspaces: dict[int, KeyspaceView], between: Callable[[], None]) -> None:
    give_back((shard for keyspace in keyspaces.values() for shard in keyspace.shards), between)


def give_back_keys(keys: list[bytes], between: Callable[[], None]) -> None:
    """Empty a long list of keys bit by bit. Raises nothing."""

    def pieces() -> Iterator[list[bytes]]:
        while keys:
            piece = keys[-PIECE_KEYS:]
            del keys[-PIECE_KEYS:]
            yield piece

    give_back(pieces(), between)


def raw_keys_of(view: View, database: int, prefix: bytes, between: Callable[[], None]) -> list[bytes]:
    """The keys that begin so, whether or not their time was up, in no order. *between* is called again and again."""
    found: list[bytes] = []
    for shard in view.keyspace(view.databases[database]).shards:
        found += [key for key in shard if key.startswith(prefix)] if prefix else shard
        between()
    return found


def keys_of(
    view: View, database: int, prefix: bytes, time_ms: int, between: Callable[[], None] = lambda: None
) -> list[bytes]:
    """The keys that begin so and were there at that time, in order. *between* is called again and again."""
    keyspace = view.keyspace(view.databases[database])
    runs = []
    for shard, expires in zip(keyspace.shards, keyspace.expires, strict=True):
        if prefix or expires is not None:
            found = [key for key in shard if key.startswith(prefix) and not 0 < expiry_of(expires, key) <= time_ms]
        else:
            found = list(shard)
        runs.append(found)
        between()
    return in_order(runs, between)


def in_order(runs: Sequence[list[bytes]], between: Callable[[], None]) -> list[bytes]:
    """All keys of all runs, sorted a part at a time: a million at once takes a second."""
    # Not the first of each run: those were put in first, and may be the first in order as well.
    sample = sorted(chain.from_iterable(run[number % SAMPLED :: SAMPLED] for number, run in enumerate(runs)))
    fences = sample[::SAMPLES_A_PART]
    parts: list[list[bytes]] = [[] for _ in range(len(fences) + 1)]
    for run in runs:
        for key in run:
            parts[bisect_right(fences, key)].append(key)
        between()
    ordered: list[bytes] = []
    for part in parts:
        ordered += sorted(part)
        between()
    return ordered


def count_of(keys: Sequence[bytes], prefix: bytes) -> int:
    """How many of the sorted keys begin so."""
    return _end_of(keys, prefix) - bisect_left(keys, prefix)


def folders_of(
    keys: Sequence[bytes], prefix: bytes, delimiter: bytes, after: bytes | None
) -> Iterator[tuple[bytes, int | None]]:
    """The sorted keys that begin so, folded at the delimiter: each folder with the number of its keys, each key that is
    in none with None, in order; behind a key or folder *after*."""
    place = bisect_left(keys, prefix)
    if after is not None and after >= prefix:
        is_folder = after.find(delimiter, len(prefix)) >= 0
        place = _end_of(keys, after) if is_folder else bisect_right(keys, after)
    end = _end_of(keys, prefix)
    while place < end:
        key = keys[place]
        cut = key.find(delimiter, len(prefix))
        if cut < 0:
            yield key, None
            place += 1
        else:
            folder = key[: cut + len(delimiter)]
            behind = _end_of(keys, folder)
            yield folder, behind - place
            place = behind


def _end_of(keys: Sequence[bytes], prefix: bytes) -> int:
    beyond = after_prefix(prefix)
    return len(keys) if beyond is None else bisect_left(keys, beyond)
