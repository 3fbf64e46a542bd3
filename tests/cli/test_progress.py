"""Progress: a bar on a terminal, plain lines elsewhere, nothing for what is quick."""

from __future__ import annotations

import io

import pytest

from keystead.cli import progress
from keystead.cli.progress import Progress, duration, many, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now_s = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s[0])
    monkeypatch.setenv("COLUMNS", "80")
    return now_s


def test_what_is_quick_shows_nothing(clock: list[float]) -> None:
    for stream in (io.StringIO(), Terminal()):
        with Progress("reading", 10, stream=stream) as shown:
            shown.advance(10)
            clock[0] += 0.05
        assert stream.getvalue() == ""


def test_elsewhere_lines_come_every_few_seconds_and_at_the_end(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("reading", 4 << 20, stream=stream) as shown:
        for _ in range(4):
            clock[0] += 2.6
            shown.advance(1 << 20)
    assert stream.getvalue().splitlines() == [
        "reading: 2.0 MB of 4.0 MB (50%), 5.2 s left",
        "reading: 4.0 MB of 4.0 MB (100%)",
        "reading: 4.0 MB of 4.0 MB (100%)",
    ]


def test_a_terminal_gets_one_line_that_is_drawn_again(clock: list[float]) -> None:
    stream = Terminal()
    with Progress("loading", 200, "keys", stream=stream) as shown:
        clock[0] += 0.2
        shown.update(100, 200)
    assert stream.getvalue().startswith("\r[############............] loading: 100 keys of 200 keys (50%)\x1b[K")
    assert stream.getvalue().endswith("\n")


def test_a_narrow_terminal_is_not_overrun(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    with Progress("loading", 200, "keys", stream=stream) as shown:
        clock[0] += 0.2
        shown.update(100, 200)
    assert all(len(line.removesuffix("\x1b[K")) < 30 for line in stream.getvalue().strip().split("\r"))


def test_work_without_a_known_end_counts_up(clock: list[float]) -> None:
    stream = Terminal()
    with Progress("reading", stream=stream) as shown:
        clock[0] += 0.2
        shown.update(3 << 10, 0)
    assert stream.getvalue() == "\rreading: 3.0 KB\x1b[K\rreading: 3.0 KB\x1b[K\n"


def test_figures_are_for_people() -> None:
    assert [size(n) for n in (0, 1023, 1024, 5 << 20, 3 << 40)] == ["0 B", "1023 B", "1.0 KB", "5.0 MB", "3.0 TB"]
    assert [duration(s) for s in (0.04, 3.2, 240, 7500)] == ["40 ms", "3.2 s", "4 min", "2 h 5 min"]
    assert [many(n, "key") for n in (0, 1, 2000)] == ["0 keys", "1 key", "2,000 keys"]
