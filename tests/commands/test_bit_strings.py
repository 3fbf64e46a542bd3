"""Bits of strings against a text of noughts and ones, and against a real redis-server."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystead.commands.bit_strings import combine_bits, count_bits, find_bit, get_bit
from wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server
    from wire import SocketConnection

SPARSE = st.lists(st.sampled_from([b"\x00", b"\xff", b"\x00\x00\x00", b"\xff\xff\xff", b"\x10", b"\xef"])).map(b"".join)
STRINGS = st.binary(max_size=40) | SPARSE


def digits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


@st.composite
def strings_with_range(draw: st.DrawFn) -> tuple[bytes, int, int]:
    data = draw(STRINGS.filter(bool))
    first = draw(st.integers(0, 8 * len(data) - 1))
    return data, first, draw(st.integers(first, 8 * len(data) - 1))


@given(strings_with_range(), st.sampled_from([0, 1]))
def test_ranges_of_bits(string: tuple[bytes, int, int], bit: int) -> None:
    data, first, last = string
    wanted = digits(data)[first : last + 1]
    assert count_bits(data, first, last) == wanted.count("1")
    found = wanted.find(str(bit))
    assert find_bit(data, bit, first, last) == (first + found if found >= 0 else -1)
    assert get_bit(data, first) == int(wanted[0])


def test_an_empty_range_holds_no_ones() -> None:
    assert count_bits(b"\xff", 5, 4) == 0


def test_bits_past_the_end_are_zero() -> None:
    assert [get_bit(b"\xff", offset) for offset in (7, 8, 1 << 40)] == [1, 0, 0]


@pytest.mark.parametrize("around", [65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("bit", [0, 1])
def test_long_runs_are_skipped(around: int, bit: int) -> None:
    fill, mark = (b"\x00", b"\x04") if bit else (b"\xff", b"\xfb")
    data = fill * around + mark + fill * 70_000
    assert find_bit(data, bit, 3, 8 * len(data) - 1) == 8 * around + 5
    assert find_bit(bytearray(data), bit, 8 * around + 6, 8 * len(data) - 1) == -1


PER_BIT = {
    "AND": lambda bits: all(bits),
    "OR": lambda bits: any(bits),
    "XOR": lambda bits: sum(bits) % 2,
    "DIFF": lambda bits: bits[0] and not any(bits[1:]),
    "DIFF1": lambda bits: any(bits[1:]) and not bits[0],
    "ANDOR": lambda bits: bits[0] and any(bits[1:]),
    "ONE": lambda bits: sum(bits) == 1,
}


@given(st.lists(STRINGS, min_size=2, max_size=5), st.sampled_from(sorted(PER_BIT)))
def test_combining_goes_bit_by_bit(sources: list[bytes], operation: str) -> None:
    length = max(map(len, sources))
    columns = zip(*(digits(source.ljust(length, b"\0")) for source in sources), strict=True)
    expected = "".join(str(int(bool(PER_BIT[operation]([digit == "1" for digit in column])))) for column in columns)
    assert digits(combine_bits(operation, list(sources))) == expected


@given(STRINGS, st.sampled_from(["AND", "OR", "XOR", "ONE"]))
def test_combining_one_source_copies_it(source: bytes, operation: str) -> None:
    assert combine_bits(operation, [source]) == source
    assert combine_bits("NOT", [source]) == bytes(255 - byte for byte in source)


@pytest.fixture(scope="module")
def oracle(redis: Server) -> Iterator[SocketConnection]:
    connection = redis.connect()
    yield connection
    connection.call("DEL", "bits:a", "bits:b", "bits:c", "bits:d")
    connection.close()


@settings(max_examples=200)
@given(strings_with_range(), st.sampled_from([b"0", b"1"]))
def test_ranges_are_as_in_redis(oracle: SocketConnection, string: tuple[bytes, int, int], bit: bytes) -> None:
    data, first, last = string
    bounds = [b"%d" % first, b"%d" % last, b"BIT"]
    oracle.send(
        encode([b"SET", b"bits:a", data])
        + encode([b"BITCOUNT", b"bits:a", *bounds])
        + encode([b"BITPOS", b"bits:a", bit, *bounds])
    )
    assert [oracle.receive().value for _ in range(3)] == [
        b"OK",
        count_bits(data, first, last),
        find_bit(data, int(bit), first, last),
    ]


@settings(max_examples=200)
@given(STRINGS, STRINGS, STRINGS, st.sampled_from(["AND", "OR", "XOR"]))
def test_combinations_are_as_in_redis(oracle: SocketConnection, a: bytes, b: bytes, c: bytes, operation: str) -> None:
    oracle.call("MSET", "bits:a", a, "bits:b", b, "bits:c", c)
    oracle.call("BITOP", operation, "bits:d", "bits:a", "bits:b", "bits:c")
    assert (oracle.call("GET", "bits:d").value or b"") == combine_bits(operation, [a, b, c])
    oracle.call("BITOP", "NOT", "bits:d", "bits:a")
    assert (oracle.call("GET", "bits:d").value or b"") == combine_bits("NOT", [a])


def test_a_large_string_is_counted_whole() -> None:
    data = random.Random(1).randbytes(1_000_000)
    assert count_bits(data, 0, 8 * len(data) - 1) == digits(data).count("1")
