"""Time from starting the program to its first right answer about the data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.checkpoints import checkpoint
from benchmarks.datasets import key, value
from benchmarks.figures import Aim, Figure
from benchmarks.scale import short_count
from benchmarks.servers import Server, ServerKind


def measure(bench: Bench) -> Iterator[Figure]:
    yield measure_start(bench, bench.scale.keys, bench.scale.rounds, checkpointed=False)
    yield measure_start(bench, bench.scale.keys, bench.scale.rounds, checkpointed=True)


def measure_start(bench: Bench, keys: int, rounds: int, *, checkpointed: bool) -> Figure:
    """The directory is as a load and a clean stop left it; with `checkpointed`, BGREWRITEAOF was asked for before."""
    state = "after BGREWRITEAOF" if checkpointed else "as loaded"
    name = f"start with {short_count(keys)} keys, {state}, to first answer"
    directories = {kind.label: _prepare(bench, kind, keys, checkpointed) for kind in bench.kinds}

    def start(kind: ServerKind) -> float:
        server = Server(kind, directories[kind.label])
        try:
            return server.start((b"GET", key(7)), value(7))
        finally:
            server.stop()

    ours, peer = bench.interleave(name, rounds, bench.kinds, start)
    return Figure("start", name, "s", ours, peer, bench.peer.label, Aim("at most", 0.6), keys=keys)


def _prepare(bench: Bench, kind: ServerKind, keys: int, checkpointed: bool) -> Path:
    directory = bench.datasets.copy(kind, keys)
    if checkpointed:
        with Server(kind, directory) as server, server.connect() as connection:
            checkpoint(connection)
    return directory
