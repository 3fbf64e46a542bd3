"""What each changing method of the mapping means, once for every place where it can be called.

A change is a function of a `State`; the store applies it to current memory, a transaction to its overlay, a connected
store to what it watches on the server. It reads first and changes last, so that one that raises has changed nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, TypeVar

from keystead.errors import ValueRefused

if TYPE_CHECKING:
    from keystead.embedded.state import State

K = TypeVar("K")
V = TypeVar("V")

Seconds: TypeAlias = float | timedelta
Moment: TypeAlias = float | datetime
Condition: TypeAlias = Literal["always", "absent", "present"]

LATEST_MS: Final = 1 << 53
"""The latest expiry, some 285,000 years from now."""


class Expiry(NamedTuple):
    """When a value shall expire: never, *ttl_ms* from now, at *at_ms*, or when the one it replaces would have."""

    ttl_ms: int = 0
    at_ms: int = 0
    keep: bool = False

    def resolve(self, now_ms: int, former_ms: int) -> int:
        """As an absolute time, 0 for never."""
        if self.keep:
            return former_ms
        return now_ms + self.ttl_ms if self.ttl_ms else self.at_ms


NEVER: Final = Expiry()


def expiry(ttl: Seconds | None, expires_at: Moment | None, keep: bool = False) -> Expiry:
    """From a method's arguments, of which at most one is given. ValueRefused."""
    if (ttl is not None) + (expires_at is not None) + keep > 1:
        raise ValueRefused("give one of ttl, expires_at and keep_ttl")
    if ttl is not None:
        ttl_ms = _milliseconds(ttl.total_seconds() if isinstance(ttl, timedelta) else ttl, "ttl")
        if ttl_ms <= 0:
            raise ValueRefused(f"ttl is a positive number of seconds, not {ttl!r}")
        return Expiry(ttl_ms=ttl_ms)
    if expires_at is not None:
        at = expires_at.timestamp() if isinstance(expires_at, datetime) else expires_at
        return Expiry(at_ms=max(1, _milliseconds(at, "expires_at")))
    return Expiry(keep=True) if keep else NEVER


def _milliseconds(seconds: object, name: str) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        raise ValueRefused(f"{name} is a number of seconds, not {seconds!r}")
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds > LATEST_MS:
        raise ValueRefused(f"{name} is too far away: {seconds!r}")
    return milliseconds


def _put(state: State, key: bytes, value: bytes, expires_at_ms: int) -> None:
    if 0 < expires_at_ms <= state.now_ms():
        state.delete(key)
    else:
        state.put(key, value, expires_at_ms)


def put(state: State, key: bytes, value: bytes, expires: Expiry, condition: Condition) -> bool:
    """Set the key if *condition* holds; whether it did."""
    if expires is NEVER and condition == "always":
        state.put(key, value)
        return True
    former, former_ms = state.read(key)
    if condition != "always" and (former is None) != (condition == "absent"):
        return False
    _put(state, key, value, expires.resolve(state.now_ms(), former_ms))
    return True


def put_all(state: State, pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Set every key of *pairs*."""
    for key, value in pairs:
        state.put(key, value)


def compare_and_put(
    state: State, key: bytes, expected: Callable[[bytes | None], bool], value: bytes, expires: Expiry
) -> bool:
    """Set the key if its value (None: absent) is *expected*; whether it was."""
    former, former_ms = state.read(key)
    if not expected(former):
        return False
    _put(state, key, value, expires.resolve(state.now_ms(), former_ms))
    return True


def put_if_absent(state: State, key: bytes, value: bytes) -> bytes | None:
    """Set the key unless it exists; the value it had."""
    former, _ = state.read(key)
    if former is None:
        state.put(key, value)
    return former


def add(
    state: State, key: bytes, by: int, read_integer: Callable[[bytes], int], write_integer: Callable[[int], bytes]
) -> int:
    """Add to the integer at the key, 0 when absent, and keep its expiry; the sum."""
    former, former_ms = state.read(key)
    total = by if former is None else read_integer(former) + by
    state.put(key, write_integer(total), former_ms)
    return total


def delete(state: State, key: bytes) -> bool:
    """Remove the key; whether it existed."""
    former, _ = state.read(key)
    if former is not None:
        state.delete(key)
    return former is not None


def pop(state: State, key: bytes, decode: Callable[[bytes], V]) -> tuple[V] | None:
    """Remove the key; the value it had. One that cannot be decoded stays where it is."""
    former, _ = state.read(key)
    if former is None:
        return None
    value = decode(former)
    state.delete(key)
    return (value,)


def pop_any(state: State, decode_key: Callable[[bytes], K], decode: Callable[[bytes], V]) -> tuple[K, V] | None:
    """Remove some key; it and the value it had. None when there is none."""
    key = state.any_key()
    if key is None:
        return None
    name = decode_key(key)
    found = pop(state, key, decode)
    assert found is not None
    return name, found[0]


def delete_all(state: State, keys: Iterable[bytes]) -> int:
    """Remove every key of *keys*; how many of them existed."""
    return sum(delete(state, key) for key in keys)


def expire(state: State, key: bytes, expires: Expiry) -> bool:
    """Give the key another expiry (NEVER: none); whether it exists."""
    value, former_ms = state.read(key)
    if value is None:
        return False
    at_ms = expires.resolve(state.now_ms(), former_ms)
    if 0 < at_ms <= state.now_ms():
        state.delete(key)
    elif at_ms != former_ms:
        state.set_expiry(key, at_ms)
    return True


def clear(state: State) -> None:
    """Remove every key."""
    state.clear()
