"""When the keys of one shard expire.

Owns: how expiries are kept. Must not know: values, clocks, what becomes of a key whose time is up.

A dictionary of times was rejected: each time is an object of 32 bytes beside the 40 of its entry. Here the dictionary
leads to a *slot* in an array of times, and the numbers of slots are few, so all shards share their objects: an expiry
costs 51 bytes instead of 88. A subclass of `dict` was rejected too: the garbage collector would look at every key.
"""

from __future__ import annotations

import threading
from array import array
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXPIRY_OVERHEAD_BYTES: Final = 51
"""What an expiry costs: its share of a second table, and eight bytes with what an array keeps spare."""

SPARE_SLOTS: Final = 8
"""So many slots without a key do not matter; beyond them, no more than there are keys."""

_slots: list[int] = []
"""Number i at position i: the objects that all shards share."""
_growing: Final = threading.Lock()


def _slot(number: int) -> int:
    if number >= len(_slots):
        with _growing:
            _slots.extend(range(len(_slots), 2 * number + 1))
    return _slots[number]


class ShardExpiries:
    """Keys of one shard and their expiries, all greater than 0; a shard without any has None instead.

    A slot is one key's for as long as the object lives. So a thread may read, without a lock, while another one writes:
    it finds a time that the key has or had.
    """

    __slots__ = ("slots", "times")

    def __init__(self, keys: Iterable[bytes] = (), times: Iterable[int] = ()) -> None:
        """The first keys have these times. OverflowError for a time that is negative or has more than 64 bits."""
        self.times = array("Q", times)
        """In milliseconds of Unix time, by slot; some may be nobody's any more."""
        count = len(self.times)
        _slot(count)
        self.slots: dict[bytes, int] = dict(zip(keys, islice(_slots, count), strict=False))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShardExpiries) and dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]  # it changes

    def at_ms(self, key: bytes) -> int:
        """The key's expiry; 0 when it has none."""
        slot = self.slots.get(key)
        return 0 if slot is None else self.times[slot]

    def set(self, key: bytes, at_ms: int) -> None:
        """Give the key an expiry, or another one."""
        slot = self.slots.get(key)
        if slot is None:
            self.times.append(at_ms)  # first: who finds the slot finds its time
            self.slots[key] = _slot(len(self.times) - 1)
        else:
            self.times[slot] = at_ms

    def set_many(self, expiries: dict[bytes, int]) -> None:
        """`set` of each key, in a third of the time."""
        slots, times = self.slots, self.times
        for key in slots.keys() & expiries.keys():
            times[slots[key]] = expiries[key]
        new = [key for key in expiries if key not in slots]
        start = len(times)
        times.extend(map(expiries.__getitem__, new))  # first: who finds the slot finds its time
        _slot(len(times))
        slots.update(zip(new, islice(_slots, start, None), strict=False))

    def in_order(self) -> list[int]:
        """The expiries, in the order of `slots`' keys."""
        return list(map(self.times.__getitem__, self.slots.values()))

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Each key with its expiry."""
        return zip(self.slots, self.in_order(), strict=True)

    def due(self, now_ms: int) -> Iterator[bytes]:
        """The keys whose time is up."""
        times = self.times
        return (key for key, slot in self.slots.items() if times[slot] <= now_ms)


def expiry_of(expires: ShardExpiries | None, key: bytes) -> int:
    """The key's expiry; 0 when it has none."""
    return 0 if expires is None else expires.at_ms(key)


def set_expiry(by_shard: list[ShardExpiries | None], i: int, key: bytes, at_ms: int) -> None:
    """Let the key, which is in shard *i*, expire then."""
    expires = by_shard[i]
    if expires is None:
        expires = by_shard[i] = ShardExpiries()
    elif len(expires.times) > 2 * len(expires.slots) + SPARE_SLOTS:
        expires = by_shard[i] = ShardExpiries(expires.slots, expires.in_order())
    expires.set(key, at_ms)


def set_expiries(by_shard: list[ShardExpiries | None], i: int, expiries: dict[bytes, int]) -> None:
    """Let these keys, which are in shard *i*, expire at these times."""
    expires = by_shard[i]
    if expires is None:
        by_shard[i] = ShardExpiries(expiries, expiries.values())
        return
    if len(expires.times) > 2 * len(expires.slots) + SPARE_SLOTS:
        expires = by_shard[i] = ShardExpiries(expires.slots, expires.in_order())
    expires.set_many(expiries)


def drop_expiry(by_shard: list[ShardExpiries | None], i: int, key: bytes) -> None:
    """Let the key live for ever, or forget it."""
    expires = by_shard[i]
    if expires is not None and expires.slots.pop(key, None) is not None and not expires.slots:
        by_shard[i] = None


def drop_expiries(by_shard: list[ShardExpiries | None], i: int, keys: Iterable[bytes]) -> None:
    """Let these keys, which have expiries and are in shard *i*, live for ever, or forget them."""
    expires = by_shard[i]
    assert expires is not None, "none of the shard's keys has an expiry"
    slots = expires.slots
    for key in keys:
        del slots[key]
    if not slots:
        by_shard[i] = None
