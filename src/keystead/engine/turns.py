"""The open turn: what has been recorded since the last frame, and how it becomes entries.

Owns: transactions, groups and authors within a turn. Must not know: keyspaces, files, sync.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from keystead.engine import operations as op
from keystead.engine.operations import SYSTEM, Author, encode_entries

SPLIT_BYTES = 1 << 20
"""A turn whose entries encode to more is looked through for large transactions."""
PART_BYTES = 1 << 18
LARGE_TRANSACTION_BYTES = 1 << 16

Parts: TypeAlias = list[tuple[int, bytes]]
"""Part frames: their group's number and their payload."""

NO_PARTS: Final[Parts] = []


class EncodedTurn(NamedTuple):
    """A turn's frames: the parts that travel before, each (group, payload), and the commit frame's payload."""

    transactions: int
    parts: Parts
    payload: bytes


class OpenTurn:
    """Collects operations. `record` is `ops.append` itself, the cheapest call there is; so `ops` is never replaced."""

    __slots__ = ("_authors", "_groups", "author", "next_part", "ops", "record")

    def __init__(self) -> None:
        self.ops: list[tuple[Any, ...]] = []
        self.record = self.ops.append
        self.author = SYSTEM
        """Who commits what is recorded now; changed by `sign`."""
        self._authors = [(0, SYSTEM)]
        self._groups: list[tuple[int, int]] = []
        self.next_part = 1
        """The number of the next part group; unique within a segment, so a start goes on from where the log ends."""

    def sign(self, author: Author) -> None:
        """What is recorded from now on is this author's."""
        if author is self.author:
            return
        self.author = author
        start = len(self.ops)
        if self._authors[-1][0] == start:
            self._authors[-1] = (start, author)  # the author before recorded nothing
        else:
            self._authors.append((start, author))

    def end_group(self, start: int) -> None:
        """Make the operations from *start* on one transaction; groups ended inside it are merged into it."""
        groups = self._groups
        while groups and groups[-1][0] >= start:
            groups.pop()
        if len(self.ops) - start > 1:
            groups.append((start, len(self.ops) - start))

    def take_part(self) -> int:
        """A number for a part group that nobody else has in this segment."""
        number = self.next_part
        self.next_part = number % 0xFFFF_FFFF + 1
        return number

    def cut(self, start: int) -> None:
        """Forget the operations from *start* on, with the groups and authors that began there."""
        del self.ops[start:]
        while self._groups and self._groups[-1][0] >= start:
            self._groups.pop()
        while self._authors[-1][0] > start:
            self._authors.pop()
        self.author = self._authors[-1][1]

    def encode(self) -> EncodedTurn:
        """The turn as entries; the next turn begins, with the same author."""
        single = len(self._authors) == 1 and not self._groups
        entries = [self.author, *self.ops] if single else self._entries()
        payload = encode_entries(entries)
        if single and len(payload) <= SPLIT_BYTES:  # nearly always
            encoded = EncodedTurn(len(self.ops), NO_PARTS, payload)
            self.ops.clear()
            return encoded
        transactions = len(self.ops) - sum(length - 1 for _, length in self._groups)
        parts: Parts = []
        if len(payload) > SPLIT_BYTES:
            entries, parts = self._split(entries)
            payload = encode_entries(entries)
        self.ops.clear()
        self._groups.clear()
        self._authors[:] = [(0, self.author)]
        return EncodedTurn(transactions, parts, payload)

    def _entries(self) -> list[Any]:
        """The operations with the markers that say who committed them and which belong together."""
        markers: list[tuple[int, int, Any]] = [(start, 0, author) for start, author in self._authors]
        if self._groups:
            markers += [(start, 1, (op.GROUP, length)) for start, length in self._groups]
            markers.sort()  # never compares the markers themselves: no two of a kind are at one place
        ops = self.ops
        entries: list[Any] = []
        done = 0
        for position, _, marker in markers:
            if position > done:
                entries += ops[done:position]
                done = position
            entries.append(marker)
        entries += ops[done:]
        return entries

    def _split(self, entries: list[Any]) -> tuple[list[Any], list[tuple[int, bytes]]]:
        """Move transactions of more than 64 KiB into part groups."""
        kept: list[Any] = []
        parts: list[tuple[int, bytes]] = []
        i = 0
        while i < len(entries):
            entry = entries[i]
            i += 1
            if isinstance(entry, Author):
                kept.append(entry)
                continue
            transaction = [entry]
            if entry[0] == op.GROUP:
                transaction = entries[i : i + entry[1]]
                i += entry[1]
            payload = encode_entries(transaction)
            if len(payload) > LARGE_TRANSACTION_BYTES:
                number = self.take_part()
                parts += [(number, payload[at : at + PART_BYTES]) for at in range(0, len(payload), PART_BYTES)]
                kept.append((op.PARTS, number, len(payload)))
            else:
                kept += [entry] if transaction[0] is entry else [entry, *transaction]
        return kept, parts
