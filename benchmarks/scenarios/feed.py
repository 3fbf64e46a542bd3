"""The change feed: one client writes over the Redis protocol as fast as it can, ten follow over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.bench import Bench
from benchmarks.connection import Connection
from benchmarks.datasets import value
from benchmarks.feed_followers import END
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.http_servers import KeysteadHttp
from benchmarks.machine import REPOSITORY

FOLLOWERS = 10


def measure(bench: Bench) -> Iterator[Figure]:
    with KeysteadHttp(bench.fresh_directory("feed"), bench.ours.program, one_core=False) as server:
        rounds = [_round(bench, server, number) for number in range(bench.scale.heavy_rounds)]
    written = [said["events"][0] / bench.scale.load_seconds for said in rounds]
    yield Figure(
        "feed",
        f"change feed: lag p99 of {FOLLOWERS} followers of one writer",
        "ms",
        ours=[said["p99_ms"] for said in rounds],
        peer_name="",
        aim=Aim("at most", 100.0, "ours"),
        note=f"every change seen by each, once and in order; {min(written):.0f} to {max(written):.0f} writes a second; "
        f"longest lag {max(said['max_ms'] for said in rounds):.0f} ms",
    )


def _round(bench: Bench, server: KeysteadHttp, number: int) -> dict[str, Any]:
    bench.progress(f"change feed: round {number + 1} of {bench.scale.heavy_rounds}")
    words = [sys.executable, "-m", "benchmarks.feed_followers", str(server.port), str(FOLLOWERS)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as followers:
        assert followers.stdout is not None
        try:
            if followers.stdout.readline() != "ready\n":
                raise NotMeasured("the followers could not connect to the change feed")
            written = _write(server.resp_port, bench.scale.load_seconds)
            line = followers.stdout.readline()
        finally:
            followers.kill()
    said: dict[str, Any] = json.loads(line) if line else {}
    if not said.get("complete") or set(said["events"]) != {written}:
        raise NotMeasured(f"of {written} changes the followers saw {said.get('events')}, in order: no row can be given")
    return said


def _write(port: int, seconds: float) -> int:
    """SET one key after the other, each when the one before is acknowledged; how many."""
    number, until = 0, time.monotonic() + seconds
    with Connection(port) as connection:
        while time.monotonic() < until:
            connection.command("SET", b"feed:%d:%d" % (number, time.monotonic_ns()), value(number))
            number += 1
        connection.command("SET", END, b"")
    return number
