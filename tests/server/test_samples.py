"""What a second was like, from counters alone."""

from __future__ import annotations

import pytest

from executors import Stage
from keystead.metrics import SECONDS, Histogram
from keystead.server.meters import Meters
from keystead.server.samples import KEPT, Samples, quantile_ms


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def samples(executor_stage: Stage, meters: Meters) -> Samples:
    return Samples(executor_stage.executor, meters, 100.0)


def test_a_sample_tells_what_has_happened_since_the_one_before(executor_stage: Stage, samples: Samples) -> None:
    client = executor_stage.client()
    client("SET k v")
    samples.take(101.0)
    client("GET k")
    client("GET k")
    client("GET nothing")
    client("INCRBY k 1")
    samples.take(103.0)
    first, second = samples.kept
    assert (first.operations_per_s, first.hits_per_s) == (1, 0)
    assert (second.operations_per_s, second.hits_per_s, second.misses_per_s, second.errors_per_s) == (2, 1, 0.5, 0.5)
    assert (second.keys, second.connections) == (1, 1)
    assert second.memory_bytes == executor_stage.executor.engine.used_bytes()
    assert (second.stored_bytes, second.history_bytes) == (executor_stage.executor.engine.info().stored_bytes, 0)


def test_counters_that_begin_anew_are_no_negative_rate(executor_stage: Stage, samples: Samples) -> None:
    client = executor_stage.client()
    for _ in range(5):
        client("PING")
    samples.take(101.0)
    client("CONFIG RESETSTAT")
    client("PING")
    samples.take(102.0)
    assert 0 < samples.kept[-1].operations_per_s <= 2


def test_times_are_those_of_the_second_alone(samples: Samples, meters: Meters) -> None:
    meters.fsync.observe(5.0)
    samples.take(101.0)
    meters.fsync.observe(0.001)
    meters.loop_turned(0.0, 0.02)
    samples.take(102.0)
    samples.take(103.0)
    slow, quick, none = samples.kept
    assert slow.fsync_p50_ms is not None
    assert quick.fsync_p50_ms is not None
    assert slow.fsync_p50_ms > 3000
    assert quick.fsync_p50_ms < 2
    assert quick.loop_lag_ms == pytest.approx(25.6)  # the bound above it
    assert (none.fsync_p50_ms, none.fsync_p99_ms, none.commit_p50_ms) == (None, None, None)


def test_ten_minutes_are_kept(samples: Samples) -> None:
    for second in range(KEPT + 10):
        samples.take(101.0 + second)
    assert len(samples.kept) == KEPT


@pytest.mark.parametrize(
    ("observed", "share", "between"),
    [
        ([], 0.5, None),
        ([0.001] * 99 + [1.0], 0.5, (0.8, 1.6)),
        ([0.001] * 98 + [1.0] * 2, 0.99, (820, 1640)),
        ([0.00001], 0.5, (0, 0.05)),
        ([100.0], 0.5, (6553.6, 6553.6)),
    ],
)
def test_a_quantile_lies_in_the_bucket_of_its_observation(
    observed: list[float], share: float, between: tuple[float, float] | None
) -> None:
    measured = Histogram(SECONDS)
    for value in observed:
        measured.observe(value)
    found = quantile_ms(measured.bounds, measured.counts, share)
    if between is None:
        assert found is None
    else:
        assert found is not None
        assert between[0] <= found <= between[1]
