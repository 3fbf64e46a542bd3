"""One client's GETs beside ten that pipeline without end: nobody owns the server."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Figure
from benchmarks.load import Load
from benchmarks.scenarios.throughput import GET, SET

PIPELINERS = 10
DEEP = 1000


def measure(bench: Bench) -> Iterator[Figure]:
    keys = bench.scale.throughput_keys
    lone = Load(1, GET, keys=keys)
    with bench.both(keys) as servers:
        for verb, command in (("GET", GET), ("SET", SET)):
            name = f"p99 of one client's GET beside {PIPELINERS} that pipeline {verb}"
            pipeliners = Load(PIPELINERS, command, pipeline=DEEP, keys=keys)
            ours, peer = bench.compare_load(name, lone, servers, bench.scale.rounds, beside=pipeliners)
            yield Figure(
                "fairness",
                name,
                "ms",
                ours=[result.p99_ms for result in ours],
                peer=[result.p99_ms for result in peer],
                peer_name=bench.peer.label,
                aim=Aim("at most", 2.0),
                note=f"{DEEP} deep each",
            )
