"""Times on the command line. What is understood is tested with the grammar (tests/commands/test_written_moments)."""

from __future__ import annotations

import pytest

from keystead.cli import UsageError
from keystead.cli.moments import moment, time_ms
from keystead.errors import HistoryGone

NOW_MS = 1_795_718_415_000


def test_a_time_is_read() -> None:
    assert time_ms("-10m", NOW_MS) == NOW_MS - 600_000
    assert time_ms("2026-11-26T17:00Z", NOW_MS) == 1_795_712_400_000


@pytest.mark.parametrize("text", ["", "teatime", "10m", "-10y", "25:00", "yesterdayish", "@x", "2026-13-01"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="is no moment; write one like 2026-11-26T10:15:00Z"):
        time_ms(text, NOW_MS)


def test_a_sequence_number_is_no_time() -> None:
    assert moment("4711").sequence == 4711
    with pytest.raises(UsageError, match="Unix seconds are written @4711"):
        time_ms("4711")


def test_the_error_beyond_retention_writes_times_as_all_others_do() -> None:
    assert str(HistoryGone(22, 1_500)) == (
        "the past is kept from 1970-01-01T00:00:01.500Z on, which is behind transaction 22"
    )
