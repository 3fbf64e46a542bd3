"""keystead undo and restore-key: what was changed, put back, by the running server or in a directory nobody serves."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from keystead.cli import UsageError
from keystead.cli.asking import holder_of
from keystead.cli.moments import moment
from keystead.cli.offline import changing, refuse_missing
from keystead.cli.options import CommandLine
from keystead.cli.progress import many
from keystead.embedded.remote_undo import restore_by, undo_by
from keystead.engine.background import InlineBackground
from keystead.engine.bringing_back import WasAbsent, bring_back
from keystead.engine.history.answering import Answerer
from keystead.engine.history.questions import At
from keystead.engine.operations import Author
from keystead.engine.undoing import drive, undo
from keystead.engine.view import DATABASES
from keystead.errors import KeysteadError, StoreLocked, UndoConflict
from keystead.execution.past_moments import refuse_failure

if TYPE_CHECKING:
    from keystead.config import Settings
    from keystead.engine.engine import Engine
    from keystead.engine.history.questions import Outcome, Question
    from keystead.engine.undoing import Undoing
    from keystead.engine.undone import Place, Undone

_WHO: Final = """\
When a server has the directory open, it is asked to do it: the one that --host,
--port or --unix name, with the password --requirepass-file."""

_UNDO: Final = f"""\
Put back what a transaction changed, whatever its size, by a transaction of its
own; keystead log and keystead history tell the numbers of transactions. Keys
that were changed since are conflicts: they are named, and nothing is undone,
unless --conflicts says otherwise.

{_WHO}"""

_RESTORE_KEY: Final = f"""\
Give a key the value and the expiry that it had at a moment, or that it had last
before it was removed. A moment is a time (2026-11-26T10:15, "yesterday 18:00",
-10m, @1700000000) or the number of a transaction.

{_WHO}"""

Asked = Callable[..., Any]


class NotUndone(KeysteadError):
    """Keys were changed since; nothing was changed."""


class KeyNotThere(KeysteadError):
    """There was no such key; nothing was changed."""


# --- undo ------------------------------------------------------------------------------------------------------------


def run_undo(arguments: list[str]) -> int:
    """Undo a transaction and say what came of it."""
    line = _command_line("undo", _UNDO, "SEQUENCE")
    line.own.add_argument("sequence", metavar="SEQUENCE", type=int, help="the number of the transaction")
    line.own.add_argument(
        "--conflicts",
        choices=("refuse", "skip", "force"),
        default="refuse",
        help="undo nothing, leave those keys alone, or put them back too [refuse]",
    )
    parsed, settings = line.parse(arguments)
    if parsed.sequence < 1:
        raise UsageError(f"there is no transaction {parsed.sequence}: the first one is 1")
    try:
        undone = _done(
            settings,
            parsed,
            lambda engine: undo(engine, parsed.sequence, parsed.conflicts, _author()),
            lambda ask: undo_by(ask, parsed.sequence, parsed.conflicts),
        )
    except UndoConflict as conflict:
        for place in conflict.keys:
            print(f"CHANGED SINCE  {_shown(place)}")
        raise NotUndone(
            f"{conflict}; --conflicts skip leaves them alone, --conflicts force puts them back too"
        ) from None
    _say(undone)
    return 0


# --- restore-key -----------------------------------------------------------------------------------------------------


def run_restore_key(arguments: list[str]) -> int:
    """Bring one key back and say what came of it."""
    line = _command_line("restore-key", _RESTORE_KEY, "KEY")
    line.own.add_argument("key", metavar="KEY", help="the key")
    line.add_time("--at", "the moment")
    line.own.add_argument("--last", action="store_true", help="what it had last; only if it is not there now")
    line.own.add_argument("--db", type=int, default=0, metavar="N", help="the database that has it [0]")
    parsed, settings = line.parse(arguments)
    if parsed.last == (parsed.at is not None):
        raise UsageError("restore-key needs --at TIME or --last; keystead restore-key --help tells the options")
    if not 0 <= parsed.db < DATABASES:
        raise UsageError(f"there are databases 0 to {DATABASES - 1}")
    key = os.fsencode(parsed.key)
    at: At | None = None
    if parsed.at is not None:
        named = moment(parsed.at)
        at = At(named.sequence, named.time_ms or 0)

    def by_server(ask: Asked) -> Undone:
        if parsed.db:
            ask("SELECT", parsed.db)
        undone = restore_by(ask, key, at)
        if undone is None:
            raise WasAbsent("there was no such key")
        return undone

    def here(engine: Engine) -> Undoing:
        return bring_back(engine, engine.databases[parsed.db], key, at, _author())

    try:
        undone = _done(settings, parsed, here, by_server)
    except WasAbsent as absent:
        raise KeyNotThere(str(absent)) from None
    _say(undone)
    return 0


# --- What they share -------------------------------------------------------------------------------------------------


def _command_line(name: str, description: str, what: str) -> CommandLine:
    line = CommandLine(name, description, ["dir", "host", "port", "unix", "requirepass"])
    line.usage = f"keystead {name} {what} [OPTIONS]"
    line.own.add_argument("--user", default="", metavar="NAME", help="whom the password is of [default]")
    return line


def _author() -> Author:
    return Author("", "keystead undo")


def _done(
    settings: Settings, parsed: Namespace, here: Callable[[Engine], Undoing], by_server: Callable[[Asked], Undone]
) -> Undone:
    """What came of it, here or in the server that holds the directory."""
    refuse_missing(settings.directory)
    try:
        with changing(settings, InlineBackground()) as engine:
            return _drive(engine, here(engine))
    except StoreLocked as locked:
        with holder_of(settings, parsed.user, locked) as server:
            return by_server(lambda *words: server.ask(*map(_word, words)))


def _drive(engine: Engine, undoing: Undoing) -> Undone:
    answerer = Answerer(engine.directory)

    def answer(question: Question) -> Outcome:
        engine.end_turn()
        engine.sync()
        outcome = answerer.answer(question, engine.log.next_sequence)
        refuse_failure(outcome, engine.path)
        return outcome

    try:
        return drive(undoing, answer)
    finally:
        undoing.close()
        answerer.close()


def _word(word: Any) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


def _say(undone: Undone) -> None:
    print(f"{many(undone.restored, 'key')} put back, by transaction {undone.sequence}, which can be undone too")
    for place in undone.skipped:
        print(f"CHANGED SINCE, LEFT ALONE  {_shown(place)}")
    for place in undone.without_expiry:
        print(f"WITHOUT EXPIRY, FOR IT IS PAST  {_shown(place)}")


def _shown(place: Place) -> str:
    database, key = place
    text = key.decode("utf-8", "backslashreplace")
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return shown + (f" (db {database})" if database else "")
