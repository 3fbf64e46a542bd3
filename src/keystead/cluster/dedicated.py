"""A connection of one client's own, for WATCH, which belongs to the connection over which it was sent.

The watch lives as long as the connection, and as its slot stays at that node. If either changes once something was
answered over it, the next transaction answers null, as for any conflict: its client runs it again.

Owns: connections that belong to somebody, and those kept for the next one. Must not know: the other links.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from keystead.cluster.groups import GroupLink
from keystead.cluster.links import Link, command
from keystead.cluster.redirects import ASK, read_outcome
from keystead.cluster.request import Request, cluster_down, unknown_outcome

if TYPE_CHECKING:
    import asyncio

    from keystead.cluster.options import Options
    from keystead.cluster.topology import Address

MOST_KEPT: Final = 16
"""Connections to one node that wait for the next client."""
PAUSE_S: Final = 0.02
GRACE_TICKS: Final = 5
"""So long a link stays to a node that, as far as is known, serves nothing."""
_UNWATCH: Final = command(b"UNWATCH")
_UNDONE: Final = {2: b"*-1\r\n", 3: b"_\r\n"}


class Dedicated:
    """Sends one request at a time, in order. Implements `links.Owner` for its link."""

    def __init__(self, pool: DedicatedPool, slot: int, protocol: int) -> None:
        self._pool = pool
        self._slot = slot
        self._protocol = protocol
        self._queue: deque[Request] = deque()
        self._under_way: Request | None = None
        self._link: GroupLink | None = None
        self._address: Address | None = None
        """Where the next link goes; None: to the node of the slot."""
        self._asks = False
        """That node is about to get the slot, and serves it only when told so."""
        self._bound = False
        """Something was answered over this link: there may be a watch."""
        self._broken = False
        """There was a watch, and it is lost."""
        self._unwanted_for = 0
        self._pausing: asyncio.TimerHandle | None = None
        self._closed = False

    def send(self, request: Request) -> None:
        """As the client's `send`; behind what was sent here before."""
        request.deadline = self._pool.deadline()
        self._queue.append(request)
        self._go_on()

    def stop(self, reason: str) -> None:
        """Settle everything."""
        if self._link is not None:
            self._link.close(reason)
        for request in self._queue:
            request.tell(cluster_down(reason))
        self.close()

    def close(self) -> None:
        """The watch is over. What is on its way is told all the same; what was not sent never will be."""
        self._closed = True
        self._queue.clear()
        if self._pausing is not None:
            self._pausing.cancel()
        if self._link is not None and not self._link.is_ready:
            self._leave()
        self._go_on()

    def tick(self, now: float, serving: set[Address]) -> None:
        """Give the link up if it is silent, or if its node serves no slots any more."""
        if self._link is not None:
            self._link.cut_if_overdue(now)
        if self._link is None or self._link.address in serving or self._asks:
            self._unwanted_for = 0
        elif self._unwanted_for < GRACE_TICKS:  # it may be a new one that we were just sent to
            self._unwanted_for += 1
        else:
            self._link.close("it serves no slots any more")

    def conclude(self, request: Request, reply: bytes, link: Link, *, overtaken: bool) -> None:
        """Links call it with an error, or the end of a transaction."""
        del overtaken  # nothing else is under way
        told, redirect = read_outcome(request, reply, link.address[0])
        if redirect is None:
            request.tell(told)
            return
        self._under_way = None
        self._pool.on_trouble()
        self._leave()  # an EXEC that was refused has ended the watch, too: the next one finds it broken
        self._queue.appendleft(request)
        self._address, self._asks = redirect.address, redirect.kind == ASK
        if redirect.address is None:
            self._pause(told[1:].decode(errors="replace").strip())
        self._go_on()

    def lost(self, link: Link, sent: Sequence[Request], unsent: Sequence[Request]) -> None:
        """Links call it when they are gone."""
        del unsent  # what was not sent is still in the queue
        self._pool.on_trouble()
        self._forget_link()
        reason = f"{link}: {link.reason}"
        for request in sent:
            if request.writes:
                request.tell(unknown_outcome(f"{reason}, before it answered"))
            else:
                request.earlier.clear()
                request.ask_no_more()
                self._queue.appendleft(request)
        self._pause(reason)

    def _go_on(self, link: GroupLink | None = None) -> None:
        """Send the next request if nothing is under way; let the link go once closed. *link*: which has become idle."""
        if link is not None and link is self._link and self._under_way is not None:
            self._bound = self._under_way.replies == 1
            self._under_way = None
        if self._under_way is not None or (self._link is not None and not self._link.is_ready):
            return
        if self._closed:
            self._pool.give_back(self, self._link)
            self._link = None
        elif self._queue and self._pausing is None:
            self._send_next()

    def _send_next(self) -> None:
        request = self._queue[0]
        if self._broken and request.replies > 1:
            self._broken = False
            self._queue.popleft()
            request.tell(_UNDONE[self._protocol])
            self._go_on()
        elif self._link is None:
            self._connect()
        else:
            self._under_way = self._queue.popleft()
            if self._asks:
                request.ask()
            self._link.begin([request], wait=request.writes and self._pool.replicated)

    def _connect(self) -> None:
        address = self._address or self._pool.home(self._slot)
        if address is None:
            self._pause(f"no node serves slot {self._slot}")
            return
        self._link = self._pool.link_to(address, self._protocol, self, self._go_on)
        self._go_on()

    def _leave(self) -> None:
        """Close the link without being told of it."""
        link = self._link
        self._forget_link()
        if link is not None:
            self._pool.abandon(link)

    def _forget_link(self) -> None:
        self._broken = self._broken or self._bound
        self._bound = self._asks = False
        self._link = self._address = self._under_way = None

    def _pause(self, reason: str) -> None:
        """Try again in a moment, but for what has waited for too long."""
        now = self._pool.now()
        while self._queue and self._queue[0].deadline < now:
            self._queue.popleft().tell(cluster_down(reason))
        self._pausing = self._pool.call_later(PAUSE_S, self._end_pause)

    def _end_pause(self) -> None:
        self._pausing = None
        self._go_on()


