"""Forgetting keys: what is done besides erasing them from the files, and what can be said of where they may still be.

Owns: the order (what the store keeps for itself first, for an answer may hold a value), and the report. Must not know:
how files are rewritten, protocols. For the server (`forget_for`) and for whoever has the engine alone.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from keystead.engine.remembered import BACKUPS_NAME, remembered
from keystead.errors import CommandError, DamagedData, KeysteadError, WriteRefused
from keystead.execution.first_answers import PREFIX, clear_answers
from keystead.execution.slow_log import MOST_ARGUMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.bindings import Database
    from keystead.engine.engine import Engine
    from keystead.engine.erasure import Forgetting
    from keystead.execution.local import LocalExecutor
    from keystead.execution.session import Session

ASK_AGAIN_S: Final = 0.005
BROKEN: Final = ".broken"


class NotForgotten(KeysteadError):
    """The past is still in the files, as it was; the keys do not exist any more."""


class Forgotten(msgspec.Struct, frozen=True):
    """The keys are in no file of the store. What is listed may have them all the same, and is not ours to change."""

    sequence: int
    """What was written before this transaction ended is gone, what was written later stays."""
    operations: int
    """How many operations were erased from the log."""
    files: int
    """How many files were rewritten."""
    bytes: int
    """How large they are."""
    backups: tuple[str, ...] = ()
    """Places to which the directory was backed up."""
    broken: tuple[str, ...] = ()
    """Files that a start or a repair has put aside."""
    logs: tuple[str, ...] = ()
    """Files of the operation log, which names keys."""


def begin(engine: Engine, database: Database, keys: Sequence[bytes]) -> Generator[None, None, Forgetting]:
    """Delete the keys and have their past erased, in slices; what is returned must be waited for. WriteRefused."""
    yield from clear_answers(engine)
    # In the same step as the last answer's removal: none may come in between.
    return engine.forget(database, keys, PREFIX)


def begin_at_once(engine: Engine, database: Database, keys: Sequence[bytes]) -> Forgetting:
    """The same, for those who have nothing else to do."""
    steps = begin(engine, database, keys)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            forgetting: Forgetting = end.value
            return forgetting


def report(engine: Engine, forgetting: Forgetting, logs: tuple[str, ...] = ()) -> Forgotten:
    """What came of it, once it is done. NotForgotten."""
    rewritten = forgetting.rewritten
    if rewritten is None:
        raise NotForgotten(f"the keys are deleted, but their past could not be erased: {forgetting.failure}")
    broken = tuple(name for name in engine.directory.names() if name.endswith(BROKEN))
    return Forgotten(
        forgetting.erasure.through,
        rewritten.operations,
        rewritten.files,
        rewritten.stored_bytes,
        _backups(engine),
        broken,
        logs,
    )


def _backups(engine: Engine) -> tuple[str, ...]:
    try:
        return tuple(backup.place for backup in remembered(engine.directory))
    except (DamagedData, OSError) as error:
        return (f"unknown, for {BACKUPS_NAME} cannot be read: {error}",)


# --- In a server -----------------------------------------------------------------------------------------------------


def forget_for(
    executor: LocalExecutor, session: Session, keys: list[bytes], done: Callable[[Forgotten | CommandError], None]
) -> None:
    """Forget keys of the session's database; *done* is called when they are gone, or with the reason why not."""
    engine, author = executor.engine, session.author
    steps = begin(engine, session.db, keys)

    def step() -> None:
        engine.clock.refresh()
        engine.author = author
        try:
            next(steps)
        except StopIteration as end:
            ask(end.value)
        except WriteRefused as refused:
            done(CommandError(engine.refusal or f"MISCONF {refused}"))
        else:
            executor.call_later(0, step)

    def ask(forgetting: Forgetting) -> None:
        if not forgetting.done:
            executor.call_later(ASK_AGAIN_S, lambda: ask(forgetting))
            return
        _forget_in_memory(executor, keys)
        path = executor.settings.operations_log_file
        try:
            done(report(engine, forgetting, (str(path),) if path is not None else ()))
        except NotForgotten as failure:
            done(CommandError(f"ERR {failure}"))

    step()


def _forget_in_memory(executor: LocalExecutor, keys: list[bytes]) -> None:
    """What the server remembers of its clients' commands."""

    def names(text: bytes) -> bool:
        # As the slow log shows it: cut.
        return any(key[:MOST_ARGUMENT_BYTES] in text if key else not text for key in keys)

    slow = executor.slow_log.entries
    kept = [entry for entry in slow if not any(map(names, entry.args))]
    slow.clear()
    slow.extend(kept)
    refused = executor.acl_log.entries
    refused[:] = [entry for entry in refused if not names(entry.object)]
    for session in executor.sessions.values():
        if any(map(names, session.last_command[1:])):
            session.last_command = session.last_command[:1]
