"""One file a scenario family; each has `measure(bench)`, which yields its figures one by one as they are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.scenarios import (
    backup,
    checkpoint,
    cluster,
    cost,
    fairness,
    feed,
    growing,
    history,
    http,
    in_process,
    memory,
    slow_disk,
    start,
    throughput,
    undo,
)

SCENARIOS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "throughput": throughput.measure,
    "slow-disk": slow_disk.measure,
    "fairness": fairness.measure,
    "start": start.measure,
    "memory": memory.measure,
    "checkpoint": checkpoint.measure,
    "growing": growing.measure,
    "in-process": in_process.measure,
    "cost": cost.measure,
    "http": http.measure,
    "feed": feed.measure,
    "backup": backup.measure,
    "history": history.measure,
    "undo": undo.measure,
    "cluster": cluster.measure,
}
