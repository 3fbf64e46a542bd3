"""All keys at a moment: the newest checkpoint that is not after it, and the log from there on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.engine.expiries import expiry_of
from keystead.engine.format import COMMIT
from keystead.engine.history.answers import Moment
from keystead.engine.recovery import replay
from keystead.engine.view import View

if TYPE_CHECKING:
    from keystead.engine.history.log_segment import LogSegment
    from keystead.engine.history.retained_log import RetainedLog


def view_at(log: RetainedLog, moment: Moment) -> View:
    """The view after that transaction; keys whose time was up but that nobody had removed are in it."""
    generation = log.generation_of(moment.sequence)
    view = View(log.seed)
    if generation.checkpoint is not None:
        generation.checkpoint.read_into(view)
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


def keys_of(view: View, database: int, prefix: bytes, time_ms: int) -> list[bytes]:
    """The keys that begin so and were there at that time, in order."""
    keyspace = view.keyspace(view.databases[database])
    return sorted(
        key
        for shard, expires in zip(keyspace.shards, keyspace.expires, strict=True)
        for key in shard
        if key.startswith(prefix) and not 0 < expiry_of(expires, key) <= time_ms
    )
