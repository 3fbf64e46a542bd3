"""Replies that nodes will give, one by one and of a whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from keystead.execution.promise import Promise, Resolved

if TYPE_CHECKING:
    from keystead.execution.statistics import Statistics


class NodeReply(Promise):
    """The reply to a command that the nodes execute. What follows it in its batch need not wait: requests for one node
    are executed in the order in which they are sent."""

    __slots__ = ("_statistics",)

    is_execution: ClassVar[bool] = True

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self._statistics = statistics

    def resolve(self, reply: bytes) -> None:
        if reply[:1] == b"-" and self.reply is None:
            self._statistics.errors[first_word(reply)] += 1
        super().resolve(reply)

    def another(self) -> NodeReply:
        return NodeReply(self._statistics)


class Joined(Promise):
    """The replies to several commands of one client, in their order, once the last has come."""

    __slots__ = ("_missing", "_replies")

    def __init__(self, replies: Sequence[bytes | Promise]) -> None:
        super().__init__()
        self._replies = replies
        promises = [reply for reply in replies if isinstance(reply, Promise)]
        self._missing = len(promises)
        came: Resolved = self._one_came
        for promise in promises:
            promise.add_done(came)

    def _one_came(self, _: Promise) -> None:
        self._missing -= 1
        if not self._missing:
            self.resolve(
                b"".join([reply if isinstance(reply, bytes) else reply.reply or b"" for reply in self._replies])
            )

    def unblock(self, *, with_error: bool) -> bool:
        """Only the last can be a promise of the kind that can: a batch ends with it."""
        last = self._replies[-1]
        return isinstance(last, Promise) and last.unblock(with_error=with_error)

    def cancel(self) -> None:
        for reply in self._replies:
            if isinstance(reply, Promise):
                reply.cancel()
        super().cancel()


def first_word(error: bytes) -> str:
    """Of an error reply: `-WRONGTYPE Operation …`."""
    return error[1:].split(None, 1)[0].decode("ascii", "replace")
