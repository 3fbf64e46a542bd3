"""Keys as SCAN finds them, a step at a time: for listings and exports.

No node knows all keys in order, and a walk is not one moment: a key that is there all the while is found, perhaps
twice; one that comes or goes meanwhile may be found or not. Must not know: HTTP answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from keystead.server.http.commands import succeeded

if TYPE_CHECKING:
    from keystead.server.http.requests import Request

SPECIAL: Final = frozenset(b"*?[]^\\")


class Step(NamedTuple):
    """What one step has found."""

    cursor: bytes
    """Where the walk goes on; b"0" at its end."""
    keys: list[bytes]


def pattern_of(prefix: bytes) -> bytes:
    """The pattern that what begins with *prefix* matches."""
    return b"".join(b"\\%c" % byte if byte in SPECIAL else b"%c" % byte for byte in prefix) + b"*"


async def scan(request: Request, cursor: bytes, prefix: bytes, count: int) -> Step:
    """One step: about *count* keys are looked at. Those that the user may not read are left out. Problem when it cannot
    be made, also for what is no cursor."""
    matching = [b"MATCH", pattern_of(prefix)] if prefix else []
    reply = await request.calls.run(request.session, [b"SCAN", cursor, *matching, b"COUNT", b"%d" % count])
    following, keys = succeeded(reply).value
    user = request.session.user
    found = (key.value for key in keys.value)
    return Step(following.value, [key for key in found if user.may_read_all or user.may_read_key(key)])
