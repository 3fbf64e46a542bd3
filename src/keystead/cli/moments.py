"""Times as people write them, for options that name a moment."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from keystead.cli import UsageError

_AGO: Final = re.compile(r"-(\d+(?:\.\d+)?)([smhdw])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CLOCK: Final = re.compile(r"(?:(today|yesterday)\s*)?(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?")


def time_ms(text: str, now: datetime | None = None) -> int:
    """The moment that *text* names, in milliseconds of Unix time; UsageError with examples."""
    now = now or datetime.now().astimezone()
    try:
        moment = _parsed(text.strip(), now)
    except ValueError:
        raise UsageError(
            f"{text!r} is no time; examples: 2026-11-26T18:00, '2026-11-26 18:00:30.5+01:00', -10m, now, "
            "'yesterday 18:00', 18:00, @1700000000"
        ) from None
    return round(moment.timestamp() * 1000)


def _parsed(text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    if text.startswith("@"):
        return datetime.fromtimestamp(float(text[1:])).astimezone()
    if ago := _AGO.fullmatch(text):
        return now - timedelta(seconds=float(ago[1]) * _UNITS_S[ago[2]])
    if text and (clock := _CLOCK.fullmatch(text)):
        day = now - timedelta(days=clock[1] == "yesterday")
        return datetime.fromisoformat(f"{day:%Y-%m-%d}T{(clock[2] or '00:00').zfill(5)}").astimezone()
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.astimezone()
