"""A backup restored to a moment, and a served store shipped while it is written to: how late, and at what cost."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import load as loads
from benchmarks import processes
from benchmarks.bench import Bench
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.load import Load
from benchmarks.scale import short_count
from benchmarks.servers import Server

RESTORE_AIM_S = 5.0
LAG_AIM_MS = 1000.0
_WRITERS = Load(50, ("SET", "key:__rand_int__", "x" * 64), keys=100_000)
_LOOK_EVERY_S = 0.02
_BEGIN_LIMIT_S = 60.0


def measure(bench: Bench) -> Iterator[Figure]:
    yield measure_restore(bench, bench.scale.keys, bench.scale.heavy_rounds)
    yield from measure_shipping(bench, bench.scale.heavy_rounds)


def measure_restore(bench: Bench, keys: int, rounds: int) -> Figure:
    """The directory is as a load of one transaction a key left it; the moment is the last transaction but one."""
    name = f"restore {short_count(keys)} keys to a moment"
    directory, root = bench.datasets.copy(bench.ours, keys), bench.fresh_directory("backup")
    bench.progress(f"{name}: backup")
    took_s = _run(bench, "backup", str(root / "away"), "--dir", str(directory))
    again_s = _run(bench, "backup", str(root / "away"), "--dir", str(directory))
    samples = []
    for number in range(1, rounds + 1):
        bench.progress(f"{name}: round {number} of {rounds}")
        into = ("--to-sequence", str(keys - 1), "--into", str(root / f"back-{number}"))
        samples.append(_run(bench, "restore", "--from", str(root / "away"), *into))
    note = f"every file verified and read as a start does; the backup took {took_s:.1f} s, a second one {again_s:.1f} s"
    return Figure("backup", name, "s", samples, peer_name="", aim=Aim("at most", RESTORE_AIM_S, "ours"), note=note)


def measure_shipping(bench: Bench, rounds: int) -> Iterator[Figure]:
    """50 clients write; with and without a follower, in turns."""
    root = bench.fresh_directory("shipping")
    lags_ms: list[float] = []
    followed: list[float] = []
    alone: list[float] = []
    name = "backup --follow of 50 writers"
    with Server(bench.ours, root / "store") as server:
        requests = loads.requests_for(server.port, _WRITERS, bench.scale.load_seconds)
        for number in range(1, rounds + 1):
            bench.progress(f"{name}: round {number} of {rounds}")
            alone.append(loads.run(server.port, _WRITERS, requests, 60).requests_per_s)
            with _following(bench, root / "away", root / "store") as lag_ms:
                followed.append(loads.run(server.port, _WRITERS, requests, 60).requests_per_s)
            lags_ms.append(max(lag_ms))
    yield Figure(
        "backup",
        f"{name}: longest lag",
        "ms",
        lags_ms,
        peer_name="",
        aim=Aim("at most", LAG_AIM_MS, "ours"),
        summary="worst",
        note="age of the newest snapshot: all that was acknowledged before is in it",
    )
    yield Figure("backup", f"{name}: SET, against without", "requests/s", followed, alone, "without")


@contextmanager
def _following(bench: Bench, away: Path, directory: Path) -> Iterator[list[float]]:
    """A follower, under way until the block ends; the list gets the age of what it has shipped, again and again."""
    before = set(_snapshots(away))
    words = [bench.ours.program, "-m", "keystead", "backup", str(away), "--dir", str(directory), "--follow"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ended = threading.Event()
    lags_ms: list[float] = []

    def look() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            lags_ms.append(time.time() * 1000 - _taken_ms(max(_snapshots(away))))

    looking = threading.Thread(target=look)
    try:
        deadline_s = time.monotonic() + _BEGIN_LIMIT_S
        while set(_snapshots(away)) == before:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise NotMeasured("the follower did not begin")
            time.sleep(_LOOK_EVERY_S)
        looking.start()
        yield lags_ms
    finally:
        ended.set()
        if looking.ident is not None:
            looking.join()
        processes.end(process)


def _snapshots(away: Path) -> list[Path]:
    return list((away / "snapshots").glob("*.json"))


def _taken_ms(snapshot: Path) -> float:
    found = re.search(rb'"taken_ms": (\d+)', snapshot.read_bytes())
    if found is None:
        raise NotMeasured(f"{snapshot} does not say when it was taken")
    return float(found[1])


def _run(bench: Bench, *arguments: str) -> float:
    """Seconds that the command takes, from starting the program to its end."""
    began_s = time.perf_counter()
    done = subprocess.run(
        [bench.ours.program, "-m", "keystead", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NotMeasured(f"keystead {arguments[0]} ended with status {done.returncode}: {done.stderr.strip()[-200:]}")
    return time.perf_counter() - began_s
