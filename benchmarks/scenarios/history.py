"""Questions about a long past, answered from the log and its indexes; what that costs on disk, and those who read and
write meanwhile."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median

from benchmarks.bench import Bench
from benchmarks.connection import Connection
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.load import Load
from benchmarks.machine import REPOSITORY
from benchmarks.others import Others
from benchmarks.past_worker import KEY, ONE_IN, QUESTIONS
from benchmarks.probing import Probe, ProbeResult
from benchmarks.scale import short_count
from benchmarks.scenarios.throughput import SET, cpu_note
from benchmarks.servers import Server

CHANGES_A_KEY = 10
LATEST_AIM_MS = 20.0
VALUE_AIM_MS = 50.0
INDEX_AIM_PERCENT = 10.0
VIEW_AIM_S = 5.0
BESIDE_AIM_TIMES = 1.2
WRITING_AIM = 0.97
_LIMIT_S = 1800.0
KEEP_ALL = {"KEYSTEAD_HISTORY_MAX_AGE": "3650d", "KEYSTEAD_HISTORY_MAX_BYTES": "1024gb"}
KEEP_NOTHING = {"KEYSTEAD_HISTORY_MAX_AGE": "0", "KEYSTEAD_HISTORY_MAX_BYTES": "0"}
# Small ones, so that a few are sealed and indexed, and checkpoints made, in the time of a round.
SEGMENTS = {"KEYSTEAD_SEGMENT_SIZE": "16mb"}
_BESIDE_ROUNDS = 4
"""Rounds of p99 for each heavy round, each as much shorter: what disturbs the machine then meets all sides alike."""
_ATTEMPTS = 5
_OTHERS_CORES = 0.1
_CAT = """
import pathlib, sys
while True:
    for path in pathlib.Path(sys.argv[1]).glob("segment-*.log"):
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 17):
                pass
"""
"""What `cat` does: the files are in memory, so it is all copying."""
_COMPUTE_IDLE = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""
_CLIENTS = 50
_REQUESTS_PER_S = 1000

Ask = Callable[[], tuple[str | int, ...]]


def measure(bench: Bench) -> Iterator[Figure]:
    keys = bench.scale.keys
    changes = CHANGES_A_KEY * keys
    directory = bench.fresh_directory("history") / "data"
    bench.progress(f"history: writing {short_count(changes)} changes")
    _work(directory, "--fill", "--keys", str(keys), "--changes", str(changes))
    yield from measure_past(bench, directory, keys)
    yield from measure_served(bench, directory, keys)
    yield measure_writing(bench)


def measure_past(bench: Bench, directory: Path, keys: int) -> Iterator[Figure]:
    """A log of ten changes for each key; another process asks, as in the server, and has asked before."""
    rounds, changes = str(bench.scale.rounds), CHANGES_A_KEY * keys
    bench.progress("history: asking")
    found: dict[str, list[float]] = json.loads(_work(directory, "--keys", str(keys), "--rounds", rounds))
    size = f"log of {found['log'][0] / 1e6:.0f} MB"
    written = f"{short_count(changes)} changes retained"
    note = (
        f"{size}; one change in {ONE_IN} is of this key; the first answer of a new process took "
        f"{found['opened'][0] + found['first'][0]:.0f} ms"
    )
    latest = f"latest 100 changes of a key, {written}"
    yield Figure("history", latest, "ms", found["history"], peer_name="", aim=_at_most(LATEST_AIM_MS), note=note)
    value = f"a key at a moment, {written}"
    yield Figure("history", value, "ms", found["value"], peer_name="", aim=_at_most(VALUE_AIM_MS), note=size)
    view = f"all of {short_count(keys)} keys at a moment, {written}"
    yield Figure("history", view, "s", found["view"], peer_name="", aim=_at_most(VIEW_AIM_S), note=size)
    index = "index of sealed segments, share of their size"
    yield Figure("history", index, "%", found["index"], peer_name="", aim=_at_most(INDEX_AIM_PERCENT), note=size)


def measure_served(bench: Bench, directory: Path, keys: int) -> Iterator[Figure]:
    """The same log behind a server: a question's round trip, and what the others notice while all of it is read."""
    written = f"{short_count(CHANGES_A_KEY * keys)} changes retained"
    with Server(bench.ours, directory, environment=KEEP_ALL) as server, server.connect() as connection:
        began_s = time.perf_counter()
        connection.command("KS.HISTORY", KEY, "COUNT", 1)
        note = f"the first answer of the server took {(time.perf_counter() - began_s) * 1000:.0f} ms"
        trips = [_round_trip_ms(connection) for _ in range(bench.scale.rounds)]
        name = f"latest 100 changes of a key by KS.HISTORY, {written}"
        yield Figure("history", name, "ms", trips, peer_name="", aim=_at_most(LATEST_AIM_MS), note=note)
        yield from _beside(bench, server, directory, keys)


