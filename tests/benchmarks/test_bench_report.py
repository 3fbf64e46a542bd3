"""How figures look on a terminal, in Markdown and in JSON."""

import json

import pytest

from benchmarks.figures import Aim, Figure
from benchmarks.report import aim_text, as_json, cells, markdown, quantity, spread, terminal_table

MET = Figure(
    "throughput", "SET, 50 clients", "requests/s", [50_000.0, 60_000.0], [50_000.0], "Redis", Aim("at least", 1.0)
)
MISSED = Figure("growing", "longest GET", "ms", [5.0, 42.0], [9.0], "Redis", Aim("at most", 20, "ours"), "worst")
OTHER_PEER = Figure("in-process", "get", "calls/s", [2_000_000.0], [1_000_000.0], "lmdb", Aim("at least", 1.0))
NOT_RUN = Figure("slow-disk", "GET while SET", "requests/s", aim=Aim("at least", 8), not_run="needs a C compiler (cc)")
DOCUMENT = {
    "moment": {"date": "2026-01-02T03:04:05+00:00", "git_revision": "0123456789abcdef", "sources_changed_since": True},
    "machine": {
        "processor": "Cpu",
        "cores": 2,
        "memory_bytes": 2**33,
        "system": "Linux 6",
        "file_system": "ext4",
        "load_average_before": 0.3,
    },
    "versions": {"python": "CPython 3.11.7", "lmdb": "not installed"},
    "sides": {"ours": "Keystead", "our_version": "0.1.0", "peer": "Redis", "peer_version": "7.0.15"},
    "scale": {"name": "quick", "rounds": 2, "load_seconds": 0.4},
}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (81_234.0, "requests/s", "81.2 k/s"),
        (1_234_567.0, "calls/s", "1.23 M/s"),
        (171.0, "calls/s", "171 /s"),
        (0.4213, "ms", "0.421 ms"),
        (118.4, "bytes", "118 B"),
        (1.5, "times", "1.50 times"),
        (0.0, "ms", "0 ms"),
        (None, "ms", "—"),
    ],
)
def test_values_are_shown_with_three_digits_and_their_unit(value: float | None, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_an_aim_for_our_own_value_shows_its_unit_and_one_for_a_ratio_has_none() -> None:
    assert aim_text(Aim("at most", 20, "ours"), "ms") == "≤ 20 ms"
    assert aim_text(Aim("at least", 1.15), "requests/s") == "≥ 1.15"
    assert aim_text(None, "ms") == ""


def test_a_row_shows_aim_both_sides_ratio_and_verdict() -> None:
    assert cells(MET, "Redis") == ("SET, 50 clients", "≥ 1", "55.0 k/s", "50.0 k/s", "1.10", "met")


def test_a_peer_other_than_the_main_one_is_named() -> None:
    assert cells(OTHER_PEER, "Redis")[3] == "lmdb 1.00 M/s"


def test_the_terminal_table_lines_up_and_says_why_a_row_is_missing() -> None:
    table = terminal_table([MET, MISSED, OTHER_PEER, NOT_RUN, NOT_RUN], "Redis", colours=False)
    heading, rule, *rows = table.splitlines()
    assert heading.split() == ["scenario", "aim", "ours", "Redis", "ratio"]
    ends_of_ratio = len(heading)
    assert {row[ends_of_ratio - 1] for row in rows[:3]} <= set("0123456789")
    assert set(rule) == {"─", " "}
    assert "2 met, 1 missed, 2 not run" in table
    assert table.count("needs a C compiler") == 1


def test_colours_change_no_text() -> None:
    plain = terminal_table([MET, MISSED], "Redis", colours=False)
    coloured = terminal_table([MET, MISSED], "Redis", colours=True)
    assert "\x1b[" in coloured
    for sequence in ("\x1b[32m", "\x1b[31m", "\x1b[0m"):
        coloured = coloured.replace(sequence, "")
    assert [line.rstrip() for line in coloured.splitlines()] == plain.splitlines()


def test_the_markdown_says_where_when_and_with_what() -> None:
    text = markdown(DOCUMENT, [MET, MISSED, NOT_RUN], "quick.png")
    for fact in (
        "2026-01-02",
        "0123456789ab with changes",
        "Cpu, 2 cores, 8 GiB",
        "ext4",
        "Redis 7.0.15",
        "2 interleaved",
    ):
        assert fact in text
    assert "![The figures drawn](quick.png)" in text


def test_every_markdown_row_has_as_many_cells_as_the_heading() -> None:
    rows = [
        line for line in markdown(DOCUMENT, [MET, MISSED, OTHER_PEER, NOT_RUN], None).splitlines() if line[:1] == "|"
    ]
    assert len(rows) == 6
    assert len({row.count("|") for row in rows}) == 1


def test_a_worst_of_rounds_says_of_how_many() -> None:
    assert "| worst of 2 |" in markdown(DOCUMENT, [MISSED], None)


def test_json_keeps_every_sample_and_what_follows_from_them() -> None:
    kept = json.loads(json.dumps(as_json(MET)))
    assert kept["ours"] == [50_000.0, 60_000.0]
    assert (kept["our_value"], kept["ratio"], kept["verdict"]) == (55_000.0, 1.1, "met")


def test_the_spread_is_half_the_span_over_the_middle() -> None:
    assert spread([90.0, 110.0, 100.0]) == "± 10%"
    assert spread([1.0]) == ""
