"""Reading the past: KS.HISTORY, KS.MOMENT, KS.GET, KS.KEYS, KS.DIFF, KS.DELETED, KS.LOG.

Each asks whoever answers questions about the past (`keystead.execution.historian`) and replies when it has. The answer
has everything the client has done before, and nothing that is not durable. None may be queued by MULTI: a transaction
cannot wait.

A reply has so many items and no more than a few megabytes of values, and says where to go on. A user who may not read
every key is shown those that he may read; a place to go on at never names another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from keystead.commands.declaration import command
from keystead.commands.moments import NotAMoment, iso, read_moment
from keystead.commands.numbers import positive
from keystead.commands.placement import NO_PAST
from keystead.engine.history import questions
from keystead.engine.history.answering import MOST_BYTES
from keystead.engine.history.answers import Behind, Difference, Moment, Removed
from keystead.engine.history.questions import (
    Change,
    Changes,
    Differences,
    DifferencesBetween,
    Dropped,
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
    Page,
    RemovedKeys,
    Transactions,
    Unreadable,
    Value,
    ValueAt,
)
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.historian import CallOff
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

Document: TypeAlias = dict[bytes, object]
Done: TypeAlias = Callable[[bytes | CommandError], None]

DEFAULT_COUNT: Final = 100
MOST_COUNT: Final = 1_000

history_command = partial(
    command,
    group="history",
    cluster=NO_PAST,
    since="0.1.0",
    flags="readonly noscript no_multi",
    acl="keyspace",
    reads="nothing",
    encoded=True,
    types={"count": positive, "sequence": positive},
)


@history_command(
    "KS.HISTORY key [COUNT count] [BEFORE sequence] [NOVALUES]",
    keys="RO ACCESS",
    complexity="O(N) where N is the number of changes returned, plus a search in the index of each file of history",
    summary="Returns the latest changes of a key: when, what, by whom, and the value after each.",
)
def ks_history(
    session: Session, key: bytes, *, count: int = DEFAULT_COUNT, before: int | None = None, novalues: bool = False
) -> bytes | Promise:
    """Newest first. An expiry stands at the time at which it took effect."""
    question = HistoryOf(session.db.number, key, _bounded(count), before, not novalues)

    def reply(answer: Changes) -> object:
        return [_change(change, values=not novalues) for change in answer.changes]

    return _ask(session, question, reply)


@history_command(
    "KS.MOMENT moment",
    complexity="O(log N) where N is the number of files of history",
    summary="Returns the last transaction that had been committed at a moment.",
)
def ks_moment(session: Session, moment: bytes) -> bytes | Promise:
    """So that what is asked next is asked of the same moment."""

    def reply(answer: Found) -> object:
        return _moment(answer.moment)

    return _ask(session, MomentOf(moment_argument(session, moment)), reply)


@history_command(
    "KS.GET key AT moment",
    keys="RO ACCESS",
    complexity="O(1), plus a search in the index of each file of history behind the moment",
    summary="Returns the value that a key had at a moment.",
)
def ks_get(session: Session, key: bytes, moment: bytes) -> bytes | Promise:
    question = ValueAt(session.db.number, key, moment_argument(session, moment))

    def reply(answer: Value) -> object:
        return answer.value

    return _ask(session, question, reply)


@history_command(
    "KS.KEYS AT moment [PREFIX prefix] [AFTER last-key] [COUNT count] [VALUES]",
    key_specs=(),
    complexity="O(N) where N is the number of keys at the moment, the first time; O(log N) for further pages",
    summary="Returns keys in order as they were at a moment.",
)
def ks_keys(
    session: Session,
    moment: bytes,
    *,
    prefix: bytes = b"",
    after: bytes | None = None,
    count: int = DEFAULT_COUNT,
    values: bool = False,
) -> bytes | Promise:
    question = KeysAt(session.db.number, moment_argument(session, moment), prefix, after, _bounded(count), values)

    def reply(answer: Page, items: list[Item], following: object) -> object:
        shown = [[key, value, expires_at_ms or None] for key, value, expires_at_ms in items]
        return {
            **_moment(answer.moment),
            b"keys": shown if values else [item.key for item in items],
            b"next": following,
        }

    return _gather(session, question, "after", reply)


@history_command(
    "KS.DIFF from to [PREFIX prefix] [COUNT count] [AFTER last-key]",
    key_specs=(),
    complexity="O(N) where N is the number of keys at the two moments; further pages go on where the last one ended",
    summary="Returns the keys that are not the same at two moments, with both values.",
)
def ks_diff(
    session: Session,
    from_: bytes,
    to: bytes,
    *,
    prefix: bytes = b"",
    count: int = DEFAULT_COUNT,
    after: bytes | None = None,
) -> bytes | Promise:
    earlier, later = moment_argument(session, from_), moment_argument(session, to)
    question = DifferencesBetween(session.db.number, earlier, later, prefix, after, _bounded(count))

    def reply(answer: Differences, items: list[Difference], following: object) -> object:
        return {
            b"from": _moment(answer.earlier),
            b"to": _moment(answer.later),
            b"changes": list(map(_difference, items)),
            b"next": following,
        }

    return _gather(session, question, "after", reply)


@history_command(
    "KS.DELETED [PREFIX prefix] [COUNT count] [BEFORE place]",
    complexity="O(N) where N is the number of keys removed within what is kept",
    summary="Returns keys that were deleted, expired or flushed, and are not there now; with the values they had.",
)
def ks_deleted(
    session: Session, *, prefix: bytes = b"", count: int = DEFAULT_COUNT, before: bytes | None = None
) -> bytes | Promise:
    question = RemovedKeys(session.db.number, prefix, _place(before), _bounded(count))

    def reply(answer: Gone, items: list[Removed], following: object) -> object:
        place = following
        if isinstance(following, Behind):
            place = b"%d:%b" % following
        elif isinstance(following, int):
            place = b"%d" % following
        return {b"keys": list(map(_removed, items)), b"next": place}

    return _gather(session, question, "before", reply)


@history_command(
    "KS.LOG [FROM moment] [COUNT count] [PREFIX prefix] [AUTHOR name] [DB db]",
    complexity="O(N) where N is the number of transactions looked at",
    summary="Returns transactions in order: when, by whom, what they did.",
)
def ks_log(
    session: Session,
    *,
    from_: bytes | None = None,
    count: int = DEFAULT_COUNT,
    prefix: bytes = b"",
    author: bytes | None = None,
    db: int | None = None,
) -> bytes | Promise:
    """From the oldest on that is kept; FROM a sequence number or a time. Of every database unless told otherwise."""
    start = None if from_ is None else moment_argument(session, from_)
    name = None if author is None else author.decode("utf-8", "replace")
    question = Transactions(start, _bounded(count), prefix, name, db)

    def reply(answer: Log, items: list[LoggedTransaction], following: object) -> object:
        return {b"transactions": list(map(_transaction, items)), b"next": following}

    return _gather(session, question, "start", reply)


# --- Asking ----------------------------------------------------------------------------------------------------------


def _ask(session: Session, question: questions.Question, reply: Callable[[Any], object]) -> bytes | Promise:
    """One question, and its reply."""
    executor = session.local
    calling_off: list[CallOff] = []

    def start(done: Done) -> None:
        def answered(outcome: questions.Outcome | None) -> None:
            failure = failure_of(outcome)
            done(failure if failure is not None else session.encode(reply(outcome)))

        calling_off.append(executor.historian.ask(question, answered))

    return executor.eventually([], start, lambda: calling_off[-1]())


def _gather(
    session: Session,
    question: KeysAt | DifferencesBetween | RemovedKeys | Transactions,
    place: str,
    reply: Callable[[Any, list[Any], object], object],
) -> bytes | Promise:
    """A page: *question* is asked, from one place to the next, until enough is found that may be shown. *place* is the
    field that says where it goes on."""
    executor = session.local
    gathering = _Gathering(session, question.limit)
    calling_off: list[CallOff] = []

    def start(done: Done) -> None:
        def ask(asked: questions.Question) -> None:
            calling_off[:] = [executor.historian.ask(asked, answered)]

        def answered(outcome: Any) -> None:
            failure = failure_of(outcome)
            if failure is not None:
                done(failure)
            elif gathering.add(outcome):
                done(session.encode(reply(outcome, gathering.items, gathering.following)))
            else:
                following = questions.At(outcome.following) if place == "start" else outcome.following
                ask(msgspec.structs.replace(question, **{place: following, "limit": gathering.wanted}))

        ask(msgspec.structs.replace(question, limit=gathering.wanted))

    return executor.eventually([], start, lambda: calling_off[-1]())


class _Gathering:
    """The items of one reply, from several answers."""

    def __init__(self, session: Session, count: int) -> None:
        self._session = session
        self._count = count
        self._bytes = 0
        self.items: list[Any] = []
        self.following: object = None

    @property
    def wanted(self) -> int:
        """How many to ask for. Of those who may not read all most may be dropped."""
        left = max(1, self._count - len(self.items))
        return left if self._session.user.may_read_all else MOST_COUNT

    def add(self, answer: Any) -> bool:
        """Take in what may be shown of an answer; whether that is enough. `following` never names what is not shown."""
        reads_all = self._session.user.may_read_all
        for item in answer.items:
            shown = item if reads_all else self._readable(item)
            if shown is None:
                continue
            self.items.append(shown)
            self._bytes += _length(shown)
            place = _place_behind(shown)
            if not reads_all and self._is_full and place is not None and item is not answer.items[-1]:
                self.following = place
                return True
        self.following = answer.following
        return answer.following is None or (self._is_full and (reads_all or self._ends_shown(answer)))

    @property
    def _is_full(self) -> bool:
        return len(self.items) >= self._count or self._bytes > MOST_BYTES

    def _ends_shown(self, answer: Any) -> bool:
        return isinstance(answer, Log) or not answer.items or self._readable(answer.items[-1]) is not None

    def _readable(self, item: Any) -> Any:
        """What of the item this user may see; None for nothing."""
        may_read = self._session.user.may_read_key
        if not isinstance(item, LoggedTransaction):
            return item if may_read(item.key) else None
        operations = [each for each in item.operations if each.key is None or may_read(each.key)]
        return msgspec.structs.replace(item, operations=operations, left_out=0) if operations else None


def _length(item: Any) -> int:
    if isinstance(item, Difference):
        return len(item.before or b"") + len(item.after or b"")
    return 0 if isinstance(item, LoggedTransaction) else len(item.value)


def _place_behind(item: Any) -> object:
    """Where to go on behind the item; None: not there."""
    if isinstance(item, LoggedTransaction):
        return item.sequence + 1
    if isinstance(item, Removed):
        return None if item.sequence is None else Behind(item.sequence, item.key)
    return item.key


def failure_of(outcome: questions.Outcome | None) -> CommandError | None:
    """The error for what is no answer."""
    match outcome:
        case None:
            return CommandError("TRYAGAIN the process that reads the past has ended; ask again")
        case Dropped(floor):
            return CommandError(
                f"GONE the past is kept from {iso(floor.time_ms)} on, which is behind transaction {floor.sequence}"
            )
        case NotYet(newest):
            return CommandError(
                f"ERR that has not happened: the last transaction is {newest.sequence}, of {iso(newest.time_ms)}"
            )
        case Unreadable(reason):
            return CommandError(f"DAMAGED the past cannot be read: {reason}")
    return None


# --- What was asked --------------------------------------------------------------------------------------------------


def moment_argument(session: Session, text: bytes) -> questions.At:
    """The moment that an argument names."""
    try:
        at = read_moment(text.decode("utf-8", "replace"), session.engine.clock.now_ms)
    except NotAMoment as error:
        raise CommandError(f"ERR {error}") from None
    return questions.At(at.sequence, at.time_ms or 0)


def _bounded(count: int) -> int:
    if count == 0:
        raise CommandError("ERR COUNT must be greater than 0")
    return min(count, MOST_COUNT)


def _place(text: bytes | None) -> int | Behind | None:
    """Where KS.DELETED goes on: a sequence number, or what `next` was."""
    if text is None:
        return None
    number, colon, key = text.partition(b":")
    sequence = positive(number)
    return Behind(sequence, key) if colon else sequence


# --- Replies ---------------------------------------------------------------------------------------------------------


def _moment(moment: Moment) -> Document:
    return {b"sequence": moment.sequence, b"time-ms": moment.time_ms}


def _change(change: Change, *, values: bool) -> Document:
    found: Document = {
        b"sequence": change.sequence,
        b"time-ms": change.time_ms,
        b"operation": change.operation.encode(),
        b"user": change.user.encode(),
        b"client": change.client.encode(),
        b"size": change.size,
        b"expires-at-ms": change.expires_at_ms or None,
    }
    if values:
        found[b"value"] = change.value
    return found


def _difference(difference: Difference) -> Document:
    return {
        b"key": difference.key,
        b"before": difference.before,
        b"before-expires-at-ms": difference.before_expires_at_ms or None,
        b"after": difference.after,
        b"after-expires-at-ms": difference.after_expires_at_ms or None,
    }


def _removed(removed: Removed) -> Document:
    return {
        b"key": removed.key,
        b"sequence": removed.sequence,
        b"time-ms": removed.time_ms,
        b"operation": removed.operation.encode(),
        b"user": removed.user.encode(),
        b"client": removed.client.encode(),
        b"value": removed.value,
        b"expires-at-ms": removed.expires_at_ms or None,
    }


def _transaction(logged: LoggedTransaction) -> Document:
    return {
        b"sequence": logged.sequence,
        b"time-ms": logged.time_ms,
        b"user": logged.user.encode(),
        b"client": logged.client.encode(),
        b"operations": list(map(_operation, logged.operations)),
        b"left-out": logged.left_out,
    }


def _operation(operation: Operation) -> Document:
    return {
        b"operation": operation.name.encode(),
        b"db": operation.database,
        b"key": operation.key,
        b"size": operation.size,
        b"offset": operation.offset,
        b"expires-at-ms": operation.expires_at_ms or None,
        b"swapped-with": operation.swapped_with,
    }
