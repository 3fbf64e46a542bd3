"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from keystead.cli import UsageError
from keystead.cli.moments import time_ms

NOW = datetime(2026, 11, 26, 18, 30, 15, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("-10m", NOW - timedelta(minutes=10)),
        ("-1.5h", NOW - timedelta(hours=1.5)),
        ("-2d", NOW - timedelta(days=2)),
        ("@1700000000.5", datetime.fromtimestamp(1700000000.5).astimezone()),
        ("2026-11-26T17:00:00.25+00:00", datetime(2026, 11, 26, 17, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-11-26T17:00Z", datetime(2026, 11, 26, 17, tzinfo=UTC)),
        ("2026-11-26 17:00", datetime(2026, 11, 26, 17).astimezone()),
        ("2026-11-26", datetime(2026, 11, 26).astimezone()),
        ("today", datetime(2026, 11, 26).astimezone()),
        ("yesterday", datetime(2026, 11, 25).astimezone()),
        ("yesterday 18:00", datetime(2026, 11, 25, 18).astimezone()),
        ("9:05", datetime(2026, 11, 26, 9, 5).astimezone()),
        ("18:00:01", datetime(2026, 11, 26, 18, 0, 1).astimezone()),
    ],
)
def test_common_forms_are_understood(text: str, expected: datetime) -> None:
    assert time_ms(text, NOW) == expected.timestamp() * 1000


@pytest.mark.parametrize("text", ["", "teatime", "10m", "-10y", "25:00", "yesterdayish", "@x", "2026-13-01"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="is no time; examples: 2026-11-26T18:00"):
        time_ms(text, NOW)
