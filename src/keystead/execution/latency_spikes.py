"""What took long, event by event, while `latency-monitor-threshold` is set.

Owns: the samples, and the layer that times commands. Others record events of their own by `record`.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from keystead.commands.declaration import Command
from keystead.commands.table import Run, Wrap
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from keystead.execution.session import Session

MOST_SAMPLES = 160


class Sample(NamedTuple):
    """The worst of an event within one second."""

    at_s: int
    duration_ms: int


class Spikes:
    """The samples of one event, oldest first."""

    __slots__ = ("highest_ms", "samples")

    def __init__(self) -> None:
        self.highest_ms = 0
        self.samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)

    def add(self, at_s: int, duration_ms: int) -> None:
        """Keep the sample; of several in a second the worst."""
        self.highest_ms = max(self.highest_ms, duration_ms)
        if self.samples and self.samples[-1].at_s == at_s:
            duration_ms = max(duration_ms, self.samples.pop().duration_ms)
        self.samples.append(Sample(at_s, duration_ms))


class LatencySpikes:
    """By event: "command", "fast-command"."""

    def __init__(self) -> None:
        self.threshold_ms = 0
        """0 keeps nothing."""
        self.by_event: dict[str, Spikes] = {}

    def record(self, event: str, duration_ms: int) -> None:
        """Keep the event if it took as long as the threshold."""
        if 0 < self.threshold_ms <= duration_ms:
            self.by_event.setdefault(event, Spikes()).add(int(time.time()), duration_ms)

    def layer(self) -> Wrap | None:
        """A stop-watch around every runner while there is a threshold."""
        return self._timed if self.threshold_ms else None

    def _timed(self, command: Command, run: Run) -> Run:
        event = "fast-command" if "fast" in command.flags else "command"
        now_ns = time.perf_counter_ns

        def timed(session: Session, args: list[bytes]) -> bytes | Promise:
            started_ns = now_ns()
            reply: bytes | Promise = b""
            try:
                reply = run(session, args)
                return reply
            finally:
                if isinstance(reply, Promise) and reply.is_execution:
                    reply.add_done(lambda _: self.record(event, (now_ns() - started_ns) // 1_000_000))
                else:
                    self.record(event, (now_ns() - started_ns) // 1_000_000)

        return timed
