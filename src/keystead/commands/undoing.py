"""KS.UNDO and KS.RESTORE: what was changed, put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keystead.commands.declaration import command
from keystead.commands.history import failure_of, moment_argument
from keystead.commands.numbers import positive
from keystead.commands.placement import NO_PAST
from keystead.engine.history.questions import NotYet
from keystead.errors import CommandError, UndoConflict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keystead.engine.history.questions import Failure
    from keystead.engine.undone import Conflicts, Place, Undone
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

NAMED: Final = 10
"""Keys in the text of an error."""


@command(
    "KS.UNDO sequence [REFUSE | LIST | SKIP | FORCE]",
    group="history",
    cluster=NO_PAST,
    since="0.1.0",
    flags="write denyoom noscript no_multi",
    acl="keyspace dangerous",
    key_specs=(),
    encoded=True,
    types={"sequence": positive},
    complexity="O(N) where N is the number of keys that the transaction touched",
    summary="Undoes a transaction: what it changed is put back, by a transaction of its own.",
)
def ks_undo(
    session: Session,
    sequence: int,
    *,
    refuse: bool = False,
    list_: bool = False,
    skip: bool = False,
    force: bool = False,
) -> bytes | Promise:
    """Keys that were changed since are conflicts: nothing is undone then, and the reply is an error that names some
    (REFUSE, the default) or a list of them, for programs (LIST); they stay as they are (SKIP), or they are put back too
    (FORCE). Every key must be one that the user may KS.RESTORE."""
    del refuse
    if sequence == 0:
        raise CommandError("ERR there is no transaction 0: the first one is 1")
    conflicts: Conflicts = "skip" if skip else "force" if force else "refuse"

    def start(done: Callable[[bytes | CommandError], None]) -> None:
        session.local.undo(session, sequence, conflicts, _explain_undo, _told(session, done, listed=list_))

    return session.executor.eventually([b"KS.UNDO"], start)


@command(
    "KS.RESTORE key <AT moment | LAST>",
    group="history",
    cluster=NO_PAST,
    since="0.1.0",
    flags="write denyoom noscript no_multi",
    keys="RW UPDATE",
    encoded=True,
    complexity="O(1), plus a search in the index of each file of history",
    summary="Gives a key the value and the expiry that it had at a moment, or last before it was removed.",
)
def ks_restore(session: Session, key: bytes, *, at: bytes | None = None, last: bool = False) -> bytes | Promise:
    """Never deletes: it is an error when the key did not exist then, and with LAST, when it exists now."""
    assert last or at is not None
    moment = None if at is None else moment_argument(session, at)

    def start(done: Callable[[bytes | CommandError], None]) -> None:
        session.local.restore(session, key, moment, _explain, _told(session, done))

    return session.executor.eventually([b"KS.RESTORE", key], start)


def _explain(outcome: Failure | None) -> CommandError:
    error = failure_of(outcome)
    assert error is not None
    return error


def _explain_undo(outcome: Failure | None) -> CommandError:
    error = _explain(outcome)
    return CommandError(f"NOTFOUND {error.text.removeprefix('ERR ')}") if isinstance(outcome, NotYet) else error


def _told(
    session: Session, done: Callable[[bytes | CommandError], None], *, listed: bool = False
) -> Callable[[Undone | UndoConflict | CommandError], None]:
    def tell(outcome: Undone | UndoConflict | CommandError) -> None:
        if isinstance(outcome, CommandError):
            done(outcome)
        elif isinstance(outcome, UndoConflict):
            done(session.encode(_conflicts(outcome)) if listed else _refusal(outcome))
        else:
            done(session.encode(_map(outcome)))

    return tell


def _refusal(conflict: UndoConflict) -> CommandError:
    names = ", ".join(f"{key[:60].decode('utf-8', 'backslashreplace')!r}" for _, key in conflict.keys[:NAMED])
    return CommandError(f"CONFLICT {conflict}: {names}; SKIP leaves them as they are, FORCE puts them back too")


def _conflicts(conflict: UndoConflict) -> dict[bytes, object]:
    return {b"conflicts": conflict.count, b"keys": _places(conflict.keys)}


def _map(undone: Undone) -> dict[bytes, object]:
    return {
        b"sequence": undone.sequence,
        b"restored": undone.restored,
        b"skipped": _places(undone.skipped),
        b"without-expiry": _places(undone.without_expiry),
    }


def _places(places: Sequence[Place]) -> list[list[object]]:
    return [[database, key] for database, key in places]
