"""The page that Prometheus reads: what is counted and measured, in its words.

`prometheus_client` writes the text in the format that the reader asks for; the figures are taken from where they are
kept anyway, at the moment of asking, in about a millisecond whatever the store holds. No label ever depends on a key, a
client or a user: every combination of labels costs the reader memory for ever.

Must not know: HTTP.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from keystead import __version__

if TYPE_CHECKING:
    from keystead.engine.maintenance import Maintenance
    from keystead.execution.executor import Executor
    from keystead.execution.local import LocalExecutor
    from keystead.metrics import Histogram
    from keystead.server.meters import Meters
    from keystead.server.operations_writer import OperationsWriter
    from keystead.server.tls import Handshakes

Labelled: TypeAlias = Mapping[str, float]

REFUSALS: Final = {"memory": "OOM", "disk": "MISCONF"}
"""Why writes may be refused, and the first word of the error then."""


class ServerPage(Collector):
    """What holds for every server. A subclass adds what it knows of the data."""

    def __init__(
        self,
        executor: Executor,
        meters: Meters,
        operations: OperationsWriter,
        handshakes: Handshakes | None,
    ) -> None:
        self._executor = executor
        self._meters = meters
        self._operations = operations
        self._handshakes = handshakes
        self._process = ProcessCollector(registry=None)

    def render(self, accept: str) -> tuple[str, bytes]:
        """(content type, text) for a reader that sends this Accept header: OpenMetrics, or Prometheus' own format."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self)

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of now."""
        yield gauge("build_info", "The version, as labels.", {(__version__, platform.python_version()): 1}, _BUILD)
        yield from self._connections()
        yield from self._commands()
        yield histogram("loop_lag_seconds", "How long input waited for its turn, sampled.", self._meters.loop_lag)
        yield from self._behind()
        if self._handshakes is not None:
            yield from self._tls(self._handshakes)
        yield from self._process.collect()

    def _behind(self) -> Iterator[Metric]:
        """What is behind the doors."""
        raise NotImplementedError

    def _connections(self) -> Iterator[Metric]:
        statistics = self._executor.statistics
        protocols = Counter(session.peer.protocol for session in self._executor.sessions.values())
        yield labelled("connections", "Clients that are connected.", "protocol", {"resp": 0, **protocols})
        yield counter("connections_received", "Clients that have connected.", statistics.connections_received)
        yield counter("connections_rejected", "Clients that were turned away.", statistics.connections_rejected)
        closed = {
            "output_buffer": statistics.output_buffer_disconnections,
            "query_buffer": statistics.query_buffer_disconnections,
        }
        yield labelled_counter("connections_closed", "Clients closed for going over a limit.", "limit", closed)
        yield counter("net_input_bytes", "Bytes received.", statistics.net_input_bytes)
        yield counter("net_output_bytes", "Bytes sent.", statistics.net_output_bytes)

    def _commands(self) -> Iterator[Metric]:
        statistics = self._executor.statistics
        yield counter("commands", "Commands answered.", statistics.commands_processed)
        yield labelled_counter("error_replies", "Errors answered, by first word.", "error", statistics.errors)
        answers = {str(status): number for status, number in statistics.http_answers.items()}
        yield labelled_counter("http_answers", "Answers over HTTP, by status.", "status", answers)
        dropped = self._operations.dropped
        yield counter("operations_log_dropped", "Lines of the operation log that nobody took in time.", dropped)
        times = {name: times for name, times in self._executor.call_times.by_name.items() if times.calls}
        if times:  # only while latency-tracking is on
            calls = {name: kept.calls for name, kept in times.items()}
            failed = {name: kept.failed for name, kept in times.items()}
            seconds = {name: kept.nanoseconds / 1e9 for name, kept in times.items()}
            yield labelled_counter("command_calls", "Calls of each command.", "command", calls)
            yield labelled_counter("command_failures", "Calls that ended in an error.", "command", failed)
            yield labelled_counter("command_seconds", "Time spent in each command.", "command", seconds)

    def _tls(self, handshakes: Handshakes) -> Iterator[Metric]:
        yield gauge("tls_handshakes", "Handshakes under way.", len(handshakes))
        yield labelled_counter("tls_failed_handshakes", "Handshakes that failed.", "reason", handshakes.failures)


class MetricsPage(ServerPage):
    """Everything about the server of a store."""

    def __init__(
        self,
        executor: LocalExecutor,
        meters: Meters,
        operations: OperationsWriter,
        handshakes: Handshakes | None,
        clock_s: Callable[[], float],
    ) -> None:
        super().__init__(executor, meters, operations, handshakes)
        self._engine = executor.engine
        self._clock_s = clock_s

    def _behind(self) -> Iterator[Metric]:
        yield from self._lookups()
        yield from self._data()
        yield from self._durability()
        yield from self._disk()

    def _lookups(self) -> Iterator[Metric]:
        statistics = self._executor.statistics
        refused = {reason: statistics.errors[word] for reason, word in REFUSALS.items()}
        yield labelled_counter("refused_writes", "Writes refused for want of room.", "reason", refused)
        yield counter("keyspace_hits", "Reads of keys that existed.", statistics.keyspace_hits)
        yield counter("keyspace_misses", "Reads of keys that did not exist.", statistics.keyspace_misses)

    def _data(self) -> Iterator[Metric]:
        engine = self._engine
        keyspaces = {str(database.number): database.keyspace for database in engine.databases}
        shown = {number: keyspace for number, keyspace in keyspaces.items() if len(keyspace) or number == "0"}
        keys = {number: len(keyspace) for number, keyspace in shown.items()}
        expiring = {number: keyspace.expiring_count() for number, keyspace in shown.items()}
        yield labelled("keys", "Keys.", "db", keys)
        yield labelled("expiring_keys", "Keys that have an expiry.", "db", expiring)
        yield counter("expired_keys", "Keys removed because their time was up.", engine.expired_keys)
        yield gauge("memory_used_bytes", "Estimated memory of all data, as maxmemory counts it.", engine.used_bytes())
        yield gauge("memory_max_bytes", "maxmemory; 0 for no bound.", engine.options.maxmemory)
        refusal = engine.refusal or ""
        refusing = {reason: float(refusal.startswith(word)) for reason, word in REFUSALS.items()}
        yield labelled("refusing_writes", "1 while writes are refused for want of room.", "reason", refusing)

    def _durability(self) -> Iterator[Metric]:
        meters = self._meters
        yield histogram("fsync_seconds", "What a sync of the log took.", meters.fsync)
        yield histogram("commit_seconds", "From the end of a turn until it was on disk.", meters.commit)
        yield histogram("commit_transactions", "Transactions that shared a frame of the log.", meters.batch)
        yield histogram("durable_lag_seconds", "Age of the oldest change not on disk, sampled.", meters.durable_lag)
        now = meters.lag_s(self._clock_s())
        yield gauge("durable_lag_now_seconds", "Age of the oldest change not on disk, now.", now)

    def _disk(self) -> Iterator[Metric]:
        engine = self._engine
        facts = engine.info()
        maintenance = engine.maintenance
        yield counter("log_bytes", "Position of the end of the log.", facts.log_position)
        yield counter("log_durable_bytes", "Position up to which the log is on disk.", facts.durable_position)
        older = sum(generation.stored_bytes() for generation in maintenance.manifest.generations[:-1])
        stored = {
            "checkpoint": facts.checkpoint_bytes,
            "log": facts.stored_bytes - facts.checkpoint_bytes - older,
            "history": older,
        }
        yield labelled("stored_bytes", "Size of the data directory, current and history.", "in", stored)
        yield from self._history(maintenance)
        disk = os.statvfs(engine.path)
        yield gauge("disk_free_bytes", "Room on the disk of the data directory.", disk.f_bavail * disk.f_frsize)
        yield counter("checkpoints", "Checkpoints made.", facts.checkpoints)
        yield gauge("checkpoint_running", "1 while one is made.", float(facts.checkpoint_running))
        yield gauge("checkpoint_failed", "1 when the last try failed.", float(facts.checkpoint_failed))
        yield gauge("checkpoint_timestamp_seconds", "When the last one was made.", facts.last_checkpoint_ms / 1000)
        took_s = max(0, maintenance.last_checkpoint_took_ms) / 1000
        yield gauge("checkpoint_duration_seconds", "What the last one took; 0 before the first.", took_s)
        yield gauge("recovery_torn_bytes", "Unacknowledged bytes cut off at the last start.", facts.torn_bytes)

    def _history(self, maintenance: Maintenance) -> Iterator[Metric]:
        kept = maintenance.kept_history()
        yield gauge("history_generations", "Generations kept, the current one included.", kept.generations)
        yield gauge("history_index_bytes", "Size of the index files of segments.", kept.index_bytes)
        yield gauge("history_first_sequence", "The first transaction that is kept.", kept.first_sequence)
        yield gauge("history_oldest_timestamp_seconds", "How far the past can be read back.", kept.oldest_ms / 1000)
        yield gauge("history_next_drop_bytes", "What retention lets go at its next step.", kept.next_drop_bytes)
        yield gauge("history_max_bytes", "history-max-bytes.", maintenance.retention.max_bytes)
        yield gauge("history_max_age_seconds", "history-max-age.", maintenance.retention.max_age_ms / 1000)
        yield gauge("forgetting", "Wishes to forget keys that are being fulfilled.", maintenance.forgetting)


_BUILD = ("version", "python")


def gauge(
    name: str, text: str, value: float | Mapping[tuple[str, ...], float], labels: Iterable[str] = ()
) -> GaugeMetricFamily:
    """A figure that goes up and down; with *labels* one for each of their values."""
    family = GaugeMetricFamily(f"keystead_{name}", text, labels=list(labels))
    for values, figure in (value if isinstance(value, Mapping) else {(): value}).items():
        family.add_metric(values, figure)
    return family


def labelled(name: str, text: str, label: str, values: Labelled) -> GaugeMetricFamily:
    """One figure for each value of a label."""
    return gauge(name, text, {(value,): figure for value, figure in values.items()}, (label,))


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    """A figure that only grows, until the process ends or CONFIG RESETSTAT; shown as `…_total`."""
    return CounterMetricFamily(f"keystead_{name}", text, value=value)


def labelled_counter(name: str, text: str, label: str, values: Labelled) -> CounterMetricFamily:
    """One counter for each value of a label."""
    family = CounterMetricFamily(f"keystead_{name}", text, labels=[label])
    for value, figure in sorted(values.items()):
        family.add_metric([value], figure)
    return family


def histogram(name: str, text: str, measured: Histogram) -> HistogramMetricFamily:
    """Observations by bounds, cumulative."""
    buckets = [("+Inf" if bound == float("inf") else repr(bound), count) for bound, count in measured.cumulative()]
    return HistogramMetricFamily(f"keystead_{name}", text, buckets=buckets, sum_value=measured.total)
