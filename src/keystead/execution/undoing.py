"""Undo, and single keys brought back from the past, for the clients of a server.

Owns: driving `engine.undoing` by the loop and by whoever answers questions about the past, and who may do it. Must not
know: protocols; how the past is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from keystead.engine.engine import DISK_FULL
from keystead.engine.history.questions import HistoryOf, ValueAt
from keystead.engine.undoing import CannotUndo, Conflicting, Unanswered, Undone, undo
from keystead.errors import CommandError, OutOfMemory, WriteRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.history.questions import Failure, Outcome, Question
    from keystead.engine.undoing import Conflicts
    from keystead.execution.session import Session

    Explain: TypeAlias = Callable[[Failure | None], CommandError]

NOT_THERE: Final = "ERR the key did not exist then"
IS_THERE: Final = "ERR the key exists; name the moment whose value it shall have"
VALUES_LOOKED_AT: Final = 20


class _Denied(Exception):
    pass


def undo_for(
    session: Session,
    sequence: int,
    conflicts: Conflicts,
    explain: Explain,
    done: Callable[[Undone | CommandError], None],
) -> None:
    """Undo that transaction for the session. *done* is called when it has taken effect, or with the reason why not;
    *explain* makes an error of what the past said in place of an answer."""
    executor = session.executor

    def check(_database: int, key: bytes | None) -> None:
        args = [b"FLUSHDB"] if key is None else [b"KS.RESTORE", key, b"LAST"]
        error = None if session.user.permissions.is_unrestricted else executor.may(session.user, args)
        if error is not None:
            raise _Denied(error)

    undoing = undo(executor.engine, sequence, conflicts, session.author, check)

    def go_on(outcome: Outcome | None) -> None:
        executor.engine.clock.refresh()
        try:
            question = undoing.send(outcome)
        except StopIteration as end:
            session.must_wait = True
            done(end.value)
        except Exception as failure:
            done(_error(failure, explain))
        else:
            ask(question)

    def ask(question: Question | None) -> None:
        if question is None:
            executor.call_later(0, lambda: go_on(None))
        else:
            executor.historian.ask(question, go_on)

    go_on(None)


def _error(failure: Exception, explain: Explain) -> CommandError:
    match failure:
        case _Denied():
            return CommandError(str(failure))
        case Conflicting():
            names = ", ".join(f"{key[:60].decode('utf-8', 'backslashreplace')!r}" for _, key in failure.keys[:10])
            return CommandError(f"CONFLICT {failure}: {names}; SKIP leaves them as they are, FORCE puts them back too")
        case CannotUndo():
            return CommandError(f"ERR {failure}")
        case Unanswered():
            return explain(failure.outcome)
        case OutOfMemory():
            return CommandError(f"OOM {failure}")
        case WriteRefused():
            return CommandError(DISK_FULL)
    raise failure


def restore_for(
    session: Session,
    key: bytes,
    question: ValueAt | HistoryOf,
    explain: Explain,
    done: Callable[[Undone | CommandError], None],
) -> None:
    """Give a key the value and expiry that it had, by the answer to *question*: at a moment, or last of all."""
    engine = session.executor.engine
    database = session.db

    def answered(outcome: Outcome | None) -> None:
        found = _found(outcome)
        if not isinstance(found, tuple):
            done(explain(outcome) if found is None else found)  # type: ignore[arg-type]  # what is no answer is a failure
            return
        value, expires_at_ms = found
        now_ms = engine.clock.refresh()
        if isinstance(question, HistoryOf) and database.keyspace.get(key) is not None:  # it has come meanwhile
            done(CommandError(IS_THERE))
            return
        if engine.refusal is not None or not engine.log.has_room(len(value)):
            done(CommandError(engine.refusal or DISK_FULL))
            return
        is_past = 0 < expires_at_ms <= now_ms
        engine.author = session.author
        start = len(engine.ops)
        database.keyspace.put(key, value, 0 if is_past else expires_at_ms)
        engine.end_group(start)
        engine.end_turn()
        session.must_wait = True
        place = (database.number, key)
        done(Undone(engine.log.next_sequence - 1, 1, [], [place] if is_past else []))

    session.executor.historian.ask(question, answered)


def _found(outcome: Outcome | None) -> tuple[bytes, int] | CommandError | None:
    """The value and expiry; an error when there is none; None for what is no answer."""
    from keystead.engine.history.questions import Changes, Value

    if isinstance(outcome, Value):
        return CommandError(NOT_THERE) if outcome.value is None else (outcome.value, outcome.expires_at_ms)
    if isinstance(outcome, Changes):
        last = next((each for each in outcome.changes if each.value is not None), None)
        if last is None or last.value is None:
            return CommandError("ERR there is no such key in what is kept of the past")
        if outcome.changes[0] is last:
            return CommandError(IS_THERE)
        return last.value, last.expires_at_ms
    return None