def _round_trip_ms(connection: Connection) -> float:
    times = []
    for _ in range(QUESTIONS):
        began_s = time.perf_counter()
        connection.command("KS.HISTORY", KEY, "COUNT", 100)
        times.append((time.perf_counter() - began_s) * 1000)
    return median(times)


def _beside(bench: Bench, server: Server, directory: Path, keys: int) -> Iterator[Figure]:
    """p99 of paced clients' GETs in peace, and while one client asks for what takes reading much of the log; and beside
    processes that have nothing to do with us, to tell what any reader and any computing costs on this machine."""
    moments = random.Random(9)

    def a_moment() -> int:
        return moments.randrange(keys, CHANGES_A_KEY * keys)

    quiet = "without"
    beside: dict[str, Callable[[], AbstractContextManager[None]]] = {
        quiet: nullcontext,
        "KS.LOG reads the log": lambda: _asking(server, lambda: ("KS.LOG", "PREFIX", "none", "FROM", 1)),
        "KS.DIFF reads the log": lambda: _asking(server, lambda: ("KS.DIFF", a_moment(), a_moment(), "PREFIX", "none")),
        "KS.KEYS reads the log": lambda: _asking(server, lambda: ("KS.KEYS", "AT", a_moment(), "COUNT", 1)),
        "cat reads the log": lambda: _running(_CAT, str(directory)),
        "a process of the class SCHED_IDLE computes": lambda: _running(_COMPUTE_IDLE),
    }
    found: dict[str, list[ProbeResult]] = {name: [] for name in beside}
    rounds = _BESIDE_ROUNDS * bench.scale.heavy_rounds
    disturbed = 0
    for number in range(1, rounds + 1):
        bench.progress(f"history: GET beside questions, round {number} of {rounds}")
        for name, begin in beside.items():
            for attempt in range(_ATTEMPTS):
                with begin(), _probe(server, keys) as probe:
                    others = Others()
                    time.sleep(bench.scale.probe_seconds / _BESIDE_ROUNDS)
                    is_disturbed = others.cores() > _OTHERS_CORES
                disturbed += is_disturbed
                if not is_disturbed or attempt == _ATTEMPTS - 1:
                    found[name].append(probe.result)
                    break
    without = [result.get.p99_ms for result in found.pop(quiet)]
    note = f"{_CLIENTS} paced clients, half of the requests SETs that are synced; {rounds} rounds, taken in turn"
    if disturbed:
        note += (
            f"; others took more than {_OTHERS_CORES:.0%} of a core in {disturbed} turns, measured again where it could"
        )
    for name, results in found.items():
        yield Figure(
            "history",
            f"p99 of GET while {name}, against without",
            "ms",
            [result.get.p99_ms for result in results],
            without,
            quiet,
            aim=Aim("at most", BESIDE_AIM_TIMES) if name.startswith("KS.") else None,
            note=note,
        )


@contextmanager
def _running(program: str, *words: str) -> Iterator[None]:
    """Another process, until the block ends."""
    process = subprocess.Popen([sys.executable, "-c", program, *words])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _probe(server: Server, keys: int) -> Probe:
    return Probe(server.port, clients=_CLIENTS, requests_per_s=_REQUESTS_PER_S, keys=keys, limit_s=60.0)


@contextmanager
def _asking(server: Server, ask: Ask) -> Iterator[None]:
    """One client asks again and again, until the block ends; then it leaves, which calls its question off."""
    ended = threading.Event()
    failures: list[Exception] = []
    connection = server.connect()

    def ask_on() -> None:
        while not ended.is_set():
            try:
                connection.command(*ask())
            except (OSError, NotMeasured) as error:
                if not ended.is_set():
                    failures.append(error)
                return

    asking = threading.Thread(target=ask_on)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        connection.close()
        asking.join()
    if failures:
        raise NotMeasured(f"the question failed: {failures[0]}")


def measure_writing(bench: Bench) -> Figure:
    """SET with history as it is when nobody has set anything, and with none kept, which needs no indexes either."""
    keys = bench.scale.throughput_keys
    name = "SET, 50 clients, 16 deep, history on against off"
    load = Load(50, SET, pipeline=16, keys=keys)
    on = bench.one(bench.ours, keys, environment=SEGMENTS)
    off = bench.one(bench.ours, keys, environment=SEGMENTS | KEEP_NOTHING)
    with on, off:
        ours, without = bench.compare_load(name, load, (on, off), bench.scale.rounds)
    return Figure(
        "history",
        name,
        "requests/s",
        [turn.requests_per_s for turn in ours],
        [turn.requests_per_s for turn in without],
        "without",
        aim=Aim("at least", WRITING_AIM),
        note=cpu_note(ours, without),
    )


def _at_most(limit: float) -> Aim:
    return Aim("at most", limit, "ours")


def _work(directory: Path, *words: str) -> str:
    command = [sys.executable, "-m", "benchmarks.past_worker", str(directory), *words]
    try:
        return subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=_LIMIT_S, check=True
        ).stdout
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"it took more than {_LIMIT_S:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise NotMeasured((error.stderr.strip().splitlines() or ["failed"])[-1]) from None
