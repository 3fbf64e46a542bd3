"""What keys are moved to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from keystead.errors import KeysteadError
from keystead.migration.source import Delete, Expire, Record

Fact: TypeAlias = Record | Delete | Expire


class TargetRefused(KeysteadError):
    """The target does not take what is moved to it. Nothing is lost: the migration can be resumed."""


class Target(Protocol):
    """One database of a store. ServerUnreachable, TargetRefused."""

    strings_only: bool
    """Whether keys of other types cannot be put there."""

    def describe(self) -> str:
        """As people know it; names it for the state that is kept, too."""

    def count(self) -> int:
        """How many keys it has."""

    def apply(self, facts: Sequence[Fact]) -> list[bytes]:
        """Let the facts, of which no two are of the same key, be so, and return when that is as safe as the target
        makes it. The keys are returned that should have been given an expiry, and are not there."""

    def flush(self) -> None:
        """Remove all keys."""

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        """What these keys are now; None: not there."""

    def scan(self) -> Iterator[list[Record]]:
        """All keys as they are now; after a change meanwhile as they were or are, or twice."""

    def close(self) -> None:
        """Hang up."""
