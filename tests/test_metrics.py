"""Histograms: which bucket an observation is in, and what is made of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.metrics import COUNTS, SECONDS, Histogram


def test_seconds_begin_at_fifty_microseconds_and_end_above_the_longest_stall_of_a_good_disk() -> None:
    assert SECONDS[0] == 0.00005
    assert SECONDS[-1] > 5
    assert all(later == pytest.approx(2 * bound) for bound, later in pairwise(SECONDS))


def test_a_bound_belongs_to_the_bucket_below_it() -> None:
    measured = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        measured.observe(value)
    assert measured.cumulative() == [(1.0, 2), (2.0, 4), (float("inf"), 5)]
    assert measured.total == 7.5


@given(st.lists(st.floats(0, 1e6)))
def test_each_bucket_counts_what_is_not_above_its_bound(values: list[float]) -> None:
    measured = Histogram(COUNTS)
    for value in values:
        measured.observe(value)
    assert measured.cumulative() == [
        (bound, sum(value <= bound for value in values)) for bound in (*COUNTS, float("inf"))
    ]
