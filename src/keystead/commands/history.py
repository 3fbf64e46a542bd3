"""Reading the past: KS.HISTORY, KS.MOMENT, KS.GET, KS.KEYS, KS.FOLDERS, KS.DIFF, KS.DELETED, KS.LOG.

Each asks whoever answers questions about the past (`keystead.execution.historian`) and replies when it has. The answer
has everything the client has done before, and nothing that is not durable. None may be queued by MULTI: a transaction
cannot wait.

A reply has so many items and no more than a few megabytes of values, and says where to go on. A user who may not read
every key is shown those that he may read; a place to go on at never names another. What is looked for in the log may be
rare in it: a reply then ends early, even empty.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from keystead.commands.declaration import command
from keystead.commands.moments import NotAMoment, read_moment
from keystead.commands.numbers import positive
from keystead.commands.past_documents import (
    Document,
    change_of,
    difference_of,
    item_of,
    moment_of,
    nothing_of,
    removed_of,
    transaction_of,
)
from keystead.commands.past_replies import MOST_COUNT, Shown, Told, ask, gather
from keystead.commands.placement import NO_PAST
from keystead.engine.history import questions
from keystead.engine.history.answers import Behind, Difference, Removed
from keystead.engine.history.questions import (
    Changes,
    Differences,
    DifferencesBetween,
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
    Page,
    RemovedKeys,
    Transactions,
    Value,
    ValueAt,
)
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

DEFAULT_COUNT: Final = 100

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

    def reply(answer: Changes) -> Told:
        return Told(answer.changes, partial(change_of, values=not novalues), lambda changes: changes)

    return ask(session, question, reply)


@history_command(
    "KS.MOMENT moment",
    complexity="O(log N) where N is the number of files of history",
    summary="Returns the last transaction that had been committed at a moment.",
)
def ks_moment(session: Session, moment: bytes) -> bytes | Promise:
    """So that what is asked next is asked of the same moment."""

    def reply(answer: Found) -> Told:
        return Told((), nothing_of, lambda _: moment_of(answer.moment))

    return ask(session, MomentOf(moment_argument(session, moment)), reply)


@history_command(
    "KS.GET key AT moment",
    keys="RO ACCESS",
    complexity="O(1), plus a search in the index of each file of history behind the moment",
    summary="Returns the value that a key had at a moment.",
)
def ks_get(session: Session, key: bytes, moment: bytes) -> bytes | Promise:
    question = ValueAt(session.db.number, key, moment_argument(session, moment))

    def reply(answer: Value) -> Told:
        return Told((), nothing_of, lambda _: answer.value)

    return ask(session, question, reply)


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

    def reply(answer: Page, items: list[Item], following: object) -> Told:
        def page(keys: Shown) -> Document:
            return {**moment_of(answer.moment), b"keys": keys, b"next": following}

        return Told(items, item_of if values else attrgetter("key"), page)

    return gather(session, question, "after", reply)


@history_command(
    "KS.FOLDERS AT moment DELIMITER delimiter [PREFIX prefix] [AFTER last-name] [COUNT count]",
    key_specs=(),
    complexity="O(N) where N is the number of keys at the moment, the first time; O(log N) for each folder later",
    summary="Returns the keys of a moment folded into folders, with the number of keys in each.",
)
def ks_folders(
    session: Session,
    moment: bytes,
    delimiter: bytes,
    *,
    prefix: bytes = b"",
    after: bytes | None = None,
    count: int = DEFAULT_COUNT,
) -> bytes | Promise:
    """Names in order, each with its number of keys; of a key beside the folders that is null."""
    if not session.user.may_read_all:
        raise CommandError("NOPERM a folder's number counts keys that this user may not read: use KS.KEYS")
    if not delimiter:
        raise CommandError("ERR the delimiter must not be empty")
    at = moment_argument(session, moment)
    question = FoldersAt(session.db.number, at, prefix, delimiter, after, _bounded(count))

    def reply(answer: Folders) -> Told:
        def page(folders: Shown) -> Document:
            return {**moment_of(answer.moment), b"total": answer.total, b"folders": folders, b"next": answer.following}

        return Told(answer.items, list, page)

    return ask(session, question, reply)


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

    def reply(answer: Differences, items: list[Difference], following: object) -> Told:
        def page(changes: Shown) -> Document:
            return {
                b"from": moment_of(answer.earlier),
                b"to": moment_of(answer.later),
                b"changes": changes,
                b"next": following,
            }

        return Told(items, difference_of, page)

    return gather(session, question, "after", reply)


@history_command(
    "KS.DELETED [PREFIX prefix] [COUNT count] [BEFORE place]",
    complexity="O(N) where N is the number of keys removed within what is kept",
    summary="Returns keys that were deleted, expired or flushed, and are not there now; with the values they had.",
)
def ks_deleted(
    session: Session, *, prefix: bytes = b"", count: int = DEFAULT_COUNT, before: bytes | None = None
) -> bytes | Promise:
    question = RemovedKeys(session.db.number, prefix, _place(before), _bounded(count))

    def reply(answer: Gone, items: list[Removed], following: object) -> Told:
        place = following
        if isinstance(following, Behind):
            place = b"%d:%d" % following
        elif isinstance(following, int):
            place = b"%d" % following
        return Told(items, removed_of, lambda keys: {b"keys": keys, b"next": place})

    return gather(session, question, "before", reply)


@history_command(
    "KS.LOG [FROM moment] [BEFORE moment | REV] [COUNT count] [PREFIX prefix] [AUTHOR name] [DB db]",
    complexity="O(N) where N is the number of transactions looked at",
    summary="Returns transactions in order, or the newest first: when, by whom, what they did.",
)
def ks_log(
    session: Session,
    *,
    from_: bytes | None = None,
    before: bytes | None = None,
    rev: bool = False,
    count: int = DEFAULT_COUNT,
    prefix: bytes = b"",
    author: bytes | None = None,
    db: int | None = None,
) -> bytes | Promise:
    """From the oldest on that is kept; FROM a sequence number or a time. Of every database unless told otherwise.

    With BEFORE and REV the newest first: those before a sequence number, or up to a time; FROM is then where they end.
    """
    start = None if from_ is None else moment_argument(session, from_)
    end = None if before is None else moment_argument(session, before)
    name = None if author is None else author.decode("utf-8", "replace")
    back = rev or end is not None
    question = Transactions(start, _bounded(count), prefix, name, db, back, end)

    def reply(answer: Log, items: list[LoggedTransaction], following: object) -> Told:
        return Told(items, transaction_of, lambda transactions: {b"transactions": transactions, b"next": following})

    return gather(session, question, "end" if back else "start", reply)


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
    sequence, colon, number = text.partition(b":")
    return Behind(positive(sequence), positive(number)) if colon else positive(sequence)
