"""Undo behind a server: its commands, and what their replies say. Must not know: codecs, the mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keystead.embedded.remote_past import refusal_of, text_of
from keystead.engine.undone import Undone
from keystead.errors import CommandError, UndoConflict, UndoRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.history.questions import At
    from keystead.engine.undone import Conflicts, Place

_WORDS: Final[dict[Conflicts, str]] = {"refuse": "LIST", "skip": "SKIP", "force": "FORCE"}


def undo_by(call: Callable[..., Any], sequence: int, conflicts: Conflicts) -> Undone:
    """As `Store.undo`. *call* sends one command and returns its reply of RESP2."""
    reply = _asked(call, "KS.UNDO", sequence, _WORDS[conflicts])
    if "conflicts" in reply:
        raise UndoConflict(_places(reply["keys"]), reply["conflicts"])
    return _undone(reply)


def restore_by(call: Callable[..., Any], key: bytes, at: At | None) -> Undone | None:
    """As `Store.restore`; None when there was no such key."""
    words = ("LAST",) if at is None else ("AT", text_of(at))
    try:
        return _undone(_asked(call, "KS.RESTORE", key, *words))
    except CommandError as error:
        if error.prefix == "NOTFOUND":
            return None
        raise


def _asked(call: Callable[..., Any], *words: Any) -> dict[str, Any]:
    try:
        reply = call(*words)
    except CommandError as error:
        if error.prefix == "CONFLICT":
            raise UndoRefused(error.text.partition(" ")[2]) from error
        raise refusal_of(error) from error
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}


def _undone(reply: dict[str, Any]) -> Undone:
    return Undone(reply["sequence"], reply["restored"], _places(reply["skipped"]), _places(reply["without-expiry"]))


def _places(pairs: list[Any]) -> list[Place]:
    return [(database, key) for database, key in pairs]
