"""Moments as people write them: a grammar of arguments, for every door through which the past is read.

    4711                        after that transaction
    2026-11-26T10:15:00Z        ISO 8601: with a zone or, in local time, without one; the date alone is its beginning
    @1700000000.5               Unix seconds
    -10m  -1h30m  -2d           that long ago: s m h d w
    now  today  yesterday       the last two at their beginning
    18:00  yesterday 18:00      a time of day

Local is the time zone of the process that reads it. Must not know: which transactions there are, protocols.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

LATEST_SEQUENCE: Final = (1 << 63) - 1
MOST_AHEAD_MS: Final = 60_000
"""So far clocks may differ: a time that is further ahead is a mistake."""
LATEST_MS: Final = 1 << 53

EXAMPLES: Final = "2026-11-26T10:15:00Z, '2026-11-26 10:15', -10m, 'yesterday 18:00', 18:00, now, @1700000000 or 4711"

_SEQUENCE = re.compile(r"[0-9]{1,19}")
_UNIX = re.compile(r"@([0-9]{1,13})(?:\.([0-9]{1,9}))?")
_AGO = re.compile(r"-(?=[0-9])(?:[0-9]{1,9}(?:\.[0-9]{1,3})?[smhdw])+")
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")
_DAY = re.compile(r"(today|yesterday)(?:[ T](.+))?")
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?")
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?")
_LOST_PLUS = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)")
"""A plus sign that was a space in a query string: `…T10:15:00 02:00`."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class At(NamedTuple):
    """What was written: exactly one of the two."""

    sequence: int | None = None
    time_ms: int | None = None


class NotAMoment(ValueError):
    """The text names no moment, or one that is yet to come."""


def read_moment(text: str, now_ms: int, zone: tzinfo | None = None) -> At:
    """The moment that *text* names, when it is *now_ms*; in local time unless *zone* is given. NotAMoment."""
    words = " ".join(text.split())
    if _SEQUENCE.fullmatch(words) and int(words) <= LATEST_SEQUENCE:
        return At(sequence=int(words))
    try:
        time_ms = _time_ms(words, now_ms, zone)
    except (ValueError, OverflowError, OSError):
        time_ms = None
    if time_ms is None or not -LATEST_MS <= time_ms <= LATEST_MS:
        raise NotAMoment(f"'{text[:64]}' is no moment; write one like {EXAMPLES} (a sequence number)")
    if time_ms > now_ms + MOST_AHEAD_MS:
        raise NotAMoment(f"'{text[:64]}' is yet to come: it is {iso(now_ms)} now")
    return At(time_ms=time_ms)


def iso(time_ms: int) -> str:
    """A time as it is written in answers and errors: ISO 8601 in UTC, with milliseconds."""
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds") + "Z"


def _time_ms(text: str, now_ms: int, zone: tzinfo | None) -> int | None:
    lower = text.lower()
    if lower == "now":
        return now_ms
    if match := _UNIX.fullmatch(text):
        return int(match[1]) * 1000 + int((match[2] or "0").ljust(3, "0")[:3])
    if _AGO.fullmatch(lower):
        ago_s = sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(lower))
        return now_ms - round(ago_s * 1000)
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    if match := _DAY.fullmatch(lower):
        day = today - timedelta(days=match[1] == "yesterday")
        return None if match[2] and not _CLOCK.fullmatch(match[2]) else _on(day, match[2] or "0:00", zone)
    if _CLOCK.fullmatch(text):
        return _on(today, text, zone)
    if match := _DATED.fullmatch(text):
        dated = _LOST_PLUS.sub("+", text) if match[1] and ":" in match[1] else text
        return _milliseconds(datetime.fromisoformat(dated.upper()), zone)
    return None


def _on(day: date, clock: str, zone: tzinfo | None) -> int:
    at = time.fromisoformat(clock.rjust(len(clock) + (clock.index(":") == 1), "0"))
    return _milliseconds(datetime.combine(day, at), zone)


def _milliseconds(moment: datetime, zone: tzinfo | None) -> int:
    known = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    if known.tzinfo is None:  # local time, with the offset that it had then; `astimezone` fails at the end of 9999
        return int(known.replace(microsecond=0).timestamp()) * 1000 + known.microsecond // 1000
    return (known - _EPOCH) // timedelta(milliseconds=1)


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")
