"""Questions about a long past, answered from the log and its indexes; and what those take on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.machine import REPOSITORY
from benchmarks.past_worker import ONE_IN
from benchmarks.scale import short_count

CHANGES_A_KEY = 10
LATEST_AIM_MS = 20.0
VALUE_AIM_MS = 50.0
INDEX_AIM_PERCENT = 10.0
VIEW_AIM_S = 5.0
_LIMIT_S = 1800.0


def measure(bench: Bench) -> Iterator[Figure]:
    yield from measure_past(bench, bench.scale.keys, bench.scale.rounds)


def measure_past(bench: Bench, keys: int, rounds: int) -> Iterator[Figure]:
    """A log of ten changes for each key; another process asks, as in the server, and has asked before."""
    changes = CHANGES_A_KEY * keys
    directory = bench.fresh_directory("history") / "data"
    bench.progress(f"history: writing {short_count(changes)} changes")
    _work(directory, "--fill", "--keys", str(keys), "--changes", str(changes))
    bench.progress("history: asking")
    found: dict[str, list[float]] = json.loads(_work(directory, "--keys", str(keys), "--rounds", str(rounds)))
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
