"""Moments as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.commands.moments import MOST_AHEAD_MS, At, NotAMoment, iso, read_moment

ROME = ZoneInfo("Europe/Rome")
NOON = datetime(2026, 11, 26, 12, 0, tzinfo=ROME)
NOW_MS = int(NOON.timestamp() * 1000)

times = st.datetimes(datetime(1970, 1, 2), NOON.replace(tzinfo=None))


def milliseconds(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=ROME).timestamp() * 1000)


def read(text: str) -> At:
    return read_moment(text, NOW_MS, ROME)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW_MS),
        ("NOW", NOW_MS),
        (" now ", NOW_MS),
        ("today", milliseconds(2026, 11, 26)),
        ("yesterday", milliseconds(2026, 11, 25)),
        ("yesterday 18:00", milliseconds(2026, 11, 25, 18)),
        ("Yesterday  8:05:30", milliseconds(2026, 11, 25, 8, 5, 30)),
        ("today 11:59", milliseconds(2026, 11, 26, 11, 59)),
        ("11:59", milliseconds(2026, 11, 26, 11, 59)),
        ("8:05", milliseconds(2026, 11, 26, 8, 5)),
        ("2026-11-25", milliseconds(2026, 11, 25)),
        ("2026-11-25 10:15", milliseconds(2026, 11, 25, 10, 15)),
        ("2026-11-25T10:15:30.5", milliseconds(2026, 11, 25, 10, 15, 30) + 500),
        ("2026-11-25T10:15:00Z", milliseconds(2026, 11, 25, 11, 15)),
        ("2026-11-25t10:15:00z", milliseconds(2026, 11, 25, 11, 15)),
        ("2026-11-25T10:15:00+02:00", milliseconds(2026, 11, 25, 9, 15)),
        ("2026-11-25T10:15:00 02:00", milliseconds(2026, 11, 25, 9, 15)),
        ("2026-11-25 10:15 -0500", milliseconds(2026, 11, 25, 16, 15)),
        ("@1700000000", 1_700_000_000_000),
        ("@1700000000.5", 1_700_000_000_500),
        ("@0", 0),
        ("-10m", NOW_MS - 600_000),
        ("-90s", NOW_MS - 90_000),
        ("-1h30m", NOW_MS - 5_400_000),
        ("-1.5h", NOW_MS - 5_400_000),
        ("-2d", NOW_MS - 172_800_000),
        ("-1w", NOW_MS - 604_800_000),
        ("-0s", NOW_MS),
    ],
)
def test_a_time_is_read(text: str, expected: int) -> None:
    assert read(text) == At(time_ms=expected)


def test_a_bare_integer_is_a_sequence_number() -> None:
    assert read("4711") == At(sequence=4711)
    assert read("0") == At(sequence=0)
    assert read(str((1 << 63) - 1)) == At(sequence=(1 << 63) - 1)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "tomorrow",
            "-",
            "-m",
            "-10",
            "-10x",
            "10m",
            "+10m",
            "- 10m",
            "@",
            "@x",
            "@1.",
            "24:00",
            "12:60",
            "1:2",
        ),
        *("2026-13-01", "2026-02-30", "2026-11-25 x", "2026-11-25T25:00", "yesterday x", "yesterday -10m", "now 18:00"),
        *("9223372036854775808", "1e3", "١٢", "2026-11-25T10:15:00+99:00", "\0", "nowish", "-99999999999s", "26-11-25"),
    ],
)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(NotAMoment, match=re.escape("yesterday 18:00")):
        read(text)


def test_what_is_yet_to_come_is_refused_and_the_time_told() -> None:
    with pytest.raises(NotAMoment, match=re.escape("yet to come: it is 2026-11-26T11:00:00.000Z now")):
        read("18:00")


def test_clocks_may_differ_a_little() -> None:
    assert read(f"@{(NOW_MS + MOST_AHEAD_MS) // 1000}").time_ms == NOW_MS + MOST_AHEAD_MS


def test_local_time_has_the_offset_that_it_had_then() -> None:
    assert read("2026-07-01 12:00") == At(time_ms=int(datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp() * 1000))


def read_or_refused(text: str) -> None:
    try:
        at = read_moment(text, NOW_MS)
    except NotAMoment:
        return
    assert (at.sequence is None) != (at.time_ms is None)


@given(times)
def test_what_a_time_is_written_as_is_read_as_that_time(moment: datetime) -> None:
    time_ms = (moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    assert read_moment(iso(time_ms), NOW_MS) == At(time_ms=time_ms)


@given(times, st.integers(-14 * 60, 14 * 60))
def test_a_zone_in_the_text_is_the_one_that_counts(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    for text in (aware.isoformat(), aware.isoformat(" "), aware.isoformat().replace("+", " ")):
        try:
            assert read(text) == At(time_ms=expected)
        except NotAMoment:
            assert expected > NOW_MS + MOST_AHEAD_MS


@given(times)
def test_local_time_is_that_of_the_reader(moment: datetime) -> None:
    expected = int(moment.replace(microsecond=0, tzinfo=ROME).timestamp()) * 1000
    assert read(moment.replace(microsecond=0).isoformat()) == At(time_ms=expected)


@given(st.text())
def test_no_text_does_anything_but_being_read_or_refused(text: str) -> None:
    read_or_refused(text)


@given(st.from_regex(r"-?[0-9@:TZdhmsw. +-]{1,30}", fullmatch=True))
def test_nothing_that_looks_like_a_time_fails_otherwise(text: str) -> None:
    read_or_refused(text)
