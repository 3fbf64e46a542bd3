"""Requests a second: SET and GET by 50 clients, one by one and 16 deep, every SET synced before its reply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.bench import Bench, Turn
from benchmarks.datasets import value
from benchmarks.figures import Aim, Figure
from benchmarks.load import Load
from benchmarks.scale import short_count
from benchmarks.servers import Server

RANDOM_KEY = "key:__rand_int__"
SET = ("SET", RANDOM_KEY, value(0).decode())
GET = ("GET", RANDOM_KEY)


@dataclass(frozen=True)
class Row:
    name: str
    command: tuple[str, ...]
    pipeline: int
    least_ratio: float


ROWS = (
    Row("SET, 50 clients, fsync always", SET, 1, 1.0),
    Row("SET, 50 clients, 16 deep, fsync always", SET, 16, 1.15),
    Row("GET, 50 clients", GET, 1, 0.95),
    Row("GET, 50 clients, 16 deep", GET, 16, 0.75),
)


def measure(bench: Bench) -> Iterator[Figure]:
    keys = bench.scale.throughput_keys
    with bench.both(keys) as servers:
        for row in ROWS:
            figure = measure_row(bench, row, servers, keys, bench.scale.rounds)
            figure.aim = Aim("at least", row.least_ratio)
            yield figure


def measure_row(bench: Bench, row: Row, servers: tuple[Server, Server], keys: int, rounds: int) -> Figure:
    load = Load(clients=50, command=row.command, pipeline=row.pipeline, keys=keys)
    ours, peer = bench.compare_load(row.name, load, servers, rounds)
    return Figure(
        scenario="throughput",
        name=row.name,
        unit="requests/s",
        ours=[result.requests_per_s for result in ours],
        peer=[result.requests_per_s for result in peer],
        peer_name=bench.peer.label,
        keys=keys,
        note=f"{short_count(keys)} random keys; {cpu_note(ours, peer)}",
    )


def cpu_note(ours: Sequence[Turn], peer: Sequence[Turn]) -> str:
    """Processor time is what is left to compare when somebody else keeps the machine busy."""
    figures = (median(turn.server_cpu_us for turn in turns) for turns in (ours, peer))
    return "server's processor time a command {:.1f} / {:.1f} µs".format(*figures)
