"""What followers of the change feed are told: transactions of the log as server-sent events.

Owns: how operations are shown, ids, filters. Must not know: sockets, files, who follows. Used by the server
for what is committed now, and by `change_reader` for what is in the log.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from keystead.engine.history.events import Event, events_of
from keystead.engine.history.transactions import Transaction
from keystead.engine.operations import Patch, Put, PutExpiring, SetExpiry

__all__ = [
    "Event",
    "EventData",
    "Filter",
    "MayRead",
    "Position",
    "Values",
    "base64url",
    "encoded",
    "events_of",
    "gone",
    "progress",
]

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
