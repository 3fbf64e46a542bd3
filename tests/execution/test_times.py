"""Latency tracking and latency spikes: what is counted, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.execution.call_times import CallTimes
from keystead.execution.latency_spikes import LatencySpikes

if TYPE_CHECKING:
    from executors import Stage

DURATIONS = st.lists(st.integers(0, 10**10), min_size=1, max_size=200)


@given(DURATIONS, st.floats(1, 100))
def test_percentiles_are_within_two_percent(durations_ns: list[int], percent: float) -> None:
    times = CallTimes()
    for duration_ns in durations_ns:
        times.add(duration_ns)
    rank = max(1, -(-len(durations_ns) * percent // 100))
    exact_us = sorted(durations_ns)[int(rank) - 1] / 1000
    (found_us,) = times.percentiles_us([percent])
    assert found_us <= exact_us <= found_us * 1.02 + 0.001


@given(DURATIONS)
def test_the_histogram_is_cumulative_and_counts_every_call(durations_ns: list[int]) -> None:
    times = CallTimes()
    for duration_ns in durations_ns:
        times.add(duration_ns)
    histogram = times.histogram_us()
    assert list(histogram.values())[-1] == len(durations_ns) == times.calls
    assert sorted(histogram) == list(histogram)
    assert sorted(histogram.values()) == list(histogram.values())


@pytest.mark.parametrize(("duration_ns", "bound_us"), [(0, 1), (1024, 1), (1040, 2), (16_000, 16), (17_000, 32)])
def test_bounds_are_those_of_redis(duration_ns: int, bound_us: int) -> None:
    times = CallTimes()
    times.add(duration_ns)
    assert times.histogram_us() == {bound_us: 1}


def test_calls_failures_and_rejections_are_counted_while_tracking_is_on(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline(
        "GET k", "CONFIG SET latency-tracking yes", "SET k v", "GET k", "get k", "INCR k", "GET", "OBJECT HELP"
    )
    commandstats = client.text("INFO commandstats")
    assert "cmdstat_get:calls=2," in commandstats
    assert "rejected_calls=1,failed_calls=0" in commandstats.partition("cmdstat_get:")[2].splitlines()[0]
    assert "rejected_calls=0,failed_calls=1" in commandstats.partition("cmdstat_incr:")[2].splitlines()[0]
    assert "cmdstat_object|help:calls=1" in commandstats
    assert "latency_percentiles_usec_get:p50=" in client.text("INFO latencystats")
    assert client("LATENCY HISTOGRAM nosuch") == b"*0\r\n"
    client("CONFIG RESETSTAT")
    assert "cmdstat_get:" not in client.text("INFO commandstats")
    client("GET k")
    assert "cmdstat_get:calls=1," in client.text("INFO commandstats")
    client("CONFIG SET latency-tracking no")
    client("GET k")
    assert "cmdstat_get:calls=1," in client.text("INFO commandstats")


def test_spikes_are_kept_from_the_threshold_on_the_worst_of_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    spikes, now = LatencySpikes(), [100.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    spikes.record("command", 50)
    assert not spikes.by_event, "without a threshold nothing is kept"
    spikes.threshold_ms = 10
    for duration_ms in (9, 30, 10, 20):
        spikes.record("command", duration_ms)
    now[0] = 101.5
    spikes.record("command", 12)
    assert [tuple(sample) for sample in spikes.by_event["command"].samples] == [(100, 30), (101, 12)]
    assert spikes.by_event["command"].highest_ms == 30


def test_latency_commands_tell_of_spikes(executor_stage: Stage) -> None:
    client = executor_stage.client()
    assert "not monitored" in client.text("LATENCY DOCTOR")
    client.pipeline("CONFIG SET latency-monitor-threshold 5", "LATENCY RESET", "DEBUG SLEEP 0.006")
    assert client.text("LATENCY LATEST").startswith("*1\r\n*4\r\n$7\r\ncommand\r\n")
    assert client.text("LATENCY HISTORY command").startswith("*1\r\n*2\r\n:")
    assert "#" in client.text("LATENCY GRAPH command")
    assert "command: 1 spikes" in client.text("LATENCY DOCTOR")
    assert client("LATENCY GRAPH nosuch") == b"-ERR No samples available for event 'nosuch'\r\n"
    assert client("LATENCY RESET nosuch command") == b":1\r\n"
    assert client("LATENCY LATEST") == b"*0\r\n"
