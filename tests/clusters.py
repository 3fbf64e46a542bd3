"""Real Redis Clusters for tests, and what happens to them: nodes that die, pause and come back, slots that move.

The fixture `cluster` is one for the whole session, for tests that only use keys; a test that breaks its cluster makes
one of its own with `running_cluster`. What cuts a network is in partitions.py.
"""

from __future__ import annotations

import binascii
import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from keystead.cluster.development import DevelopmentCluster, until
from keystead.cluster.development_node import Certificates, DevelopmentNode
from server import certificates

SLOTS = 16384
KEYS_AT_ONCE = 100
FAILOVER_SECONDS = 30.0
MORE = ("--enable-debug-command", "yes", "--protected-mode", "no")  # the hosts of partitions.py are no loopback


class Cluster(DevelopmentCluster):
    """A development cluster that tests may ask who is who, and change. To kill, pause and resume is a node's own."""

    def primary_of(self, slot: int) -> DevelopmentNode:
        """Who serves the slot, as those that run see it. It may be dead, when no replica has taken over yet."""
        return self.node(self._owners()[slot])

    def primaries(self) -> list[DevelopmentNode]:
        """Those that serve slots, ordered by their first slot."""
        owners = self._owners()
        return [self.node(owner) for owner in dict.fromkeys(owners[slot] for slot in sorted(owners))]

    def replicas_of(self, primary: DevelopmentNode) -> list[DevelopmentNode]:
        """Those that run and follow it, as they say themselves."""
        return [node for node in self.running() if _myself(node)[3] == primary.id]

    def node(self, name: str) -> DevelopmentNode:
        """By the cluster's name for it."""
        return next(node for node in self.nodes if node.id == name)

    def restart(self, node: DevelopmentNode) -> None:
        """Start a node that was killed, with its place in the cluster and without its data."""
        node.start()

    def await_failover(self, slot: int, old: DevelopmentNode, seconds: float = FAILOVER_SECONDS) -> DevelopmentNode:
        """Wait until somebody else serves the slot and says that the cluster is well; that node."""

        def taken_over() -> bool:
            new = self.primary_of(slot)
            return new is not old and new.running and new.info("cluster")["cluster_state"] == "ok"

        until(f"another node serves slot {slot}", taken_over, seconds)
        return self.primary_of(slot)

    def add_shard(self, replicas: int = 1) -> DevelopmentNode:
        """A new primary without slots, and its replicas."""
        primary = self.new_node()
        self.meet(primary)
        for _ in range(replicas):
            replica = self.new_node()
            self.meet(replica)
            replica.call("CLUSTER", "REPLICATE", primary.id)
        self.await_well()
        return primary

    def slot_move(self, slot: int, to: DevelopmentNode) -> SlotMove:
        """The steps of moving one slot, for tests that look between them."""
        return SlotMove(slot, self.primary_of(slot), to, self.primaries())

    def move_slots(self, slots: Iterable[int], to: DevelopmentNode) -> None:
        """Move slots and their keys while the cluster serves, as `redis-cli --cluster reshard` does."""
        owners, primaries = self._owners(), self.primaries()
        for slot in [slot for slot in slots if owners[slot] != to.id]:
            move = SlotMove(slot, self.node(owners[slot]), to, primaries)
            move.begin()
            move.keys()
            move.end()

    def _owners(self) -> dict[int, str]:
        """The name of who serves each slot. Of several claims the one with the greatest epoch holds."""
        owners: dict[int, tuple[int, str]] = {}
        for node in self.running():
            for name, _, flags, _, _, _, epoch, _, *ranges in _lines(node):
                claim = (int(epoch), name)
                for slot in _slots(ranges) if "master" in flags else ():
                    owners[slot] = max(claim, owners.get(slot, claim))
        return {slot: name for slot, (_, name) in owners.items()}


class SlotMove:
    """One slot on its way from `source` to `to`."""

    def __init__(
        self, slot: int, source: DevelopmentNode, to: DevelopmentNode, primaries: list[DevelopmentNode]
    ) -> None:
        self.slot, self.source, self.to = slot, source, to
        self._others = [node for node in primaries if node not in (source, to)]

    def begin(self) -> None:
        """From here on who asks the source for a key that it has not is sent on with ASK."""
        self.to.call("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.id)
        self.source.call("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.to.id)

    def keys(self, count: int | None = None) -> int:
        """Move the keys, or so many of them; how many were moved."""
        moved = 0
        while count is None or moved < count:
            wanted = KEYS_AT_ONCE if count is None else min(KEYS_AT_ONCE, count - moved)
            found = self.source.call("CLUSTER", "GETKEYSINSLOT", self.slot, wanted)
            if not found:
                break
            login = ["AUTH", self.source.password] if self.source.password else []
            self.source.call("MIGRATE", self.to.host, self.to.port, "", 0, 10_000, *login, "KEYS", *found)
            moved += len(found)
        return moved

    def end(self) -> None:
        """The slot is the new node's. It is told first; the other way round nobody serves the slot for a moment."""
        for node in (self.to, self.source, *self._others):
            node.call("CLUSTER", "SETSLOT", self.slot, "NODE", self.to.id)


@contextlib.contextmanager
def running_cluster(directory: Path, **options: Any) -> Iterator[Cluster]:
    """A cluster for a block; `options` are DevelopmentCluster's."""
    cluster = Cluster(directory, **{"more": MORE, **options})
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def slot_of(key: bytes) -> int:
    """The slot of a key, as the cluster specification has it: of what is between the first braces, if anything is."""
    _, opened, behind = key.partition(b"{")
    tag, closed, _ = behind.partition(b"}")
    return binascii.crc_hqx(tag if opened and closed and tag else key, 0) % SLOTS


def make_certificates(folder: Path) -> Certificates:
    """Those of a cluster that speaks TLS: running_cluster(…, certificates=make_certificates(…))."""
    certificates.make(folder, "node")
    names = ("ca.crt", "server.crt", "server.key", "node.crt", "node.key")
    return Certificates(*(folder / name for name in names))


def _lines(node: DevelopmentNode) -> list[list[str]]:
    return [line.split() for line in node.call("CLUSTER", "NODES").decode().splitlines()]


def _myself(node: DevelopmentNode) -> list[str]:
    return next(line for line in _lines(node) if "myself" in line[2])


def _slots(ranges: list[str]) -> Iterator[int]:
    for text in ranges:
        if not text.startswith("["):  # else a slot on its way
            first, _, last = text.partition("-")
            yield from range(int(first), int(last or first) + 1)
