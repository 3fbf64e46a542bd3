"""The end of a turn: append what was recorded, make it durable, let the replies go. In this order, always.

A turn is one pass of the loop over all sockets that had input. Its end is a callback that the first input which must
wait has asked for with `call_soon`; the loop runs it after it has read every socket that was ready, so that all of them
share one frame and one sync.

Owns: when to sync and where, and who waits for which sync. Must not know: commands, sockets, files' contents.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from keystead.errors import DiskFailure
from keystead.server.meters import Meters

if TYPE_CHECKING:
    import asyncio

    from keystead.engine.engine import Engine
    from keystead.engine.log import SyncTicket

QUICK_SYNC_S = 0.001
"""A sync in the loop is acceptable while syncs have lately taken less than this."""
RECENT_READ_S = 0.05
"""A sync in the loop is not acceptable so shortly after a reply that did not have to wait for one."""
_WEIGHT = 0.1


class Waiter(Protocol):
    """Whoever holds replies back until a turn is durable."""

    def released(self, data: bytes) -> None:
        """What this reply depends on is durable: write it."""


class Syncer(Protocol):
    """Syncs elsewhere (see sync_process); answers by a call of `Turns.synced`."""

    def request(self, descriptors: list[int]) -> None: ...


class Turns:
    """Ends the turns of one engine. After a DiskFailure, which `on_failure` is told once, nothing is released."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        engine: Engine,
        on_failure: Callable[[DiskFailure], None],
        clock_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop = loop
        self._engine = engine
        self._on_failure = on_failure
        self._clock_s = clock_s
        self.helper: Syncer | None = None
        self.meters = Meters()
        self.flush: Callable[[], None] = lambda: None
        """Writes the replies that did not have to wait."""
        self.plain_reads = False
        """Set by a connection that replied at once: somebody is here who does not wait for the disk."""
        self._plain_read_at_s = 0.0
        self._scheduled = False
        self._failed = False
        self._waiting: list[tuple[Waiter, bytes]] = []
        """Replies that wait for a sync that has not begun, in the order of their commands."""
        self._covered: list[tuple[Waiter, bytes]] = []
        """Replies that wait for the sync under way; all of them are before those of the same client in `_waiting`."""
        self._ticket: SyncTicket | None = None
        self._average_s = 0.0
        self._counted = engine.log.next_sequence
        """The transactions before this one are in the meters."""

    @property
    def syncing(self) -> bool:
        """A sync is under way in the helper."""
        return self._ticket is not None

    @property
    def average_sync_s(self) -> float:
        """Moving average of what a sync took, in seconds."""
        return self._average_s

    def schedule(self) -> None:
        """End the turn once everybody's input has been read."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._end)

    def schedule_if_needed(self) -> None:
        """End the turn if something was recorded without a client asking, or is in the log and not on disk: expiries,
        marks, what a full disk had held back."""
        log = self._engine.log
        if self._engine.ops or log.position > log.durable_position:
            self.schedule()

    def hold(self, waiter: Waiter, data: bytes) -> int:
        """Keep a reply that depends on everything recorded so far, until that is durable; the turn it waits for.

        0 when all of it is durable already: then nothing is kept. Else `waiter.released` will be called.
        """
        engine = self._engine
        if engine.ops:
            turn = engine.open_turn
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._end)
        else:
            turn = engine.open_turn - 1
            if turn <= engine.durable_turn:
                return 0
            if self._ticket is not None and turn <= self._ticket.turn:
                self._covered.append((waiter, data))
                return turn
            self.schedule()
        self._waiting.append((waiter, data))
        return turn

    def hold_behind(self, waiter: Waiter, data: bytes, turn: int) -> None:
        """Keep a reply that waits for nothing itself behind one of the same waiter that is kept for *turn*."""
        covered = self._ticket is not None and turn <= self._ticket.turn
        (self._covered if covered else self._waiting).append((waiter, data))

    def end_now(self) -> None:
        """End the turn and sync in place: for a stop, when the helper is idle."""
        self._scheduled = True
        self._end()

    def _end(self) -> None:
        self._scheduled = False
        if self._failed:
            return
        engine = self._engine
        try:
            # First into the log, all of the turn as one frame …
            if engine.ops:
                engine.end_turn()
            behind = engine.log.next_sequence
            if behind != self._counted:  # staged transactions end turns of their own
                self.meters.turn_ended(self._clock_s(), behind - self._counted, engine.options.fsync)
                self._counted = behind
            # … then onto the disk. While one sync is under way the log grows; the next sync covers all of it.
            if engine.options.fsync == "always" and self._ticket is None:
                self._sync()
        except DiskFailure as failure:
            self.fail(failure)
            return
        # … and only then to those who wait. A full disk holds frames back: then this turn is not durable yet.
        if self._waiting and engine.durable_turn >= engine.open_turn - 1:
            waiting, self._waiting = self._waiting, []
            self._release(waiting)

    def _sync(self) -> None:
        if self._may_sync_in_place():
            syncs, began_s = self._engine.log.syncs, self._clock_s()
            self._engine.sync()
            if self._engine.log.syncs > syncs:  # else there was nothing to sync, which is no measure of the disk
                self.meters.sync_began()
                self._measure(self._clock_s() - began_s)
        else:
            self._begin_elsewhere()

    def _may_sync_in_place(self) -> bool:
        """In place is quickest, but holds everybody up: only while everybody waits, and the disk is in good health."""
        if self.helper is None:
            return True
        now_s = self._clock_s()
        if self.plain_reads:
            self.plain_reads = False
            self._plain_read_at_s = now_s
        return (
            self._average_s < QUICK_SYNC_S
            and now_s - self._plain_read_at_s > RECENT_READ_S
            and not self._engine.maintenance.checkpoint_running
        )

    def sync_in_helper(self) -> None:
        """Sync what has been appended without anybody waiting: once a second with fsync = interval."""
        if self._ticket is None and not self._failed and not self._engine.ops:
            self._begin_elsewhere()

    def _begin_elsewhere(self) -> None:
        ticket = self._engine.begin_sync()
        if ticket is not None:
            assert self.helper is not None, "only a server without a helper syncs in place always"
            self._ticket = ticket
            self.meters.sync_began()
            self._covered, self._waiting = self._waiting, []
            self.helper.request(ticket.descriptors)

    def synced(self, took_s: float) -> None:
        """The helper's sync succeeded: now, and not before, its turns are durable and their replies may go.

        *took_s*: the sync alone, in seconds. From the request to here is longer on a busy machine; by that measure a
        quick disk looked slow once the helper was in use, and it stayed in use.
        """
        ticket = self._ticket
        if ticket is None or self._failed:
            return
        self._measure(took_s)
        self._engine.finish_sync(ticket)
        self._ticket = None
        covered, self._covered = self._covered, []
        self._release(covered)
        if self._engine.ops or self._engine.open_turn - 1 > ticket.turn:
            self.schedule()  # not at once: whoever is ready to be read now belongs to the next sync

    def _measure(self, took_s: float) -> None:
        self._average_s += _WEIGHT * (took_s - self._average_s)
        self.meters.sync_done(took_s, self._clock_s())

    def _release(self, held: list[tuple[Waiter, bytes]]) -> None:
        self.flush()  # what the same clients were replied before they had to wait
        for waiter, data in held:
            waiter.released(data)

    def fail(self, failure: DiskFailure) -> None:
        """Final: from here on nothing is released, whatever happens."""
        if not self._failed:
            self._failed = True
            self._waiting.clear()
            self._covered.clear()
            self._on_failure(failure)
