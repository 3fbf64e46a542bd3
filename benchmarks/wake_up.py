"""How late somebody is woken on a core on which a background process computes: by its priority, class and rests.

    python -m benchmarks.wake_up [--sleep-ms 1] [--work-ms 0.2] [--rounds 6]

A sleeper and the process share one core, as a server and the process that reads the past do when the other core is
taken. What is best differs from kernel to kernel; `keystead.engine.giving_way` has what was chosen. Linux only.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.figures import quantile

WORK_S = 0.0005
REST_S = 0.00005
_SLEEPS = 500


def _nice(by: int, policy: int = os.SCHED_OTHER) -> Callable[[], None]:
    def give_way() -> None:
        os.sched_setscheduler(0, policy, os.sched_param(0))
        os.nice(by)

    return give_way


def _rest() -> None:
    time.sleep(REST_S)


def _go_on() -> None:
    pass


BESIDE: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
    "nice 10": (_nice(10), _go_on),
    "nice 10, rests": (_nice(10), _rest),
    "nice 10, yields": (_nice(10), os.sched_yield),
    "nice 19": (_nice(19), _go_on),
    "nice 19, rests": (_nice(19), _rest),
    "SCHED_BATCH, nice 10": (_nice(10, os.SCHED_BATCH), _go_on),
    "SCHED_BATCH, nice 10, rests": (_nice(10, os.SCHED_BATCH), _rest),
    "SCHED_BATCH, nice 10, yields": (_nice(10, os.SCHED_BATCH), os.sched_yield),
    "SCHED_IDLE": (_nice(0, os.SCHED_IDLE), _go_on),
}
"""How a process makes itself small, and what it does after each half millisecond of work."""


@contextmanager
def computing(give_way: Callable[[], None], pause: Callable[[], None]) -> Iterator[None]:
    """A process that does nothing else, until the block ends."""
    pid = os.fork()
    if not pid:
        give_way()
        while True:
            began_s = time.perf_counter()
            while time.perf_counter() - began_s < WORK_S:
                pass
            pause()
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def lateness_ms(sleep_s: float, work_s: float) -> Iterator[float]:
    """Of a sleeper that works a little between two sleeps."""
    for _ in range(_SLEEPS):
        began_s = time.perf_counter()
        time.sleep(sleep_s)
        woken_s = time.perf_counter()
        yield (woken_s - began_s - sleep_s) * 1000
        while time.perf_counter() - woken_s < work_s:
            pass


def main() -> None:
    options = argparse.ArgumentParser(prog="benchmarks.wake_up")
    options.add_argument("--sleep-ms", type=float, default=1.0)
    options.add_argument("--work-ms", type=float, default=0.2)
    options.add_argument("--rounds", type=int, default=6)
    given = options.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sleep_s, work_s = given.sleep_ms / 1000, given.work_ms / 1000
    found: dict[str, list[float]] = {"alone": [], **{name: [] for name in BESIDE}}
    for _ in range(given.rounds):
        found["alone"] += lateness_ms(sleep_s, work_s)
        for name, (give_way, pause) in BESIDE.items():
            with computing(give_way, pause):
                found[name] += lateness_ms(sleep_s, work_s)
    print(f"{'woken late by, in ms':30}    p50    p90    p95    p99     max")
    for name, late in found.items():
        late.sort()
        quantiles = "".join(f"{quantile(late, fraction):7.3f}" for fraction in (0.5, 0.9, 0.95, 0.99))
        print(f"{name:30}{quantiles}{late[-1]:8.2f}")


if __name__ == "__main__":
    main()
