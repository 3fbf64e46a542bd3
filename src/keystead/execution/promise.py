"""A reply that comes later.

WAIT, CLIENT PAUSE, password checks and (later) blocking commands, history and every command of a cluster answer with
one. The connection that got it runs nothing more of its input until it is resolved, so replies stay in order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import ClassVar, TypeAlias

UNBLOCKED = b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"

Resolved: TypeAlias = Callable[["Promise"], None]


class Promise:
    """Holds the encoded reply once there is one. Everything happens in the thread of the loop."""

    __slots__ = ("_at_timeout", "_callbacks", "_cancel", "reply")

    is_execution: ClassVar[bool] = False
    """What it waits for is that the command is executed, elsewhere: the time until then is what the command takes."""

    def __init__(self, cancel: Callable[[], None] | None = None, at_timeout: Callable[[], bytes] | None = None) -> None:
        """*cancel* is called once when nobody waits for the event any more. *at_timeout* makes the reply to give when
        it did not come in time; only a promise that has one can be unblocked."""
        self.reply: bytes | None = None
        self._callbacks: list[Resolved] = []
        self._cancel = cancel
        self._at_timeout = at_timeout

    def __len__(self) -> int:
        """Larger than any reply: the executor's loop stops at long replies, and so it stops here without a test."""
        return sys.maxsize

    def __bool__(self) -> bool:
        return True

    @property
    def is_resolved(self) -> bool:
        return self.reply is not None

    def resolve(self, reply: bytes) -> None:
        """Give the reply. Later calls change nothing, so that a timeout and an event may race."""
        if self.reply is not None:
            return
        self.reply = reply
        self._cancel = None
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def another(self) -> Promise:
        """One of the same kind that stands for this one: when it is cancelled, this one is."""
        return Promise(self.cancel)

    def add_done(self, callback: Resolved) -> None:
        """Call *callback* with this promise when it is resolved; at once if it is."""
        if self.reply is None:
            self._callbacks.append(callback)
        else:
            callback(self)

    def unblock(self, *, with_error: bool) -> bool:
        """CLIENT UNBLOCK: give the reply of a timeout, or an error, now. False when this promise is of another kind."""
        if self._at_timeout is None or self.reply is not None:
            return False
        cancel, reply = self._cancel, self._at_timeout
        if cancel is not None:
            cancel()
        self.resolve(UNBLOCKED if with_error else reply())
        return True

    def cancel(self) -> None:
        """Nobody waits any more. The reply, if it still comes, goes nowhere."""
        cancel, self._cancel = self._cancel, None
        self._callbacks.clear()
        if cancel is not None:
            cancel()
