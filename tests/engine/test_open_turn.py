"""The open turn: transactions, groups and authors, and when a transaction travels in parts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.engine import operations as op
from keystead.engine import turns
from keystead.engine.operations import SYSTEM, Author, decode_entries, encode_entries
from keystead.engine.turns import EncodedTurn, OpenTurn
from keystead.engine.view import View

ADA, BOB = Author("ada", "1"), Author("bob", "2")


def put(key: bytes, length: int = 1) -> tuple[Any, ...]:
    """A put as it is recorded."""
    return (op.PUT, 0, key, bytes(length))


def entries_of(encoded: EncodedTurn) -> list[op.Entry]:
    """The entries in the commit frame."""
    return decode_entries(encoded.payload)


def test_operations_outside_groups_are_transactions_of_their_own() -> None:
    """The number in the frame counts transactions, not operations."""
    turn = OpenTurn()
    turn.record(put(b"a"))
    turn.record(put(b"b"))
    encoded = turn.encode()
    assert encoded.transactions == 2
    assert entries_of(encoded) == [SYSTEM, op.Put(0, b"a", b"\0"), op.Put(0, b"b", b"\0")]
    assert turn.ops == []


def test_a_group_is_one_transaction() -> None:
    """Its marker says how many operations belong to it."""
    turn = OpenTurn()
    turn.sign(ADA)
    turn.record(put(b"a"))
    start = len(turn.ops)
    turn.record(put(b"b"))
    turn.record(put(b"c"))
    turn.end_group(start)
    turn.record(put(b"d"))
    encoded = turn.encode()
    assert encoded.transactions == 3
    kinds = [type(entry) for entry in entries_of(encoded)]
    assert kinds == [Author, op.Put, op.Group, op.Put, op.Put, op.Put]
    assert entries_of(encoded)[2] == op.Group(2)


def test_groups_within_a_group_are_merged_into_it() -> None:
    """EXEC with an MSET inside is one transaction."""
    turn = OpenTurn()
    outer = len(turn.ops)
    turn.record(put(b"a"))
    inner = len(turn.ops)
    turn.record(put(b"b"))
    turn.record(put(b"c"))
    turn.end_group(inner)
    turn.end_group(outer)
    encoded = turn.encode()
    assert encoded.transactions == 1
    assert entries_of(encoded)[1] == op.Group(3)


@pytest.mark.parametrize("operations", [0, 1])
def test_a_group_of_less_than_two_needs_no_marker(operations: int) -> None:
    """Nothing recorded is nothing, one operation is a transaction anyway."""
    turn = OpenTurn()
    for _ in range(operations):
        turn.record(put(b"a"))
    turn.end_group(0)
    encoded = turn.encode()
    assert encoded.transactions == operations
    assert op.Group not in [type(entry) for entry in entries_of(encoded)]


def test_each_author_is_named_once_before_what_they_did() -> None:
    """Who recorded nothing is not named."""
    turn = OpenTurn()
    turn.sign(ADA)
    turn.record(put(b"a"))
    turn.sign(BOB)
    turn.sign(ADA)
    turn.record(put(b"b"))
    turn.sign(BOB)
    turn.record(put(b"c"))
    first = entries_of(turn.encode())
    assert [entry for entry in first if isinstance(entry, Author)] == [ADA, ADA, BOB]
    turn.record(put(b"d"))
    assert entries_of(turn.encode())[0] == BOB


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 64 bytes for transactions over 100, in turns over 200."""
    monkeypatch.setattr(turns, "SPLIT_BYTES", 200)
    monkeypatch.setattr(turns, "PART_BYTES", 64)
    monkeypatch.setattr(turns, "LARGE_TRANSACTION_BYTES", 100)


@pytest.mark.usefixtures("small")
def test_only_large_transactions_travel_in_parts() -> None:
    """And each in a group of its own, whose payloads joined are its operations."""
    turn = OpenTurn()
    turn.record(put(b"small"))
    turn.record(put(b"large", 300))
    turn.record(put(b"a", 80))
    turn.record(put(b"b", 80))
    turn.end_group(2)
    turn.record(put(b"c", 80))
    encoded = turn.encode()
    assert encoded.transactions == 4
    kinds = [type(entry) for entry in entries_of(encoded)]
    assert kinds == [Author, op.Put, op.Parts, op.Parts, op.Put]
    assert [group for group, _ in encoded.parts] == [1] * 5 + [2] * 3
    assert max(len(payload) for _, payload in encoded.parts) == 64
    joined = b"".join(payload for group, payload in encoded.parts if group == 2)
    assert decode_entries(joined) == [op.Put(0, b"a", bytes(80)), op.Put(0, b"b", bytes(80))]


@pytest.mark.usefixtures("small")
def test_part_groups_have_numbers_of_their_own() -> None:
    """From turn to turn."""
    turn = OpenTurn()
    for number in (1, 2, 3):
        turn.record(put(b"large", 300))
        assert {group for group, _ in turn.encode().parts} == {number}
    turn.next_part = 0xFFFF_FFFF
    turn.record(put(b"large", 300))
    assert {group for group, _ in turn.encode().parts} == {0xFFFF_FFFF}
    assert turn.next_part == 1


def test_turns_below_a_megabyte_are_not_looked_through() -> None:
    """Their transactions, however large, are in the commit frame: one write, one checksum."""
    turn = OpenTurn()
    turn.record(put(b"large", turns.SPLIT_BYTES - 100))
    assert turn.encode().parts == []
    turn.record(put(b"large", turns.SPLIT_BYTES))
    assert len(turn.encode().parts) == 5


transactions = st.lists(
    st.tuples(
        st.sampled_from([ADA, BOB, SYSTEM]),
        st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.integers(0, 150)), min_size=1, max_size=4),
    ),
    max_size=8,
)


@given(transactions)
def test_replaying_a_turn_gives_what_was_recorded(committed: list[tuple[Author, list[tuple[bytes, int]]]]) -> None:
    """Whatever the mixture of authors, groups and parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "SPLIT_BYTES", 200)
        patch.setattr(turns, "PART_BYTES", 64)
        patch.setattr(turns, "LARGE_TRANSACTION_BYTES", 100)
        turn = OpenTurn()
        expected: dict[bytes, bytes] = {}
        for author, operations in committed:
            turn.sign(author)
            start = len(turn.ops)
            for key, length in operations:
                turn.record(put(key, length))
                expected[key] = bytes(length)
            turn.end_group(start)
        encoded = turn.encode()
    view = View(1)
    for group, payload in encoded.parts:
        view.add_part(group, payload)
    view.commit(entries_of(encoded), 1, encoded.transactions, 0)
    found = {key: value for shard in view.keyspace(0).shards for key, value in shard.items()}
    assert found == expected
    assert view.next_sequence == 1 + len(committed)
    assert view.forget_parts() == set()
    assert encode_entries(entries_of(encoded)) == encoded.payload
