"""Before-images: what un-synced changes replaced, so that plain reads can be answered from what is durable.

A keyspace keeps two generations of them (see `Keyspace.open_before`). An image is the value and expiry a key had before
the first change of its generation, or, for a long string patched in place, the way back to it: copying ten megabytes to
flip one bit is what patches exist to avoid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from keystead.engine.values import Value

if TYPE_CHECKING:
    from keystead.engine.keyspace import Keyspace

Image: TypeAlias = tuple[Value | None, int]
"""Value (None: absent) and expiry (0: none)."""


class Unpatch:
    """Undoes the patches of one generation on one string."""

    __slots__ = ("_expires_at_ms", "_length", "_overwritten")

    def __init__(self, length: int, expires_at_ms: int) -> None:
        self._length = length
        self._expires_at_ms = expires_at_ms
        self._overwritten: list[tuple[int, bytes]] = []

    def add(self, offset: int, overwritten: bytes) -> None:
        """One more patch is about to replace these bytes; fewer than the patch has where it makes the string longer."""
        self._overwritten.append((offset, overwritten))

    def add_later(self, later: Unpatch) -> None:
        """The patches of *later* followed those of this one; patches never shorten a string, so this length stays."""
        self._overwritten += later._overwritten

    def undo(self, patched: Image) -> Image:
        """The image before the patches, given the one after them."""
        value = bytearray(patched[0] or b"")
        for offset, overwritten in reversed(self._overwritten):
            value[offset : offset + len(overwritten)] = overwritten
        return bytes(value[: self._length]), self._expires_at_ms


BeforeImages: TypeAlias = dict[bytes, Image | Unpatch]


def joined(earlier: Image | Unpatch | None, later: Image | Unpatch) -> Image | Unpatch:
    """The image of two generations as one: of what was there before the earlier one, None if that changed nothing."""
    if earlier is None:
        return later
    if isinstance(earlier, Unpatch):
        if not isinstance(later, Unpatch):
            return earlier.undo(later)
        earlier.add_later(later)
    return earlier


class Rebound(BeforeImages):
    """The images of a generation in which a database was rebound to this keyspace: every key of it counts as changed.

    *shown* is the keyspace that the database showed before.
    """

    def __init__(self, shown: Keyspace) -> None:
        super().__init__()
        self.shown = shown

    def __contains__(self, key: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True
