"""Ending a log in the middle of a frame."""

from __future__ import annotations

import pytest

from keystead.backup.cutting import first_transactions
from keystead.engine.operations import Author, Delete, Entry, Group, Parts, Put

ADA, BOB = Author("ada", "laptop"), Author("bob", "")
ENTRIES: list[Entry] = [
    ADA,
    Put(0, b"a", b"1"),
    Group(2),
    Put(0, b"b", b"2"),
    Delete(0, b"a"),
    BOB,
    Parts(1, 900),
    Put(0, b"c", b"3"),
]


@pytest.mark.parametrize(
    ("count", "kept"),
    [(0, 1), (1, 2), (2, 6), (3, 7), (4, 8)],
)
def test_the_first_transactions_are_kept_with_their_authors(count: int, kept: int) -> None:
    assert first_transactions(ENTRIES, count) == ENTRIES[:kept]
