"""POST /v1/changes/{sequence}/undo and POST /v1/restore/{key}: what was changed, put back.

Each is a command of `commands.undoing`, so permissions, limits and errors are those of the commands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from keystead.server.http import bodies
from keystead.server.http.commands import succeeded
from keystead.server.http.notation import plain
from keystead.server.http.problems import Problem
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.undoing_document import RESTORE, UNDO

if TYPE_CHECKING:
    from keystead.engine.undone import Conflicts
    from keystead.server.http.requests import Request

CHANGES_PREFIX: Final = b"/v1/changes/"
RESTORE_PREFIX: Final = b"/v1/restore/"

_UNDO: Final = re.compile(rb"/v1/changes/(\d{1,18})/undo")
_WORDS: Final[dict[Conflicts, bytes]] = {"refuse": b"LIST", "skip": b"SKIP", "force": b"FORCE"}


class HowToUndo(msgspec.Struct, forbid_unknown_fields=True):
    """What becomes of keys that were changed since."""

    conflicts: Literal["refuse", "skip", "force"] = "refuse"


class WhatToRestore(msgspec.Struct, forbid_unknown_fields=True):
    """One of the two."""

    at: str | int | None = None
    last: bool = False


_decode_undo = msgspec.json.Decoder(HowToUndo).decode
_decode_restore = msgspec.json.Decoder(WhatToRestore).decode


def post_undo(request: Request) -> None:
    """Undo the transaction that the path names."""
    request.parameters(())
    match = _UNDO.fullmatch(request.path)
    if match is None:
        raise Problem(404, "A transaction is undone by POST /v1/changes/{sequence}/undo, with its sequence number.")
    how = bodies.decoded(request, _decode_undo) if request.body else HowToUndo()

    def answered(reply: bytes) -> None:
        document = _document(reply)
        if "conflicts" in document:
            count = document["conflicts"]
            raise Problem(
                409,
                f"Nothing was undone: {count} of its keys were changed since. "
                'With {"conflicts": "skip"} they stay as they are, with {"conflicts": "force"} they are put back too.',
                members={"conflicts": count, "keys": _places(document["keys"])},
            )
        request.answer(bodies.answer(_undone(document)))

    request.start([b"KS.UNDO", match[1], _WORDS[how.conflicts]], answered)


def post_restore(request: Request) -> None:
    """Give the key that the path, or ?key=, names what it had."""
    parameters = request.parameters(("db", "key"))
    key = request.key_after(RESTORE_PREFIX, parameters)
    what = bodies.decoded(request, _decode_restore)
    if what.last == (what.at is not None):
        raise Problem(400, 'The body says when: {"at": "yesterday 18:00"}, or {"last": true} for a removed key.')
    words = [b"LAST"] if what.at is None else [b"AT", _moment(what.at)]
    request.start([b"KS.RESTORE", key, *words], lambda reply: request.answer(bodies.answer(_undone(_document(reply)))))


def _moment(at: str | int) -> bytes:
    try:
        return str(at).encode()
    except UnicodeEncodeError:
        raise Problem(400, "'at' has half of a surrogate pair.") from None


def _document(reply: bytes) -> dict[str, Any]:
    found: dict[str, Any] = plain(succeeded(reply))
    return found


def _undone(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "sequence": document["sequence"],
        "restored": document["restored"],
        "skipped": _places(document["skipped"]),
        "without_expiry": _places(document["without-expiry"]),
    }


def _places(pairs: list[Any]) -> list[dict[str, Any]]:
    return [{"db": database, "key": key} for database, key in pairs]


UNDO_ROUTE = Route(
    CHANGES_PREFIX, {b"POST": Endpoint(post_undo, changes_data=True)}, {"post": UNDO}, "/v1/changes/{sequence}/undo"
)
RESTORE_ROUTE = Route(
    RESTORE_PREFIX, {b"POST": Endpoint(post_restore, changes_data=True)}, {"post": RESTORE}, "/v1/restore/{key}"
)
