"""Numbers as Redis reads and writes them.

Owns: the exact set of texts that are an integer or a float, and their errors. `int()` and `float()` alone take more:
`1_0`, ` 1`, `+1`, `01`. Must not know: commands.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from keystead.errors import CommandError

INT64_MIN = -(1 << 63)
INT64_MAX = (1 << 63) - 1
UINT64_MAX = (1 << 64) - 1

NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_POSITIVE = "ERR value is out of range, must be positive"
NOT_A_FLOAT = "ERR value is not a valid float"

_UNSIGNED = re.compile(rb"([+-]?)0*(\d+)")
_LONGEST_INT64 = 20
_SAFE_DIGITS = 18
"""So many digits fit into 64 bits whatever they are."""


def integer_or_none(text: bytes | bytearray) -> int | None:
    """The signed 64-bit integer that *text* is, in the one spelling Redis accepts; None for anything else."""
    if text.isdigit():
        if len(text) <= _SAFE_DIGITS:
            return int(text) if text[0] != 48 or len(text) == 1 else None
    elif text[:1] != b"-":
        return None
    if len(text) > _LONGEST_INT64:
        return None
    try:
        value = int(text)
    except ValueError:
        return None
    # One spelling a number: no sign but minus, no leading zero, no underscore, no "-0".
    return value if INT64_MIN <= value <= INT64_MAX and b"%d" % value == text else None


def integer(text: bytes | bytearray, error: str = NOT_AN_INTEGER) -> int:
    """The signed 64-bit integer that *text* is. Raises CommandError(*error*)."""
    value = integer_or_none(text)
    if value is None:
        raise CommandError(error)
    return value


def positive(text: bytes) -> int:
    """An integer from 0 up (Redis says "positive"). Raises CommandError, with a text of its own for negative ones."""
    value = integer(text)
    if value < 0:
        raise CommandError(NOT_POSITIVE)
    return value


def integer_within(text: bytes, low: int, high: int, error: str = "") -> int:
    """An integer from *low* to *high*. Raises CommandError: not an integer, or *error* outside the range."""
    value = integer(text)
    if not low <= value <= high:
        raise CommandError(error or f"ERR value is out of range, value must between {low} and {high}")
    return value


def cursor(text: bytes) -> int:
    """A SCAN cursor: an unsigned 64-bit integer as strtoul reads it (the empty text is 0). Raises CommandError."""
    if text.isdigit() and len(text) <= _LONGEST_INT64 and int(text) <= UINT64_MAX:
        return int(text)
    match = _UNSIGNED.fullmatch(text)
    if match is None or len(match[2]) > _LONGEST_INT64 or int(match[2]) > UINT64_MAX:
        if text == b"":
            return 0
        raise CommandError("ERR invalid cursor")
    return -int(match[2]) & UINT64_MAX if match[1] == b"-" else int(match[2])


# --- floats: what C's strtod takes -----------------------------------------------------------------------------------

_DECIMAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?")
_INFINITE = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_LONGEST_FLOAT = 255
"""Redis copies the text into a buffer of 256 bytes."""
_LARGEST_EXPONENT = 20_000
"""Beyond any exponent of a double or an 80-bit float; keeps arithmetic on hostile exponents bounded."""


def float_(text: bytes, error: str = NOT_A_FLOAT) -> float:
    """The double that *text* is; infinities are numbers, NaN is not. Raises CommandError(*error*)."""
    number = _exact(text)
    if number is None:
        raise CommandError(error)
    if isinstance(number, float):
        return number
    try:
        value = float(number)
    except OverflowError:
        raise CommandError(error) from None
    if value == 0 and number != 0:  # strtod reports ERANGE
        raise CommandError(error)
    return -0.0 if value == 0 and text.startswith(b"-") else value


def long_double(text: bytes | bytearray, error: str = NOT_A_FLOAT) -> Fraction | float:
    """The 80-bit float that *text* is, exactly (an infinity as float). Raises CommandError(*error*)."""
    number = _exact(text)
    if number is None:
        raise CommandError(error)
    if isinstance(number, float):
        return number
    rounded = round_to_long_double(number)
    if rounded is None or (rounded == 0 and number != 0):
        raise CommandError(error)
    return rounded


def _exact(text: bytes | bytearray) -> Fraction | float | None:
    """The number as a fraction, an infinity as float, None for what is no number."""
    if len(text) > _LONGEST_FLOAT:
        return None
    if _DECIMAL.fullmatch(text):
        mantissa, _, exponent = bytes(text).lower().partition(b"e")
        power = _bounded_exponent(exponent)
        return Fraction(_plain(mantissa)) * Fraction(10) ** power
    if _INFINITE.fullmatch(text):
        return -math.inf if text.startswith(b"-") else math.inf
    return _exact_hexadecimal(text)


def _plain(mantissa: bytes) -> str:
    """`5.` and `.5` are C's spelling; Fraction wants digits on one side of the point at least, which both have."""
    return mantissa.decode().rstrip(".") if mantissa.endswith(b".") else mantissa.decode()


def _exact_hexadecimal(text: bytes | bytearray) -> Fraction | None:
    match = _HEXADECIMAL.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, exponent = match[1], match[2], match[3] or b"", match[4] or b""
    if not whole + fraction:
        return None
    power = _bounded_exponent(exponent) - 4 * len(fraction)
    value = Fraction(int(whole + fraction, 16)) * Fraction(2) ** power
    return -value if sign == b"-" else value


def _bounded_exponent(text: bytes) -> int:
    return max(-_LARGEST_EXPONENT, min(_LARGEST_EXPONENT, int(text or b"0")))


_MANTISSA_BITS = 64
_LONG_DOUBLE_MAX = Fraction((1 << 64) - 1) * Fraction(2) ** (16383 - 63)
_LONG_DOUBLE_LEAST_EXPONENT = -16445
"""Exponent of the last bit of a denormal."""


def round_to_long_double(number: Fraction) -> Fraction | None:
    """The nearest 80-bit float (ties to even); None when it is beyond the largest."""
    if number == 0:
        return number
    magnitude = abs(number)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if Fraction(2) ** exponent > magnitude:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - _MANTISSA_BITS + 1, _LONG_DOUBLE_LEAST_EXPONENT)
    rounded = round(number / unit) * unit
    return rounded if abs(rounded) <= _LONG_DOUBLE_MAX else None


def format_long_double(number: Fraction) -> bytes:
    """As INCRBYFLOAT writes it: seventeen decimals, without the zeros at the end."""
    scaled = round(number * 10**17)
    sign = b"-" if scaled < 0 else b""
    whole, decimals = divmod(abs(scaled), 10**17)
    return (b"%b%d.%017d" % (sign, whole, decimals)).rstrip(b"0").rstrip(b".")
