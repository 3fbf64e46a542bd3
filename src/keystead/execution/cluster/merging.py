"""One reply made of several: of the parts that a command was split into, or of every primary's.

Which way, the declaration says by Redis' hint `response_policy`. A write of which some parts were executed and others
not has neither happened nor failed, which its client must know: it gets UNKNOWNOUTCOME.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from keystead import resp
from keystead.commands.declaration import Command
from keystead.resp.reading import parts_of

Merge: TypeAlias = Callable[[Sequence[bytes]], bytes]
"""Replies, none of which is an error, to one."""

_ARRAY_OF_ONE: Final = b"*1\r\n"
UNKNOWN: Final = b"-UNKNOWNOUTCOME"


def _total(replies: Sequence[bytes]) -> bytes:
    return resp.integer(sum(int(reply[1:-2]) for reply in replies))


def _first(replies: Sequence[bytes]) -> bytes:
    return replies[0]


def _least(replies: Sequence[bytes]) -> bytes:
    return resp.integer(min(int(reply[1:-2]) for reply in replies))


def concatenated(replies: Sequence[bytes]) -> bytes:
    """Arrays, one behind the other."""
    count, bodies = 0, []
    for reply in replies:
        end = reply.index(b"\r\n")
        count += int(reply[1:end])
        bodies.append(reply[end + 2 :])
    return b"*%d\r\n%b" % (count, b"".join(bodies))


POLICIES: Final[dict[str, Merge]] = {
    "agg_sum": _total,
    "agg_min": _least,
    "all_succeeded": _first,
    "": concatenated,
}


def merge_of(command: Command) -> Merge:
    """How replies to the command become one."""
    for hint in command.hints:
        if hint.startswith("response_policy:"):
            return POLICIES[hint.removeprefix("response_policy:")]
    return POLICIES[""]


def in_places(places: Sequence[Sequence[int]]) -> Merge:
    """Arrays, each of whose elements belongs to one of the *places* that its part stood for."""
    count = sum(map(len, places))

    def put(replies: Sequence[bytes]) -> bytes:
        found = [b""] * count
        for reply, wanted in zip(replies, places, strict=True):
            if len(wanted) == 1:
                found[wanted[0]] = reply[len(_ARRAY_OF_ONE) :]
                continue
            for place, element in zip(wanted, parts_of(reply), strict=True):
                found[place] = element
        return b"*%d\r\n%b" % (count, b"".join(found))

    return put


def failure_of(replies: Sequence[bytes], *, writes: bool) -> bytes | None:
    """The error to answer when not all parts have succeeded; None when they have."""
    errors = [reply for reply in replies if reply[:1] == b"-"]
    if not errors:
        return None
    for error in errors:
        if error.startswith(UNKNOWN):
            return error
    if writes and len(errors) < len(replies):
        reason = errors[0][1:-2]
        return b"%b some of the keys were changed, others not: %b\r\n" % (UNKNOWN, reason)
    return errors[0]
