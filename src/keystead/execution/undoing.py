"""Undo, and single keys brought back from the past, for the clients of a server.

Owns: driving `engine.undoing` and `engine.bringing_back` by the loop and by whoever answers questions about the past,
and who may do it. Must not know: protocols; how the past is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from keystead.engine.bringing_back import WasAbsent, bring_back
from keystead.engine.engine import DISK_FULL
from keystead.engine.undoing import Unanswered, undo
from keystead.errors import CommandError, OutOfMemory, UndoConflict, UndoRefused, WriteRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keystead.engine.engine import Engine
    from keystead.engine.history.questions import At, Failure, Outcome, Question
    from keystead.engine.undoing import Undoing
    from keystead.engine.undone import Conflicts, Undone
    from keystead.execution.session import Session

    Explain: TypeAlias = Callable[[Failure | None], CommandError]
    Done: TypeAlias = Callable[[Undone | UndoConflict | CommandError], None]


class _Denied(Exception):
    pass


def undo_for(session: Session, sequence: int, conflicts: Conflicts, explain: Explain, done: Done) -> None:
    """Undo that transaction for the session. *done* is called when it has taken effect, or with the reason why not;
    *explain* makes an error of what the past said in place of an answer."""
    executor = session.local

    def check(_database: int, key: bytes | None) -> None:
        args = [b"FLUSHDB"] if key is None else [b"KS.RESTORE", key, b"LAST"]
        error = None if session.user.permissions.is_unrestricted else executor.may(session.user, args)
        if error is not None:
            raise _Denied(error)

    def discard(slices: Iterator[None]) -> None:
        if next(slices, slices) is None:
            executor.call_later(0, lambda: discard(slices))

    _drive(session, undo(executor.engine, sequence, conflicts, session.author, check, discard), explain, done)


def restore_for(session: Session, key: bytes, at: At | None, explain: Explain, done: Done) -> None:
    """Give a key of the session's database the value and expiry that it had: at a moment, or, with None, last of all.
    *done* and *explain* as with `undo_for`."""
    _drive(session, bring_back(session.engine, session.db, key, at, session.author), explain, done)


def _drive(session: Session, undoing: Undoing, explain: Explain, done: Done) -> None:
    executor = session.local

    def go_on(outcome: Outcome | None) -> None:
        executor.engine.clock.refresh()
        try:
            question = undoing.send(outcome)
        except StopIteration as end:
            session.must_wait = True
            done(end.value)
        except UndoConflict as conflict:
            done(conflict)
        except Exception as failure:
            done(_error(executor.engine, failure, explain))
        else:
            ask(question)

    def ask(question: Question | None) -> None:
        if question is None:
            executor.call_later(0, lambda: go_on(None))
        else:
            executor.historian.ask(question, go_on)

    go_on(None)


def _error(engine: Engine, failure: Exception, explain: Explain) -> CommandError:
    match failure:
        case _Denied():
            return CommandError(str(failure))
        case WasAbsent():
            return CommandError(f"NOTFOUND {failure}")
        case UndoRefused():
            return CommandError(f"CONFLICT {failure}")
        case Unanswered():
            return explain(failure.outcome)
        case OutOfMemory():
            return CommandError(f"OOM {failure}")
        case WriteRefused():
            return CommandError(engine.refusal or DISK_FULL)
    raise failure
