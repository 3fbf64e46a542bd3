"""Group commit: threads and event loops that write at once share one sync.

One of the threads that wait leads: it ends the turn and syncs for all who wait by then, without holding the lock, so
that others record into the next turn meanwhile; then it makes one of those the next leader. Owns: who leads, who waits.
Must not know: what was written, keys, stores.

A leader returns when its own change is durable; it never serves on. A thread that only syncs was rejected: it costs a
lone writer two thread switches a commit. Event loops cannot lead: for them the keeper does.
"""

from __future__ import annotations

import time
from _thread import allocate_lock
from typing import TYPE_CHECKING, Protocol

from keystead.errors import DiskFailure

if TYPE_CHECKING:
    import threading
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable

    from keystead.engine.engine import Engine
    from keystead.engine.log import SyncTicket

FULL_DISK_POLL_S = 0.05
"""How long to sleep between looks at a change that is held because the disk became full under it."""


END_POLL_S = 0.0002


class Gate(Protocol):
    """Where somebody waits."""

    def release(self) -> None:
        """Let it go on; it looks itself whether what it waits for is true."""


class ThreadGate:
    """Where one thread waits."""

    __slots__ = ("_lock", "leads", "release")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()
        self.release = self._lock.release
        self.leads = False
        """Set before the release that makes this thread the next leader."""

    def wait(self) -> None:
        """Return after `release`, whichever comes first."""
        self._lock.acquire()


class LoopGate:
    """Where the tasks of one event loop wait; they are told in one call into the loop."""

    __slots__ = ("_futures", "loop")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self._futures: list[Future[None]] = []

    def future(self) -> Future[None]:
        """What a task awaits."""
        future: Future[None] = self.loop.create_future()
        self._futures.append(future)
        return future

    def release(self) -> None:
        """Called by any thread."""
        try:
            self.loop.call_soon_threadsafe(self._tell)
        except RuntimeError:  # the loop is closed, and with it all who waited
            self._futures.clear()

    def _tell(self) -> None:
        for future in self._futures:
            if not future.done():
                future.set_result(None)


class GroupCommit:
    """Makes recorded turns durable.

    *lock* guards the engine; *call_keeper* asks the keeper to call `lead`; *on_failure* is told of a DiskFailure. Both
    are called with the lock held.
    """

    def __init__(
        self,
        engine: Engine,
        lock: threading.Lock,
        call_keeper: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._call_keeper = call_keeper
        self._on_failure = on_failure
        self._ticket: SyncTicket | None = None
        """The sync that is under way."""
        self._parked: list[ThreadGate | LoopGate] = []
        """Who waits for the open turn."""
        self.leading = False
        """Somebody leads or has been told to."""
        self.keeper_leads = False

    def last_turn(self) -> int:
        """The turn that makes everything durable which is in memory now. The lock is held."""
        engine = self._engine
        return engine.open_turn if engine.ops else engine.open_turn - 1

    # --- Waiting ----------------------------------------------------------------------------------------------------

    def wait(self, turn: int) -> None:
        """Return when *turn* is durable, having led or followed. DiskFailure. The lock is not held."""
        engine = self._engine
        while engine.durable_turn < turn:
            with self._lock:
                self._raise_failure()
                if engine.durable_turn >= turn:
                    return
                gate = ThreadGate() if self.leading else None
                if gate is None:
                    self.leading = True
                else:
                    self._parked.append(gate)
            if gate is None or self.follow(gate):
                self.lead()
                if engine.durable_turn < turn and engine.log.holding:
                    time.sleep(FULL_DISK_POLL_S)

    def follow(self, gate: ThreadGate) -> bool:
        """Wait for a leader; whether this thread is to be the next one."""
        try:
            gate.wait()
        except BaseException:  # KeyboardInterrupt: what was recorded will be synced, by somebody else
            with self._lock:
                if gate.leads:
                    self._pass_on()
                elif gate in self._parked:
                    self._parked.remove(gate)
            raise
        return gate.leads

    def sync(self) -> None:
        """Sync everything recorded so far, though nobody may have to wait for it. DiskFailure. The lock is not held."""
        with self._lock:
            self._raise_failure()
            gate = ThreadGate() if self.leading else None
            if gate is None:
                self.leading = True
            else:
                self._parked.append(gate)
        # A leader that lets this thread go has begun after it parked, and so has synced what it means.
        if gate is None or self.follow(gate):
            self.lead()
        self._raise_failure()

    def sync_unless_leading(self) -> None:
        """The same for the keeper, which need not wait when somebody else is at it."""
        with self._lock:
            if self.leading:
                return
            self.leading = True
        self.lead()

    def end(self) -> None:
        """Return when nobody leads and no sync is under way; no change is recorded any more. DiskFailure."""
        while True:
            with self._lock:
                if not self.leading and self._ticket is None:
                    return
                ours = not self.leading  # a leader was interrupted and left its ticket
                self.leading = True
            if ours:
                self.lead()
            else:
                time.sleep(END_POLL_S)

    def wait_in(self, loop: AbstractEventLoop, turn: int) -> Future[None] | None:
        """What a task must await before it looks whether *turn* is durable; None when it is. The lock is held."""
        if self._engine.durable_turn >= turn:
            return None
        self._raise_failure()
        last = self._parked[-1] if self._parked else None
        if isinstance(last, LoopGate) and last.loop is loop:
            gate = last
        else:
            gate = LoopGate(loop)
            self._parked.append(gate)
        if not self.leading:
            self._pass_on()
        return gate.future()

    def _raise_failure(self) -> None:
        failed = self._engine.failed
        if failed is not None:
            raise DiskFailure(*failed.args)

    # --- Leading ----------------------------------------------------------------------------------------------------

    def lead(self) -> None:
        """End the turn, sync it, let those go who waited for it, and hand over. `leading` is set for the caller."""
        riders: list[ThreadGate | LoopGate] = []
        try:
            with self._lock:
                ticket = self._begin()
                riders, self._parked = self._parked, []
            if ticket is not None:
                self._sync(ticket)
                with self._lock:
                    self._engine.finish_sync(ticket)
                    self._ticket = None
        except DiskFailure as failure:
            self._fail(failure, riders)
            raise
        finally:
            for gate in riders:
                gate.release()
            try:
                if riders:
                    time.sleep(0)  # they get the interpreter now, and so into the next leader's turn
            finally:
                with self._lock:
                    self._pass_on()

    def _begin(self) -> SyncTicket | None:
        # A ticket is left when its leader was interrupted outside of `_sync`: nothing else may begin before it ends.
        if self._ticket is None:
            self._engine.clock.refresh()
            self._engine.end_turn()
            self._ticket = self._engine.begin_sync()
        return self._ticket

    @staticmethod
    def _sync(ticket: SyncTicket) -> None:
        for file in ticket.files:
            file.sync()

    def _fail(self, failure: DiskFailure, riders: list[ThreadGate | LoopGate]) -> None:
        """Everybody who waits is let go, and finds the failure."""
        with self._lock:
            self._engine.failed = failure
            self._ticket = None
            riders += self._parked
            self._parked = []
            self._on_failure()

    def _pass_on(self) -> None:
        """Make somebody who waits the next leader. The lock is held."""
        for gate in self._parked:
            if isinstance(gate, ThreadGate):
                self._parked.remove(gate)
                self.leading = gate.leads = True
                gate.release()
                return
        self.leading = self.keeper_leads = bool(self._parked)
        if self.keeper_leads:
            self._call_keeper()
