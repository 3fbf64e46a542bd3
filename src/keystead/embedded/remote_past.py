"""Who answers questions about the past of a store behind a server: its commands.

Owns: which command asks which question, and what its reply says. Must not know: the types that programs see.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from keystead.commands.moments import iso
from keystead.engine.history.answers import Behind, Difference, Moment, Removed
from keystead.engine.history.questions import (
    At,
    Change,
    Changes,
    Differences,
    DifferencesBetween,
    Found,
    Gone,
    HistoryOf,
    Item,
    KeysAt,
    MomentOf,
    Page,
    RemovedKeys,
    Value,
    ValueAt,
)
from keystead.errors import CommandError, HistoryGone, MomentRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.history.questions import Question

_GONE = re.compile(r"GONE the past is kept from (\S+)Z on, which is behind transaction (\d+)")


class RemotePast:
    """Implements `past.Ask`."""

    database = 0
    """Not told: the connection has chosen one."""

    def __init__(self, call: Callable[..., Any]) -> None:
        """*call* sends one command and returns its reply of RESP2."""
        self._call = call

    def ask(self, question: Question) -> Any:
        """As Ask. CommandError, also when the server does not know the command."""
        try:
            return _ask(self._call, question)
        except CommandError as error:
            raise refusal_of(error) from error

    def own(self) -> RemotePast:
        """As Ask: the server keeps what it needs."""
        return self

    def close(self) -> None:
        """As Ask."""


def _ask(call: Callable[..., Any], question: Question) -> Any:
    match question:
        case MomentOf(at):
            return Found(_moment(_map(call("KS.MOMENT", text_of(at)))))
        case ValueAt(_, key, at):
            return Value(Moment(at.sequence or 0, at.time_ms), call("KS.GET", key, "AT", text_of(at)), 0)
        case HistoryOf(_, key, count, before):
            words = ["KS.HISTORY", key, "COUNT", count, *_option("BEFORE", before)]
            return Changes([_change(_map(each)) for each in call(*words)])
        case KeysAt(_, at, prefix, after, limit, values):
            words = ["KS.KEYS", "AT", text_of(at), "PREFIX", prefix, "COUNT", limit, *_option("AFTER", after)]
            reply = _map(call(*words, *(["VALUES"] if values else [])))
            items = [Item(each[0], each[1], each[2] or 0) if values else Item(each, b"", 0) for each in reply["keys"]]
            return Page(_moment(reply), items, reply["next"])
        case DifferencesBetween(_, earlier, later, prefix, after, limit):
            words = ["KS.DIFF", text_of(earlier), text_of(later), "PREFIX", prefix, "COUNT", limit]
            reply = _map(call(*words, *_option("AFTER", after)))
            between = [_moment(_map(reply[name])) for name in ("from", "to")]
            changes = [_difference(_map(each)) for each in reply["changes"]]
            return Differences(between[0], between[1], changes, reply["next"])
        case RemovedKeys(_, prefix, before, limit):
            place = b"%d:%d" % before if isinstance(before, Behind) else before
            reply = _map(call("KS.DELETED", "PREFIX", prefix, "COUNT", limit, *_option("BEFORE", place)))
            return Gone([_removed(_map(each)) for each in reply["keys"]], _place(reply["next"]))
    raise AssertionError(f"no command asks {question!r}")


def _option(word: str, value: object) -> list[Any]:
    return [] if value is None else [word, value]


def text_of(at: At) -> str:
    """The moment as commands take it."""
    return iso(at.time_ms) if at.sequence is None else str(at.sequence)


def _map(flat: list[Any]) -> dict[str, Any]:
    """What RESP2 makes of a map."""
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _moment(found: dict[str, Any]) -> Moment:
    return Moment(found["sequence"], found["time-ms"])


def _change(found: dict[str, Any]) -> Change:
    return Change(
        found["sequence"],
        found["time-ms"],
        found["operation"].decode(),
        found["user"].decode(),
        found["client"].decode(),
        found["size"],
        found["value"],
        found["expires-at-ms"] or 0,
    )


def _difference(found: dict[str, Any]) -> Difference:
    return Difference(
        found["key"],
        found["before"],
        found["before-expires-at-ms"] or 0,
        found["after"],
        found["after-expires-at-ms"] or 0,
    )


def _removed(found: dict[str, Any]) -> Removed:
    return Removed(
        found["key"],
        0,
        found["sequence"],
        found["time-ms"],
        found["operation"].decode(),
        found["user"].decode(),
        found["client"].decode(),
        found["value"],
        found["expires-at-ms"] or 0,
    )


def _place(text: bytes | None) -> int | Behind | None:
    if text is None:
        return None
    sequence, colon, number = text.partition(b":")
    return Behind(int(sequence), int(number)) if colon else int(sequence)


def refusal_of(error: CommandError) -> Exception:
    """The same, as a local store says it."""
    if gone := _GONE.match(error.text):
        floor = datetime.fromisoformat(gone[1] + "+00:00")
        return HistoryGone(int(gone[2]), round(floor.timestamp() * 1000))
    refused = error.text.removeprefix("ERR ").removeprefix("NOTFOUND ")
    if refused.startswith("that has not happened") or " is no moment" in refused or " is yet to come" in refused:
        return MomentRefused(refused)
    return error
