"""One key given the value and expiry that it had: at a moment, or last before it was removed.

A generator, driven like `undoing.undo`. Must not know: commands, who drives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keystead.engine.history.questions import Changes, HistoryOf, Value, ValueAt
from keystead.engine.undoing import ask
from keystead.engine.undone import Undone
from keystead.errors import DiskFull, UndoRefused, WriteRefused

if TYPE_CHECKING:
    from collections.abc import Generator

    from keystead.engine.bindings import Database
    from keystead.engine.engine import Engine
    from keystead.engine.history.questions import At, Outcome, Question
    from keystead.engine.operations import Author
    from keystead.engine.restoring import State
    from keystead.engine.undoing import Undoing

    Found = Generator[Question | None, Outcome | None, State]

LOOKED_THROUGH: Final = 20
"""Changes in which the last value is looked for: a delete stands behind it, or an expiry and a delete."""


class WasAbsent(UndoRefused):
    """There was no such key."""


def bring_back(engine: Engine, database: Database, key: bytes, at: At | None, author: Author) -> Undoing:
    """Give the key what it had at that moment; with None, what it had last, if it is not there now.

    Never deletes. WasAbsent, UndoRefused; Unanswered; WriteRefused when there is no room; DiskFailure.
    """
    state = yield from _at(database, key, at) if at is not None else _last(database, key)
    now_ms = engine.clock.refresh()
    # By what is there, not by its past: a key whose time is up has no entry of that until somebody meets it.
    if at is None and database.keyspace.get(key) is not None:
        raise UndoRefused("the key exists; name the moment whose value it shall have")
    if state is None:
        then = "the key did not exist then" if at is not None else "there is no such key in what is kept of the past"
        raise WasAbsent(then)
    value, expires_at_ms = state
    if engine.refusal is not None:
        raise WriteRefused(engine.refusal)
    if not engine.log.has_room(len(value)):
        raise DiskFull("there is no room for it in the log")
    is_past = 0 < expires_at_ms <= now_ms
    engine.author = author
    start = len(engine.ops)
    database.keyspace.put(key, value, 0 if is_past else expires_at_ms)
    engine.end_group(start)
    engine.end_turn()
    return Undone(engine.log.next_sequence - 1, 1, [], [(database.number, key)] if is_past else [])


def _at(database: Database, key: bytes, at: At) -> Found:
    found: Value = yield from ask(ValueAt(database.number, key, at), Value)
    return None if found.value is None else (found.value, found.expires_at_ms)


def _last(database: Database, key: bytes) -> Found:
    found: Changes = yield from ask(HistoryOf(database.number, key, LOOKED_THROUGH), Changes)
    last = next((each for each in found.changes if each.value is not None), None)
    return None if last is None or last.value is None else (last.value, last.expires_at_ms)
