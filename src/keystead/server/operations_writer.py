"""Writes the operation log: a bounded queue, and a thread that empties it twenty times a second.

The loop never waits for whatever reads the log: when that is too slow the queue fills up, what does not fit is dropped
and counted, and a line of the log says how many. A file is opened anew at SIGHUP, so that it can be rotated.

Owns: the queue, the thread, the file, the format of lines. Must not know: sessions, commands.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from keystead.execution.operation_log import Operation

log = logging.getLogger("keystead.server")

MOST_WAITING: Final = 65536
LINES_A_WRITE: Final = 1000
INTERVAL_S: Final = 0.05
CLOSE_SECONDS: Final = 2.0

Format: TypeAlias = Callable[["Operation"], bytes]


class OperationsWriter:
    """Takes records in the loop's thread, writes them in its own."""

    def __init__(self, path: Path | None, *, text: bool, most_waiting: int = MOST_WAITING) -> None:
        """To the end of the file *path*, or to standard error without one; lines for people, or JSON lines."""
        self._path = path
        self._format: Format = text_line if text else json_line
        self._format_loss = text_loss if text else json_loss
        self._most_waiting = most_waiting
        self._waiting: deque[Operation] = deque()
        self.dropped = 0
        """Records that did not fit or could not be written, since the start."""
        self._reported = 0
        self._stop = threading.Event()
        self._reopen = False
        self._thread: threading.Thread | None = None
        self._output: io.RawIOBase | None = None
        self._failing = False

    def put(self, operation: Operation) -> None:
        """Have it written soon, or drop it."""
        if len(self._waiting) < self._most_waiting:
            self._waiting.append(operation)
        else:
            self.dropped += 1

    def start(self) -> None:
        """Begin to write; harmless when it has begun."""
        if self._thread is None:
            # A daemon: the process can end although whoever reads standard error does not.
            self._thread = threading.Thread(target=self._run, name="operation log", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits, and end; whoever does not read it in time is not waited for."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join(CLOSE_SECONDS)
            self._thread = None

    def reopen(self) -> None:
        """Go on in a new file of the same name, if the old one was moved away."""
        self._reopen = True

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._stop.wait(INTERVAL_S)
            while self._waiting:
                self._write_some()
            self._report_dropped()
        self._close_output()

    def _write_some(self) -> None:
        operations = list(islice(iter(self._waiting.popleft, None), min(LINES_A_WRITE, len(self._waiting))))
        if not self._write(b"".join(map(self._format, operations))):
            self.dropped += len(operations)

    def _report_dropped(self) -> None:
        missing = self.dropped - self._reported
        if missing and self._write(self._format_loss(_moment(time.time_ns()), missing)):
            self._reported += missing

    def _write(self, lines: bytes) -> bool:
        if self._reopen:
            self._reopen = False
            self._close_output()
        try:
            if self._output is None:
                self._output = _open(self._path)
            rest = memoryview(lines)
            while rest:
                rest = rest[self._output.write(rest) or 0 :]
        except OSError as error:
            if not self._failing:
                log.error("the operation log cannot be written: %s; lines are dropped", error)
            self._failing = True
            self._close_output()
            return False
        self._failing = False
        return True

    def _close_output(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None


def _open(path: Path | None) -> io.RawIOBase:
    if path is None:
        return open(sys.stderr.fileno(), "wb", buffering=0, closefd=False)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return open(descriptor, "wb", buffering=0)


# --- lines ----------------------------------------------------------------------------------------------------------


def json_line(operation: Operation) -> bytes:
    """One JSON object; a `client` only when it has a name, `key_count` only when not all keys are shown."""
    fields: dict[str, Any] = {
        "at": _moment(operation.at_ns),
        "user": _name(operation.user),
        "addr": _name(operation.addr),
        "protocol": operation.protocol,
        "db": operation.db,
        "command": operation.command,
        "keys": [escaped(key) for key in operation.keys],
        "result": operation.result,
        "us": operation.duration_us,
    }
    if operation.client:
        fields["client"] = escaped(operation.client)
    if operation.key_count > len(operation.keys):
        fields["key_count"] = operation.key_count
    return json_of(**fields)


def json_loss(at: str, missing: int) -> bytes:
    """Says how many lines are missing here."""
    return json_of(at=at, dropped=missing)


def text_loss(at: str, missing: int) -> bytes:
    """The same in words."""
    return f"{at} {missing} lines were dropped\n".encode()


def json_of(**fields: Any) -> bytes:
    return msgspec.json.encode(fields) + b"\n"


def text_line(operation: Operation) -> bytes:
    """2026-11-22T07:10:02.123456Z resp default 127.0.0.1:50000 db0 SET "k" ok 12us"""
    keys = " ".join('"' + escaped(key, also='"') + '"' for key in operation.keys)
    more = operation.key_count - len(operation.keys)
    addr = _name(operation.addr)
    words = [
        _moment(operation.at_ns),
        operation.protocol,
        _name(operation.user),
        f"{escaped(operation.client)}@{addr}" if operation.client else addr,
        f"db{operation.db}",
        operation.command,
        *([keys] if keys else []),
        *([f"and {more} more"] if more else []),
        operation.result,
        f"{operation.duration_us}us",
    ]
    return " ".join(words).encode() + b"\n"


def _name(text: str) -> str:
    """Names and paths may be no UTF-8; then they are decoded with surrogates."""
    return escaped(text.encode("utf-8", "surrogateescape"))


def escaped(text: bytes, also: str = "") -> str:
    r"""The text on one line: what is not UTF-8 as \xff, control characters too, a backslash doubled."""
    doubled = text.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    if doubled.isprintable() and not (also and also in doubled):
        return doubled
    return "".join(_shown(character, also) for character in doubled)


def _shown(character: str, also: str) -> str:
    if character == also:
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return repr(character)[1:-1] if code < 128 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _moment(at_ns: int) -> str:
    whole_s, rest_ns = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"
