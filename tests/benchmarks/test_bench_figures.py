"""Statistics of the benchmarks: medians, quantiles, ratios, verdicts."""

import pytest

from benchmarks.figures import Aim, Figure, quantile, summarize
from benchmarks.scale import short_count


def figure(ours: list[float], peer: list[float], **more: object) -> Figure:
    return Figure("family", "name", "requests/s", ours, peer, **more)  # type: ignore[arg-type]


def test_the_median_is_not_moved_by_one_bad_round() -> None:
    assert summarize([10.0, 11.0, 1.0, 12.0, 11.0], "median") == 11.0


def test_of_an_even_number_of_rounds_the_median_is_between_the_middle_two() -> None:
    assert summarize([4.0, 1.0, 3.0, 2.0], "median") == 2.5


def test_the_worst_of_latencies_is_the_largest() -> None:
    assert summarize([4.0, 90.0, 3.0], "worst") == 90.0


def test_without_samples_there_is_no_summary() -> None:
    assert summarize([], "median") is None


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (0.999, 100.0), (1.0, 100.0)]
)
def test_a_quantile_is_one_of_the_samples_by_nearest_rank(fraction: float, expected: float) -> None:
    assert quantile([float(number) for number in range(1, 101)], fraction) == expected


def test_a_quantile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs samples"):
        quantile([], 0.5)


def test_a_fraction_given_in_percent_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile([1.0], 99)


def test_the_ratio_is_of_medians_and_not_the_median_of_ratios() -> None:
    assert figure([10.0, 20.0, 30.0], [10.0, 5.0, 40.0]).ratio == 2.0


@pytest.mark.parametrize(("ours", "peer"), [([], [1.0]), ([1.0], []), ([1.0], [0.0])])
def test_without_a_side_there_is_no_ratio(ours: list[float], peer: list[float]) -> None:
    assert figure(ours, peer).ratio is None


@pytest.mark.parametrize(("ours", "verdict"), [(115.0, "met"), (114.0, "missed")])
def test_an_aim_for_the_ratio_is_met_at_its_limit(ours: float, verdict: str) -> None:
    assert figure([ours], [100.0], aim=Aim("at least", 1.15)).verdict == verdict


@pytest.mark.parametrize(("ours", "verdict"), [(20.0, "met"), (20.1, "missed")])
def test_an_aim_for_our_own_value_does_not_ask_what_the_peer_did(ours: float, verdict: str) -> None:
    assert figure([ours], [500.0], aim=Aim("at most", 20.0, "ours")).verdict == verdict


def test_a_figure_without_an_aim_has_no_verdict() -> None:
    assert figure([1.0], [2.0]).verdict == ""


def test_what_could_not_be_measured_is_neither_met_nor_missed() -> None:
    assert figure([], [], aim=Aim("at least", 1.0)).verdict == "not run"
    assert figure([9.0], [1.0], aim=Aim("at least", 1.0), not_run="no compiler").verdict == "not run"


@pytest.mark.parametrize(("number", "text"), [(1_000_000, "1 M"), (300_000, "300 k"), (1_500, "1500"), (0, "0")])
def test_counts_are_short_where_that_loses_nothing(number: int, text: str) -> None:
    assert short_count(number) == text
