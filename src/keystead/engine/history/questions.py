"""Questions about the past as data, and their answers: what travels between a process and the one that reads for it.

Must not know: how they are answered (`answering`), who asks, how answers are shown, processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from keystead.engine.history.answers import Behind, Difference, Moment, Removed
from keystead.engine.history.undo_steps import UndoStep

if TYPE_CHECKING:
    pass


class At(msgspec.Struct, frozen=True, array_like=True):
    """A moment: behind that transaction, or, if that is None, behind the last one of that time or before it."""

    sequence: int | None = None
    time_ms: int = 0


# --- Questions -------------------------------------------------------------------------------------------------------


class _Question(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The fields are the question; the database is a number."""


class MomentOf(_Question, frozen=True, array_like=True, tag=True):
    """Which transaction is meant; `Found`."""

    at: At


class HistoryOf(_Question, frozen=True, array_like=True, tag=True):
    """The latest changes of a key, before transaction *before*; `Changes`."""

    database: int
    key: bytes
    count: int
    before: int | None = None
    values: bool = True


class ValueAt(_Question, frozen=True, array_like=True, tag=True):
    """What a key had at a moment; `Value`."""

    database: int
    key: bytes
    at: At


class KeysAt(_Question, frozen=True, array_like=True, tag=True):
    """A page of the keys at a moment that begin with *prefix*, behind *after*; `Page`."""

    database: int
    at: At
    prefix: bytes
    after: bytes | None
    limit: int
    values: bool = True


class FoldersAt(_Question, frozen=True, array_like=True, tag=True):
    """The keys at a moment that begin with *prefix*, folded at the delimiter, behind *after*; `Folders`."""

    database: int
    at: At
    prefix: bytes
    delimiter: bytes
    after: bytes | None
    limit: int


class DifferencesBetween(_Question, frozen=True, array_like=True, tag=True):
    """Keys that begin with *prefix* and are not the same at two moments, behind *after*; `Differences`."""

    database: int
    earlier: At
    later: At
    prefix: bytes
    after: bytes | None
    limit: int


class RemovedKeys(_Question, frozen=True, array_like=True, tag=True):
    """Keys that begin with *prefix*, were there and are not now, before a place in the log; `Gone`."""

    database: int
    prefix: bytes
    before: int | Behind | None
    limit: int


class Transactions(_Question, frozen=True, array_like=True, tag=True):
    """Transactions from *start* on: behind it if it is a time, else with that one; `Log`.

    *back*: those before *end*, or up to it if it is a time, newest first; *start* is then where they end.
    """

    start: At | None
    """None: the oldest that is kept."""
    limit: int
    prefix: bytes = b""
    """Only operations on keys that begin so, and on whole databases."""
    author: str | None = None
    """Only those of that user, or of that client's name or address."""
    database: int | None = None
    back: bool = False
    end: At | None = None
    """None: the newest there is. Only of those that are read back."""


class UndoOutlineOf(_Question, frozen=True, array_like=True, tag=True):
    """What undoing a transaction means, but for the keys; `UndoOutlined`."""

    sequence: int


class UndoStepsOf(_Question, frozen=True, array_like=True, tag=True):
    """Keys that a transaction touched, behind that key of that database; `UndoStepsFound`."""

    sequence: int
    after: tuple[int, bytes] | None
    limit: int


Question: TypeAlias = (
    MomentOf
    | HistoryOf
    | ValueAt
    | KeysAt
    | FoldersAt
    | DifferencesBetween
    | RemovedKeys
    | Transactions
    | UndoOutlineOf
    | UndoStepsOf
)
SHORT: Final = (MomentOf, HistoryOf, ValueAt)
"""Questions that the index answers: they must not wait behind the others."""

# --- Answers ---------------------------------------------------------------------------------------------------------


class _Answer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What was found."""


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `KeyChange`, with the length of its value also where the value is not told."""

    sequence: int | None
    time_ms: int
    operation: str
    user: str
    client: str
    size: int | None
    """None: there is no such key after it."""
    value: bytes | None
    expires_at_ms: int


class Found(_Answer, frozen=True, array_like=True, tag=True):
    """The moment that was meant."""

    moment: Moment


class Changes(_Answer, frozen=True, array_like=True, tag=True):
    """Newest first. Go on before the sequence number of the last that has one; the end is an empty list."""

    changes: list[Change]


class Value(_Answer, frozen=True, array_like=True, tag=True):
    """The value at a moment; None: no such key."""

    moment: Moment
    value: bytes | None
    expires_at_ms: int


class Item(NamedTuple):
    """One key of a page; the value is empty when it was not asked for."""

    key: bytes
    value: bytes
    expires_at_ms: int


class Page(_Answer, frozen=True, array_like=True, tag=True):
    """Some keys in order, and the *after* of the next page; None: that was all."""

    moment: Moment
    items: list[Item]
    following: bytes | None


class Folders(_Answer, frozen=True, array_like=True, tag=True):
    """Folders with the numbers of their keys, and keys with None, in order; how many keys begin with the prefix; the
    *after* of the next page; None: that was all."""

    moment: Moment
    items: list[tuple[bytes, int | None]]
    total: int
    following: bytes | None


class Differences(_Answer, frozen=True, array_like=True, tag=True):
    """Some keys in order, and the *after* to go on with; None: that was all."""

    earlier: Moment
    later: Moment
    items: list[Difference]
    following: bytes | None


class Gone(_Answer, frozen=True, array_like=True, tag=True):
    """Newest first, and the *before* to go on with; None: that was all."""

    items: list[Removed]
    following: int | Behind | None


class Operation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a transaction did to a key, or to a whole database."""

    name: str
    database: int
    key: bytes | None = None
    size: int | None = None
    """Of a put: bytes of the value. Of a patch: of what was put into it."""
    offset: int | None = None
    expires_at_ms: int = 0
    swapped_with: int | None = None


class LoggedTransaction(msgspec.Struct, frozen=True, array_like=True):
    """One entry of the log."""

    sequence: int
    time_ms: int
    user: str
    client: str
    operations: list[Operation]
    left_out: int = 0
    """How many operations more there are, that fit the question."""


class Log(_Answer, frozen=True, array_like=True, tag=True):
    """In the order that was asked for, and the sequence number to go on from, or before; None: that was all."""

    items: list[LoggedTransaction]
    following: int | None


class UndoOutlined(_Answer, frozen=True, array_like=True, tag=True):
    """See `undo_steps.UndoOutline`."""

    swapped: tuple[int, int] | None
    emptied: list[int]
    shown: list[int]


class UndoStepsFound(_Answer, frozen=True, array_like=True, tag=True):
    """Some keys by database and in order, and the *after* to go on with; None: that was all."""

    steps: list[UndoStep]
    following: tuple[int, bytes] | None


Answer: TypeAlias = Found | Changes | Value | Page | Folders | Differences | Gone | Log | UndoOutlined | UndoStepsFound


class Dropped(_Answer, frozen=True, array_like=True, tag=True):
    """Retention has let go what was asked for; *floor* is the oldest moment that can be rebuilt."""

    floor: Moment


class NotYet(_Answer, frozen=True, array_like=True, tag=True):
    """What was asked for has not happened; *newest* is the last moment there is."""

    newest: Moment


class Unreadable(_Answer, frozen=True, array_like=True, tag=True):
    """The files could not be read."""

    reason: str


Failure: TypeAlias = Dropped | NotYet | Unreadable
Outcome: TypeAlias = Answer | Failure
