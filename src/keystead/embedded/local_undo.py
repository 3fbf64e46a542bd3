"""Undo in this process: how the engine's undoing is driven where threads share it.

Owns: that. A step holds the lock, the past is read without it, so others go on. Must not know: codecs, the mapping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.engine.bringing_back import bring_back
from keystead.engine.undoing import undo

if TYPE_CHECKING:
    from keystead.embedded.local_past import LocalPast
    from keystead.embedded.shared_engine import SharedEngine
    from keystead.engine.history.questions import At, Outcome
    from keystead.engine.undoing import Undoing
    from keystead.engine.undone import Conflicts, Undone


def undo_in(shared: SharedEngine, past: LocalPast, sequence: int, conflicts: Conflicts) -> Undone:
    """As `Store.undo`."""
    engine = shared.engine
    return _drive(shared, past, undo(engine, sequence, conflicts, engine.author))


def restore_in(shared: SharedEngine, past: LocalPast, key: bytes, at: At | None) -> Undone:
    """As `Store.restore`. WasAbsent."""
    engine = shared.engine
    return _drive(shared, past, bring_back(engine, shared.database, key, at, engine.author))


def _drive(shared: SharedEngine, past: LocalPast, undoing: Undoing) -> Undone:
    outcome: Outcome | None = None
    try:
        while True:
            question, undone = shared.step(undoing, outcome)
            if undone is not None:
                return undone
            outcome = past.ask(question) if question is not None else None
    finally:
        with shared.lock:
            undoing.close()  # it may have been given up half way: the log must not wait for it
