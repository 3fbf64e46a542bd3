"""Times to live: from what a client says to the moment at which a key expires.

Owns: units, overflow and the errors of EX, PX, EXAT, PXAT, wherever they occur. Must not know: keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.commands.numbers import INT64_MAX
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session

SECOND_MS = 1000

_UNIT_MS = {"ex": SECOND_MS, "px": 1, "exat": SECOND_MS, "pxat": 1}
ABSOLUTE = frozenset(("exat", "pxat"))


def invalid_expire_time(command: str) -> CommandError:
    """The error for a time that is not positive, or too far away to be counted in 64 bits of milliseconds."""
    return CommandError(f"ERR invalid expire time in '{command}' command")


def deadline_ms(session: Session, command: str, option: str, number: int) -> int:
    """When a key expires (Unix time in milliseconds) that gets "ex", "px", "exat" or "pxat" *number*.

    Raises CommandError, which names the *command*.
    """
    unit_ms = _UNIT_MS[option]
    if not 0 < number <= INT64_MAX // unit_ms:
        raise invalid_expire_time(command)
    at_ms = number * unit_ms
    if option not in ABSOLUTE:
        at_ms += session.engine.clock.now_ms
    if at_ms > INT64_MAX:
        raise invalid_expire_time(command)
    return at_ms
