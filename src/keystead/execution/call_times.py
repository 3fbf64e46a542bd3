"""Calls and times of each command, kept while `latency-tracking` is on.

Off by default: two readings of the clock and the bookkeeping cost about half a microsecond a command, as much as a GET.
Times are counted by their first seven bits, so that percentiles are within two percent.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING

from keystead.commands.declaration import Command
from keystead.commands.table import Run
from keystead.errors import CommandError
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from keystead.execution.session import Session

_KEPT_BITS = 7


class CallTimes:
    """What is known of one command."""

    __slots__ = ("calls", "counts", "failed", "nanoseconds", "rejected")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start over."""
        self.calls = 0
        self.rejected = 0
        """Not run: a wrong number of arguments."""
        self.failed = 0
        """Run, and answered with an error."""
        self.nanoseconds = 0
        self.counts: Counter[int] = Counter()
        """Calls by duration in nanoseconds, all but the first seven bits zero."""

    def add(self, duration_ns: int) -> None:
        """Count a call."""
        self.calls += 1
        self.nanoseconds += duration_ns
        shift = max(0, duration_ns.bit_length() - _KEPT_BITS)
        self.counts[duration_ns >> shift << shift] += 1

    def add_late(self, duration_ns: int, reply: bytes) -> None:
        """Count a call that was executed elsewhere."""
        self.failed += reply.startswith(b"-")
        self.add(duration_ns)

    def percentiles_us(self, wanted: Iterable[float]) -> list[float]:
        """The durations in microseconds that so many percent of the calls did not exceed."""
        durations_ns = sorted(self.counts)
        reached = list(accumulate(self.counts[duration_ns] for duration_ns in durations_ns))
        return [durations_ns[bisect_left(reached, self.calls * percent / 100)] / 1000 for percent in wanted]

    def histogram_us(self) -> dict[int, int]:
        """Calls that took up to each bound, cumulative; bounds are Redis', 1.024 microseconds doubled again and again,
        shown in whole ones. Only bounds that add calls are in it."""
        bounds: Counter[int] = Counter()
        for duration_ns, count in self.counts.items():
            bounds[1024 << max(0, duration_ns - 1 >> 10).bit_length()] += count
        total, cumulative = 0, {}
        for bound_ns in sorted(bounds):
            total += bounds[bound_ns]
            cumulative[bound_ns // 1000] = total
        return cumulative


class AllCallTimes:
    """By full name in small letters: "get", "client|id"."""

    def __init__(self) -> None:
        self.by_name: dict[str, CallTimes] = {}

    def reset(self) -> None:
        """Start over. Runners hold on to what they count in, so that stays and is emptied."""
        for times in self.by_name.values():
            times.reset()

    def layer(self, command: Command, run: Run) -> Run:
        """A stop-watch around the runner."""
        times = self.by_name.setdefault(command.name, CallTimes())
        now_ns = time.perf_counter_ns

        def timed(session: Session, args: list[bytes]) -> bytes | Promise:
            if not command.accepts(len(args)):
                times.rejected += 1
                return run(session, args)
            started_ns = now_ns()
            try:
                reply = run(session, args)
            except CommandError:
                times.failed += 1
                times.add(now_ns() - started_ns)
                raise
            if isinstance(reply, Promise) and reply.is_execution:
                reply.add_done(lambda promise: times.add_late(now_ns() - started_ns, promise.reply or b""))
            else:
                times.add(now_ns() - started_ns)
            return reply

        return timed
