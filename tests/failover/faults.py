"""What happens to a cluster under load; each fault is over when the cluster is well again.

A fault strikes the shard that serves a given slot, so that whoever measures looks at the right one. It tells how many
seconds the cluster itself took to have somebody else serve it, 0 where nobody had to.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from clusters import SLOTS, Cluster
from partitions import HERE, Network
from servers import HttpServer, start_again

if TYPE_CHECKING:
    from keystead.cluster.development_node import DevelopmentNode

Fault = Callable[[Cluster, int, random.Random], float]
MOST_SHARDS = 4
SLOTS_MOVED = 40


def kill(cluster: Cluster, slot: int, rng: random.Random) -> float:
    """SIGKILL of a primary. It comes back when its replica has taken over, empty, and is filled by it.

    Earlier it must not: a primary that comes back empty before anybody noticed is obeyed by its replica.
    """
    victim = cluster.primary_of(slot)
    struck_at = time.monotonic()
    victim.kill()
    cluster.await_failover(slot, victim)
    took_s = time.monotonic() - struck_at
    time.sleep(rng.choice((0.0, 0.0, 0.5)))
    cluster.restart(victim)
    cluster.await_well()
    return took_s


def kill_ahead(cluster: Cluster, slot: int, rng: random.Random) -> float:
    """SIGKILL of a primary whose replica has been standing still for a while: what it has not received is gone."""
    victim = cluster.primary_of(slot)
    replicas = cluster.replicas_of(victim)
    for replica in replicas:
        replica.pause()
    time.sleep(rng.uniform(0.5, 0.9) * cluster.node_timeout_ms / 1000)
    struck_at = time.monotonic()
    victim.kill()
    for replica in replicas:
        replica.resume()
    cluster.await_failover(slot, victim)
    took_s = time.monotonic() - struck_at
    cluster.restart(victim)
    cluster.await_well()
    return took_s


def crash(cluster: Cluster, slot: int, _: random.Random) -> float:
    """SIGKILL of a primary that is started again before anybody misses it. Its replicas copy what it comes back with:
    if it has not kept everything (`appendfsync always`), writes are lost.
    """
    victim = cluster.primary_of(slot)
    victim.kill()
    cluster.restart(victim)
    cluster.await_well()
    return 0.0


def blackout(cluster: Cluster, _: int, rng: random.Random) -> float:
    """SIGKILL of all nodes, which come back with what they kept on disk, one after the other."""
    nodes = cluster.running()
    for node in nodes:
        node.kill()
    time.sleep(rng.uniform(0.0, 2.0))
    for node in nodes:
        cluster.restart(node)
    cluster.await_well()
    return 0.0


def pause(cluster: Cluster, slot: int, rng: random.Random) -> float:
    """SIGSTOP of a primary until long after its replica has taken over; then it goes on where it was."""
    victim = cluster.primary_of(slot)
    struck_at = time.monotonic()
    victim.pause()
    cluster.await_failover(slot, victim)
    took_s = time.monotonic() - struck_at
    time.sleep(rng.choice((0.0, 0.0, 1.0)))
    victim.resume()
    cluster.await_well()
    return took_s


def stall(cluster: Cluster, slot: int, rng: random.Random) -> float:
    """SIGSTOP of a primary for less than anybody would call it dead."""
    victim = cluster.primary_of(slot)
    victim.pause()
    time.sleep(rng.uniform(0.1, 0.6) * cluster.node_timeout_ms / 1000)
    victim.resume()
    cluster.await_well()
    return 0.0


def lose_replica(cluster: Cluster, slot: int, rng: random.Random) -> float:
    """SIGKILL of every replica: the primary serves, but nobody can confirm its writes until one is back."""
    replicas = cluster.replicas_of(cluster.primary_of(slot))
    for replica in replicas:
        replica.kill()
    time.sleep(rng.uniform(0.5, 1.5))
    for replica in replicas:
        cluster.restart(replica)
    cluster.await_well()
    return 0.0


def move(cluster: Cluster, slot: int, rng: random.Random) -> float:
    """Slots go to a new shard, or between old ones when there are enough; the slot that is looked at is among them."""
    source = cluster.primary_of(slot)
    others = [node for node in cluster.primaries() if node is not source]
    to = cluster.add_shard() if len(others) + 1 < MOST_SHARDS else rng.choice(others)
    cluster.move_slots([slot, *rng.sample(range(SLOTS), SLOTS_MOVED)], to)
    cluster.await_well()
    return 0.0


def cut_off(network: Network, *, clients_too: bool) -> Fault:
    """The network between a primary and all other nodes is cut, and healed when its replica has taken over.

    Clients still reach it unless they are cut off too. What they write there nobody confirms.
    """

    def cut(cluster: Cluster, slot: int, rng: random.Random) -> float:
        victim = cluster.primary_of(slot)
        others = [node.host for node in cluster.nodes if node is not victim] + [HERE] * clients_too
        struck_at = time.monotonic()
        network.cut([victim.host], others)
        try:
            _await_failover_elsewhere(cluster, slot, victim)
            took_s = time.monotonic() - struck_at
            time.sleep(rng.uniform(0.0, 1.0))
        finally:
            network.heal([victim.host], others)
        cluster.await_well()
        return took_s

    return cut


def kill_door(doors: list[HttpServer]) -> Fault:
    """SIGKILL of a front door, which is then started again on its ports. What was on its way is of unknown outcome."""

    def kill_one(_: Cluster, __: int, rng: random.Random) -> float:
        number = rng.randrange(len(doors))
        doors[number].kill()
        time.sleep(rng.uniform(0.0, 0.5))
        doors[number] = start_again(doors[number])
        return 0.0

    return kill_one


def _await_failover_elsewhere(cluster: Cluster, slot: int, victim: DevelopmentNode) -> None:
    """As the others see it; the victim need not be reachable from here."""
    victim.paused = True
    try:
        cluster.await_failover(slot, victim)
    finally:
        victim.paused = False
