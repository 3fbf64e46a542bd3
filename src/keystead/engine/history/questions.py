"""Questions about the past as data, and their answers: what travels between a process and the one that reads for it.

Every answer is bounded, in what it holds and (but for the first answer about a moment, whose keys must be put together)
in how long it takes: it says where to go on. So no question keeps others from being answered.

Owns: the questions, the bounds. Must not know: who asks, how answers are shown, processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from keystead.engine.history.answers import Behind, Difference, KeyChange, Moment, NotCommitted, Removed
from keystead.engine.history.events import Event, events_of
from keystead.engine.history.past import Past
from keystead.engine.history.transactions import HistoryDropped, Transaction
from keystead.engine.history.undo_steps import UndoStep, undo_outline, undo_steps
from keystead.engine.operations import Patch, Put, PutExpiring, SetExpiry
from keystead.errors import DamagedData, UnknownFormat

if TYPE_CHECKING:
    from keystead.engine.files import Directory

T = TypeVar("T")

MOST_BYTES: Final = 4 << 20
"""An answer ends early, after one item at least, when its values are longer."""
SLICE_S: Final = 0.5
"""An answer ends early, whatever it has found, when it has taken so long."""
MOST_OPERATIONS: Final = 1_000
"""So many operations of one transaction are told at most."""


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
    """Transactions from *start* on: behind it if it is a time, else with that one; `Log`."""

    start: At | None
    """None: the oldest that is kept."""
    limit: int
    prefix: bytes = b""
    """Only operations on keys that begin so, and on whole databases."""
    author: str | None = None
    """Only those of that user, or of that client's name or address."""
    database: int | None = None


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
    """Oldest first, and the sequence number to go on from; None: that was all that is durable."""

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


Answer: TypeAlias = Found | Changes | Value | Page | Differences | Gone | Log | UndoOutlined | UndoStepsFound


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


# --- Answering -------------------------------------------------------------------------------------------------------


class Answerer:
    """Answers questions about one directory, for one thread. Close it."""

    def __init__(self, directory: Directory, between_frames: Callable[[], None] = lambda: None) -> None:
        """*between_frames* as of `Past`: what it raises comes out of `answer`, and the next question may be asked."""
        self._directory = directory
        self._between_frames = between_frames
        self._past: Past | None = None
        self._walks: dict[tuple[int, tuple[int, bytes] | None], Iterator[UndoStep]] = {}
        """Where the last answer of steps ended; to begin anew takes as long as all of them."""
        self._comparing: tuple[object, Iterator[Difference]] | None = None
        """Where the last comparison stopped: to begin it anew takes as long as all of it."""

    def answer(self, question: Question, until: int | None) -> Outcome:
        """The answer, of what was committed before transaction *until*; None: of all there is."""
        try:
            past = self._past_until(until)
        except (DamagedData, UnknownFormat) as error:
            self.close()
            return Unreadable(str(error))
        try:
            return _ANSWERS[type(question)](self, past, question)
        except HistoryDropped:
            return Dropped(past.floor)
        except NotCommitted as error:
            return NotYet(error.newest)
        except DamagedData as error:
            self.close()
            return Unreadable(str(error))

    def _past_until(self, until: int | None) -> Past:
        if self._past is None:
            self._past = Past(self._directory, until, self._between_frames)
        else:
            self._past.refresh(until)
        return self._past

    def close(self) -> None:
        """Let all files go. The next question opens them anew."""
        self._comparing = None
        self._walks.clear()
        if self._past is not None:
            self._past.close()
            self._past = None

    # --- One of each ------------------------------------------------------------------------------------------------

    def _moment(self, past: Past, asked: MomentOf) -> Found:
        return Found(moment_of(past, asked.at))

    def _changes(self, past: Past, asked: HistoryOf) -> Changes:
        found: list[Change] = []
        length = 0
        for change in past.key_changes(asked.database, asked.key, asked.count, asked.before):
            shown = _shown(change, values=asked.values)
            length += len(shown.value or b"")
            if found and length > MOST_BYTES:
                break
            found.append(shown)
        return Changes(found)

    def _value(self, past: Past, asked: ValueAt) -> Value:
        moment = moment_of(past, asked.at)
        found = past.values_at(asked.database, [asked.key], moment).get(asked.key)
        return Value(moment, None, 0) if found is None else Value(moment, bytes(found[0]), found[1])

    def _page(self, past: Past, asked: KeysAt) -> Page:
        moment = moment_of(past, asked.at)
        items: list[Item] = []
        length = 0
        for key, value, expires_at_ms in past.page_at(
            asked.database, moment, asked.prefix, asked.after, asked.limit + 1
        ):
            length += len(value) if asked.values else 0
            if len(items) == asked.limit or (items and length > MOST_BYTES):
                return Page(moment, items, items[-1].key)
            items.append(Item(key, bytes(value) if asked.values else b"", expires_at_ms))
        return Page(moment, items, None)

    def _differences(self, past: Past, asked: DifferencesBetween) -> Differences:
        earlier, later = moment_of(past, asked.earlier), moment_of(past, asked.later)
        place = (asked.database, earlier, later, asked.prefix, asked.after)
        # Taken out: it is of no use when it is ended in the middle, and its views go before others are made.
        known, self._comparing = self._comparing, None
        if known is not None and known[0] == place:
            comparing = known[1]
        else:
            del known
            comparing = past.differences(asked.database, earlier, later, asked.prefix)
        items: list[Difference] = []
        length = 0
        for found in comparing:
            if asked.after is not None and found.key <= asked.after:
                continue
            items.append(found)
            length += len(found.before or b"") + len(found.after or b"")
            if len(items) == asked.limit or length > MOST_BYTES:
                following = found.key
                self._comparing = ((*place[:-1], following), comparing)
                return Differences(earlier, later, items, following)
        return Differences(earlier, later, items, None)

    def _gone(self, past: Past, asked: RemovedKeys) -> Gone:
        deadline_s = time.monotonic() + SLICE_S
        found, following = past.removed(asked.database, asked.prefix, asked.before, asked.limit, deadline_s)
        return Gone(found, following)

    def _undo_outline(self, past: Past, asked: UndoOutlineOf) -> UndoOutlined:
        return UndoOutlined(*undo_outline(past, asked.sequence))

    def _undo_steps(self, past: Past, asked: UndoStepsOf) -> UndoStepsFound:
        walk = self._walks.pop((asked.sequence, asked.after), None)
        if walk is None:
            walk = undo_steps(past, asked.sequence)
            if asked.after is not None:
                walk = (step for step in walk if (step.database, step.key) > asked.after)
        steps: list[UndoStep] = []
        length = 0
        for step in walk:
            steps.append(step)
            length += len(step.before or b"") + len(step.after or b"")
            if len(steps) == asked.limit or length > MOST_BYTES:
                following = (step.database, step.key)
                self._walks = {(asked.sequence, following): walk}
                return UndoStepsFound(steps, following)
        return UndoStepsFound(steps, None)

    def _log(self, past: Past, asked: Transactions) -> Log:
        first = first_of(past, asked.start)
        until = past.newest.sequence + 1
        deadline_s = time.monotonic() + SLICE_S
        items: list[LoggedTransaction] = []
        told = 0
        for transaction in past.transactions(first, until):
            if len(items) == asked.limit or told > MOST_OPERATIONS or time.monotonic() > deadline_s:
                return Log(items, transaction.sequence)
            logged = logged_of(transaction, asked, MOST_OPERATIONS)
            if logged is not None:
                items.append(logged)
                told += len(logged.operations)
        return Log(items, None)


