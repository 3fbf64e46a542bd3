"""What a server orders from the process that works on its backups, and what that tells: requests and reports as data.

Owns: the words between the two. Must not know: how an order is carried out (carrying_out.py).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Deed: TypeAlias = Literal["take", "verify", "list"]


class Order(msgspec.Struct):
    """One line of JSON on the process' standard input, which then stays open: the process ends when it closes."""

    deed: Deed
    place: str
    """A directory, or s3://bucket/prefix."""
    directory: str
    """The store's."""


class Stored(msgspec.Struct):
    """A snapshot that is at the place."""

    id: str
    taken_ms: int
    sequence: int
    """The last transaction that is in it."""
    bytes: int
    """Of the files that it consists of; other snapshots share them."""


class Report(msgspec.Struct):
    """One line of JSON on standard output: how far the stage under way has come; the last line has the outcome."""

    stage: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    outcome: Outcome | None = None


class Outcome(msgspec.Struct):
    """What was done. What could not be done at all is said on standard error, with an exit status that is not 0."""

    snapshots: list[Stored]
    """All that are there now and can be read, oldest first."""
    stored_bytes: int
    """What all of them take together."""
    snapshot: str = ""
    """The one that was taken, or verified."""
    copied_bytes: int = 0
    keys: int = 0
    """That were restored to scratch."""
    unnoted: str = ""
    """Why the store does not know of this backup; empty when it does."""
    damage: list[str] = []
    """Files of the backup, and what is wrong with each."""
