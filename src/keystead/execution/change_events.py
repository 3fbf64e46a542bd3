"""What followers of the change feed are told: transactions of the log as server-sent events.

Owns: which operations are shown and how, ids, filters. Must not know: sockets, files, who follows. Used by the server
for what is committed now, and by `change_reader` for what is in the log.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from keystead.engine.history.transactions import Databases, Transaction, after
from keystead.engine.operations import Bind, Change, Delete, Expired, Filler, Patch, Put, PutExpiring, SetExpiry

Values: TypeAlias = Literal["none", "text", "base64url"]
"""How values are shown: not at all; as text where they are UTF-8, else as base64url; always as base64url."""

MayRead: TypeAlias = Callable[[bytes], bool]
"""Whether a key may be shown."""


class Position(NamedTuple):
    """A place in a history: behind the event of that index, or, with index 0, before all of that transaction's."""

    sequence: int
    place: int


class Filter(NamedTuple):
    """Which events a follower is shown. Equal filters share their encoded events."""

    db: int | None = 0
    """None: of every database."""
    prefix: bytes = b""
    may_read: MayRead | None = None
    """None: every key."""

    @property
    def passes_all(self) -> bool:
        """Whether there is nothing to look at."""
        return self == EVERYTHING

    def passes(self, event: Event) -> bool:
        """Whether a follower is shown this one. What concerns a whole database concerns every key in it."""
        if self.db is not None and self.db not in (event.db, event.other_db):
            return False
        key = event.key
        return key is None or (key.startswith(self.prefix) and (self.may_read is None or self.may_read(key)))


EVERYTHING = Filter(db=None)


class Event(NamedTuple):
    """One operation, as followers see it."""

    place: int
    """Its place in the transaction, from 1 on; the places of what nobody is shown stay empty."""
    name: str
    db: int
    key: bytes | None
    """None: all of them."""
    change: Change
    other_db: int | None = None
    """The database that it was swapped with."""


class EventData(msgspec.Struct, omit_defaults=True):
    """What stands in an event, as JSON."""

    operation: str
    db: int
    time_ms: int
    key: str | None = None
    key_base64url: str | None = None
    value: str | None = None
    value_base64url: str | None = None
    offset: int | None = None
    length: int | None = None
    expires_at_ms: int | None = None
    swapped_with: int | None = None
    user: str = ""
    client: str = ""


_encode = msgspec.json.Encoder().encode

NAMES: dict[type[Any], str] = {
    Put: "put",
    PutExpiring: "put",
    Delete: "delete",
    Expired: "expired",
    SetExpiry: "expire",
    Patch: "patch",
}


def events_of(transaction: Transaction) -> Iterator[Event]:
    """The events of one transaction, in order. Nobody is shown what the store keeps for itself."""
    databases = transaction.databases
    operations = transaction.operations
    swapped = False
    for index, change in enumerate(operations, 1):
        if isinstance(change, Bind):
            if swapped:
                swapped = False  # the second half of what has been told already
            else:
                other_db = _swapped_with(databases, operations[index - 1 : index + 1])
                swapped = other_db is not None
                yield Event(index, "swap" if swapped else "flush", change.database, None, change, other_db)
            databases = after(databases, [change])
        elif isinstance(change, Filler):
            continue
        elif change.keyspace in databases:
            yield Event(index, NAMES[type(change)], databases.index(change.keyspace), change.key, change)


def _swapped_with(databases: Databases, pair: list[Change]) -> int | None:
    """The other database, when these two binds are a swap. Any other bind shows a keyspace that was shown by none, and
    such a keyspace is empty."""
    if len(pair) == 2:
        one, other = pair
        if isinstance(one, Bind) and isinstance(other, Bind):
            shown = (databases[other.database], databases[one.database])
            if (one.keyspace, other.keyspace) == shown and one.database != other.database:
                return other.database
    return None


def encoded(history: bytes, transaction: Transaction, event: Event, values: Values) -> bytes:
    """The event as it is sent."""
    change = event.change
    data = EventData(
        event.name,
        event.db,
        transaction.time_ms,
        swapped_with=event.other_db,
        user=transaction.author.user,
        client=transaction.author.client,
    )
    if event.key is not None:
        data.key, data.key_base64url = _text_or_base64url(event.key)
    if isinstance(change, (Put, PutExpiring)):
        _show_value(data, change.value, values)
    elif isinstance(change, Patch):
        data.offset, data.length = change.offset, len(change.data)
        _show_value(data, change.data, values)
    if isinstance(change, (PutExpiring, SetExpiry)) and change.expires_at_ms:
        data.expires_at_ms = change.expires_at_ms
    return b"id: %b.%d.%d\ndata: %b\n\n" % (history, transaction.sequence, event.place, _encode(data))


def _show_value(data: EventData, value: bytes, values: Values) -> None:
    if values == "text":
        data.value, data.value_base64url = _text_or_base64url(value)
    elif values == "base64url":
        data.value_base64url = base64url(value)


def _text_or_base64url(data: bytes) -> tuple[str | None, str | None]:
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        return None, base64url(data)


def base64url(data: bytes) -> str:
    """Without padding, as in RFC 4648, 5."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def progress(history: bytes, position: Position) -> bytes:
    """The event that tells how far a follower has come."""
    sequence, index = position
    data = b'{"sequence":%d}' % sequence
    return b"event: progress\nid: %b.%d.%d\ndata: %b\n\n" % (history, sequence, index, data)


def gone(detail: str) -> bytes:
    """The event behind which a stream ends, because it cannot go on without a gap."""
    return b"event: gone\ndata: %b\n\n" % _encode({"detail": detail})
