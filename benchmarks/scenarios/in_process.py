"""Keystead in process against the stores Python programs use: get, set, durable set by eight threads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.embedded import OURS, STORES, Durability
from benchmarks.embedded_worker import THREADS
from benchmarks.figures import Aim, Figure
from benchmarks.machine import REPOSITORY
from benchmarks.scale import short_count

PEERS = tuple(name for name in STORES if name != OURS)
_LIMIT_S = 120.0


@dataclass(frozen=True)
class Operation:
    name: str
    durability: Durability
    key: str


OPERATIONS = (
    Operation("get", "never", "get"),
    Operation("set, fsync never", "never", "set"),
    Operation(f"set, fsync always, {THREADS} threads", "always", "set"),
)


@dataclass
class Contestant:
    """One store at one durability; each piece of work is a process. `failure` says why there are no samples."""

    store: str
    durability: Durability
    directory: Path
    keys: int
    seconds: float
    samples: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""

    def prepare(self) -> None:
        if find_spec(STORES[self.store].package) is None:
            self.failure = f"{self.store} is not installed"
            return
        self._work("--fill")

    def measure(self) -> None:
        if not self.failure and (sample := self._work()):
            self.samples.append(sample)

    def _work(self, *more: str) -> dict[str, float]:
        words = [sys.executable, "-m", "benchmarks.embedded_worker", self.store, self.durability, str(self.directory)]
        words += ["--keys", str(self.keys), "--seconds", str(self.seconds), *more]
        try:
            done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=_LIMIT_S, check=True)
        except subprocess.TimeoutExpired:
            self.failure = f"{self.store} took more than {_LIMIT_S:.0f} s"
        except subprocess.CalledProcessError as error:
            self.failure = f"{self.store}: {(error.stderr.strip().splitlines() or ['failed'])[-1]}"
        else:
            rates: dict[str, float] = json.loads(done.stdout)
            return rates
        return {}


def measure(bench: Bench) -> Iterator[Figure]:
    yield from measure_stores(bench, bench.scale.embedded_keys, bench.scale.rounds, PEERS, ("never", "always"))


def measure_stores(
    bench: Bench, keys: int, rounds: int, peers: Sequence[str], durabilities: Sequence[Durability]
) -> Iterator[Figure]:
    """A figure for each operation and peer; all stores take turns in every round."""
    contestants = {
        (store, durability): Contestant(
            store, durability, bench.fresh_directory(store), keys, bench.scale.embedded_seconds
        )
        for durability in durabilities
        for store in (OURS, *peers)
    }
    for contestant in contestants.values():
        bench.progress(f"in process, {short_count(keys)} keys: filling {contestant.store}")
        contestant.prepare()
    for number in range(1, rounds + 1):
        for contestant in contestants.values():
            bench.progress(f"in process, {short_count(keys)} keys: {contestant.store}, round {number} of {rounds}")
            contestant.measure()
    for operation in OPERATIONS:
        if operation.durability in durabilities:
            for peer in peers:
                ours = contestants[OURS, operation.durability]
                yield _figure(operation, ours, contestants[peer, operation.durability])


def _figure(operation: Operation, ours: Contestant, peer: Contestant) -> Figure:
    return Figure(
        "in-process",
        f"in process: {operation.name}",
        "calls/s",
        ours=[sample[operation.key] for sample in ours.samples],
        peer=[sample[operation.key] for sample in peer.samples],
        peer_name=peer.store,
        aim=Aim("at least", 1.0),
        keys=ours.keys,
        note=f"{peer.store}: {STORES[peer.store].durability[operation.durability]}",
        not_run=ours.failure or peer.failure,
    )
