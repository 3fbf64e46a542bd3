"""80-bit floats against exact fractions, and against a real redis-server."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keystead.commands.long_doubles import LongDouble, add_long_doubles, format_long_double, long_double
from keystead.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server
    from wire import SocketConnection

LARGEST = ((1 << 64) - 1) * Fraction(2) ** (16384 - 64)
NUMBERS = (
    st.floats(allow_nan=False).map(repr)
    | st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**6), max_value=10**6).map(str)
    | st.from_regex(r"[+-]?[0-9]{0,25}\.?[0-9]{0,25}([eE][+-]?[0-9]{1,4})?", fullmatch=True)
    | st.from_regex(r"[+-]?0[xX][0-9a-f]{0,18}(\.[0-9a-f]{0,6})?([pP][+-]?[0-9]{1,5})?", fullmatch=True)
    | st.sampled_from(["inf", "-INF", "+infinity", "nan", "1e5000", "1e-5000", "1_0", " 1", "1 ", ".", "-", "0x", "1e"])
    | st.integers(1, 5200).map(lambda count: "9" * count)
)


def value(number: LongDouble | None) -> Fraction:
    assert number is not None
    return number.mantissa * Fraction(2) ** number.exponent


@given(st.integers(), st.integers(-60, 60))
def test_the_nearest_number_is_taken(digits: int, power: int) -> None:
    exact = digits * Fraction(10) ** power
    number = long_double(f"{digits}e{power}".encode())
    assert number is not None
    assert abs(number.mantissa) < 1 << 64
    assert abs(value(number) - exact) * (1 << 64) <= abs(exact)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"18446744073709551617", 1 << 64),  # half way: to the even one
        (b"18446744073709551619", (1 << 64) + 4),
        (b"0x1.8p1", 3),
        (b"0x.8", Fraction(1, 2)),
        (b"-5.", -5),
        (b"+.5e1", 5),
        (b"1.18973149535723176502e4932", LARGEST),
        (b"3.6e-4951", Fraction(2) ** -16445),
        (b"1e0000000000000000000000000000000001", 10),
    ],
)
def test_numbers_of_every_spelling(text: bytes, number: Fraction) -> None:
    assert value(long_double(text)) == number


@pytest.mark.parametrize(
    "text", [b"1.18973149535723176515e4932", b"1e99999999999", b"1.8e-4951", b"nan", b"", b"." * 3]
)
def test_what_is_out_of_range_or_no_number(text: bytes) -> None:
    with pytest.raises(CommandError, match="ERR value is not a valid float"):
        long_double(text)


def test_a_sum_beyond_the_largest_is_none() -> None:
    largest = long_double(b"1.18973149535723176502e4932")
    assert add_long_doubles(largest, largest) is None
    assert add_long_doubles(long_double(b"inf"), largest) is None


@pytest.fixture(scope="module")
def oracle(redis: Server) -> Iterator[SocketConnection]:
    connection = redis.connect()
    yield connection
    connection.call("DEL", "sum")
    connection.close()


def incremented(held: bytes, text: bytes) -> tuple[str, bytes]:
    """The reply of an INCRBYFLOAT."""
    try:
        total = add_long_doubles(long_double(held), long_double(text))
    except CommandError as refused:
        return "-", refused.text.encode()
    return ("-", b"ERR increment would produce NaN or Infinity") if total is None else ("$", format_long_double(total))


@settings(max_examples=300, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=6))
@example(["0.1", "0.2", "1e4932", "-1e4932"])
@example(["1234.1", "0.1", "1e-17", "5e-18", "-0.0"])
def test_sums_are_those_of_redis(oracle: SocketConnection, texts: list[str]) -> None:
    oracle.call("DEL", "sum")
    held = b"0"
    for text in texts:
        kind, value = incremented(held, text.encode())
        assert oracle.call("INCRBYFLOAT", "sum", text) == (kind, value)
        held = value if kind == "$" else held
