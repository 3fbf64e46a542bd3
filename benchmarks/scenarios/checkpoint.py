"""What 50 clients notice of a checkpoint: p99.9 with one running against without, and the longest pause.

The load is the paced prober alone: under a load that saturates two cores, a checkpoint's process would be measured as a
competitor for a core and not as a pause of the server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.checkpoints import Checkpoints, checkpoint_for, wait_until_none
from benchmarks.disk_probe import DiskProbe
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.probing import Latencies, Probe, ProbeResult
from benchmarks.scale import short_count
from benchmarks.servers import Server

CLIENTS = 50
REQUESTS_PER_S = 1000
LONGEST_PAUSE_MS = 20.0
_WARM_UP_S = 1.0
_LIMIT_S = 120.0


@dataclass(frozen=True)
class Sample:
    """One round on one server."""

    quiet: ProbeResult
    busy: ProbeResult
    checkpoints: Checkpoints
    disk_worst_ms: float


Samples = tuple[list[Sample], list[Sample]]


def measure(bench: Bench) -> Iterator[Figure]:
    keys = bench.scale.keys
    name = f"checkpoint of {short_count(keys)} keys, {CLIENTS} clients"
    with bench.both(keys) as servers:
        time.sleep(_WARM_UP_S)
        samples = bench.interleave(name, bench.scale.heavy_rounds, servers, lambda server: _round(bench, server, keys))
    for kind, kept in zip(bench.kinds, samples, strict=True):
        bench.timelines[f"{kind.label}, while checkpoints run"] = kept[-1].busy.timeline
        bench.timelines[f"{kind.label}, without"] = kept[-1].quiet.timeline
    for verb in ("GET", "SET"):
        yield _slowdown(bench, name, verb, samples)
        yield _longest(bench, name, verb, samples)


def _round(bench: Bench, server: Server, keys: int) -> Sample:
    seconds = bench.scale.probe_seconds
    with server.connect() as connection:
        wait_until_none(connection)
        with _probe(server, keys) as quiet:
            time.sleep(seconds)
        with DiskProbe(bench.root) as disk, _probe(server, keys) as busy:
            seen = checkpoint_for(connection, seconds)
    if seen.count == 0:
        raise NotMeasured(f"{server.kind.label} was not seen writing a checkpoint after BGREWRITEAOF")
    return Sample(quiet.result, busy.result, seen, disk.worst_ms)


def _probe(server: Server, keys: int) -> Probe:
    return Probe(server.port, clients=CLIENTS, requests_per_s=REQUESTS_PER_S, keys=keys, limit_s=_LIMIT_S)


def _slowdown(bench: Bench, name: str, verb: str, samples: Samples) -> Figure:
    ours, peer = (
        [_latencies(sample.busy, verb).p999_ms / _latencies(sample.quiet, verb).p999_ms for sample in kept]
        for kept in samples
    )
    title = f"{name}: p99.9 of {verb}, against without"
    note = "; ".join(_describe(kind.label, kept) for kind, kept in zip(bench.kinds, samples, strict=True))
    return Figure("checkpoint", title, "times", ours, peer, bench.peer.label, Aim("at most", 2.0, "ours"), note=note)


def _longest(bench: Bench, name: str, verb: str, samples: Samples) -> Figure:
    ours, peer = ([_latencies(sample.busy, verb).max_ms for sample in kept] for kept in samples)
    title = f"{name}: longest {verb}"
    disk_ms = max(sample.disk_worst_ms for kept in samples for sample in kept)
    return Figure(
        "checkpoint",
        title,
        "ms",
        ours,
        peer,
        bench.peer.label,
        aim=Aim("at most", LONGEST_PAUSE_MS, "ours"),
        summary="worst",
        note=f"slowest fsync of the disk itself meanwhile {disk_ms:.0f} ms",
    )


def _latencies(result: ProbeResult, verb: str) -> Latencies:
    return result.get if verb == "GET" else result.set


def _describe(label: str, kept: list[Sample]) -> str:
    count = sum(sample.checkpoints.count for sample in kept)
    share = sum(sample.checkpoints.seconds for sample in kept) / sum(sample.busy.seconds for sample in kept)
    lag_ms = max(sample.busy.lag_ms for sample in kept)
    cost = max(sample.busy.cpu_share for sample in kept)
    prober = f"prober {cost:.0%} of a core, own lag ≤ {lag_ms:.1f} ms"
    return f"{label}: {count} checkpoints, {share:.0%} of the time; {prober}"
