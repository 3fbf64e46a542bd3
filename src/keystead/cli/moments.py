"""Times as people write them, for options that name a moment. The grammar is that of the commands."""

from __future__ import annotations

import time

from keystead.cli import UsageError
from keystead.commands.moments import At, NotAMoment, read_moment


def moment(text: str, now_ms: int | None = None) -> At:
    """The moment that *text* names; UsageError with examples."""
    try:
        return read_moment(text, now_ms if now_ms is not None else time.time_ns() // 1_000_000)
    except NotAMoment as error:
        raise UsageError(str(error)) from None


def time_ms(text: str, now_ms: int | None = None) -> int:
    """The same for an option that takes no sequence number: in milliseconds of Unix time."""
    found = moment(text, now_ms)
    if found.time_ms is None:
        raise UsageError(f"{text!r} is a sequence number, not a time; Unix seconds are written @{text}")
    return found.time_ms
