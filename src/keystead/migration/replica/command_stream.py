"""The commands that a primary sends its replicas, cut out of the bytes that arrive, each with its length.

Strict: a primary writes nothing but arrays of bulk strings, and what is anything else would leave every later place in
the stream wrong. Memory is taken only for bytes that have arrived.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keystead.migration.source import SourceFailed

MAX_COMMAND_BYTES: Final = 1 << 30
"""One command, which is in memory as a whole."""
_LONGEST_HEADER: Final = 32
_HEADER: Final = re.compile(rb"[*$](0|[1-9][0-9]{0,10})\r\n")
_ARRAY: Final = ord("*")


class _Incomplete(Exception):
    """The command goes on behind what has arrived: at least up to *needed* bytes of it."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class CommandStream:
    """Bytes in, commands out."""

    def __init__(self, max_command_bytes: int = MAX_COMMAND_BYTES) -> None:
        self._max_command_bytes = max_command_bytes
        self._held: list[bytes] = []  # the beginning of a command
        self._held_bytes = 0
        self._needed = 0  # it is of no use to look before so many bytes are there

    def feed(self, data: bytes) -> Iterator[tuple[list[bytes], int]]:
        """The commands that *data* completes, and how many bytes each took. Read it to its end. SourceFailed."""
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes < self._needed:
            return
        whole, at = b"".join(self._held), 0
        self._needed = 0
        try:
            while at < len(whole):
                command, end = self._command(whole, at)
                yield command, end - at
                at = end
        except _Incomplete as incomplete:
            self._needed = incomplete.needed
        rest = whole[at:]
        self._held, self._held_bytes = [rest] if rest else [], len(rest)

    def _command(self, data: bytes, start: int) -> tuple[list[bytes], int]:
        count, at = self._header(data, start, start, array=True)
        arguments = []
        for _ in range(count):
            length, at = self._header(data, at, start, array=False)
            end = at + length + 2
            if end - start > self._max_command_bytes:
                raise SourceFailed(f"the server sent a command of more than {self._max_command_bytes:,} bytes")
            if end > len(data):
                raise _Incomplete(end - start)
            if data[end - 2 : end] != b"\r\n":
                raise _no_sense(data, at)
            arguments.append(data[at : end - 2])
            at = end
        if not arguments:
            raise _no_sense(data, start)
        return arguments, at

    def _header(self, data: bytes, at: int, start: int, *, array: bool) -> tuple[int, int]:
        match = _HEADER.match(data, at)
        if match is None:
            if len(data) - at < _LONGEST_HEADER and b"\n" not in data[at:]:
                raise _Incomplete(len(data) - start + 1)
            raise _no_sense(data, at)
        if (data[at] == _ARRAY) != array:
            raise _no_sense(data, at)
        return int(match[1]), match.end()


def _no_sense(data: bytes, at: int) -> SourceFailed:
    return SourceFailed(f"the server sent what is no command to its replicas: {data[at : at + 40]!r}")
