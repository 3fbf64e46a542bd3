"""A key looked up for a client: what it holds, counted as a hit or a miss.

Counted is what Redis counts: lookups by which a client learns a value, in the durable view or not; not those by which a
writing command finds out what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.commands.value_types import string, text

if TYPE_CHECKING:
    from keystead.engine.values import Value
    from keystead.execution.session import Session


def count(session: Session, value: Value | None) -> None:
    """Count a lookup that found *value*."""
    if value is None:
        session.statistics.keyspace_misses += 1
    else:
        session.statistics.keyspace_hits += 1


def read(session: Session, key: bytes) -> Value | None:
    """What a plain read may show: never what a power cut could take back, unless the client wrote it itself."""
    value = session.db.keyspace.read(key, session)
    count(session, value)
    return value


def read_string(session: Session, key: bytes) -> bytes | bytearray | None:
    """Like `read`, of a key that must hold a string. Raises CommandError for other types."""
    return string(read(session, key))


def read_text(session: Session, key: bytes) -> bytes | bytearray:
    """Like `read_string`; an absent key reads as the empty string."""
    return text(read(session, key))


def current_string(session: Session, key: bytes) -> bytes | bytearray | None:
    """The present string, durable or not: for commands that answer it and change it, whose reply waits."""
    value = session.db.keyspace.get(key)
    count(session, value)
    return string(value)
