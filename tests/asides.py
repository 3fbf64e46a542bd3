"""Stands for the threads: work is done when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ManualAside:
    """Keeps what it is given until `finish`."""

    def __init__(self) -> None:
        self.computing: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []
        self.writing: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []

    def compute(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.computing.append((work, done))

    def write(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.writing.append((work, done))

    def finish(self) -> None:
        """Do all that waits, and what comes of it."""
        while self.computing or self.writing:
            work, done = (self.computing or self.writing).pop(0)
            done(work())
