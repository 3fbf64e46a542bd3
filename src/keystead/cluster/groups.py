"""Writes that are told only when a replica has them too: groups, each with one WAIT behind it.

A link has one group under way. What comes meanwhile becomes the next group, so the more there is to do the fewer WAITs
there are. A write and its WAIT leave in one piece over one connection, because WAIT speaks of the writes of its own
connection only: a fresh one says at once that a replica has everything, even with all replicas stopped.

What WAIT does not promise is in docs/cluster.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from keystead.cluster.links import Link, Owner, command, log
from keystead.cluster.request import unknown_outcome

if TYPE_CHECKING:
    import asyncio

    from keystead.cluster.options import Options
    from keystead.cluster.request import Request
    from keystead.cluster.topology import Address

_MINUS: Final = ord("-")
_UNDONE: Final = frozenset((b"*-1\r\n", b"_\r\n"))
"""What EXEC answers when a WATCH undid it."""


class GroupLink(Link):
    """A link with one group under way, or none."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        options: Options,
        protocol: int,
        owner: Owner,
        on_idle: Callable[[GroupLink], None],
    ) -> None:
        """*on_idle* is called when the link can take the next group."""
        super().__init__(loop, address, options, protocol)
        self.owner = owner
        self.on_idle = on_idle
        self._wait = command(b"WAIT", b"1", b"%d" % options.wait_timeout_ms)
        self._group: Sequence[Request] = ()
        self._replies: list[bytes] = []
        self._expected = 0
        self._waits = True

    @property
    def is_idle(self) -> bool:
        return not self._group

    def oldest(self) -> Request | None:
        return self._group[0] if self._group else None

    def begin(self, group: Sequence[Request], *, wait: bool = True) -> None:
        """Send *group*, with a WAIT behind it if replicas matter to it. The link must be ready and idle."""
        self._group = group
        self._waits = wait
        data = [request.data for request in group]
        self._expected = sum([request.replies for request in group])
        if wait:
            data.append(self._wait)
            self._expected += 1
        self._write(b"".join(data))

    def _ready(self) -> None:
        self.on_idle(self)

    def _hear(self, replies: list[bytes]) -> None:
        if not replies:
            return
        self._replies += replies
        missing = self._expected - len(self._replies)
        if missing > 0:
            return
        if missing < 0:  # so nobody knows whose reply each of them is
            self._replies = []
            self.close("it sent more replies than it was asked for")
            return
        self._expected = 0
        group, replies = self._group, self._replies
        self._group, self._replies = (), []
        self._tell(group, replies, _doubt(replies.pop(), self._options) if self._waits else "")
        self.on_idle(self)

    def _lost(self) -> None:
        group, replies = self._group, self._replies
        self._group, self._replies = (), []
        answered = at = 0
        for request in group:
            at += request.replies
            if at > len(replies):
                break
            answered += 1
        self._tell(group[:answered], replies, f"{self}: {self.reason}, before a replica was known to have it")
        self.owner.lost(self, group[answered:], ())

    def _tell(self, group: Sequence[Request], replies: list[bytes], doubt: str) -> None:
        """Tell what is known now. *doubt*: why what the node says it wrote may yet be lost; empty if it will not."""
        if not doubt and len(group) == len(replies) and b"-" not in [reply[:1] for reply in replies]:
            for request, reply in zip(group, replies, strict=True):
                try:  # as in `tell`, which would be one more call
                    request.done(reply)
                except Exception:
                    log.exception("a reply could not be handed on")
            return
        for request, reply, overtaken in _in_reverse(group, replies)[::-1]:
            if doubt and request.writes and not _changed_nothing(request, reply):
                request.tell(unknown_outcome(doubt))
            elif reply[0] == _MINUS or request.replies != 1:
                self.owner.conclude(request, reply, self, overtaken=overtaken)
            else:
                request.tell(reply)


class Groups:
    """The write links to one node, and what waits for one of them to be idle."""

    def __init__(self, loop: asyncio.AbstractEventLoop, open_link: Callable[[], GroupLink], most: int) -> None:
        """*open_link* begins to connect another link, of *most*; whoever gives it calls `idle` and `remove`."""
        self._loop = loop
        self._open_link = open_link
        self._most = most
        self._queue: list[Request] = []
        self._flushing = False
        self._idle: list[GroupLink] = []
        self.links: list[GroupLink] = []

    def send(self, requests: Sequence[Request]) -> None:
        """All of them in one group, at the end of this turn if a link is idle."""
        self._queue += requests
        self._flush_soon()

    def idle(self, link: GroupLink) -> None:
        """*link* can take a group."""
        self._idle.append(link)
        if self._queue:
            self._flush_soon()  # what is told in this turn may make its clients send more: let it join

    def remove(self, link: GroupLink) -> list[Request]:
        """*link* is lost. Returns what has no link left to wait for."""
        self.links.remove(link)
        if link in self._idle:
            self._idle.remove(link)
        return [] if self.links else self._take()

    def overdue(self, now: float) -> list[Request]:
        """What has waited for too long; it is taken out."""
        overdue = [request for request in self._queue if request.deadline < now]
        if overdue:
            self._queue = [request for request in self._queue if request.deadline >= now]
        return overdue

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self._queue:
            return
        if self._idle:
            self._idle.pop().begin(self._take())
        elif len(self.links) < self._most:
            self.links.append(self._open_link())

    def _take(self) -> list[Request]:
        taken, self._queue = self._queue, []
        return taken


def _in_reverse(group: Sequence[Request], replies: list[bytes]) -> list[tuple[Request, bytes, bool]]:
    """From the last to the first: each request with its last reply, its `earlier` filled, and whether a later one of
    the same client and slot was executed."""
    told = []
    executed = set()
    end = sum([request.replies for request in group])
    for request in reversed(group):
        begin = end - request.replies
        request.earlier = replies[begin : end - 1]
        reply = replies[end - 1]
        end = begin
        sent_with = id(request.deadline), request.target
        told.append((request, reply, sent_with in executed))
        if reply[0] != _MINUS:
            executed.add(sent_with)
    return told


def _changed_nothing(request: Request, reply: bytes) -> bool:
    return reply[0] == _MINUS or (request.replies > 1 + request.asking and reply in _UNDONE)


def _doubt(wait: bytes, options: Options) -> str:
    """What the reply to WAIT leaves open; nothing if a replica has everything."""
    if wait[:1] != b":":
        return f"WAIT answered {wait[1:].decode(errors='replace').strip()}"
    if wait == b":0\r\n":
        return f"no replica had it within {options.wait_timeout_ms} ms"
    return ""
