"""The last ten minutes by the second: differences of counters that are kept anyway.

So nothing is counted for it; once a second figures are read and subtracted. Owns: what a sample is, and how many there
are. Must not know: how they are shown, who asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from keystead.execution.local import LocalExecutor
    from keystead.metrics import Histogram
    from keystead.server.meters import Meters

KEPT: Final = 600


class Timed(Protocol):
    """What every sample has."""

    @property
    def time_ms(self) -> int:
        """Its end."""

    def _asdict(self) -> dict[str, Any]: ...

    def __iter__(self) -> Any: ...


S = TypeVar("S", bound=Timed)


class Kept(Generic[S]):
    """The samples of one server, oldest first. A subclass says what is in one, and takes it."""

    def __init__(self, fields: Sequence[str]) -> None:
        """*fields*: the names of the figures of each."""
        self.fields = fields
        self.kept: deque[S] = deque(maxlen=KEPT)

    def after(self, time_ms: int) -> list[S]:
        """Those that ended after that moment."""
        return [sample for sample in self.kept if sample.time_ms > time_ms]

    def take(self, now_s: float) -> None:
        """Add one, for the time since the last. *now_s* is monotonic."""
        raise NotImplementedError


AnySamples: TypeAlias = Kept[Any]


def rates(before: Sequence[int], now: Sequence[int], took_s: float) -> list[float]:
    """What counters grew by a second. After CONFIG RESETSTAT they begin at 0 again."""
    return [round((count - was if count >= was else count) / took_s, 1) for was, count in zip(before, now, strict=True)]


class Sample(NamedTuple):
    """One second. What nothing was observed of is None."""

    time_ms: int
    """Its end, in store time."""
    operations_per_s: float
    hits_per_s: float
    misses_per_s: float
    errors_per_s: float
    input_bytes_per_s: float
    output_bytes_per_s: float
    connections: int
    keys: int
    memory_bytes: int
    stored_bytes: int
    """Of the log and the checkpoints on disk, history included."""
    history_bytes: int
    """Of generations that are only kept as history."""
    commit_p50_ms: float | None
    """From the end of a turn until it was on disk."""
    commit_p99_ms: float | None
    fsync_p50_ms: float | None
    fsync_p99_ms: float | None
    durable_lag_ms: float | None
    """Age of the oldest change not on disk: the longest that was seen."""
    loop_lag_ms: float | None
    """How long input waited for its turn: the longest that was seen."""


class Samples(Kept[Sample]):
    """Those of a store."""

    def __init__(self, executor: LocalExecutor, meters: Meters, now_s: float) -> None:
        super().__init__(Sample._fields)
        self._executor = executor
        self._meters = meters
        self._at_s = now_s
        self._counters = self._read_counters()
        self._histograms = self._read_histograms()

    def take(self, now_s: float) -> None:
        took_s = max(now_s - self._at_s, 0.001)
        before, self._counters = self._counters, self._read_counters()
        operations, hits, misses, errors, received, sent = rates(before, self._counters, took_s)
        seen_before, self._histograms = self._histograms, self._read_histograms()
        commit, fsync, durable_lag, loop_lag = (
            [now - was for was, now in zip(then, counts, strict=True)]
            for then, counts in zip(seen_before, self._histograms, strict=True)
        )
        meters, engine = self._meters, self._executor.engine
        older = engine.maintenance.manifest.generations[:-1]
        self._at_s = now_s
        self.kept.append(
            Sample(
                time_ms=engine.clock.now_ms,
                operations_per_s=operations,
                hits_per_s=hits,
                misses_per_s=misses,
                errors_per_s=errors,
                input_bytes_per_s=received,
                output_bytes_per_s=sent,
                connections=len(self._executor.sessions),
                keys=sum(len(each.keyspace) for each in engine.databases if each.keyspace.payload_bytes),
                memory_bytes=engine.used_bytes(),
                stored_bytes=engine.info().stored_bytes,
                history_bytes=sum(generation.stored_bytes() for generation in older),
                commit_p50_ms=quantile_ms(meters.commit.bounds, commit, 0.5),
                commit_p99_ms=quantile_ms(meters.commit.bounds, commit, 0.99),
                fsync_p50_ms=quantile_ms(meters.fsync.bounds, fsync, 0.5),
                fsync_p99_ms=quantile_ms(meters.fsync.bounds, fsync, 0.99),
                durable_lag_ms=quantile_ms(meters.durable_lag.bounds, durable_lag, 1.0),
                loop_lag_ms=quantile_ms(meters.loop_lag.bounds, loop_lag, 1.0),
            )
        )

    def _read_counters(self) -> tuple[int, ...]:
        statistics = self._executor.statistics
        return (
            statistics.commands_processed,
            statistics.keyspace_hits,
            statistics.keyspace_misses,
            statistics.errors.total(),
            statistics.net_input_bytes,
            statistics.net_output_bytes,
        )

    def _read_histograms(self) -> list[list[int]]:
        return [list(measured.counts) for measured in self._measured()]

    def _measured(self) -> tuple[Histogram, ...]:
        meters = self._meters
        return meters.commit, meters.fsync, meters.durable_lag, meters.loop_lag


def quantile_ms(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The value below which that share of the observations lies, in milliseconds: as exact as the bounds (in seconds)
    allow, evenly spread between two of them. None without any."""
    total = sum(counts)
    if not total:
        return None
    wanted = share * total
    for i, reached in enumerate(accumulate(counts)):
        if reached >= wanted and counts[i]:
            if i == len(bounds):
                break
            low = bounds[i - 1] if i else 0.0
            inside = (wanted - (reached - counts[i])) / counts[i]
            return round(1000 * (low + (bounds[i] - low) * inside), 3)
    return round(1000 * bounds[-1], 3)
