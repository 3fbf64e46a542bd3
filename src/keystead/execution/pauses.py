"""CLIENT PAUSE: commands, or those that write, wait until the pause ends.

Each waiting command is a Promise; when the pause ends they run in the order in which they came.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from keystead.commands.declaration import Command
from keystead.commands.table import Run
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from keystead.execution.executor import Executor, Timer
    from keystead.execution.session import Session


class Postponed(NamedTuple):
    """A command, or several as one transaction, that wait."""

    session: Session
    resume: Callable[[Promise], None]
    """Run it and see that the promise is resolved."""
    promise: Promise


class Pauses:
    """Whether there is a pause, until when, of what."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._postponed: list[Postponed] = []
        self._timer: Timer | None = None
        self._ends_s = 0.0
        self._only_writes = True

    def pause(self, duration_ms: int, *, only_writes: bool) -> None:
        """Begin a pause, or make the present one longer or stricter; never shorter or looser, as in Redis."""
        ends_s = time.monotonic() + duration_ms / 1000
        if self._timer is not None:
            self._timer.cancel()
            ends_s = max(ends_s, self._ends_s)
            only_writes = only_writes and self._only_writes
        self._ends_s, self._only_writes = ends_s, only_writes
        self._timer = self._executor.call_later(max(0.0, ends_s - time.monotonic()), self.unpause)
        self._executor.tables.put_layers(pause=self._postponing)

    def unpause(self) -> None:
        """End the pause and run what has waited."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._executor.tables.put_layers(pause=None)
        waiting, self._postponed = self._postponed, []
        for _, resume, promise in waiting:
            resume(promise)

    def hold(self, writes: bool) -> bool:
        """Whether what writes, or only reads, has to wait now."""
        return self._timer is not None and (writes or not self._only_writes)

    def postpone(self, session: Session, run: Callable[[], bytes]) -> Promise:
        """A promise of `run()`, which is called when the pause ends, in the order of these calls."""
        return self._wait(session, lambda promise: promise.resolve(run()))

    def _wait(self, session: Session, resume: Callable[[Promise], None]) -> Promise:
        promise = Promise(lambda: self._forget(session))
        self._postponed.append(Postponed(session, resume, promise))
        return promise

    def _postponing(self, command: Command, run: Run) -> Run:
        may_write = "write" in command.flags or "may_replicate" in command.flags
        if self._only_writes and not may_write and command.name != "exec":
            return run

        def postpone(session: Session, args: list[bytes]) -> bytes | Promise:
            runs_now = command.name == "exec" and self._only_writes and not self._queued_writes(session)
            if runs_now or not command.accepts(len(args)):
                return run(session, args)
            return self._wait(session, lambda promise: self._executor.run_later(session, args, promise))

        return postpone

    def _queued_writes(self, session: Session) -> bool:
        return any("write" in self._executor.flags_of(args) for args in session.queued or ())

    def _forget(self, session: Session) -> None:
        self._postponed = [waiting for waiting in self._postponed if waiting.session is not session]
