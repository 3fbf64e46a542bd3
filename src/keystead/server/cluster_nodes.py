"""What the nodes of a cluster say of themselves: asked once a second, kept until they answer again.

Owns: the figures of each node. Must not know: who shows them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from keystead.errors import ClusterUnavailable, CommandError

if TYPE_CHECKING:
    from keystead.cluster.client import ClusterClient
    from keystead.cluster.topology import Node

log = logging.getLogger("keystead.cluster")

INTERVAL_S: Final = 1.0
ANSWER_S: Final = 1.0
"""A node that takes longer must not keep those that answer from being asked."""
STALE_S: Final = 5.0
"""Figures older than this tell nothing of a node any more."""


class Figures(NamedTuple):
    """One node at one moment."""

    keys: int
    used_memory_bytes: int
    max_memory_bytes: int
    """0: no bound."""
    clients: int
    ops_per_second: int
    replication_offset: int
    hits: int
    misses: int


class NodeFigures:
    """Of all nodes."""

    def __init__(self, client: ClusterClient, clock_s: Callable[[], float]) -> None:
        self._client = client
        self._clock_s = clock_s
        self._kept: dict[str, tuple[float, Figures]] = {}

    async def gather(self) -> None:
        """Ask all nodes, again and again."""
        while True:
            await self.ask_all()
            await asyncio.sleep(INTERVAL_S)

    async def ask_all(self) -> None:
        """Ask each once. Those that do not answer keep what they said before, until it is stale."""
        nodes = self._client.topology.nodes
        self._kept = {node_id: kept for node_id, kept in self._kept.items() if node_id in nodes}
        async with asyncio.TaskGroup() as asking:
            for node in nodes.values():
                asking.create_task(self._ask(node))

    async def _ask(self, node: Node) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                info = await self._client.ask(node.id, b"INFO")
            figures = _figures(_fields(info))
        except (ClusterUnavailable, CommandError, TimeoutError, ValueError) as failure:
            log.debug("%s tells no figures: %s", node.shown_address, failure)
        else:
            self._kept[node.id] = self._clock_s(), figures

    def of(self, node_id: str) -> Figures | None:
        """What the node said last; None when that is too long ago."""
        at_s, figures = self._kept.get(node_id, (0.0, None))
        return figures if self._clock_s() - at_s < STALE_S else None

    def lag_bytes(self, node: Node) -> int | None:
        """How far a replica is behind its primary, as both said within a second; None where nobody can say."""
        own, primary = self.of(node.id), self.of(node.primary_id or "")
        if own is None or primary is None:
            return None
        return max(0, primary.replication_offset - own.replication_offset)

    def of_primaries(self) -> dict[str, Figures]:
        """Of those that serve slots and have said something, by their ids."""
        found = ((node.id, self.of(node.id)) for node in self._client.topology.primaries)
        return {node_id: figures for node_id, figures in found if figures is not None}


def _fields(info: bytes) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def _figures(fields: Mapping[str, str]) -> Figures:
    is_replica = fields.get("role") == "slave"
    return Figures(
        keys=_keys(fields.get("db0", "")),
        used_memory_bytes=int(fields.get("used_memory", 0)),
        max_memory_bytes=int(fields.get("maxmemory", 0)),
        clients=int(fields.get("connected_clients", 0)),
        ops_per_second=int(fields.get("instantaneous_ops_per_sec", 0)),
        replication_offset=int(fields.get("slave_repl_offset" if is_replica else "master_repl_offset", 0)),
        hits=int(fields.get("keyspace_hits", 0)),
        misses=int(fields.get("keyspace_misses", 0)),
    )


def _keys(database: str) -> int:
    """Of "keys=3,expires=0,…"."""
    return int(database.partition(",")[0].partition("=")[2] or 0)
