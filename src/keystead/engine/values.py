"""What a key can hold: the Python type of a value is its type.

Today a string (`bytes`, or `bytearray` once it has been patched); collections join as further Python types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Value: TypeAlias = bytes | bytearray
"""`bytearray` is a string that was patched in place: only the keyspace that owns it may change it."""

KEY_OVERHEAD_BYTES = 150
"""What a key costs beside its own and its value's bytes: two object headers, the allocator's rounding (16 bytes each),
and its share of a shard's table, which is between half and two thirds full. Measured at 1 M keys of 16 + 64 bytes."""

value_bytes: Callable[[Value], int] = len
"""Bytes of the value itself, without overhead."""
