"""What Redis would call the encoding of a value, for OBJECT ENCODING and DEBUG OBJECT."""

from __future__ import annotations

from keystead.commands.numbers import integer_or_none
from keystead.engine.values import Value

LONGEST_EMBEDDED = 44
"""Longer strings are "raw" in Redis."""


def encoding_of(value: Value) -> str:
    """int, embstr or raw. A string patched in place is raw whatever it holds, as in Redis."""
    if isinstance(value, bytearray):
        return "raw"
    if integer_or_none(value) is not None:
        return "int"
    return "embstr" if len(value) <= LONGEST_EMBEDDED else "raw"


def serialized_bytes(value: Value) -> int:
    """How long the value is in the log: MessagePack's header and the bytes."""
    length = len(value)
    return length + (2 if length < 1 << 8 else 3 if length < 1 << 16 else 5)
