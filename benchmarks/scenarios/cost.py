"""How cost grows with the number of keys: throughput, memory a key, time to start, in-process calls at each size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.scale import short_count
from benchmarks.scenarios import in_process, memory, start, throughput


def measure(bench: Bench) -> Iterator[Figure]:
    rounds = bench.scale.cost_rounds
    # A shorter look at each: there are three sizes, and the main rows have the long one.
    bench.scale = replace(bench.scale, load_seconds=bench.scale.load_seconds / 2)
    for keys in bench.scale.cost_keys:
        with bench.both(keys) as servers:
            for row in throughput.ROWS:
                yield _at(keys, throughput.measure_row(bench, row, servers, keys, rounds))
        yield _at(keys, start.measure_start(bench, keys, rounds, checkpointed=True))
        yield _at(keys, memory.measure_memory(bench, keys, 1, expiring=False))
        for figure in in_process.measure_stores(bench, keys, rounds, ("lmdb", "rocksdict"), ("never",)):
            yield _at(keys, figure)


def _at(keys: int, figure: Figure) -> Figure:
    """The aim is asked at the main row's size; here the size is what is looked at."""
    size = f"{short_count(keys)} keys"
    name = figure.name if size in figure.name else f"{figure.name}, {size}"
    return replace(figure, scenario="cost", name=name, aim=None, keys=keys)
