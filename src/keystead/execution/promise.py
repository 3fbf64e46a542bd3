"""A reply that comes later.

WAIT, CLIENT PAUSE, password checks and (later) blocking commands, history and every command of a cluster answer with
one. The connection that got it runs nothing more of its input until it is resolved, so replies stay in order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeAlias

Resolved: TypeAlias = Callable[["Promise"], None]


class Promise:
    """Holds the encoded reply once there is one. Everything happens in the thread of the loop."""

    __slots__ = ("_callbacks", "_cancel", "reply")

    def __init__(self, cancel: Callable[[], None] | None = None) -> None:
        """*cancel* is called once when nobody wants the reply any more (the client is gone)."""
        self.reply: bytes | None = None
        self._callbacks: list[Resolved] = []
        self._cancel = cancel

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

    def add_done(self, callback: Resolved) -> None:
        """Call *callback* with this promise when it is resolved; at once if it is."""
        if self.reply is None:
            self._callbacks.append(callback)
        else:
            callback(self)

    def cancel(self) -> None:
        """Nobody waits any more. The reply, if it still comes, goes nowhere."""
        cancel, self._cancel = self._cancel, None
        self._callbacks.clear()
        if cancel is not None:
            cancel()
