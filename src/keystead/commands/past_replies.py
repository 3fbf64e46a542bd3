"""From a question about the past to its reply.

Questions go to whoever answers them (`keystead.execution.historian`). A page is gathered from as many answers as it
takes, and encoded bit by bit. Owns: what of an answer a user is shown, and where a reply ends. Must not know: what a
question asks, how an item is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from keystead.commands.moments import iso
from keystead.engine.history import questions
from keystead.engine.history.answering import MOST_BYTES
from keystead.engine.history.answers import Behind, Difference, Removed
from keystead.engine.history.questions import (
    DifferencesBetween,
    Dropped,
    Gone,
    KeysAt,
    Log,
    LoggedTransaction,
    NotYet,
    RemovedKeys,
    Transactions,
    Unreadable,
)
from keystead.errors import CommandError
from keystead.resp import Encoded

if TYPE_CHECKING:
    from keystead.execution.historian import CallOff
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

Done: TypeAlias = Callable[[bytes | CommandError], None]

MOST_COUNT: Final = 1_000
MOST_ANSWERS: Final = 10
"""So many answers become one reply at most. One is of `MOST_COUNT` items, or of what was found in half a second."""

ENCODED_AT_ONCE: Final = 100

Shown: TypeAlias = list[Encoded]
"""Items of a reply, each encoded."""


class Told(NamedTuple):
    """What a reply says."""

    items: Sequence[Any]
    shown: Callable[[Any], object]
    """What is told of an item."""
    whole: Callable[[Shown], object]
    """The reply with them."""


def ask(session: Session, question: questions.Question, reply: Callable[[Any], Told]) -> bytes | Promise:
    """One question, and its reply."""
    executor = session.local
    calling_off: list[CallOff] = []

    def start(done: Done) -> None:
        def answered(outcome: questions.Outcome | None) -> None:
            failure = failure_of(outcome)
            if failure is not None:
                done(failure)
            else:
                _tell(session, reply(outcome), done)

        calling_off.append(executor.historian.ask(question, answered))

    return executor.eventually([], start, lambda: calling_off[-1]())


def gather(
    session: Session,
    question: KeysAt | DifferencesBetween | RemovedKeys | Transactions,
    place: str,
    reply: Callable[[Any, list[Any], object], Told],
) -> bytes | Promise:
    """A page: *question* is asked, from one place to the next, until enough is found that may be shown. *place* is the
    field that says where it goes on."""
    executor = session.local
    gathering = _Gathering(session, question.limit, back=place == "end")
    calling_off: list[CallOff] = []

    def start(done: Done) -> None:
        def ask_for(asked: questions.Question) -> None:
            calling_off[:] = [executor.historian.ask(asked, answered)]

        def answered(outcome: Any) -> None:
            failure = failure_of(outcome)
            if failure is not None:
                done(failure)
            elif gathering.add(outcome):
                _tell(session, reply(outcome, gathering.items, gathering.following), done)
            else:
                following = outcome.following
                if isinstance(outcome, Log):
                    following = questions.At(following)
                ask_for(msgspec.structs.replace(question, **{place: following, "limit": gathering.wanted}))

        ask_for(msgspec.structs.replace(question, limit=gathering.wanted))

    return executor.eventually([], start, lambda: calling_off[-1]())


def _tell(session: Session, told: Told, done: Done) -> None:
    """Encode a reply, bit by bit: a thousand transactions at once would stop everybody else for six milliseconds."""
    encode = session.encode  # the client may choose the other protocol meanwhile
    shown: Shown = []

    def go_on() -> None:
        items = told.items[len(shown) : len(shown) + ENCODED_AT_ONCE]
        shown.extend(Encoded(encode(told.shown(item))) for item in items)
        if len(shown) < len(told.items):
            session.executor.call_later(0, go_on)
        else:
            done(encode(told.whole(shown)))

    go_on()


class _Gathering:
    """The items of one reply, from several answers."""

    def __init__(self, session: Session, count: int, *, back: bool) -> None:
        self._session = session
        self._count = count
        self._back = back
        self._bytes = 0
        self._answers = 0
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
            if not reads_all and self._is_full and item is not answer.items[-1]:
                self.following = _place_behind(shown, back=self._back)
                return True
        self.following = answer.following
        self._answers += 1
        if answer.following is None:
            return True
        if isinstance(answer, (Gone, Log)):  # whose places name no key
            return self._is_full or self._answers == MOST_ANSWERS
        return self._is_full and (reads_all or self._readable(answer.items[-1]) is not None)

    @property
    def _is_full(self) -> bool:
        return len(self.items) >= self._count or self._bytes > MOST_BYTES

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


def _place_behind(item: Any, *, back: bool) -> object:
    """Where to go on behind the item. *back*: in a log that is read back."""
    if isinstance(item, LoggedTransaction):
        return item.sequence + (not back)
    if isinstance(item, Removed):
        return Behind(item.sequence, item.number)
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