class DedicatedPool:
    """Dedicated connections in use, and idle ones that the next client gets. Owns the links of the latter."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: Options,
        home: Callable[[int], Address | None],
        on_trouble: Callable[[], None],
    ) -> None:
        """*home*: the address of the node that serves a slot."""
        self.now = loop.time
        self.call_later = loop.call_later
        self.home = home
        self.on_trouble = on_trouble
        self.replicated = options.acknowledge == "replicated"
        self._loop = loop
        self._options = options
        self._taken: set[Dedicated] = set()
        self._leaving: set[GroupLink] = set()
        """Those that say UNWATCH."""
        self._kept: dict[tuple[Address, int], list[GroupLink]] = {}

    def deadline(self) -> float:
        return self._loop.time() + self._options.timeout_s

    def take(self, slot: int, protocol: int) -> Dedicated:
        """A connection of one's own; nothing is connected before something is sent."""
        dedicated = Dedicated(self, slot, protocol)
        self._taken.add(dedicated)
        return dedicated

    def give_back(self, dedicated: Dedicated, link: GroupLink | None) -> None:
        """*dedicated* is over. Its link, if it is ready and idle, is kept, once it watches nothing any more."""
        self._taken.discard(dedicated)
        if link is not None:
            link.owner, link.on_idle = self, self._keep
            self._leaving.add(link)
            link.begin([self._unwatch()], wait=False)

    def link_to(
        self, address: Address, protocol: int, owner: Dedicated, on_idle: Callable[[GroupLink], None]
    ) -> GroupLink:
        """One that was kept, else a new one."""
        kept = self._kept.get((address, protocol))
        if kept:
            link = kept.pop()
            link.owner, link.on_idle = owner, on_idle
            return link
        link = GroupLink(self._loop, address, self._options, protocol, owner, on_idle)
        link.open()
        return link

    def abandon(self, link: GroupLink) -> None:
        """Close a link of which nobody wants to hear any more."""
        link.owner, link.on_idle = self, _nobody
        link.close("it is not needed any more")

    def tick(self, now: float, serving: set[Address]) -> None:
        for dedicated in list(self._taken):
            dedicated.tick(now, serving)
        for link in list(self._leaving):
            link.cut_if_overdue(now)
        for (address, _), links in list(self._kept.items()):
            if address not in serving:
                for link in list(links):
                    self.abandon(link)

    def close(self, reason: str) -> None:
        """Close all of them."""
        for dedicated in list(self._taken):
            dedicated.stop(reason)
        for links in [list(self._leaving), *map(list, self._kept.values())]:
            for link in links:
                self.abandon(link)

    def conclude(self, request: Request, reply: bytes, link: Link, *, overtaken: bool) -> None:
        """UNWATCH was refused: close rather than keep."""
        del request, reply, overtaken
        link.close("UNWATCH was refused")

    def lost(self, link: Link, sent: Sequence[Request], unsent: Sequence[Request]) -> None:
        """A link that was given back is gone."""
        del sent, unsent
        self._leaving.discard(link)
        for links in self._kept.values():
            if link in links:
                links.remove(link)

    def _unwatch(self) -> Request:
        request = Request(0, _UNWATCH, _nobody)
        request.deadline = self.deadline()
        return request

    def _keep(self, link: GroupLink) -> None:
        self._leaving.discard(link)
        if link.is_lost:
            return
        kept = self._kept.setdefault((link.address, link.protocol), [])
        if len(kept) < MOST_KEPT:
            kept.append(link)
        else:
            self.abandon(link)


def _nobody(_: object) -> None:
    """Of what nobody wants to know."""
