"""Strings as rows of bits: counting, finding, combining. Bit 0 is the highest bit of the first byte.

Owns: the arithmetic behind BITCOUNT, BITPOS, BITOP, GETBIT, on whole strings by C code.
Must not know: keys, replies.
"""

from __future__ import annotations

from functools import reduce
from itertools import accumulate
from operator import and_, or_, xor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN_BYTES = 1 << 16
_RUNS = {0x00: bytes(_RUN_BYTES), 0xFF: b"\xff" * _RUN_BYTES}


def get_bit(data: bytes | bytearray, offset: int) -> int:
    """The bit at *offset*; bits past the end are 0."""
    byte = offset >> 3
    return data[byte] >> (7 - (offset & 7)) & 1 if byte < len(data) else 0


def count_bits(data: bytes | bytearray, first: int, last: int) -> int:
    """How many of the bits from *first* to *last*, both included and within *data*, are 1."""
    if first > last:
        return 0
    whole = int.from_bytes(data[first >> 3 : (last >> 3) + 1], "big").bit_count()
    before = data[first >> 3] >> (8 - (first & 7))
    after = data[last >> 3] & (0x7F >> (last & 7))
    return whole - before.bit_count() - after.bit_count()


def find_bit(data: bytes | bytearray, bit: int, first: int, last: int) -> int:
    """Offset of the first *bit* (0 or 1) from *first* to *last*, both included and within *data*; -1 without one."""
    other = 0x00 if bit else 0xFF
    first_byte, last_byte = first >> 3, last >> 3
    at = first_byte
    while True:
        at = _skip(data, other, at, last_byte + 1)
        if at > last_byte:
            return -1
        hits = data[at] ^ other
        if at == first_byte:
            hits &= 0xFF >> (first & 7)
        if at == last_byte:
            hits &= 0xFF80 >> (last & 7)
        if hits:
            return 8 * at + 8 - hits.bit_length()
        at += 1  # the hits of an edge byte lay outside the range: happens twice at most


def _skip(data: bytes | bytearray, byte: int, at: int, end: int) -> int:
    """The first position from *at* on that does not hold *byte*; *end* or beyond when there is none before *end*."""
    run = _RUNS[byte]
    while at < end and data.startswith(run, at):
        at += _RUN_BYTES
    window = data[at : min(at + _RUN_BYTES, end)]
    return at + len(window) - len(window.lstrip(run[:1]))


def combine_bits(operation: str, sources: list[bytes | bytearray]) -> bytes:
    """BITOP: the bits of *sources*, the shorter ones padded with zeros, combined to the length of the longest."""
    length = max(map(len, sources))
    # Little-endian: a missing tail is then a high part that is zero without being written.
    rows = [int.from_bytes(source, "little") for source in sources]
    return _COMBINE[operation](rows, length).to_bytes(length, "little")


def _complement(rows: list[int], length: int) -> int:
    return rows[0] ^ ((1 << 8 * length) - 1)


def _first_without_others(rows: list[int], _length: int) -> int:
    return rows[0] & ~reduce(or_, rows[1:])


def _others_without_first(rows: list[int], _length: int) -> int:
    return reduce(or_, rows[1:]) & ~rows[0]


def _first_and_any_other(rows: list[int], _length: int) -> int:
    return rows[0] & reduce(or_, rows[1:])


def _exactly_one(rows: list[int], _length: int) -> int:
    seen_before = accumulate(rows[:-1], or_, initial=0)
    twice = reduce(or_, (row & seen for row, seen in zip(rows, seen_before, strict=True)))
    return reduce(or_, rows) & ~twice


_COMBINE: dict[str, Callable[[list[int], int], int]] = {
    "AND": lambda rows, _length: reduce(and_, rows),
    "OR": lambda rows, _length: reduce(or_, rows),
    "XOR": lambda rows, _length: reduce(xor, rows),
    "NOT": _complement,
    "DIFF": _first_without_others,
    "DIFF1": _others_without_first,
    "ANDOR": _first_and_any_other,
    "ONE": _exactly_one,
}
