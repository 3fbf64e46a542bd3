"""The closed set of logged facts, and how each changes a keyspace.

Facts carry absolute values and absolute times, so replaying needs no command and no clock. They are *recorded* as plain
tuples (the cheapest thing to build and to encode) and *decoded* as tagged array-like Structs, which refuse wrong types
at no extra cost; both have the same bytes. `docs/format.md` lists them; tags are never reused.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

PUT = 1
PUT_EXPIRING = 2
DELETE = 3
EXPIRED = 4
SET_EXPIRY = 5
PATCH = 6
BIND = 7
GROUP = 8
AUTHOR = 9
PARTS = 10
FILLER = 11


class Put(msgspec.Struct, array_like=True, tag=PUT, gc=False, forbid_unknown_fields=True):
    """The key holds this string and has no expiry."""

    keyspace: int
    key: bytes
    value: bytes


class PutExpiring(msgspec.Struct, array_like=True, tag=PUT_EXPIRING, gc=False, forbid_unknown_fields=True):
    """The key holds this string until then."""

    keyspace: int
    key: bytes
    value: bytes
    expires_at_ms: int


class Delete(msgspec.Struct, array_like=True, tag=DELETE, gc=False, forbid_unknown_fields=True):
    """Somebody removed the key."""

    keyspace: int
    key: bytes


class Expired(msgspec.Struct, array_like=True, tag=EXPIRED, gc=False, forbid_unknown_fields=True):
    """The key's time was up, and the store removed it."""

    keyspace: int
    key: bytes


class SetExpiry(msgspec.Struct, array_like=True, tag=SET_EXPIRY, gc=False, forbid_unknown_fields=True):
    """The key expires then; 0 means never."""

    keyspace: int
    key: bytes
    expires_at_ms: int


class Patch(msgspec.Struct, array_like=True, tag=PATCH, gc=False, forbid_unknown_fields=True):
    """These bytes of the key's string, from offset on, are now these; a gap before them reads as zeros."""

    keyspace: int
    key: bytes
    offset: int
    data: bytes


class Bind(msgspec.Struct, array_like=True, tag=BIND, gc=False, forbid_unknown_fields=True):
    """This database number now shows that keyspace."""

    key: ClassVar[None] = None
    database: int
    keyspace: int


class Group(msgspec.Struct, array_like=True, tag=GROUP, gc=False, forbid_unknown_fields=True):
    """The next *operations* operations are one transaction. Without it each operation is a transaction of its own."""

    key: ClassVar[None] = None
    operations: int


class Author(msgspec.Struct, array_like=True, tag=AUTHOR, gc=False, frozen=True, forbid_unknown_fields=True):
    """Who committed the transactions from here to the next author or the end of the frame."""

    key: ClassVar[None] = None
    user: str
    client: str


class Parts(msgspec.Struct, array_like=True, tag=PARTS, gc=False, forbid_unknown_fields=True):
    """The operations of one transaction, encoded, are the part frames of that number joined: *length* bytes."""

    key: ClassVar[None] = None
    part: int
    length: int


class Filler(msgspec.Struct, array_like=True, tag=FILLER, gc=False, forbid_unknown_fields=True):
    """Here was an operation that has been erased; it counts as one all the same."""

    zeros: bytes

    @property
    def keyspace(self) -> int:
        """None that there is: whoever looks for a key's operations passes it over."""
        return -1

    @property
    def key(self) -> bytes:
        """None."""
        return b""


Change: TypeAlias = Put | PutExpiring | Delete | Expired | SetExpiry | Patch | Bind | Filler
Keyed: TypeAlias = Put | PutExpiring | Delete | Expired | SetExpiry | Patch
KEYED = frozenset((Put, PutExpiring, Delete, Expired, SetExpiry, Patch))
"""The kinds of operation that are about one key."""
REMOVING = frozenset((Delete, Expired))
Entry: TypeAlias = Change | Group | Author | Parts

SYSTEM = Author("", "")
"""The author of what the store does by itself: expiry."""

encode_entries = msgspec.msgpack.Encoder().encode
decode_entries = msgspec.msgpack.Decoder(list[Entry]).decode
"""Raises msgspec.DecodeError (a ValueError) for anything that is not a list of known entries."""
