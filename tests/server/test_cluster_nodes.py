"""What nodes say of themselves: kept while it is fresh, asked of each whatever the others do."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from keystead.cluster.topology import PRIMARY, REPLICA, Node, Topology
from keystead.engine.clock import Clock
from keystead.errors import ClusterUnavailable
from keystead.execution.statistics import Statistics
from keystead.server import cluster_nodes
from keystead.server.cluster_nodes import STALE_S, NodeFigures
from keystead.server.cluster_samples import ClusterSamples
from keystead.server.meters import Meters

ONE = Node("one", "10.0.0.1", 6379, PRIMARY, None, ((0, 16383),))
TWO = Node("two", "10.0.0.2", 6379, REPLICA, "one")
INFO = b"""# Server\r
redis_version:7.0.15\r
connected_clients:3\r
used_memory:1000\r
maxmemory:5000\r
instantaneous_ops_per_sec:70\r
keyspace_hits:%d\r
keyspace_misses:2\r
role:%b\r
%b:%d\r
db0:keys=11,expires=0,avg_ttl=0\r
"""
PRIMARY_INFO = INFO % (5, b"master", b"master_repl_offset", 900)
REPLICA_INFO = INFO % (0, b"slave", b"slave_repl_offset", 880)


class Nodes:
    """A client of a cluster whose nodes answer what they are told to; None is no answer at all."""

    def __init__(self) -> None:
        self.topology = Topology([ONE, TWO], ["one"] * 16384)
        self.answers: dict[str, bytes | None] = {"one": PRIMARY_INFO, "two": REPLICA_INFO}
        self.now_s = 100.0

    async def ask(self, node_id: str, *_: bytes) -> bytes:
        answer = self.answers.get(node_id, b"")
        if answer is None:
            await asyncio.sleep(3600)
        if not answer:
            raise ClusterUnavailable(f"{node_id} does not answer")
        return answer


def figures_of(nodes: Nodes) -> NodeFigures:
    return NodeFigures(cast("Any", nodes), lambda: nodes.now_s)


def test_figures_are_those_that_info_has() -> None:
    nodes = Nodes()
    figures = figures_of(nodes)
    assert figures.of("one") is None
    asyncio.run(figures.ask_all())
    assert figures.of("one") == (11, 1000, 5000, 3, 70, 900, 5, 2)
    assert figures.of("two") is not None
    assert (figures.lag_bytes(TWO), figures.lag_bytes(ONE)) == (20, None)
    assert figures.of_primaries() == {"one": figures.of("one")}


def test_a_node_that_is_silent_keeps_nobody_else_from_being_asked(monkeypatch: Any) -> None:
    monkeypatch.setattr(cluster_nodes, "ANSWER_S", 0.01)
    nodes = Nodes()
    nodes.answers["one"] = None
    figures = figures_of(nodes)
    asyncio.run(figures.ask_all())
    assert figures.of("one") is None
    assert figures.of("two") is not None


def test_what_was_said_too_long_ago_is_told_no_more() -> None:
    nodes = Nodes()
    figures = figures_of(nodes)
    asyncio.run(figures.ask_all())
    nodes.answers["one"] = b""
    nodes.now_s += STALE_S - 1
    asyncio.run(figures.ask_all())
    assert figures.of("one") is not None
    nodes.now_s += 1
    assert figures.of("one") is None
    assert figures.of("two") is not None
    assert figures.lag_bytes(TWO) is None


def test_an_answer_that_makes_no_sense_is_none() -> None:
    nodes = Nodes()
    nodes.answers["one"] = PRIMARY_INFO.replace(b"used_memory:1000", b"used_memory:lots")
    figures = figures_of(nodes)
    asyncio.run(figures.ask_all())
    assert figures.of("one") is None


def test_a_node_that_has_left_is_forgotten() -> None:
    nodes = Nodes()
    figures = figures_of(nodes)
    asyncio.run(figures.ask_all())
    nodes.topology = Topology([ONE], ["one"] * 16384)
    asyncio.run(figures.ask_all())
    assert figures.of("two") is None


class Door:
    """As much of an executor as samples read."""

    def __init__(self) -> None:
        self.clock = Clock(lambda: 1_700_000_000_000)
        self.statistics = Statistics()
        self.sessions = {1: object()}


def test_a_sample_has_what_the_door_and_the_nodes_have_done_in_its_second() -> None:
    nodes, door = Nodes(), Door()
    figures = figures_of(nodes)
    asyncio.run(figures.ask_all())
    samples = ClusterSamples(cast("Any", door), figures, Meters(), 10.0)
    door.statistics.commands_processed += 100
    door.statistics.errors["UNKNOWNOUTCOME"] += 4
    nodes.answers["one"] = INFO % (25, b"master", b"master_repl_offset", 900)
    asyncio.run(figures.ask_all())
    samples.take(12.0)
    (sample,) = samples.kept
    assert (sample.operations_per_s, sample.errors_per_s, sample.unknown_outcomes_per_s) == (50.0, 2.0, 2.0)
    assert (sample.hits_per_s, sample.misses_per_s, sample.node_operations_per_s) == (10.0, 0.0, 70)
    assert (sample.keys, sample.memory_bytes, sample.connections, sample.loop_lag_ms) == (11, 1000, 1, None)


def test_a_primary_that_goes_does_not_look_like_a_storm_of_lookups() -> None:
    nodes, door = Nodes(), Door()
    nodes.answers["one"] = INFO % (1_000_000, b"master", b"master_repl_offset", 900)
    figures = figures_of(nodes)
    asyncio.run(figures.ask_all())
    samples = ClusterSamples(cast("Any", door), figures, Meters(), 10.0)
    nodes.now_s += STALE_S + 1
    samples.take(11.0)
    asyncio.run(figures.ask_all())
    samples.take(12.0)
    assert [sample.hits_per_s for sample in samples.kept] == [0.0, 0.0]
