"""Work that takes longer than a turn may, done elsewhere: a seam, so that execution knows no threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Aside(Protocol):
    """Runs a function outside the loop and gives its result back inside. *work* must not raise and touch nothing that
    others see; *done* is called in the loop's thread, at once or later."""

    def compute(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """For password hashes: at most two at a time."""

    def write(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """For files: one after the other, not behind hashes."""


class InPlace:
    """Here and now: for tests, and for programs without a loop."""

    def compute(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        done(work())

    def write(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        done(work())
