"""Questions about the past answered, from one directory.

Every answer is bounded, in what it holds and (but for the first answer about a moment, whose keys must be put together)
in how long it takes: it says where to go on. So no question keeps others from being answered.

Owns: the bounds. Must not know: who asks, how answers are shown, processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keystead.engine.history.answers import Difference, KeyChange, Moment, NotCommitted
from keystead.engine.history.events import Event, events_of
from keystead.engine.history.past import Past
from keystead.engine.history.questions import (
    Answer,
    At,
    Change,
    Changes,
    Differences,
    DifferencesBetween,
    Dropped,
    Folders,
    FoldersAt,
    Found,
    Gone,
    HistoryOf,
    Item,
    KeysAt,
    Log,
    LoggedTransaction,
    MomentOf,
    NotYet,
    Operation,
    Outcome,
    Page,
    Question,
    RemovedKeys,
    Transactions,
    UndoOutlined,
    UndoOutlineOf,
    UndoStepsFound,
    UndoStepsOf,
    Unreadable,
    Value,
    ValueAt,
)
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

    def _folders(self, past: Past, asked: FoldersAt) -> Folders:
        moment = moment_of(past, asked.at)
        found, total = past.folders_at(
            asked.database, moment, asked.prefix, asked.delimiter, asked.after, asked.limit + 1
        )
        items = found[: asked.limit]
        return Folders(moment, items, total, items[-1][0] if len(found) > len(items) else None)

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
        walk = self._back(past, asked) if asked.back else self._onward(past, asked)
        deadline_s = time.monotonic() + SLICE_S
        items: list[LoggedTransaction] = []
        told = 0
        for looked_at, transaction in enumerate(walk):
            # One at least, however long it takes: else whoever goes on there would come no further.
            is_late = looked_at and time.monotonic() > deadline_s
            if len(items) == asked.limit or told > MOST_OPERATIONS or is_late:
                return Log(items, transaction.sequence + asked.back)
            logged = logged_of(transaction, asked, MOST_OPERATIONS)
            if logged is not None:
                items.append(logged)
                told += len(logged.operations)
        return Log(items, None)

    @staticmethod
    def _onward(past: Past, asked: Transactions) -> Iterator[Transaction]:
        return past.transactions(first_of(past, asked.start), past.newest.sequence + 1)

    @staticmethod
    def _back(past: Past, asked: Transactions) -> Iterator[Transaction]:
        first = 0 if asked.start is None else first_of(past, asked.start)
        return past.transactions_back(end_of(past, asked.end), first)


_ANSWERS: Final[dict[type, Callable[[Answerer, Past, Any], Answer]]] = {
    MomentOf: Answerer._moment,
    HistoryOf: Answerer._changes,
    ValueAt: Answerer._value,
    KeysAt: Answerer._page,
    FoldersAt: Answerer._folders,
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


def end_of(past: Past, end: At | None) -> int:
    """The transaction before which to begin when they are read back. HistoryDropped, NotCommitted."""
    behind_newest = past.newest.sequence + 1
    if end is None:
        return behind_newest
    if end.sequence is None:
        return past.moment_at(max(0, end.time_ms)).sequence + 1
    return min(end.sequence, behind_newest)


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
