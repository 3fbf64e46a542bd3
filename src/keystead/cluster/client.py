"""The cluster as one thing: what is sent finds its node, and what is wrong with it is said in one place.

Owns: the life of everything in this package. Must not know: what requests mean, who sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from keystead.cluster.dedicated import Dedicated
from keystead.cluster.router import TICK_S, Router
from keystead.cluster.watching import Watch
from keystead.errors import ClusterUnavailable

if TYPE_CHECKING:
    import asyncio

    from keystead.cluster.options import Options
    from keystead.cluster.request import Request
    from keystead.cluster.status import Status
    from keystead.cluster.topology import Address, Topology


class ClusterClient:
    """A client of one cluster, in one event loop; everything happens in its thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, addresses: Sequence[Address], options: Options) -> None:
        """*addresses*: of some of its nodes; the others are found. Nothing is connected before `start`."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when the topology or the status is another one."""
        self._loop = loop
        self._watch = Watch(loop, addresses, options, self._changed)
        self._router = Router(loop, options, self._watch.look)
        self._watch.in_trouble = self._router.in_trouble
        self._ticking: asyncio.TimerHandle | None = None
        self.send: Callable[[Sequence[Request], int], None] = self._router.send
        """`send(requests, protocol)`: send them all; those for one node are executed in the order given. *protocol*: in
        which the replies are wanted, 2 or 3."""

    async def start(self) -> None:
        """Read the topology and keep it. ClusterUnavailable: unreachable, not a cluster, wrong password, …"""
        try:
            await self._watch.start()
        except ClusterUnavailable:
            await self.close()
            raise
        self._tick()

    @property
    def topology(self) -> Topology:
        """The present one."""
        return self._watch.topology

    @property
    def status(self) -> Status:
        """Ready, or why not."""
        return self._watch.status

    def dedicate(self, slot: int, protocol: int) -> Dedicated:
        """A connection of one's own to the node of *slot*, for WATCH."""
        return self._router.dedicated.take(slot, protocol)

    async def ask(self, node_id: str, *arguments: bytes) -> Any:
        """What a node, of any role, replies to a command that reads: bytes, int, None or a list of these.
        ClusterUnavailable, also for a node that is not known; CommandError."""
        node = self.topology.nodes.get(node_id)
        if node is None:
            raise ClusterUnavailable(f"the cluster has no node {node_id}")
        return await self._watch.ask(node.address, *arguments)

    async def close(self) -> None:
        """Settle what is on its way, and close all connections."""
        if self._ticking is not None:
            self._ticking.cancel()
        await self._watch.close()
        self._router.close("the server is stopping")

    def _changed(self) -> None:
        self._router.adopt(self._watch.topology)
        self.on_change()

    def _tick(self) -> None:
        self._router.tick()
        self._ticking = self._loop.call_later(TICK_S, self._tick)
