"""Runs the latency prober beside something else, in a process of its own, and reads what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from benchmarks.figures import NotMeasured
from benchmarks.machine import REPOSITORY

_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Latencies:
    """What was seen of one command, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


@dataclass(frozen=True)
class ProbeResult:
    """`lag_ms` is the worst lateness of the prober itself: a latency can look longer by as much.

    `cpu_share` is the part of one core it took. `timeline` holds the worst latency of each 20 ms: (time since the start
    that its request counts from, latency), both in milliseconds.
    """

    get: Latencies
    set: Latencies
    lag_ms: float
    cpu_share: float
    seconds: float
    timeline: list[tuple[int, float]] = field(default_factory=list)


class ProbeFailed(NotMeasured):
    """The prober ended without a result; the message is its last line."""


class Probe:
    """Probes while the block runs, at most `limit_s` seconds; afterwards `result` is there. Raises ProbeFailed."""

    result: ProbeResult

    def __init__(self, port: int, *, clients: int, requests_per_s: float, keys: int, limit_s: float) -> None:
        words = [sys.executable, "-m", "benchmarks.prober", str(port), "--until-closed", "--keys", str(keys)]
        words += ["--clients", str(clients), "--requests-per-s", str(requests_per_s), "--seconds", str(limit_s)]
        self._words = words
        self._limit_s = limit_s

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._words, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "probing":
            raise ProbeFailed(self._last_line(self._process.communicate(timeout=_PATIENCE_S)[1]))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: BaseException | TracebackType | None) -> None:
        try:
            if kind is not None:
                return
            # communicate() closes standard input: the sign to stop.
            output, errors = self._process.communicate(timeout=_PATIENCE_S)
            if self._process.returncode != 0:
                raise ProbeFailed(self._last_line(errors))
            self.result = _parse(output)
        finally:
            self._process.kill()
            self._process.wait()

    @staticmethod
    def _last_line(errors: str) -> str:
        return "the prober ended: " + (errors.strip().splitlines() or ["without a word"])[-1]


def _parse(output: str) -> ProbeResult:
    found = json.loads(output)
    found["get"] = Latencies(**found["get"])
    found["set"] = Latencies(**found["set"])
    found["timeline"] = [(moment, latency) for moment, latency in found["timeline"]]
    return ProbeResult(**found)