_ANSWERS: Final[dict[type, Callable[[Answerer, Past, Any], Answer]]] = {
    MomentOf: Answerer._moment,
    HistoryOf: Answerer._changes,
    ValueAt: Answerer._value,
    KeysAt: Answerer._page,
    DifferencesBetween: Answerer._differences,
    RemovedKeys: Answerer._gone,
    Transactions: Answerer._log,
    UndoOutlineOf: Answerer._undo_outline,
    UndoStepsOf: Answerer._undo_steps,
}


def moment_of(past: Past, at: At) -> Moment:
    """The moment that was meant. HistoryDropped, NotCommitted."""
    return past.moment(at.sequence) if at.sequence is not None else past.moment_at(max(0, at.time_ms))


def first_of(past: Past, start: At | None) -> int:
    """The first transaction that was meant. HistoryDropped, NotCommitted."""
    if start is None:
        return past.floor.sequence + 1
    if start.sequence is None:
        return past.moment_at(max(0, start.time_ms)).sequence + 1
    return max(1, start.sequence)


def logged_of(transaction: Transaction, asked: Transactions, most: int | None) -> LoggedTransaction | None:
    """The transaction as it is told, with *most* operations or all of them; None when nothing in it was asked for."""
    author = transaction.author
    if asked.author is not None and asked.author not in (author.user, author.client):
        return None
    operations: list[Operation] = []
    left_out = 0
    for event in events_of(transaction):
        if not _is_asked_for(event, asked):
            continue
        if len(operations) == most:
            left_out += 1
        else:
            operations.append(_operation(event))
    if not operations:
        return None
    return LoggedTransaction(
        transaction.sequence, transaction.time_ms, author.user, author.client, operations, left_out
    )


def _is_asked_for(event: Event, asked: Transactions) -> bool:
    if asked.database is not None and asked.database not in (event.db, event.other_db):
        return False
    return event.key is None or event.key.startswith(asked.prefix)


def _operation(event: Event) -> Operation:
    change = event.change
    name, size, offset, expires_at_ms = event.name, None, None, 0
    if isinstance(change, Put | PutExpiring):
        size = len(change.value)
    elif isinstance(change, Patch):
        size, offset = len(change.data), change.offset
    if isinstance(change, PutExpiring | SetExpiry):
        expires_at_ms = change.expires_at_ms
        if isinstance(change, SetExpiry) and not expires_at_ms:
            name = "persist"
    return Operation(name, event.db, event.key, size, offset, expires_at_ms, event.other_db)


def _shown(change: KeyChange, *, values: bool) -> Change:
    value = change.value
    return Change(
        change.sequence,
        change.time_ms,
        change.operation,
        change.user,
        change.client,
        None if value is None else len(value),
        bytes(value) if values and value is not None else None,
        change.expires_at_ms,
    )
