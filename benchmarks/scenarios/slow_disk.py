"""Reads beside writes on a disk whose sync takes 2 ms: who reads must not wait for who writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks import load as loads
from benchmarks.bench import Bench, Turn
from benchmarks.datasets import key, value
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.load import Load
from benchmarks.scale import short_count
from benchmarks.servers import Server
from benchmarks.slow_fsync import slowing_environment

DELAY_MS = 2.0
READERS = 20
WRITERS = 10
_LONE_SETS = 50


def measure(bench: Bench) -> Iterator[Figure]:
    environment = slowing_environment(bench.root, DELAY_MS)
    keys = bench.scale.keys
    with bench.both(keys, environment=environment) as servers:
        for server in servers:
            _check_slowed(server)
        spread = f"{short_count(keys)} random keys"
        yield from _measure(bench, servers, spread, "key:__rand_int__", keys, least=8, p99_most=1 / 8)
        yield from _measure(bench, servers, "one key", key(0).decode(), 0, least=5, p99_most=None)


def _measure(
    bench: Bench, servers: tuple[Server, Server], where: str, name: str, keys: int, least: float, p99_most: float | None
) -> Iterator[Figure]:
    title = f"GET by {READERS} clients while {WRITERS} SET, fsync {DELAY_MS:.0f} ms, {where}"
    readers = Load(READERS, ("GET", name), keys=keys)
    writers = Load(WRITERS, ("SET", name, value(0).decode()), keys=keys)
    ours, peer = bench.compare_load(title, readers, servers, bench.scale.rounds, beside=writers)
    yield Figure(
        "slow-disk",
        title,
        "requests/s",
        ours=[result.requests_per_s for result in ours],
        peer=[result.requests_per_s for result in peer],
        peer_name=bench.peer.label,
        aim=Aim("at least", least),
        note=_writers_note(ours, peer),
    )
    yield Figure(
        "slow-disk",
        f"the same, p99 of GET, {where}",
        "ms",
        ours=[result.p99_ms for result in ours],
        peer=[result.p99_ms for result in peer],
        peer_name=bench.peer.label,
        aim=Aim("at most", p99_most) if p99_most else None,
    )


def _writers_note(ours: Sequence[Turn], peer: Sequence[Turn]) -> str:
    """Readers could be quick because writers starve; the figure says so."""
    rates = (median(turn.beside_per_s for turn in turns) for turns in (ours, peer))
    return "SETs meanwhile {:.0f} / {:.0f} a second".format(*rates)


def _check_slowed(server: Server) -> None:
    """A server that syncs in a way the library does not cover would win for nothing: a lone SET shows it."""
    lone = loads.run(server.port, Load(1, ("SET", key(0).decode(), value(0).decode())), _LONE_SETS, limit_s=30)
    if lone.p50_ms < DELAY_MS:
        raise NotMeasured(f"fsync of {server.kind.label} is not slowed: a lone SET takes {lone.p50_ms:.2f} ms")
