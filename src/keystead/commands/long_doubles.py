"""80-bit floating point as INCRBYFLOAT uses it: what C calls a long double where Redis is mostly run.

Owns: which texts are such a number, rounding to it, adding, and how Redis writes the sum. Python's floats have 53 bits
where these have 64, and every digit is shown; so integers do the work. Must not know: keys.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from keystead.commands.numbers import NOT_A_FLOAT
from keystead.errors import CommandError

_DECIMAL = re.compile(rb"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?")
_INFINITE = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)

_LONGEST_TEXT = 5 * 1024 - 1
"""Redis copies the text into a buffer of that size."""
_LARGEST_EXPONENT = 25_000
"""Beyond what the longest text can bring back into range; keeps arithmetic on hostile exponents bounded."""

_BITS = 64
_LEAST_EXPONENT = -16445
"""Of the last bit of a denormal."""
_TOP_EXPONENT = 16384
"""No number reaches two to the power of this."""

_DECIMALS = 17
_UNIT = 10**_DECIMALS
_SAFE_DIGITS = 600
"""So many digits Python converts at once, whatever its limit is set to."""
_BEYOND_SAFE = 10**_SAFE_DIGITS


class LongDouble(NamedTuple):
    """mantissa * 2**exponent, with a mantissa of at most 64 bits and a sign."""

    mantissa: int
    exponent: int


def long_double(text: bytes | bytearray) -> LongDouble | None:
    """The number that *text* is; None for an infinity. Raises CommandError for anything else, NaN included."""
    if len(text) <= _LONGEST_TEXT:
        match = _DECIMAL.fullmatch(text)
        if match is not None and (match[2] or match[3]):
            return _in_range(*_decimal(match))
        if _INFINITE.fullmatch(text):
            return None
        match = _HEXADECIMAL.fullmatch(text)
        if match is not None and (match[2] or match[3]):
            return _in_range(*_hexadecimal(match))
    raise CommandError(NOT_A_FLOAT)


def _decimal(match: re.Match[bytes]) -> tuple[int, int]:
    sign, whole, decimals = match[1], match[2], match[3] or b""
    digits = _integer(whole + decimals)
    power = _bounded(match[4]) - len(decimals)
    numerator, denominator = (digits * 10**power, 1) if power >= 0 else (digits, 10**-power)
    return -numerator if sign == b"-" else numerator, denominator


def _hexadecimal(match: re.Match[bytes]) -> tuple[int, int]:
    sign, whole, fraction = match[1], match[2], match[3] or b""
    digits = int(whole + fraction, 16)
    power = _bounded(match[4]) - 4 * len(fraction)
    numerator, denominator = (digits << power, 1) if power >= 0 else (digits, 1 << -power)
    return -numerator if sign == b"-" else numerator, denominator


def _bounded(exponent: bytes | None) -> int:
    if not exponent:
        return 0
    digits = exponent.lstrip(b"+-").lstrip(b"0")[:20] or b"0"
    number = min(int(digits), _LARGEST_EXPONENT)
    return -number if exponent.startswith(b"-") else number


def _integer(digits: bytes) -> int:
    if len(digits) <= _SAFE_DIGITS:
        return int(digits)
    low = digits[_SAFE_DIGITS:]
    shift: int = 10 ** len(low)
    return int(digits[:_SAFE_DIGITS]) * shift + _integer(low)


def _in_range(numerator: int, denominator: int) -> LongDouble:
    rounded = _nearest(numerator, denominator)
    if rounded is None or (numerator and not rounded.mantissa):
        raise CommandError(NOT_A_FLOAT)
    return rounded


def _nearest(numerator: int, denominator: int) -> LongDouble | None:
    """The number closest to a fraction, the even one of two; None when it is beyond the largest."""
    magnitude = abs(numerator)
    # One of these two exponents leaves a quotient of 64 bits, unless it is a denormal.
    exponent = max(magnitude.bit_length() - denominator.bit_length() - _BITS, _LEAST_EXPONENT)
    mantissa = _quotient(magnitude, denominator, exponent)
    if mantissa >> _BITS:
        exponent += 1
        mantissa = _quotient(magnitude, denominator, exponent)
    if exponent + mantissa.bit_length() > _TOP_EXPONENT:
        return None
    return LongDouble(-mantissa if numerator < 0 else mantissa, exponent)


def _quotient(numerator: int, denominator: int, exponent: int) -> int:
    """numerator / denominator / 2**exponent, rounded half to even."""
    if exponent < 0:
        numerator <<= -exponent
    else:
        denominator <<= exponent
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (twice > denominator or (twice == denominator and quotient & 1))


def add_long_doubles(one: LongDouble | None, other: LongDouble | None) -> LongDouble | None:
    """The sum, rounded once; None when it is infinite or no number."""
    if one is None or other is None:
        return None
    exponent = min(one.exponent, other.exponent)
    total = (one.mantissa << one.exponent - exponent) + (other.mantissa << other.exponent - exponent)
    return _nearest(total << exponent, 1) if exponent >= 0 else _nearest(total, 1 << -exponent)


def format_long_double(number: LongDouble) -> bytes:
    """With seventeen decimals, exactly rounded, without the zeros at the end."""
    mantissa, exponent = abs(number.mantissa), number.exponent
    scaled = mantissa * _UNIT << exponent if exponent >= 0 else _quotient(mantissa * _UNIT, 1 << -exponent, 0)
    whole, decimals = divmod(scaled, _UNIT)
    sign = b"-" if number.mantissa < 0 and scaled else b""
    return (b"%b%b.%017d" % (sign, _digits(whole), decimals)).rstrip(b"0").rstrip(b".")


def _digits(number: int) -> bytes:
    if number < _BEYOND_SAFE:
        return b"%d" % number
    high, low = divmod(number, _BEYOND_SAFE)
    return b"%b%0*d" % (_digits(high), _SAFE_DIGITS, low)
