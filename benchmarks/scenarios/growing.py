"""The worst pause while a server grows from nothing to millions of keys, seen by ten paced clients beside the load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import load as loads
from benchmarks.bench import Bench
from benchmarks.disk_probe import DiskProbe
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.load import Load
from benchmarks.probing import Probe, ProbeResult
from benchmarks.scale import short_count
from benchmarks.scenarios.throughput import SET
from benchmarks.servers import ServerKind

LONGEST_PAUSE_MS = 20.0
_PROBERS = 10
_PROBES_PER_S = 500
_PROBED_KEYS = 10_000
# Four clients, 16 deep: quick, and no reply is behind more than 64 other commands: a queue would look like a pause.
_LOADERS = 4
_DEEP = 16
_NAMES = 2_000_000_000
_LIMIT_S = 300.0


@dataclass(frozen=True)
class Sample:
    probe: ProbeResult
    disk_worst_ms: float
    keys_per_s: float


def measure(bench: Bench) -> Iterator[Figure]:
    keys = bench.scale.grow_to_keys
    name = f"growing to {short_count(keys)} keys, fsync always"
    ours, peer = bench.interleave(name, bench.scale.grow_rounds, bench.kinds, lambda kind: _grow(bench, kind, keys))
    for kind, kept in zip(bench.kinds, (ours, peer), strict=True):
        bench.timelines[f"{kind.label}, growing"] = kept[-1].probe.timeline
    disk_ms = max(sample.disk_worst_ms for sample in (*ours, *peer))
    lag_ms = max(sample.probe.lag_ms for sample in (*ours, *peer))
    for verb in ("GET", "SET"):
        yield Figure(
            "growing",
            f"{name}: longest {verb}",
            "ms",
            ours=[_longest_ms(sample, verb) for sample in ours],
            peer=[_longest_ms(sample, verb) for sample in peer],
            peer_name=bench.peer.label,
            aim=Aim("at most", LONGEST_PAUSE_MS, "ours"),
            summary="worst",
            note=f"slowest fsync of the disk itself meanwhile {disk_ms:.0f} ms, prober's own lag ≤ {lag_ms:.1f} ms",
        )
    yield Figure(
        "growing",
        f"{name}: new keys",
        "requests/s",
        ours=[sample.keys_per_s for sample in ours],
        peer=[sample.keys_per_s for sample in peer],
        peer_name=bench.peer.label,
    )


def _grow(bench: Bench, kind: ServerKind, keys: int) -> Sample:
    load = Load(_LOADERS, SET, pipeline=_DEEP, keys=_NAMES)
    with bench.one(kind, 0) as server, server.connect() as connection:
        probe = Probe(server.port, clients=_PROBERS, requests_per_s=_PROBES_PER_S, keys=_PROBED_KEYS, limit_s=_LIMIT_S)
        with DiskProbe(bench.root) as disk, probe:
            result = loads.run(server.port, load, keys, limit_s=_LIMIT_S)
        grown = connection.command("DBSIZE")
    if grown < 0.98 * keys:
        raise NotMeasured(f"{kind.label} grew to {grown} keys only")
    return Sample(probe.result, disk.worst_ms, result.requests_per_s)


def _longest_ms(sample: Sample, verb: str) -> float:
    return (sample.probe.get if verb == "GET" else sample.probe.set).max_ms
