"""What is asked of an undo, and what came of it. Must not know: how it is done."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Conflicts: TypeAlias = Literal["refuse", "skip", "force"]
"""What becomes of keys that were changed since: nothing is undone, they stay as they are, or they are put back too."""

Place: TypeAlias = tuple[int, bytes]
"""A database's number and a key."""


class Undone(NamedTuple):
    """What came of an undo, or of a key brought back."""

    sequence: int
    """Of the transaction that did it, which can itself be undone."""
    restored: int
    """Keys that were put back: given their former value and expiry, or deleted."""
    skipped: list[Place]
    """Keys that were changed since, and left alone; database and name, as bytes."""
    without_expiry: list[Place]
    """Keys whose time is up by now: they came back without an expiry."""
