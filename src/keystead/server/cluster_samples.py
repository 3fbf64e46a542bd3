"""The last ten minutes of a front door by the second: its own counters, and what its nodes say of theirs.

Must not know: how they are shown, who asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from keystead.server.samples import Kept, quantile_ms, rates

if TYPE_CHECKING:
    from keystead.execution.executor import Executor
    from keystead.server.cluster_nodes import Figures, NodeFigures
    from keystead.server.meters import Meters


class ClusterSample(NamedTuple):
    """One second. What nobody could tell is None."""

    time_ms: int
    """Its end, in Unix time."""
    operations_per_s: float
    errors_per_s: float
    unknown_outcomes_per_s: float
    """Writes of which nobody knows whether they happened."""
    input_bytes_per_s: float
    output_bytes_per_s: float
    connections: int
    keys: int
    """Of all primaries, as they said last; so for what follows."""
    memory_bytes: int
    node_operations_per_s: int
    hits_per_s: float
    misses_per_s: float
    loop_lag_ms: float | None
    """How long input waited for its turn: the longest that was seen."""


class ClusterSamples(Kept[ClusterSample]):
    """Those of one front door."""

    def __init__(self, executor: Executor, nodes: NodeFigures, meters: Meters, now_s: float) -> None:
        super().__init__(ClusterSample._fields)
        self._executor = executor
        self._nodes = nodes
        self._meters = meters
        self._at_s = now_s
        self._counters = self._read_counters()
        self._primaries = nodes.of_primaries()
        self._lags = list(meters.loop_lag.counts)

    def take(self, now_s: float) -> None:
        took_s = max(now_s - self._at_s, 0.001)
        before, self._counters = self._counters, self._read_counters()
        operations, errors, unknown, received, sent = rates(before, self._counters, took_s)
        known, self._primaries = self._primaries, self._nodes.of_primaries()
        lags_before, self._lags = self._lags, list(self._meters.loop_lag.counts)
        lags = [now - was for was, now in zip(lags_before, self._lags, strict=True)]
        primaries = self._primaries.values()
        self._at_s = now_s
        self.kept.append(
            ClusterSample(
                time_ms=self._executor.clock.now_ms,
                operations_per_s=operations,
                errors_per_s=errors,
                unknown_outcomes_per_s=unknown,
                input_bytes_per_s=received,
                output_bytes_per_s=sent,
                connections=len(self._executor.sessions),
                keys=sum(figures.keys for figures in primaries),
                memory_bytes=sum(figures.used_memory_bytes for figures in primaries),
                node_operations_per_s=sum(figures.ops_per_second for figures in primaries),
                hits_per_s=_growth(known, self._primaries, "hits", took_s),
                misses_per_s=_growth(known, self._primaries, "misses", took_s),
                loop_lag_ms=quantile_ms(self._meters.loop_lag.bounds, lags, 1.0),
            )
        )

    def _read_counters(self) -> tuple[int, ...]:
        statistics = self._executor.statistics
        return (
            statistics.commands_processed,
            statistics.errors.total(),
            statistics.errors["UNKNOWNOUTCOME"],
            statistics.net_input_bytes,
            statistics.net_output_bytes,
        )


def _growth(before: Mapping[str, Figures], now: Mapping[str, Figures], counter: str, took_s: float) -> float:
    """What a counter of nodes grew by a second; a node that comes, goes or starts anew adds nothing."""
    pairs = [(before[name], figures) for name, figures in now.items() if name in before]
    grown: int = sum(max(0, getattr(after, counter) - getattr(was, counter)) for was, after in pairs)
    return round(grown / took_s, 1)
