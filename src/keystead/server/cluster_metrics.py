"""The page that Prometheus reads, of a front door: its own figures, what it promises, and those of each node.

A node's label is its address, of which there are as many as nodes. Must not know: HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from prometheus_client.core import Metric

from keystead.server.metrics_page import ServerPage, counter, gauge, labelled

if TYPE_CHECKING:
    from keystead.cluster.topology import Node
    from keystead.server.cluster_nodes import Figures
    from keystead.server.http.cluster.behind import Cluster
    from keystead.server.meters import Meters
    from keystead.server.operations_writer import OperationsWriter
    from keystead.server.tls import Handshakes

PROMISES: Final = ("replicated", "async")
HEALTHS: Final = ("online", "suspected", "failed")
LABELS: Final = ("node", "role")
ByLabels: TypeAlias = dict[tuple[str, ...], float]
FIGURES: Final = {
    "keys": "Keys.",
    "used_memory_bytes": "Memory used.",
    "max_memory_bytes": "maxmemory; 0 for no bound.",
    "clients": "Clients that are connected to it.",
    "ops_per_second": "Commands that it runs a second.",
    "replication_offset": "How far its replication has come, in bytes.",
}
"""Of a node, by the field of Figures."""


class ClusterPage(ServerPage):
    """Everything about one front door."""

    def __init__(
        self, behind: Cluster, meters: Meters, operations: OperationsWriter, handshakes: Handshakes | None
    ) -> None:
        super().__init__(behind.executor, meters, operations, handshakes)
        self._cluster = behind

    def _behind(self) -> Iterator[Metric]:
        client, errors = self._cluster.client, self._executor.statistics.errors
        promise = {name: float(self._executor.settings.cluster_acknowledge == name) for name in PROMISES}
        yield gauge("cluster_up", "1 while every slot is served.", float(client.status.ready))
        yield gauge("cluster_slots_covered", "Slots that a node serves, of 16384.", client.topology.slots_covered)
        yield labelled("cluster_acknowledge", "1 for the promise that is kept.", "promise", promise)
        unknown = errors["UNKNOWNOUTCOME"]
        yield counter("cluster_unknown_outcomes", "Writes of which nobody knows whether they happened.", unknown)
        down = errors["CLUSTERDOWN"]
        yield counter("cluster_not_executed", "Commands that the cluster could not take in time.", down)
        yield from self._nodes()

    def _nodes(self) -> Iterator[Metric]:
        nodes = list(self._cluster.client.topology.nodes.values())
        told = [(node, self._cluster.nodes.of(node.id)) for node in nodes]
        health: ByLabels = {(*_labels(node), word): float(node.health == word) for node in nodes for word in HEALTHS}
        yield gauge("cluster_node_health", "1 for how the node is.", health, (*LABELS, "health"))
        answers: ByLabels = {_labels(node): float(figures is not None) for node, figures in told}
        yield gauge("cluster_node_answers", "1 while the node answers this front door.", answers, LABELS)
        for field, text in FIGURES.items():
            yield gauge(f"cluster_node_{field}", text, _by_node(told, field), LABELS)
        lags: ByLabels = {
            _labels(node): lag for node in nodes if (lag := self._cluster.nodes.lag_bytes(node)) is not None
        }
        yield gauge("cluster_node_lag_bytes", "How far a replica is behind its primary.", lags, LABELS)


def _labels(node: Node) -> tuple[str, str]:
    return node.shown_address, node.role


def _by_node(told: list[tuple[Node, Figures | None]], field: str) -> ByLabels:
    return {_labels(node): getattr(figures, field) for node, figures in told if figures is not None}
