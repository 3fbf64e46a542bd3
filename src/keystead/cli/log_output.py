"""Where the server's log goes: standard error, as lines for people or as JSON.

The modules log under "keystead" and choose nothing; an embedding program keeps its own logging.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from keystead.config import Settings

_ORDINARY: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_log(settings: Settings) -> None:
    """Send the "keystead" loggers to standard error in the format and from the level that are set."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else PlainLines(handler.stream.isatty()))
    log = logging.getLogger("keystead")
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(settings.log_level.upper())


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


class PlainLines(logging.Formatter):
    """2026-11-22 07:10:02.123 info    ready on 127.0.0.1:7379. Times are local.

    On a terminal a line replaces the progress bar that may be there.
    """

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self._before = "\r\x1b[K" if terminal else ""

    def format(self, record: logging.LogRecord) -> str:
        local = _moment(record).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        line = f"{self._before}{local}.{record.msecs:03.0f} {record.levelname.lower():<8}{record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One object a line; what was logged with `extra=` becomes fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        import json

        fields = {
            "ts": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _ORDINARY}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)
