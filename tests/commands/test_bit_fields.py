"""Integers inside strings against a text of noughts and ones, and against a real redis-server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from keystead.commands.bit_fields import FieldType, as_assigned, fit, read_field, written_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server
    from wire import SocketConnection

KINDS = st.builds(FieldType, st.just(True), st.integers(1, 64)) | st.builds(
    FieldType, st.just(False), st.integers(1, 63)
)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-300, 300)


def digits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


@given(st.binary(max_size=24), st.integers(0, 250), KINDS)
def test_reading_takes_the_bits_in_order(data: bytes, offset: int, kind: FieldType) -> None:
    bits = digits(data).ljust(400, "0")[offset : offset + kind.bits]
    negative = kind.signed and bits[0] == "1"
    assert read_field(data, offset, kind) == int(bits, 2) - negative * (1 << kind.bits)


@given(st.binary(max_size=24), st.integers(0, 250), KINDS, st.data())
def test_writing_changes_those_bits_only(data: bytes, offset: int, kind: FieldType, draw: st.DataObject) -> None:
    value = draw.draw(st.integers(kind.least, kind.most))
    start = offset // 8
    patch = written_field(data, offset, kind, value)
    padded = data.ljust(start + len(patch), b"\0")
    changed = padded[:start] + patch + padded[start + len(patch) :]
    assert read_field(changed, offset, kind) == value
    before, after = digits(padded), digits(changed)
    assert before[:offset] + before[offset + kind.bits :] == after[:offset] + after[offset + kind.bits :]


@pytest.mark.parametrize(
    ("kind", "value", "wrapped", "limited"),
    [
        (FieldType(True, 8), 128, -128, 127),
        (FieldType(True, 8), -129, 127, -128),
        (FieldType(False, 8), 256, 0, 255),
        (FieldType(False, 8), -1, 255, 0),
        (FieldType(True, 1), 1, -1, 0),
        (FieldType(True, 64), 1 << 63, -(1 << 63), (1 << 63) - 1),
        (FieldType(False, 63), 1 << 63, 0, (1 << 63) - 1),
    ],
)
def test_a_number_that_does_not_fit(kind: FieldType, value: int, wrapped: int, limited: int) -> None:
    assert [fit(kind, value, overflow) for overflow in ("WRAP", "SAT", "FAIL")] == [wrapped, limited, None]


@pytest.fixture(scope="module")
def oracle(redis: Server) -> Iterator[SocketConnection]:
    connection = redis.connect()
    yield connection
    connection.call("DEL", "field")
    connection.close()


def is_defined(kind: FieldType, assigned: int) -> bool:
    """Redis 7.0 subtracts the number from the upper limit of a signed type. Where that is more than 64 bits hold, C
    leaves it undefined: it then saturates upwards."""
    return not kind.signed or kind.bits == 64 or (1 << (kind.bits - 1)) - 1 - assigned < 1 << 63


@settings(max_examples=300)
@given(KINDS, INT64, INT64, st.sampled_from(["WRAP", "SAT", "FAIL"]), st.integers(0, 40))
@example(FieldType(False, 8), -1, 0, "SAT", 0)
@example(FieldType(False, 63), -1, -5, "SAT", 3)
@example(FieldType(True, 60), (1 << 59) - (1 << 63), 0, "SAT", 0)
def test_assigning_and_adding_are_as_in_redis(
    oracle: SocketConnection, kind: FieldType, assigned: int, added: int, overflow: str, offset: int
) -> None:
    assume(is_defined(kind, assigned))
    oracle.call("DEL", "field")
    name = f"{'i' if kind.signed else 'u'}{kind.bits}"
    command = ["BITFIELD", "field", "OVERFLOW", overflow, "SET", name, offset, assigned, "INCRBY", name, offset, added]
    replies = [reply.value for reply in oracle.call(*command).value]
    first = fit(kind, as_assigned(kind, assigned), overflow)
    second = fit(kind, (first or 0) + added, overflow)
    assert replies == [None if first is None else 0, second]
    stored = oracle.call("GET", "field").value
    final = second if second is not None else first or 0
    assert stored == written_field(b"", offset, kind, final).rjust(len(stored), b"\0")
