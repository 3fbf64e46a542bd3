"""How a process that computes in the background stays out of everybody's way. Also the program that starts one:

    python -P giving_way.py MODULE ARGUMENT …

A low priority alone does not do it. Linux leaves a core to whoever has it until a slice of time has passed, up to 4 ms
where the clock ticks 250 times a second, whoever is woken meanwhile; and the server and its sync helper are woken a
thousand times a second. So such a process rests after each half millisecond of work, and between two imports.

SCHED_IDLE gives way at once, and was rejected: where every core is busy, importing alone then took 12 seconds, and a
checkpoint half a minute.

Must not know: what is computed. Imports as little as it can.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable
from importlib import import_module

WORK_S = 0.0005
REST_S = 0.00005
NICENESS = 10


class Rests:
    """Lets others have the core for a moment, whenever the work has gone on long enough."""

    def __init__(
        self, clock_s: Callable[[], float] = time.perf_counter, rest: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock_s = clock_s
        self._rest = rest
        self._rested_s = clock_s()

    def between(self, steps: Iterable[object]) -> None:
        """Take all *steps*."""
        for _ in steps:
            self.take_if_due()

    def find_spec(self, *_: object) -> None:
        """A finder of modules that finds none: the first in `sys.meta_path` is asked before every import."""
        self.take_if_due()

    def take_if_due(self) -> None:
        """Whoever works calls this as often as he can."""
        if self._clock_s() - self._rested_s > WORK_S:
            self._rest(REST_S)
            self._rested_s = self._clock_s()


def with_rests(steps: Iterable[object]) -> None:
    """Take all *steps*, and rest between two of them now and then."""
    Rests().between(steps)


def main(arguments: list[str]) -> None:
    """Run the `main` of the module that is named first, with the other arguments."""
    os.nice(NICENESS)
    # The package may have been found in a way that an interpreter started like this does not know.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    sys.meta_path.insert(0, Rests())
    module = import_module(arguments[0])
    gc.freeze()  # a full collection looks at all that was imported, for some milliseconds and without a rest
    module.main(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
