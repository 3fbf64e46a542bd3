"""One thing that goes to one node in one piece, and what its sender may be told besides the node's own reply."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

log = logging.getLogger("keystead.cluster")

ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"


class Request:
    """One command, or one transaction from MULTI to EXEC, that goes to one node in one piece.

    *target* is a slot, or the id of a node. *data*: encoded. *replies*: how many the node gives; more than one means
    MULTI … EXEC, of n commands n + 2. *writes*: it may change data, so it is never sent twice unless the node said that
    it did not execute it.

    *done* is called with the bytes of the last reply, once, in the thread of the loop; those before it are in
    `earlier` then. What it gets is the node's reply; or `-UNKNOWNOUTCOME …` of a write that may have happened; or
    `-CLUSTERDOWN …` of what was certainly not executed, or is a read that nobody answered in time.
    """

    __slots__ = ("asking", "data", "deadline", "done", "earlier", "replies", "target", "tries", "writes")

    def __init__(
        self,
        target: int | str,
        data: bytes,
        done: Callable[[bytes], None],
        *,
        replies: int = 1,
        writes: bool = False,
    ) -> None:
        self.target = target
        self.data = data
        self.done = done
        self.replies = replies
        self.writes = writes
        self.earlier: list[bytes] = []
        self.tries = 0
        self.asking = False

    deadline: float
    """By the loop's clock; nothing is tried again behind it. All requests that are sent together have the very same
    object, by which links know them."""

    def cancel(self) -> None:
        """Nobody wants to know any more: `done` is not called. What was sent may happen all the same."""
        self.done = _nobody

    def tell(self, reply: bytes) -> None:
        """Call `done`. What it raises is its own trouble, and no reason for others not to be told."""
        try:
            self.done(reply)
        except Exception:
            log.exception("a reply could not be handed on")

    @property
    def is_cancelled(self) -> bool:
        return self.done is _nobody

    def ask(self) -> None:
        """From now on, until `ask_no_more`, it says ASKING first, as to a node that is about to get its slot.

        In front of MULTI it holds until EXEC. So nothing on the way of an ordinary request has to know of it: the data
        and the number of replies are simply other ones.
        """
        if not self.asking:
            self.asking = True
            self.data = ASKING + self.data
            self.replies += 1

    def ask_no_more(self) -> None:
        if self.asking:
            self.asking = False
            self.data = self.data[len(ASKING) :]
            self.replies -= 1


def _nobody(reply: bytes) -> None:
    del reply


def unknown_outcome(reason: str) -> bytes:
    """What is told of a write that may or may not have happened, or that a failover may take back."""
    return f"-UNKNOWNOUTCOME this write may or may not have happened: {reason}\r\n".encode()


def cluster_down(reason: str) -> bytes:
    """What is told of what was not executed."""
    return f"-CLUSTERDOWN not executed: {reason}\r\n".encode()
