"""What a transaction did, operation by operation, as people are told of it.

Owns: which operations are shown, by which names, of which database. Must not know: who is told, how that is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from keystead.engine.history.transactions import Databases, Transaction, after
from keystead.engine.operations import Bind, Change, Delete, Expired, Filler, Patch, Put, PutExpiring, SetExpiry


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
