"""`redis-benchmark` as the load: one bounded measurement, or load without end behind one. Parses what it prints."""

from __future__ import annotations

import csv
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.figures import NotMeasured

PROGRAM = "redis-benchmark"
_SAMPLE_REQUESTS = 100
_FEWEST_REQUESTS = 200
_MOST_REQUESTS = 10_000_000
# Its clients connect first: what is measured in the meantime, and sized by it, would have the server to itself.
_UNDER_WAY_S = 0.3


class LoadFailed(NotMeasured):
    """redis-benchmark is not installed, took too long, or was answered an error; the message says which."""


@dataclass(frozen=True)
class Load:
    """What `clients` connections send, each with `pipeline` in flight; `__rand_int__` is one of `keys` numbers."""

    clients: int
    command: tuple[str, ...]
    pipeline: int = 1
    keys: int = 0

    def arguments(self, port: int) -> list[str]:
        shape = ["-c", str(self.clients), "-P", str(self.pipeline), *(["-r", str(self.keys)] if self.keys else [])]
        return [PROGRAM, "-h", "127.0.0.1", "-p", str(port), "--csv", *shape, *self.command]


@dataclass(frozen=True)
class LoadResult:
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def parse(text: str) -> LoadResult:
    """The one result in what `redis-benchmark --csv` printed. Raises LoadFailed, with the text, when there is none."""
    lines = [line for line in text.splitlines() if line.startswith('"')]
    rows = list(csv.DictReader(lines))
    if len(rows) != 1:
        raise LoadFailed(f"{PROGRAM} printed no result: {' '.join(text.split())[-200:] or 'nothing'}")
    row = rows[0]
    try:
        return LoadResult(
            requests_per_s=float(row["rps"]),
            p50_ms=float(row["p50_latency_ms"]),
            p95_ms=float(row["p95_latency_ms"]),
            p99_ms=float(row["p99_latency_ms"]),
            max_ms=float(row["max_latency_ms"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LoadFailed(f"{PROGRAM} printed an unknown table: {lines}") from error


def run(port: int, load: Load, requests: int, limit_s: float) -> LoadResult:
    """Send that many requests and return what redis-benchmark measured. Raises LoadFailed."""
    words = load.arguments(port)
    words[1:1] = ["-n", str(requests)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=limit_s, check=False)
    except FileNotFoundError:
        raise LoadFailed(f"{PROGRAM} is not installed") from None
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{requests} requests took more than {limit_s:.0f} s: {' '.join(load.command)[:40]}") from None
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).split())[-200:]
        raise LoadFailed(f"{PROGRAM} ended with status {done.returncode}: {said or 'no word'}")
    return parse(done.stdout)


def requests_for(port: int, load: Load, seconds: float) -> int:
    """How many requests this load takes in about that time here; finding out is the warm-up too. Raises LoadFailed."""
    sample = 0.0
    requests = _SAMPLE_REQUESTS * load.pipeline
    while sample < min(0.1, seconds / 4):
        rate = run(port, load, requests, limit_s=30 + 10 * seconds).requests_per_s
        sample = requests / rate
        wanted = int(rate * seconds)
        requests = min(max(wanted, _FEWEST_REQUESTS), requests * 20, _MOST_REQUESTS)
    return requests


@contextmanager
def endless(port: int, load: Load) -> Iterator[subprocess.Popen[bytes]]:
    """The load, under way and repeated until the block ends. Raises LoadFailed when it ended before."""
    if shutil.which(PROGRAM) is None:
        raise LoadFailed(f"{PROGRAM} is not installed")
    words = load.arguments(port)
    words[1:1] = ["-l", "-n", str(_MOST_REQUESTS)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(_UNDER_WAY_S)
        yield process
        if process.poll() is not None:
            raise LoadFailed(f"the load behind the measurement ended: {' '.join(load.command)[:40]}")
    finally:
        process.kill()
        process.wait()
