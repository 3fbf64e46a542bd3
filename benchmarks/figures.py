"""What a measurement is and how it is summed up: samples of two sides, an aim, a verdict. Knows no server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

Summary = Literal["median", "worst"]
Verdict = Literal["met", "missed", "not run", ""]


class NotMeasured(Exception):
    """A figure could not be had; the message says why and stands in the report in its place."""


@dataclass(frozen=True)
class Aim:
    """What should be reached: by the ratio ours / peer, or by our own value whatever the peer's is."""

    comparison: Literal["at least", "at most"]
    limit: float
    measures: Literal["ratio", "ours"] = "ratio"

    def is_met(self, value: float) -> bool:
        return value >= self.limit if self.comparison == "at least" else value <= self.limit


@dataclass
class Figure:
    """One line of the report. `ours` and `peer` hold a sample a round, in `unit`; `not_run` says why there are none."""

    scenario: str
    name: str
    unit: str
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    peer_name: str = "Redis"
    aim: Aim | None = None
    summary: Summary = "median"
    keys: int | None = None
    note: str = ""
    not_run: str = ""

    @property
    def our_value(self) -> float | None:
        return summarize(self.ours, self.summary)

    @property
    def peer_value(self) -> float | None:
        return summarize(self.peer, self.summary)

    @property
    def ratio(self) -> float | None:
        """Ours / peer's, of the summed-up values; None when a side is missing or the peer's is 0."""
        ours, peer = self.our_value, self.peer_value
        return ours / peer if ours is not None and peer else None

    @property
    def verdict(self) -> Verdict:
        if self.not_run:
            return "not run"
        if self.aim is None:
            return ""
        value = self.ratio if self.aim.measures == "ratio" else self.our_value
        if value is None:
            return "not run"
        return "met" if self.aim.is_met(value) else "missed"


def summarize(samples: Sequence[float], summary: Summary) -> float | None:
    """The median of the samples, or the largest ("worst" is only asked of latencies); None without samples."""
    if not samples:
        return None
    return median(samples) if summary == "median" else max(samples)


def quantile(ordered: Sequence[float], fraction: float) -> float:
    """The smallest of the sorted samples that at least `fraction` of them do not exceed (nearest rank).

    Raises ValueError without samples or with a fraction outside 0..1.
    """
    if not ordered or not 0 <= fraction <= 1:
        raise ValueError("a quantile needs samples and a fraction between 0 and 1")
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]
