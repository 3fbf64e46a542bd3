"""The change feed: hands what becomes durable to whoever follows, and what has been from the log's past.

Turns are gathered for a few milliseconds into batches, and the newest batches are kept, up to a bound. A follower is a
cursor: it takes one batch after another, at its own pace. So no follower has a backlog, and a slow one neither grows
the server nor delays others: when the batches have moved on without it, it reads what it missed from the log, in
another process, and comes back. A batch is encoded once, for all followers of the same filter.

Owns: the batches, the followers' cursors. Must not know: HTTP, which events there are.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from keystead.engine.tail import CommittedTurn, transactions_of
from keystead.execution.change_events import (
    Event,
    Filter,
    MayRead,
    Position,
    Values,
    encoded,
    events_of,
    gone,
    progress,
)
from keystead.execution.change_reader import Request
from keystead.server.past_readers import PastDropped, PastReaders, PastUnreadable

if TYPE_CHECKING:
    from keystead.engine.engine import Engine

GATHER_S = 0.005
"""Turns that become durable within this time go out together: a write to a socket costs more than an event."""
BATCH_BYTES = 1 << 16
TURN_BYTES = 1 << 20
"""A larger turn is not kept here: followers read it from the log."""
KEPT_BYTES = 8 << 20
KEPT_BATCHES = 2_000
EVENT_BYTES = 200
"""About what an event takes beside its bytes."""
SLICE_EVENTS = 250
"""Encoded in one step of the loop: about a millisecond."""
PROGRESS_S = 4.0
"""After so long without an event a follower is told how far it has come."""
TICK_S = 1.0
LINGER_S = 60.0
"""How long batches are kept for followers that have gone: most of them come back at once."""


class BrokenEvent(Exception):
    """An event was sent in part and cannot be completed: the stream must break off, not end."""


class Batch:
    """Some durable turns in a row, and their events once somebody has asked for them."""

    def __init__(self, turns: list[CommittedTurn], history: bytes) -> None:
        self.first = turns[0].first_sequence
        self.end = turns[-1].next_sequence
        self.size = sum(turn.size for turn in turns) + EVENT_BYTES * (self.end - self.first)
        """Bytes it takes, about; grows as it is encoded."""
        self._turns = turns
        self._history = history
        self._encoding: dict[Values, asyncio.Task[list[tuple[Position, Event, bytes]]]] = {}
        self._chosen: dict[tuple[Filter, Values], bytes] = {}

    async def encoded(self, wanted: Filter, values: Values, after: Position) -> bytes:
        """The events that pass the filter and come after that position."""
        whole = after <= (self.first, 0)
        chosen = self._chosen.get((wanted, values)) if whole else None
        if chosen is None:
            events = await self._events(values)
            if not whole:
                events = [(position, event, data) for position, event, data in events if position > after]
            if not wanted.passes_all:
                events = [(position, event, data) for position, event, data in events if wanted.passes(event)]
            chosen = b"".join([data for _, _, data in events])
            if whole:
                self._chosen[wanted, values] = chosen
                self.size += len(chosen)
        return chosen

    async def _events(self, values: Values) -> list[tuple[Position, Event, bytes]]:
        task = self._encoding.get(values)
        if task is None:
            task = self._encoding[values] = asyncio.ensure_future(self._encode(values))
        return await asyncio.shield(task)

    async def _encode(self, values: Values) -> list[tuple[Position, Event, bytes]]:
        found: list[tuple[Position, Event, bytes]] = []
        for position, event, data in self._each(values):
            found.append((position, event, data))
            if len(found) % SLICE_EVENTS == 0:
                await asyncio.sleep(0)
        self.size += sum(len(data) for _, _, data in found) + EVENT_BYTES * len(found)
        return found

    def _each(self, values: Values) -> Iterator[tuple[Position, Event, bytes]]:
        for turn in self._turns:
            for transaction in transactions_of(turn):
                for event in events_of(transaction):
                    data = encoded(self._history, transaction, event, values)
                    yield Position(transaction.sequence, event.place), event, data


class Follower(NamedTuple):
    """What somebody wants to be told of."""

    db: int | None = None
    prefix: bytes = b""
    values: Values = "none"
    may_read: Callable[[], MayRead | None] = lambda: None
    """Asked again and again, for users' rights change: which keys may be shown now, None for all."""

    def filter(self) -> Filter:
        """Which events are shown now."""
        return Filter(self.db, self.prefix, self.may_read())


class Step(NamedTuple):
    """A step forward of a follower."""

    position: Position | None
    """The place behind it; None while an event has been sent in part."""
    data: bytes
    """The events on the way."""


