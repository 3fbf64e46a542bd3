"""What is measured while it happens: histograms with fixed bounds.

An observation costs a tenth of a microsecond; the client library for Prometheus needs six times that for its lock, so
it only writes the page (see server/metrics_page). Must not know: what is measured, how it is shown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

SECONDS: Final = tuple(round(0.00005 * 2**step, 6) for step in range(18))
"""From 50 microseconds, doubled, to 6.5 seconds: a sync takes from some of the first to all of the last."""
COUNTS: Final = tuple(float(2**step) for step in range(15))
"""From 1, doubled, to 16,384."""


class Histogram:
    """Counts observations by bounds; each bound belongs to the bucket below it."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """Observations in each bucket; the last one is of those above all bounds."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[float, int]]:
        """(bound, observations up to it), infinity last."""
        return list(zip((*self.bounds, float("inf")), accumulate(self.counts), strict=True))
