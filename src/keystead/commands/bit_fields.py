"""Integers of any width at any bit of a string: BITFIELD.

Owns: reading and writing such an integer, and what happens when a number does not fit. Must not know: keys, replies.
"""

from __future__ import annotations

from typing import NamedTuple

_UINT64 = (1 << 64) - 1


class FieldType(NamedTuple):
    """`i8`, `u63`: signed or not, and how many bits (1 to 64, unsigned to 63)."""

    signed: bool
    bits: int

    @property
    def least(self) -> int:
        return -(1 << self.bits - 1) if self.signed else 0

    @property
    def most(self) -> int:
        return (1 << self.bits - self.signed) - 1


def read_field(data: bytes | bytearray, offset: int, kind: FieldType) -> int:
    """The integer whose first bit is at *offset*; bits past the end of *data* are 0."""
    window, spare_bits = _window(data, offset, kind.bits)
    value = window >> spare_bits & ((1 << kind.bits) - 1)
    return value - (1 << kind.bits) if value > kind.most else value


def written_field(data: bytes | bytearray, offset: int, kind: FieldType, value: int) -> bytes:
    """The bytes that replace those of *data* from byte `offset // 8` on when *value*, which fits, is written."""
    window, spare_bits = _window(data, offset, kind.bits)
    mask = (1 << kind.bits) - 1
    window = window & ~(mask << spare_bits) | (value & mask) << spare_bits
    return window.to_bytes(_window_bytes(offset, kind.bits), "big")


def _window(data: bytes | bytearray, offset: int, bits: int) -> tuple[int, int]:
    """The bytes that hold the field, as one integer, and how many of its bits lie behind the field."""
    start, length = offset >> 3, _window_bytes(offset, bits)
    window = int.from_bytes(data[start : start + length].ljust(length, b"\0"), "big")
    return window, 8 * length - (offset & 7) - bits


def _window_bytes(offset: int, bits: int) -> int:
    return ((offset & 7) + bits + 7) >> 3


def fit(kind: FieldType, value: int, overflow: str) -> int | None:
    """*value* as the field can hold it: wrapped around, held at the limit ("SAT"), or None ("FAIL")."""
    if kind.least <= value <= kind.most:
        return value
    if overflow == "FAIL":
        return None
    if overflow == "SAT":
        return kind.most if value > 0 else kind.least
    wrapped = value & ((1 << kind.bits) - 1)
    return wrapped - (1 << kind.bits) if wrapped > kind.most else wrapped


def as_assigned(kind: FieldType, value: int) -> int:
    """A number given to SET: for an unsigned field Redis reads the 64 bits of a negative one as a large number."""
    return value if kind.signed else value & _UINT64
