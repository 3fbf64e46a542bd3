"""Each request to the node that serves its slot, and again elsewhere as long as it was certainly not executed.

Owns: the way of every slot, what waits for the cluster to change, when nothing is tried again. Must not know: how
topologies are asked for, what requests mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from keystead.cluster.dedicated import DedicatedPool
from keystead.cluster.links import Link
from keystead.cluster.node_links import NodeLinks
from keystead.cluster.redirects import ASK, LATER, MOVED, Redirect, read_outcome
from keystead.cluster.request import cluster_down, unknown_outcome
from keystead.cluster.slots import SLOTS
from keystead.cluster.topology import Address, Topology

if TYPE_CHECKING:
    import asyncio

    from keystead.cluster.options import Options
    from keystead.cluster.request import Request

TICK_S: Final = 0.1
GRACE_TICKS: Final = 3
"""So long links stay open to a node that serves nothing any more: what is on its way there is told where to go."""
LEARNT_TICKS: Final = -30
"""And so much longer to one that another node has just named: not everybody may know it yet."""
MOST_REDIRECTS: Final = 5
"""Behind so many in a row the nodes do not agree yet."""
_SILENCE_S: Final = 0.5
_CALM_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.1


class Router:
    """Implements `links.Owner`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: Options, on_trouble: Callable[[], None]) -> None:
        """*on_trouble*: the topology may be another one by now."""
        self._loop = loop
        self._options = options
        self._on_trouble = on_trouble
        self._timeout_s = options.timeout_s
        self._topology = Topology()
        self._routes: dict[int, list[NodeLinks | None]] = {2: [None] * SLOTS, 3: [None] * SLOTS}
        self._links: dict[tuple[Address, int], NodeLinks] = {}
        self._wanted: set[Address] = set()
        self._parked: list[tuple[Request, int, str]] = []
        self._retry: asyncio.TimerHandle | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._parked_at = 0.0
        self._closed = ""
        self.dedicated = DedicatedPool(loop, options, self._home, on_trouble)

    def send(self, requests: Sequence[Request], protocol: int) -> None:
        """Send them; those for one node are executed in the order given. *protocol*: of the replies, 2 or 3."""
        deadline = self._loop.time() + self._timeout_s
        for request in requests:
            request.deadline = deadline
        if len(requests) == 1 and isinstance(slot := requests[0].target, int):  # as most are: nothing to sort
            links = self._routes[protocol][slot]
            if links is not None:
                links.send(requests)
                return
        self._dispatch(requests, protocol)

    def adopt(self, topology: Topology) -> None:
        """From now on the slots go where *topology* says; what was parked is tried at once."""
        self._topology = topology
        self._wanted = {node.address for node in topology.primaries}
        for protocol, routes in self._routes.items():
            routes[:] = [None] * SLOTS
            for node in topology.primaries:
                links = self._links_to(node.address, protocol)
                for first, last in node.slots:
                    routes[first : last + 1] = [links] * (last + 1 - first)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = self._loop.call_later(0, self._try_parked)

    def tick(self) -> None:
        """Every `TICK_S`: cut links that are silent, and those to nodes that serve nothing any more."""
        now = self._loop.time()
        for links in list(self._links.values()):
            links.cut_overdue(now)
            links.unwanted_for = 0 if links.address in self._wanted else links.unwanted_for + 1
        unwanted = [key for key, links in self._links.items() if links.unwanted_for > GRACE_TICKS]
        leaving = [self._links.pop(key) for key in unwanted]
        if leaving:
            self.adopt(self._topology)  # a slot may still go there, because a node said so that nobody agreed with
            for links in leaving:
                links.close("it serves no slots any more")
        self.dedicated.tick(now, self._wanted)

    def in_trouble(self) -> bool:
        """Something waits for the cluster to change, or for a node that has been silent for a while."""
        before = self._loop.time() + self._timeout_s - _SILENCE_S
        return bool(self._parked) or any(links.is_silent_since(before) for links in self._links.values())

    def close(self, reason: str) -> None:
        """Settle everything; nothing is sent any more."""
        self._closed = reason
        self.adopt(Topology())
        self.dedicated.close(reason)
        for links in list(self._links.values()):
            links.close(reason)
        self._links.clear()
        self._try_parked()

    def conclude(self, request: Request, reply: bytes, link: Link, *, overtaken: bool) -> None:
        told, redirect = read_outcome(request, reply, link.address[0])
        if redirect is None or (overtaken and redirect.kind == LATER):
            request.tell(told)
        else:
            self._try_again(request, redirect, told, link.protocol)

    def lost(self, link: Link, sent: Sequence[Request], unsent: Sequence[Request]) -> None:
        self._on_trouble()
        reason = f"{link}: {link.reason}"
        again = []
        written: set[tuple[int, int | str]] = set()
        for request in reversed(sent):
            sent_with = id(request.deadline), request.target
            if request.writes:
                written.add(sent_with)
                request.tell(unknown_outcome(f"{reason}, before it answered"))
            elif sent_with in written:  # a write of the same client behind it may have happened: too late to read
                request.tell(cluster_down(reason))
            else:
                again.append(request)
        self._park([*reversed(again), *unsent], link.protocol, reason)

    def _try_again(self, request: Request, redirect: Redirect, refusal: bytes, protocol: int) -> None:
        """The node did not execute it, and said where to go."""
        request.earlier.clear()
        request.tries += 1
        self._on_trouble()
        if redirect.address is None or request.tries > MOST_REDIRECTS:
            request.tries = 0
            self._park([request], protocol, refusal[1:].decode(errors="replace").strip())
            return
        address = self._topology.known_as(redirect.address)
        for each, routes in self._routes.items():
            links = self._links_to(address, each)
            links.unwanted_for = LEARNT_TICKS
            if redirect.kind == MOVED:
                routes[redirect.slot] = links
        if redirect.kind == ASK:
            request.ask()
        self._links_to(address, protocol).send([request])

    def _dispatch(self, requests: Sequence[Request], protocol: int) -> None:
        routes = self._routes[protocol]
        parts: dict[NodeLinks, list[Request]] = {}
        for request in requests:
            target = request.target
            links = routes[target] if isinstance(target, int) else self._links_to_node(target, protocol)
            if links is None:
                self._without_node(request, protocol)
            elif links in parts:
                parts[links].append(request)
            else:
                parts[links] = [request]
        for links, part in parts.items():
            links.send(part)

    def _without_node(self, request: Request, protocol: int) -> None:
        if isinstance(request.target, int):
            self._park([request], protocol, f"no node serves slot {request.target}")
        else:
            request.tell(cluster_down(self._closed or f"the cluster has no node {request.target} any more"))

    def _home(self, slot: int) -> Address | None:
        links = self._routes[2][slot]
        return None if links is None else links.address

    def _links_to_node(self, node_id: str, protocol: int) -> NodeLinks | None:
        node = self._topology.nodes.get(node_id)
        if node is None:
            return None
        links = self._links_to(node.address, protocol)
        links.unwanted_for = LEARNT_TICKS  # whatever its role
        return links

    def _links_to(self, address: Address, protocol: int) -> NodeLinks:
        links = self._links.get((address, protocol))
        if links is None:
            links = NodeLinks(self._loop, address, self._options, protocol, self)
            self._links[address, protocol] = links
        return links

    def _park(self, requests: Iterable[Request], protocol: int, reason: str) -> None:
        """Keep them, in order, until the cluster has changed or a moment is over."""
        for request in requests:
            if self._closed:
                request.tell(cluster_down(self._closed))
                continue
            request.earlier.clear()
            request.ask_no_more()
            self._parked.append((request, protocol, reason))
        if self._parked and self._retry is None:
            self._on_trouble()
            now = self._loop.time()
            calm = now - self._parked_at > _CALM_S
            self._pause_s = _FIRST_PAUSE_S if calm else min(self._pause_s * 1.5, _LONGEST_PAUSE_S)
            self._parked_at = now
            self._retry = self._loop.call_later(self._pause_s, self._try_parked)

    def _try_parked(self) -> None:
        """Send again what may be; tell of the others that they were not executed."""
        parked, self._parked, self._retry = self._parked, [], None
        now = self._loop.time()
        again: dict[int, list[Request]] = {2: [], 3: []}
        for request, protocol, reason in parked:
            if request.is_cancelled:
                continue
            if request.deadline < now or self._closed:
                request.tell(cluster_down(self._closed or reason))
            else:
                again[protocol].append(request)
        for protocol, requests in again.items():
            self._dispatch(requests, protocol)
