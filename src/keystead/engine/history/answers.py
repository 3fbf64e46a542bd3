"""What questions about the past are answered with. Plain data: `asking` sends it from process to process."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Moment(NamedTuple):
    """The state after a transaction, and when that was committed: what has expired by then is not there.

    `Moment(0, 0)` is the state before the first transaction of all: nothing.
    """

    sequence: int
    time_ms: int


class KeyChange(msgspec.Struct, frozen=True, gc=False):
    """What one transaction did to one key; or that its time was up, before anybody removed it."""

    sequence: int | None
    """None: an expiry that took effect and is no transaction of its own: nobody has met the key since, or whoever did
    has changed it in the same transaction, or the database was flushed or swapped."""
    time_ms: int
    """When it was committed. Of an expiry: when it took effect."""
    operation: str
    """put · patch · expire · persist · delete · expired; bind, flush, swap: what the database shows was changed."""
    user: str
    client: str
    value: bytes | None
    """The value after it. None: there is no such key."""
    expires_at_ms: int
    """The key's expiry after it; 0: none."""


class Removed(msgspec.Struct, frozen=True, gc=False):
    """A key that was there and is not: how it went, and what it had."""

    key: bytes
    database: int
    sequence: int
    """The transaction since which it is not there. An expiry is in the recycle bin when it has been logged, within
    seconds, or when its database was flushed."""
    time_ms: int
    """As of a `KeyChange`."""
    operation: str
    """delete · expired · flush · swap · bind."""
    user: str
    client: str
    value: bytes
    expires_at_ms: int
    number: int = 0
    """Which one it was of the keys that the transaction took, as far as they were asked for; from 1. See `Behind`."""


class Behind(NamedTuple):
    """Where a list of removed keys goes on in the middle of a transaction: behind so many keys of it, in order.

    No key is named: who is told of the place may not be allowed to read it.
    """

    sequence: int
    number: int


class Difference(msgspec.Struct, frozen=True, gc=False):
    """A key that is not the same at two moments."""

    key: bytes
    before: bytes | None
    before_expires_at_ms: int
    after: bytes | None
    after_expires_at_ms: int


class NotCommitted(Exception):
    """What was asked for has not happened. *newest* is the last moment there is."""

    def __init__(self, newest: Moment) -> None:
        super().__init__(f"the last transaction is {newest.sequence}")
        self.newest = newest
