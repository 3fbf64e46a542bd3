"""How long work shows that it goes on: a bar on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self, TextIO

_TERMINAL_INTERVAL_S = 0.1
_LINE_INTERVAL_S = 5.0
_BAR_WIDTH = 24


class Progress:
    """Progress of one piece of work, as a context manager.

    `label` says what is done ("reading the log"), `unit` what is counted ("bytes" is shown as MB), `rate` whether the
    average of it in a second is shown. Work that ends
    before anything had to be shown shows nothing; so callers need not ask whether it is worth it.
    """

    def __init__(
        self, label: str, total: int = 0, unit: str = "bytes", stream: TextIO | None = None, *, rate: bool = False
    ) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._interval_s = _TERMINAL_INTERVAL_S if self._terminal else _LINE_INTERVAL_S
        self._label = label
        self._total = total
        self._unit = unit
        self._rate = rate
        self._done = 0
        self._began_s = self._shown_s = time.monotonic()
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            if kind is None:
                self._show()
            if self._terminal:
                self._stream.write("\n")
                self._stream.flush()

    def advance(self, amount: int) -> None:
        """`amount` more is done."""
        self.update(self._done + amount, self._total)

    def update(self, done: int, total: int) -> None:
        """`done` of `total` is done; a total of 0 means that nobody knows how much there is."""
        self._done = done
        self._total = total
        now_s = time.monotonic()
        if now_s - self._shown_s >= self._interval_s:
            self._shown_s = now_s
            self._show()

    def _show(self) -> None:
        self._drawn = True
        line = f"{self._label}: {self._figures()}"
        if self._terminal:
            columns = shutil.get_terminal_size().columns
            self._stream.write(f"\r{(self._bar() + line)[: columns - 1]}\x1b[K")
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def _bar(self) -> str:
        if not self._total:
            return ""
        filled = round(_BAR_WIDTH * min(1.0, self._done / self._total))
        return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] "

    def _figures(self) -> str:
        elapsed_s = time.monotonic() - self._began_s
        text = self._amount(self._done)
        if self._total:
            text += f" of {self._amount(self._total)} ({self._done / self._total:.0%})"
            if self._done and elapsed_s > 2 and self._done < self._total:
                text += f", {duration(elapsed_s * (self._total - self._done) / self._done)} left"
        return f"{text}, {self._amount(round(self._done / max(elapsed_s, 0.001)))}/s" if self._rate else text

    def _amount(self, count: int) -> str:
        return size(count) if self._unit == "bytes" else f"{count:,} {self._unit}"


class Stages:
    """Progress of work in several pieces, each with its label, as a context manager."""

    def __init__(self) -> None:
        self._label = ""
        self._progress: Progress | None = None

    def show(self, label: str, done: int, total: int) -> None:
        """So much of the piece called *label* is done; the one before is over."""
        if self._progress is None or label != self._label:
            self.end()
            self._label, self._progress = label, Progress(label)
        self._progress.update(done, total)

    def end(self) -> None:
        """The piece under way is over."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def size(count: int) -> str:
    """Bytes for people: "312 B", "64.0 MB"."""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


def duration(seconds: float) -> str:
    """A length of time for people: "40 ms", "3.2 s", "4 min", "2 h 5 min"."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def many(count: int, noun: str) -> str:
    """A count for people: "1 key", "1,000 keys"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
