"""A snapshot as it stands on the wire, told from the stream behind it.

It comes with its length, or, from a primary that makes it without a file, between a random mark and the same mark.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

from keystead.migration.replica.handshake import READ_BYTES
from keystead.migration.source import SourceFailed

LOOK_EVERY_S: Final = 0.1
SILENCE_S: Final = 60.0
"""A primary says something every ten seconds; one that says nothing for so long is taken for lost."""

_LENGTH: Final = re.compile(rb"\$([0-9]{1,19})").fullmatch
_MARK: Final = re.compile(rb"\$EOF:([0-9a-zA-Z]{40})").fullmatch
_LONGEST_HEADER: Final = 4096


class Closing(Exception):
    """Nobody wants more."""


class Transfer:
    """One connection, from behind the answer of the primary to the end of the snapshot."""

    def __init__(self, connection: socket.socket, arrived: bytes, closing: threading.Event) -> None:
        connection.settimeout(LOOK_EVERY_S)
        self._connection = connection
        self._closing = closing
        self.arrived = arrived
        """What was received and not told; at the end, the beginning of the stream."""

    def snapshot(self) -> Iterator[bytes]:
        """The bytes of the snapshot. OSError, SourceFailed, Closing."""
        header = self._header()
        if length := _LENGTH(header):
            return self._so_many(int(length[1]))
        if mark := _MARK(header):
            return self._up_to(mark[1])
        raise SourceFailed(f"the server sends no snapshot, but {header[:200].decode(errors='replace')}")

    def _header(self) -> bytes:
        """The line before it. While a primary makes a snapshot, it sends line ends to say that it is alive."""
        while True:
            self.arrived = self.arrived.lstrip(b"\r\n")
            line, found, rest = self.arrived.partition(b"\n")
            if found or len(line) > _LONGEST_HEADER:
                self.arrived = rest
                return line.rstrip(b"\r")
            self.arrived += self._more()

    def _so_many(self, count: int) -> Iterator[bytes]:
        while count:
            data = self.arrived or self._more()
            self.arrived = data[count:]
            count -= len(data) - len(self.arrived)
            yield data[: -len(self.arrived)] if self.arrived else data

    def _up_to(self, mark: bytes) -> Iterator[bytes]:
        held = b""  # it may be the beginning of the mark
        while True:
            data = held + (self.arrived or self._more())
            self.arrived = b""
            before, found, rest = data.partition(mark)
            if found:
                self.arrived = rest
                yield before
                return
            held = data[1 - len(mark) :]
            yield data[: len(data) - len(held)]

    def _more(self) -> bytes:
        deadline_s = time.monotonic() + SILENCE_S
        while time.monotonic() < deadline_s:
            if self._closing.is_set():
                raise Closing
            if data := received(self._connection):
                return data
        raise TimeoutError(f"no word for {SILENCE_S:.0f} s")


def received(connection: socket.socket) -> bytes:
    """What has arrived; b"": nothing within the connection's timeout. OSError."""
    try:
        data = connection.recv(READ_BYTES)
    except TimeoutError:
        return b""
    if not data:
        raise ConnectionResetError("the server closed the connection")
    return data
