"""What a key can hold: the Python type of a value is its type.

Today a string (`bytes`, or `bytearray` once it has been patched); collections join as further Python types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

Value: TypeAlias = bytes | bytearray
"""`bytearray` is a string that was patched in place: only the keyspace that owns it may change it."""

KEY_OVERHEAD_BYTES = 150
"""What a key costs beside its own and its value's bytes: two object headers, the allocator's rounding (16 bytes each),
and its share of a shard's table, which is between half and two thirds full. Measured at 1 M keys of 16 + 64 bytes."""

EXPIRY_OVERHEAD_BYTES = 60
"""What an expiry costs: its share of a second table, and an integer object of 32 bytes unless others share it."""


value_bytes: Callable[[Value], int] = len
"""Bytes of the value itself, without overhead."""


class SharedTimes:
    """Equal expiries as one object: an integer costs 32 bytes, and keys written in one millisecond are given the same.

    A burst of a hundred thousand keys a second shares each among a hundred keys; without this, a TTL costs half as
    much again. Forgets when it has grown: sharing is a saving, not a promise.
    """

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: dict[int, int] = {}

    def share(self, at_ms: int) -> int:
        """The object to keep for this time."""
        if len(self._times) > 10_000:
            self._times.clear()
        return self._times.setdefault(at_ms, at_ms)

    def share_all(self, times: list[int]) -> Iterator[int]:
        """The same for many, at the speed of C."""
        if len(self._times) > 1_000_000:
            self._times.clear()
        return map(self._times.setdefault, times, times)
