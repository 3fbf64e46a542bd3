"""Which nodes a cluster has, and which of them serves which slots; as several of them say in `CLUSTER NODES`.

Nodes may disagree while a failover or a move is on its way. For every slot the claim with the greatest configuration
epoch holds, which is what the nodes will agree on.

Owns: what a topology is, and reading it. Must not know: connections, when to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from keystead.cluster.slots import SLOTS

Address = tuple[str, int]

PRIMARY: Final = "primary"
REPLICA: Final = "replica"


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster, as the others see it."""

    id: str
    host: str
    port: int
    role: str
    """`primary` or `replica`, by what it calls itself; a primary without slots serves nothing."""
    primary_id: str | None
    """Of a replica: whose."""
    slots: tuple[tuple[int, int], ...] = ()
    """First and last slot of each range that it serves."""
    flags: frozenset[str] = frozenset()
    config_epoch: int = 0
    link_state: str = "connected"
    alias: str = ""
    """The other one of its IP address and its host name, if it announces both."""

    @property
    def address(self) -> Address:
        return self.host, self.port

    @property
    def shown_address(self) -> str:
        """As people write it."""
        return shown(self.address)

    @property
    def health(self) -> str:
        """`online`; `suspected` by somebody; `failed` when the majority says so."""
        if "fail" in self.flags:
            return "failed"
        return "suspected" if "fail?" in self.flags else "online"


class Topology:
    """All nodes at one moment. A value: two are equal when they say the same."""

    def __init__(self, nodes: Iterable[Node] = (), owners: Sequence[str | None] = ()) -> None:
        """*owners*: for each slot the id of the node that serves it."""
        self.nodes: dict[str, Node] = {node.id: node for node in nodes}
        self._owners = list(owners) or [None] * SLOTS
        self.primaries: tuple[Node, ...] = tuple(
            sorted((node for node in self.nodes.values() if node.slots), key=lambda node: node.slots[0])
        )
        """Those that serve slots, by their lowest slot."""
        self._aliases = {
            alias: node.address for node in self.nodes.values() for alias in _both(node) if alias != node.address
        }
        self.slots_covered = SLOTS - self._owners.count(None)

    def node_of(self, slot: int) -> Node | None:
        """Who serves *slot*."""
        owner = self._owners[slot]
        return None if owner is None else self.nodes.get(owner)

    def known_as(self, address: Address) -> Address:
        """The address under which the node at *address* is in here: nodes may be named by address or by host name."""
        return self._aliases.get(address, address)

    def replicas_of(self, primary_id: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.primary_id == primary_id]

    def uncovered(self) -> list[tuple[int, int]]:
        """Ranges of slots that nobody serves."""
        return [span for owner, span in _spans(self._owners) if owner is None]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topology) and self.nodes == other.nodes and self._owners == other._owners

    __hash__ = None  # type: ignore[assignment] # nobody needs it as a key


def shown(address: Address) -> str:
    """An address as people write it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_nodes(text: str, asked_host: str, *, by_name: bool = False) -> list[Node]:
    """The nodes in a reply of `CLUSTER NODES`. *by_name*: prefer host names, which certificates are for.

    A node that does not know its own address yet announces none: it is at *asked_host*, where its answer came from.
    Those that are no members yet, or whose address nobody knows, are left out. ValueError for another text.
    """
    nodes = (_read_node(line, asked_host, by_name) for line in text.splitlines() if line)
    return [node for node in nodes if node is not None]


def _read_node(line: str, asked_host: str, by_name: bool) -> Node | None:
    node_id, where, flags_text, primary, _, _, epoch, link_state, *slots = line.split(" ")
    flags = frozenset(flags_text.split(","))
    endpoint, _, others = where.partition(",")
    host, _, port = endpoint.partition("@")[0].rpartition(":")
    name = others.partition(",")[0]
    if "handshake" in flags or "noaddr" in flags or port == "0":
        return None
    host, alias = (name, host) if name and by_name else (host or asked_host, name)
    return Node(
        node_id,
        host,
        int(port),
        PRIMARY if "master" in flags else REPLICA,
        None if primary == "-" else primary,
        tuple(_read_span(span) for span in slots if not span.startswith("[")),  # "[…]" is a slot on its way
        flags - {"myself", "master", "slave", "noflags"},
        int(epoch),
        link_state,
        alias,
    )


def _both(node: Node) -> list[Address]:
    return [(node.host, node.port), (node.alias, node.port)]


def _read_span(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def merge(views: Sequence[Sequence[Node]]) -> Topology:
    """The topology that several nodes' views amount to."""
    owners: list[str | None] = [None] * SLOTS
    claims = sorted((node.config_epoch, node.id, span) for view in views for node in view for span in node.slots)
    for _, node_id, (first, last) in claims:  # the greatest epoch last, over all others
        owners[first : last + 1] = [node_id] * (last + 1 - first)
    served = _served(owners)
    return Topology([_as_seen(seen, served.get(seen[0].id, ())) for seen in _by_id(views)], owners)


def _by_id(views: Sequence[Sequence[Node]]) -> list[list[Node]]:
    """What is said of each node, the newest first; nodes in order of their addresses."""
    seen: dict[str, list[Node]] = {}
    for view in views:
        for node in view:
            seen.setdefault(node.id, []).append(node)
    by_epoch = (sorted(nodes, key=lambda node: -node.config_epoch) for nodes in seen.values())
    return sorted(by_epoch, key=lambda nodes: (nodes[0].host, nodes[0].port))


def _as_seen(seen: list[Node], slots: tuple[tuple[int, int], ...]) -> Node:
    """The newest of what is said of a node; somebody's doubt of it counts."""
    newest = seen[0]
    return Node(
        newest.id,
        newest.host,
        newest.port,
        PRIMARY if slots else newest.role,
        None if slots else newest.primary_id,
        slots,
        newest.flags.union(*(node.flags & {"fail", "fail?"} for node in seen)),
        newest.config_epoch,
        newest.link_state,
        newest.alias,
    )


def _served(owners: list[str | None]) -> dict[str, tuple[tuple[int, int], ...]]:
    spans: dict[str, list[tuple[int, int]]] = {}
    for owner, span in _spans(owners):
        if owner is not None:
            spans.setdefault(owner, []).append(span)
    return {owner: tuple(served) for owner, served in spans.items()}


def _spans(owners: list[str | None]) -> list[tuple[str | None, tuple[int, int]]]:
    """The ranges of slots with one owner each, in order."""
    spans = []
    first = 0
    for owner, slots in groupby(owners):
        behind = first + len(list(slots))
        spans.append((owner, (first, behind - 1)))
        first = behind
    return spans
