"""A process that writes a long past, or asks about it. Prints what it measured as JSON.

python -m benchmarks.past_worker DIRECTORY --fill --keys 1000000 --changes 10000000
python -m benchmarks.past_worker DIRECTORY --keys 1000000 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.datasets import key as key_of
from keystead.engine.background import ThreadBackground
from keystead.engine.engine import Engine, Options
from keystead.engine.files import Directory
from keystead.engine.history.past import Past

KEY = b"one:key"
ONE_IN = 1_000
"""One change in so many is of the key whose past is asked for."""
IN_A_TURN = 50
"""As many as clients that write at once."""
LOOK_EVERY_S = 0.02
QUESTIONS = 20
KEPT = {"history_max_age_ms": 1 << 50, "history_max_bytes": 1 << 50}


def fill(directory: Path, keys: int, changes: int) -> None:
    """Changes of about 100 bytes each in the log, over all keys; checkpoints and indexes are made meanwhile."""
    engine = Engine(str(directory), Options(fsync="never", **KEPT), background=ThreadBackground())
    for _ in engine.load():
        pass
    put = engine.databases[0].keyspace.put
    drawn = Random(7).random
    for number in range(changes):
        key = KEY if number % ONE_IN == 0 else key_of(number if number < keys else int(drawn() * keys))
        put(key, b"%060d" % number)
        if number % IN_A_TURN == IN_A_TURN - 1:
            engine.end_turn()
            if number % (100 * IN_A_TURN) == 100 * IN_A_TURN - 1:
                engine.housekeep(1)
                engine.end_turn()
    engine.end_turn()
    engine.housekeep(1)
    while not engine.at_rest:
        time.sleep(LOOK_EVERY_S)
        engine.housekeep(1)
        engine.sync()
    engine.close()


def ask(directory: Path, keys: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each question, seconds of each view, and what the index takes."""
    started = time.perf_counter()
    past = Past(Directory(str(directory)))
    opened_ms = _ms(started)
    random = Random(8)
    newest = past.newest.sequence
    log = _bytes(directory, ".log")
    started = time.perf_counter()
    assert len(past.key_changes(0, KEY, 100)) == 100
    first_ms = _ms(started)

    def history() -> None:
        assert len(past.key_changes(0, KEY, 100)) == 100

    def at_a_moment() -> None:
        moment = past.moment(random.randrange(newest // 5, newest))
        past.values_at(0, [key_of(random.randrange(keys))], moment)

    answers = {
        "opened": [opened_ms],
        "first": [first_ms],
        "history": [_timed(history) for _ in range(rounds)],
        "value": [_timed(at_a_moment) for _ in range(rounds)],
        "log": [log],
        "index": [100 * _bytes(directory, ".idx") / max(1, _bytes(directory, ".log", sealed=True))],
        "view": [],
    }
    for _ in range(rounds):
        started = time.perf_counter()
        past.view_at(past.moment(random.randrange(newest // 5, newest)))
        answers["view"].append(_ms(started) / 1000)
    return answers


def _timed(question: Callable[[], None]) -> float:
    times = []
    for _ in range(QUESTIONS):
        started = time.perf_counter()
        question()
        times.append(_ms(started))
    return median(times)


def _ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _bytes(directory: Path, suffix: str, *, sealed: bool = False) -> int:
    files = [entry for entry in os.scandir(directory) if entry.name.endswith(suffix)]
    return sum(entry.stat().st_size for entry in files if not sealed or Path(entry.path).with_suffix(".idx").exists())


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("directory", type=Path)
    options.add_argument("--fill", action="store_true")
    options.add_argument("--keys", type=int, required=True)
    options.add_argument("--changes", type=int, default=0)
    options.add_argument("--rounds", type=int, default=1)
    given = options.parse_args()
    if given.fill:
        fill(given.directory, given.keys, given.changes)
    else:
        print(json.dumps(ask(given.directory, given.keys, given.rounds)))


if __name__ == "__main__":
    main()
