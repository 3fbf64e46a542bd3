"""What wrk prints, and what is made of it."""

from __future__ import annotations

import pytest

from benchmarks.figures import NotMeasured
from benchmarks.http_load import HttpResult, parse

LINE = '{"requests": 4000, "microseconds": 2000000, "refused": %d, "broken": %d, "p50_us": 700, "p99_us": 2500}'


def test_the_line_of_the_script_is_found_among_what_wrk_says() -> None:
    printed = "Running 2s test @ http://127.0.0.1:1/\n" + LINE % (0, 0) + "\nTransfer/sec: 1MB\n"
    assert parse(printed) == HttpResult(requests_per_s=2000.0, p50_ms=0.7, p99_ms=2.5)


@pytest.mark.parametrize("printed", [LINE % (1, 0), LINE % (0, 1), "unable to connect to 127.0.0.1:1", ""])
def test_failed_requests_are_no_measurement(printed: str) -> None:
    with pytest.raises(NotMeasured):
        parse(printed)
