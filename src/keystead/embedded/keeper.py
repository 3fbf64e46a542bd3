"""The keeper: a thread of an open store that does what is due though nobody calls.

Owns: when. Expiry, rotation, checkpoints are the engine's; syncing each second and leading commits for event loops are
the store's. It sleeps without a timeout when there is nothing to come, and then costs nothing.
"""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from keystead.errors import DiskFailure

if TYPE_CHECKING:
    from keystead.embedded.shared_engine import SharedEngine

TICK_S: Final = 0.1
SLOW_TICK_S: Final = 1.0
"""When only keys that will expire are left to look after: reads do not show them, so they may stay a while."""
SYNC_EVERY_S: Final = 1.0
QUIET_TICKS: Final = 10
"""How many ticks without a change before the keeper may rest."""


class Keeper:
    """One daemon thread. It holds the shared engine, never the store, which can so be collected while it runs."""

    def __init__(self, shared: SharedEngine) -> None:
        self._shared = shared
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._stopping = False
        self._closing = False
        self.resting = False
        """It sleeps without a timeout: whoever changes anything calls `wake`."""
        self._quiet_ticks = 0
        self._seen_turn = 0
        self._synced_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="keystead-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do: a change after a rest, or commits to lead. Cheap; never waits."""
        self.resting = False
        self._calls.put(None)

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller is the keeper."""
        return self._thread is threading.current_thread()

    def stop(self) -> None:
        """Return when the thread has ended."""
        self._stopping = True
        self.wake()
        if not self.is_current_thread:
            self._thread.join()

    def close_store(self) -> None:
        """Close the store from the keeper's own thread, as soon as it holds no lock."""
        self._closing = True
        self.wake()

    def _run(self) -> None:
        shared = self._shared
        next_tick = time.monotonic()
        while True:
            try:
                if shared.commits.keeper_leads:
                    shared.commits.lead()
                if self._closing:
                    shared.close()
                if self._stopping:
                    return
                now = time.monotonic()
                if now >= next_tick:
                    self._tick(now)
                    next_tick = now + (TICK_S if self._quiet_ticks < QUIET_TICKS else SLOW_TICK_S)
            except DiskFailure:
                # The store refuses writes from now on, with this failure; there is nothing left to keep.
                self._wait_for_stop()
                return
            try:
                self._calls.get(timeout=None if self.resting else max(0.0, next_tick - time.monotonic()))
            except Empty:
                continue
            if self._quiet_ticks >= QUIET_TICKS:
                self._quiet_ticks = 0
                next_tick = time.monotonic() + TICK_S

    def _wait_for_stop(self) -> None:
        while not self._stopping:
            self._calls.get()

    def _tick(self, now: float) -> None:
        shared = self._shared
        shared.housekeep()
        fsync = shared.engine.options.fsync
        if fsync == "always" or (fsync == "interval" and now - self._synced_at >= SYNC_EVERY_S):
            # With "always" there may be what nobody waits for: expiries, marks, the change of an interrupted thread.
            self._synced_at = now
            shared.commits.sync_unless_leading()
        with shared.lock:
            self._quiet_ticks = self._quiet_ticks + 1 if shared.engine.open_turn == self._seen_turn else 0
            self._seen_turn = shared.engine.open_turn
            if self._quiet_ticks >= QUIET_TICKS and shared.engine.at_rest:
                # Under the lock, so that no change slips in between: the next one sees this and calls.
                self.resting = not any(database.keyspace.expiring_count() for database in shared.engine.databases)
