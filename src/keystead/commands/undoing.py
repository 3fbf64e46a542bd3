"""KS.UNDO and KS.RESTORE: what was changed, put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keystead.commands.declaration import command
from keystead.commands.history import failure_of, moment_argument
from keystead.commands.numbers import positive
from keystead.engine.history.questions import HistoryOf, ValueAt
from keystead.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.history.questions import Failure
    from keystead.engine.undoing import Conflicts, Undone
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

LOOKED_THROUGH: Final = 20
"""Changes in which KS.RESTORE … LAST looks for a value: a delete stands behind it, or an expiry and a delete."""


@command(
    "KS.UNDO sequence [REFUSE | SKIP | FORCE]",
    group="history",
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
    session: Session, sequence: int, *, refuse: bool = False, skip: bool = False, force: bool = False
) -> bytes | Promise:
    """Keys that were changed since are conflicts: nothing is undone then (REFUSE, the default), they stay as they are
    (SKIP), or they are put back too (FORCE). Every key must be one that the user may KS.RESTORE."""
    del refuse
    if sequence == 0:
        raise CommandError("ERR there is no transaction 0: the first one is 1")
    conflicts: Conflicts = "skip" if skip else "force" if force else "refuse"

    def start(done: Callable[[bytes | CommandError], None]) -> None:
        session.executor.undo(session, sequence, conflicts, _explain, _told(session, done))

    return session.executor.eventually([b"KS.UNDO"], start)


@command(
    "KS.RESTORE key <AT moment | LAST>",
    group="history",
    since="0.1.0",
    flags="write denyoom noscript no_multi",
    keys="RW UPDATE",
    encoded=True,
    complexity="O(1), plus a search in the index of each file of history",
    summary="Gives a key the value and the expiry that it had at a moment, or last before it was removed.",
)
def ks_restore(session: Session, key: bytes, *, at: bytes | None = None, last: bool = False) -> bytes | Promise:
    """Never deletes: it is an error when the key did not exist then, and with LAST, when it exists now."""
    question: ValueAt | HistoryOf
    if at is not None:
        question = ValueAt(session.db.number, key, moment_argument(session, at))
    else:
        assert last
        question = HistoryOf(session.db.number, key, LOOKED_THROUGH)

    def start(done: Callable[[bytes | CommandError], None]) -> None:
        session.executor.restore(session, key, question, _explain, _told(session, done))

    return session.executor.eventually([b"KS.RESTORE", key], start)


def _explain(outcome: Failure | None) -> CommandError:
    error = failure_of(outcome)
    assert error is not None
    return error


def _told(session: Session, done: Callable[[bytes | CommandError], None]) -> Callable[[Undone | CommandError], None]:
    def tell(outcome: Undone | CommandError) -> None:
        done(outcome if isinstance(outcome, CommandError) else session.encode(_map(outcome)))

    return tell


def _map(undone: Undone) -> dict[bytes, object]:
    return {
        b"sequence": undone.sequence,
        b"restored": undone.restored,
        b"skipped": [[database, key] for database, key in undone.skipped],
        b"without-expiry": [[database, key] for database, key in undone.without_expiry],
    }
