"""Measures an in-process store in a process of its own: `python -m benchmarks.embedded_worker STORE DURABILITY DIR`."""

from __future__ import annotations

import argparse
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.datasets import key, value
from benchmarks.embedded import STORES, Items, Store

THREADS = 8
_CHUNK = 500
_THREAD_CHUNK = 5
_FILL_BATCH = 20_000


def name_of(number: int, *, text: bool) -> Any:
    return key(number).decode() if text else key(number)


def fill(store: Store, keys: int, *, text: bool) -> None:
    for first in range(0, keys, _FILL_BATCH):
        store.fill(_items(range(first, min(first + _FILL_BATCH, keys)), text))
    store.finish()


def _items(numbers: range, text: bool) -> Items:
    return [(name_of(number, text=text), value(number)) for number in numbers]


def rate(store: Store, act: Callable[[Any], Any], names: list[Any], seconds: float) -> float:
    """Calls a second of one thread, over random names."""
    done = 0
    began = now = time.perf_counter()
    for chunk in _endless_chunks(names, _CHUNK):
        for name in chunk:
            act(name)
        done += len(chunk)
        now = time.perf_counter()
        if now - began >= seconds:
            break
    store.finish()
    return done / (time.perf_counter() - began)


def rate_of_threads(act: Callable[[Any], Any], names: list[Any], seconds: float) -> float:
    """Calls a second of eight threads together."""
    counts = [0] * THREADS
    together = threading.Barrier(THREADS + 1)
    end = 0.0

    def work(number: int) -> None:
        together.wait()
        for chunk in _endless_chunks(names[number::THREADS], _THREAD_CHUNK):
            for name in chunk:
                act(name)
            counts[number] += len(chunk)
            if time.perf_counter() >= end:
                return

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    end = began + seconds
    together.wait()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def _endless_chunks(names: list[Any], size: int) -> Iterator[list[Any]]:
    while True:
        for first in range(0, len(names), size):
            yield names[first : first + size]


def measure(store: Store, durability: str, names: list[Any], seconds: float) -> dict[str, float]:
    new_value = value(11)
    put = store.put

    def set_(name: Any) -> None:
        put(name, new_value)

    if durability == "always":
        return {"set": rate_of_threads(set_, names, seconds)}
    return {"get": rate(store, store.get, names, seconds), "set": rate(store, set_, names, seconds)}


def main() -> None:
    options = argparse.ArgumentParser(prog="benchmarks.embedded_worker")
    options.add_argument("store", choices=STORES)
    options.add_argument("durability", choices=("never", "always"))
    options.add_argument("directory", type=Path)
    options.add_argument("--keys", type=int, required=True)
    options.add_argument("--seconds", type=float, required=True)
    options.add_argument("--fill", action="store_true", help="only put the keys there")
    given = options.parse_args()
    kind = STORES[given.store]
    store = kind.opens(given.directory, given.durability)
    try:
        if given.fill:
            fill(store, given.keys, text=kind.keys_are_text)
            print("{}")
            return
        names = [name_of(number, text=kind.keys_are_text) for number in range(given.keys)]
        if store.get(names[7]) != value(7):
            raise SystemExit(f"{given.store} does not give back what was put there")
        names.remove(names[7])
        random.Random(2).shuffle(names)
        print(json.dumps(measure(store, given.durability, names, given.seconds)))
    finally:
        store.close()


if __name__ == "__main__":
    main()
