"""All links to one node in one protocol: pipelines, and write links where writes wait for a replica.

Owns: which link a request takes. Must not know: slots, other nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from keystead.cluster.groups import GroupLink, Groups
from keystead.cluster.links import Link, Owner, Pipeline
from keystead.cluster.request import cluster_down
from keystead.cluster.topology import shown

if TYPE_CHECKING:
    import asyncio

    from keystead.cluster.options import Options
    from keystead.cluster.request import Request
    from keystead.cluster.topology import Address

MOST_PIPELINES: Final = 4


class NodeLinks:
    """Opens them when they are wanted; what a lost one leaves is its owner's."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, address: Address, options: Options, protocol: int, owner: Owner
    ) -> None:
        self.address = address
        self.protocol = protocol
        self.unwanted_for = 0
        """Ticks since the node last served slots; kept by the owner."""
        self._loop = loop
        self._options = options
        self._owner = owner
        self._pipelines: list[Pipeline] = []
        self._present: Pipeline | None = None
        self._groups = Groups(loop, self._open_group_link, options.write_links)
        self._write = self._groups.send if options.acknowledge == "replicated" else self._read

    def send(self, requests: Sequence[Request]) -> None:
        """Over one link, in order: over one whose writes wait for a replica, if any of them writes."""
        for request in requests:
            if request.writes:
                self._write(requests)
                return
        self._read(requests)

    def close(self, reason: str) -> None:
        """Give up all links."""
        for link in self._links():
            link.close(reason)

    def cut_overdue(self, now: float) -> None:
        """Close links that are silent about something that should have been answered by *now*."""
        for link in self._links():
            link.cut_if_overdue(now)
        for request in self._groups.overdue(now):
            request.tell(cluster_down(f"{shown(self.address)} was busy with others for {self._options.timeout_s:g} s"))

    def is_silent_since(self, before: float) -> bool:
        """Whether something waits since *before*, a deadline, and nothing was heard of late."""
        return any((oldest := link.oldest()) is not None and oldest.deadline < before for link in self._links())

    def conclude(self, request: Request, reply: bytes, link: Link, *, overtaken: bool) -> None:
        self._owner.conclude(request, reply, link, overtaken=overtaken)

    def lost(self, link: Link, sent: Sequence[Request], unsent: Sequence[Request]) -> None:
        """A link of this node is gone."""
        if isinstance(link, GroupLink):
            unsent = [*unsent, *self._groups.remove(link)]
        elif isinstance(link, Pipeline):
            self._pipelines.remove(link)
            if self._present is link:
                self._present = None
        self._owner.lost(link, sent, unsent)

    def _links(self) -> list[Pipeline | GroupLink]:
        return [*self._pipelines, *self._groups.links]

    def _read(self, requests: Sequence[Request]) -> None:
        link = self._present
        if link is None or link.congested:
            link = self._present = self._free_pipeline()
        link.send(requests)

    def _free_pipeline(self) -> Pipeline:
        for link in self._pipelines:
            if not link.congested:
                return link
        if len(self._pipelines) >= MOST_PIPELINES:
            return self._pipelines[0]
        link = Pipeline(self._loop, self.address, self._options, self.protocol, self)
        self._pipelines.append(link)
        link.open()
        return link

    def _open_group_link(self) -> GroupLink:
        link = GroupLink(self._loop, self.address, self._options, self.protocol, self, self._groups.idle)
        link.open()
        return link
