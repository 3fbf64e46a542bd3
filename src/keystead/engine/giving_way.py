"""How a process that computes in the background stays out of everybody's way. Also the program that starts one:

    python -P giving_way.py MODULE ARGUMENT …

A low priority alone does not do it. Linux leaves a core to whoever has it until a slice of time has passed, up to 4 ms
where the clock ticks 250 times a second, whoever is woken meanwhile; and the server and its sync helper are woken a
thousand times a second. So such a process gives way by itself: it rests after each half millisecond of work, and its
imports, which know no rest, are done by a thread that gives way to all others at once (SCHED_IDLE). That for all of the
work was rejected: where every core is busy a checkpoint then took a hundred times as long.

Must not know: what is computed. Imports as little as it can.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from threading import Thread

WORK_S = 0.0005
REST_S = 0.00005
NICENESS = 10


def with_rests(
    steps: Iterable[object],
    clock_s: Callable[[], float] = time.perf_counter,
    rest: Callable[[float], None] = time.sleep,
) -> None:
    """Take all *steps*, and rest between two of them whenever the work has gone on long enough."""
    rested_s = clock_s()
    for _ in steps:
        if clock_s() - rested_s > WORK_S:
            rest(REST_S)
            rested_s = clock_s()


def import_gently(name: str) -> None:
    """Import a module while nobody else wants this core."""

    def work() -> None:
        if sys.platform == "linux":
            with suppress(OSError):  # not everywhere is a thread allowed to choose
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # of this thread alone
        with suppress(ImportError):  # whoever uses it is told
            import_module(name)

    thread = Thread(target=work)
    thread.start()
    thread.join()


def main(arguments: list[str]) -> None:
    """Run the `main` of the module that is named first, with the other arguments."""
    module, *others = arguments
    os.nice(NICENESS)
    # The package may have been found in a way that an interpreter started like this does not know.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    import_gently(module)
    gc.freeze()  # a full collection looks at all that was imported, for some milliseconds and without a rest
    import_module(module).main(others)


if __name__ == "__main__":
    main(sys.argv[1:])
