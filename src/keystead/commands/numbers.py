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

_DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d+))?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?")
_INFINITE = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_LARGEST_EXPONENT = 25_000
"""Beyond any exponent of a double; keeps arithmetic on hostile exponents bounded."""


def float_(text: bytes, error: str = NOT_A_FLOAT) -> float:
    """The double that *text* is; infinities are numbers, NaN is not. Raises CommandError(*error*)."""
    match = _DECIMAL.fullmatch(text)
    if match is not None:
        value = float(text)
        if math.isinf(value) or (value == 0 and match[1].strip(b"0.")):  # out of range
            raise CommandError(error)
        return value
    if _INFINITE.fullmatch(text):
        return -math.inf if text.startswith(b"-") else math.inf
    number = _hexadecimal(text)
    try:
        value = float(number) if number is not None else math.nan
    except OverflowError:
        value = math.nan
    if number is None or math.isnan(value) or (value == 0 and number != 0):
        raise CommandError(error)
    return -0.0 if value == 0 and text.startswith(b"-") else value


def _hexadecimal(text: bytes | bytearray) -> Fraction | None:
    match = _HEXADECIMAL.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, exponent = match[1], match[2], match[3] or b"", match[4] or b""
    if not whole + fraction:
        return None
    power = _bounded(exponent.decode()) - 4 * len(fraction)
    value = Fraction(int(whole + fraction, 16)) * Fraction(2) ** power
    return -value if sign == b"-" else value


def _bounded(exponent: str) -> int:
    if len(exponent) > _LONGEST_INT64:  # leading zeros apart, far beyond the bound
        exponent = exponent[:1].strip("0123456789") + exponent.lstrip("+-0")[:_LONGEST_INT64]
    return max(-_LARGEST_EXPONENT, min(_LARGEST_EXPONENT, int(exponent or "0")))
