"""All keys at a moment: the newest checkpoint that is not after it, and the log from there on."""

from __future__ import annotations

from bisect import bisect_right
from itertools import chain
from typing import TYPE_CHECKING

from keystead.engine.expiries import expiry_of
from keystead.engine.format import COMMIT
from keystead.engine.history.answers import Moment
from keystead.engine.recovery import replay
from keystead.engine.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keystead.engine.history.log_segment import LogSegment
    from keystead.engine.history.retained_log import RetainedLog


SAMPLED = 256
"""Of each shard's keys one in so many is looked at to find out how keys are distributed."""
SAMPLES_A_PART = 8
"""So that a part has about two thousand keys, which are sorted in half a millisecond."""


def view_at(log: RetainedLog, moment: Moment) -> View:
    """The view after that transaction; keys whose time was up but that nobody had removed are in it."""
    generation = log.generation_of(moment.sequence)
    view = View(log.seed)
    if generation.checkpoint is not None:
        generation.checkpoint.read_into(view, log.between_frames)
    for segment in generation.segments:
        if view.next_sequence > moment.sequence or segment.header.first_sequence > moment.sequence:
            break
        _replay(segment, view, moment)
    view.forget_parts()
    return view


def _replay(segment: LogSegment, view: View, moment: Moment) -> None:
    for frame in segment.frames():
        if frame.kind == COMMIT and frame.first_sequence + frame.number > moment.sequence + 1:
            if frame.first_sequence <= moment.sequence:  # it ends in the middle of a turn
                for transaction in segment.committed_up_to(moment.sequence, tuple(view.databases)):
                    view.commit(transaction.operations, transaction.sequence, 1, transaction.time_ms)
            return
        replay(frame, view, segment.path)
        if view.next_sequence > moment.sequence:
            return
    view.forget_parts()


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
    sample = sorted(chain.from_iterable(run[::SAMPLED] for run in runs))
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
