"""Numbers are those texts that Redis takes for numbers, no more and no fewer."""

from __future__ import annotations

import ctypes
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystead.commands import numbers
from keystead.errors import CommandError

NO_NUMBERS = [
    b"",
    b" 1",
    b"1 ",
    b"+1",
    b"01",
    b"-0",
    b"-01",
    b"1_0",
    b"1.0",
    b"0x1",
    b"1e3",
    b"a",
    b"-",
    b"\xb2",
    b"1\x00",
]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_integers_have_one_spelling(text: bytes) -> None:
    assert numbers.integer_or_none(text) is None
    with pytest.raises(CommandError, match="ERR value is not an integer or out of range"):
        numbers.integer(text)


@given(st.integers(-(1 << 64), 1 << 64) | st.integers(-300, 300) | st.sampled_from([10**18, 10**18 - 1, -(10**18)]))
def test_integers_are_of_64_bits(value: int) -> None:
    expected = value if numbers.INT64_MIN <= value <= numbers.INT64_MAX else None
    assert numbers.integer_or_none(b"%d" % value) == expected


@given(st.text("0123456789-+_ .", max_size=22).map(str.encode))
def test_an_integer_is_what_prints_like_itself(text: bytes) -> None:
    value = numbers.integer_or_none(text)
    assert value is None or b"%d" % value == text


def test_ranges_have_errors_of_their_own() -> None:
    assert numbers.positive(b"0") == 0
    with pytest.raises(CommandError, match="ERR value is out of range, must be positive"):
        numbers.positive(b"-1")
    assert numbers.integer_within(b"16", 0, 16) == 16
    with pytest.raises(CommandError, match="ERR value is out of range, value must between 0 and 16"):
        numbers.integer_within(b"17", 0, 16)


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"0", 0), (b"", 0), (b"007", 7), (b"+5", 5), (b"-1", (1 << 64) - 1), (b"18446744073709551615", (1 << 64) - 1)],
)
def test_cursors_are_read_as_strtoul_reads(text: bytes, value: int) -> None:
    assert numbers.cursor(text) == value


@pytest.mark.parametrize("text", [b"x", b"18446744073709551616", b"1x", b"+", b"-", b" 1"])
def test_other_texts_are_no_cursors(text: bytes) -> None:
    with pytest.raises(CommandError, match="ERR invalid cursor"):
        numbers.cursor(text)


FLOATS = (
    st.floats(allow_nan=False).map(repr)
    | st.from_regex(r"[+-]?[0-9]{0,5}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,4})?", fullmatch=True)
    | st.from_regex(r"[+-]?0[xX][0-9a-f]{0,4}(\.[0-9a-f]{0,6})?([pP][+-]?[0-9]{1,5})?", fullmatch=True)
    | st.sampled_from(
        ["inf", "-inf", "+INFINITY", "nan", "1e309", "1e-400", "1_0", " 1", "1 ", ".", "-", "0x", "1e", ""]
    )
)


@given(FLOATS)
@settings(max_examples=500)
def test_floats_are_what_strtod_takes_whole(text: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.strtod.restype = ctypes.c_double
    end = ctypes.c_char_p()
    buffer = ctypes.create_string_buffer(text.encode())
    ctypes.set_errno(0)
    value = libc.strtod(buffer, ctypes.byref(end))
    in_range = ctypes.get_errno() == 0 or (value != 0 and not math.isinf(value))  # denormals report a range error
    is_number = bool(text) and not text[0].isspace() and not end.value and not math.isnan(value) and in_range
    if not is_number:
        with pytest.raises(CommandError, match=numbers.NOT_A_FLOAT):
            numbers.float_(text.encode())
        return
    found = numbers.float_(text.encode())
    assert (found, math.copysign(1, found)) == (value, math.copysign(1, value))
