"""What others take of the machine while something is measured: what they took is not what we measure.

Linux only; elsewhere nobody is seen.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE, _WAITING_FOR_DISK = 3, 4
_OWN_AND_WAITED_FOR = slice(11, 15)
"""Of /proc/PID/stat behind the name: user and system time, of the process and of its children that have ended."""


class Others:
    """Counts from its making on."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self._before_s = _busy_s() - _ours_s(os.getpid())

    def cores(self) -> float:
        """How many cores processes that are neither this one nor descend from it have kept busy."""
        took_s = _busy_s() - _ours_s(os.getpid()) - self._before_s
        return max(0.0, took_s / (time.perf_counter() - self._began_s))


def _busy_s() -> float:
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)[1:9]]
    except OSError:
        return 0.0
    return (sum(ticks) - ticks[_IDLE] - ticks[_WAITING_FOR_DISK]) / _TICKS_PER_S


def _ours_s(pid: int) -> float:
    """Processor time of a process and of all that descend from it; 0 of one that has just ended."""
    process = Path("/proc", str(pid))
    try:
        words = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        tasks = list((process / "task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    except OSError:
        return 0.0
    return sum(map(int, words[_OWN_AND_WAITED_FOR])) / _TICKS_PER_S + sum(map(_ours_s, children))
