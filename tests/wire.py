"""A Redis client of the barest kind, for tests: bytes out, replies in with every type tag kept.

It must not hide anything a server says: a null bulk and a null array differ, an error is a value, a closed
connection is an answer. Real clients (redis-py) have their own tests in test_clients.py.
"""

from __future__ import annotations

import socket
from typing import Any, NamedTuple, Protocol

TIMEOUT_SECONDS = 10.0


class Reply(NamedTuple):
    """One parsed reply: the type byte of RESP2 or RESP3 (or `closed`), and its content; its parts are Replies."""

    kind: str
    value: Any

    def __repr__(self) -> str:
        return f"{self.kind}{self.value!r}"


CLOSED = Reply("closed", None)


class Connection(Protocol):
    """What a case needs of a server: a socket, or anything that answers as one does."""

    def send(self, data: bytes) -> None: ...
    def receive(self) -> Reply: ...
    def close(self) -> None: ...


class SocketConnection:
    """A blocking connection over TCP or, for a path, a Unix socket."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT_SECONDS)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> Reply:
        """The next reply; CLOSED when the server has closed. Raises TimeoutError when none comes."""
        try:
            return read_reply(self._file)
        except (EOFError, ConnectionError):
            return CLOSED

    def call(self, *args: bytes | str | int) -> Reply:
        self.send(encode(args))
        return self.receive()

    def close(self) -> None:
        self._file.close()
        self.socket.close()


def encode(args: tuple[bytes | str | int, ...] | list[bytes]) -> bytes:
    """A command as an array of bulk strings."""
    encoded = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in encoded)


def read_reply(file: Any) -> Reply:
    """Parse one reply from a binary file. Raises EOFError at its end, ValueError for what is no reply."""
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind, rest = chr(line[0]), line[1:-2]
    match kind:
        case "+" | "-":
            return Reply(kind, rest)
        case ":" | "(":
            return Reply(kind, int(rest))
        case ",":
            return Reply(kind, float(rest))
        case "#":
            return Reply(kind, rest == b"t")
        case "_":
            return Reply(kind, None)
        case "$" | "=" | "!":
            return Reply(kind, _read_bulk(file, int(rest)))
        case "*" | "~" | ">":
            count = int(rest)
            return Reply(kind, None if count < 0 else [read_reply(file) for _ in range(count)])
        case "%":
            return Reply(kind, [read_reply(file) for _ in range(2 * int(rest))])
    raise ValueError(f"not a reply: {line!r}")


def _read_bulk(file: Any, length: int) -> bytes | None:
    if length < 0:
        return None
    data = file.read(length + 2)
    if len(data) != length + 2:
        raise EOFError
    return bytes(data[:-2])