class Feed:
    """The followers of one engine. Costs nothing until there is one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: Engine, schedule: Callable[[], None]) -> None:
        """*schedule* has the turn ended, and what is in the log synced."""
        self._loop = loop
        self._engine = engine
        self._schedule = schedule
        self._readers = PastReaders(loop)
        self._history = b""
        self.followers = 0
        self._attached = False
        self._batches: list[Batch] = []
        """In order, without a gap."""
        self._next = 0
        """The first transaction that is in no batch yet."""
        self._pending: list[CommittedTurn] = []
        self._gathering = False
        self._more = asyncio.Event()
        """Replaced whenever it is set."""
        self._ticking: asyncio.TimerHandle

    # --- What becomes durable ---------------------------------------------------------------------------------------

    def _attach(self) -> None:
        if not self._attached:
            self._next = self._engine.follow(self._deliver)
            self._attached = True
            self._history = self._engine.history_id.encode()
            self._schedule()
            self._tick()

    def _tick(self) -> None:
        self._wake()
        self._ticking = self._loop.call_later(TICK_S, self._tick)

    def _wake(self) -> None:
        more, self._more = self._more, asyncio.Event()
        more.set()

    def _deliver(self, turns: list[CommittedTurn]) -> None:
        # Within the end of a sync: replies come first.
        self._pending += turns
        if not self._gathering:
            self._gathering = True
            self._loop.call_later(GATHER_S, self._publish)

    def _publish(self) -> None:
        self._gathering = False
        turns, self._pending = self._pending, []
        if self._attached:
            self._add(turns)
            self._evict()
            self._wake()

    def _add(self, turns: list[CommittedTurn]) -> None:
        gathered: list[CommittedTurn] = []
        size = 0
        for turn in turns:
            self._next = turn.next_sequence
            if turn.staged or turn.size > TURN_BYTES:  # to be read in the log
                self._batches.clear()
                gathered, size = [], 0
                continue
            gathered.append(turn)
            size += turn.size
            if size >= BATCH_BYTES:
                self._batches.append(Batch(gathered, self._history))
                gathered, size = [], 0
        if gathered:
            self._batches.append(Batch(gathered, self._history))

    def _evict(self) -> None:
        kept = 0
        for number, batch in enumerate(reversed(self._batches)):
            kept += batch.size
            if number and (kept > KEPT_BYTES or number >= KEPT_BATCHES):
                del self._batches[: len(self._batches) - number]
                break

    def _detach_if_left(self) -> None:
        if self._attached and not self.followers:
            self._attached = False
            self._ticking.cancel()
            self._engine.unfollow()
            self._batches.clear()
            self._pending.clear()

    def forget(self) -> None:
        """Something was erased from the log: what is kept of it here may have it, and so may who reads it now."""
        self._batches.clear()
        self._readers.end_all()

    # --- Followers --------------------------------------------------------------------------------------------------

    @property
    def _first(self) -> int:
        return self._batches[0].first if self._batches else self._next

    async def follow(self, follower: Follower, start: Position | None) -> AsyncGenerator[bytes, None]:
        """The events after that place in the history, as they are sent, and progress in between; from now on when there
        is no place. Ends only when it cannot go on without a gap. BrokenEvent. DiskFailure."""
        self._attach()
        self.followers += 1
        # What is in the log now must be durable first: it may be read there, and now is behind it.
        now, settles_with = Position(self._engine.log.next_sequence, 0), self._engine.open_turn - 1
        try:
            while self._engine.durable_turn < settles_with:
                await self._more.wait()
            async with aclosing(self._told(follower, start or now)) as events:
                async for data in events:
                    yield data
        finally:
            self.followers -= 1
            if not self.followers:
                self._loop.call_later(LINGER_S, self._detach_if_left)

    async def _told(self, follower: Follower, start: Position) -> AsyncGenerator[bytes, None]:
        yield progress(self._history, start)
        said_s = self._loop.time()
        async with aclosing(self._steps(follower, start)) as steps:
            async for position, data in steps:
                if data:
                    yield data
                elif position is not None and self._loop.time() - said_s >= PROGRESS_S:
                    yield progress(self._history, position)
                else:
                    continue
                said_s = self._loop.time()

    async def _steps(self, follower: Follower, position: Position) -> AsyncGenerator[Step, None]:
        """At least once a second, be it on the spot."""
        while True:
            if position.sequence < self._first:
                try:
                    async with aclosing(self._past_steps(follower, position)) as steps:
                        async for step in steps:
                            position = step.position or position
                            yield step
                except PastDropped:
                    kept = self._engine.first_kept_sequence
                    yield Step(position, gone(f"Transactions before {kept} are not kept any more."))
                    return
                except PastUnreadable as error:
                    yield Step(position, gone(f"The log cannot be read: {error}."))
                    return
                continue
            batch = self._batch_at(position)
            if batch is None:
                await self._more.wait()
                yield Step(position, b"")
            else:
                data = await batch.encoded(follower.filter(), follower.values, position)
                position = Position(batch.end, 0)
                yield Step(position, data)

    def _batch_at(self, position: Position) -> Batch | None:
        found = bisect_right(self._batches, position.sequence, key=lambda batch: batch.first) - 1
        batch = self._batches[found] if found >= 0 else None
        return batch if batch is not None and position.sequence < batch.end else None

    async def _past_steps(self, follower: Follower, position: Position) -> AsyncGenerator[Step, None]:
        """Through what is in no batch any more, by a process that reads the log; may end early."""
        wanted = follower.filter()
        restricted = wanted.may_read is not None
        request = Request(
            self._engine.path,
            position.sequence,
            position.place,
            self._first,
            wanted.db,
            wanted.prefix,
            follower.values,
            restricted,
        )
        async with aclosing(self._readers.read(request)) as records:
            goes_on = False
            async for record in records:
                if record is None:
                    yield Step(None if goes_on else position, b"")
                    continue
                may_read = follower.may_read()
                if may_read is not None and not restricted:
                    break  # the user's rights were taken away meanwhile: it is read anew, key by key
                goes_on = record.goes_on
                position = position if goes_on else record.position
                shown = record.key is None or may_read is None or may_read(record.key)
                yield Step(None if goes_on else position, record.data if shown else b"")
        if goes_on:
            raise BrokenEvent
