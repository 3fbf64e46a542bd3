"""A blocking RESP2 connection, just enough to steer a server: commands, INFO, counted pipelines."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

import hiredis

from benchmarks.figures import NotMeasured


class ServerError(NotMeasured):
    """The server answered an error, or closed the connection."""


def encode(*arguments: bytes | str | int) -> bytes:
    """One command as Redis clients send it."""
    parts = [str(argument).encode() if not isinstance(argument, bytes) else argument for argument in arguments]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


class Connection:
    """Raises OSError when the server cannot be reached, ServerError when it answers an error."""

    def __init__(self, port: int, timeout_s: float = 60.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Another thread that waits for a reply is told so too."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def command(self, *arguments: bytes | str | int) -> Any:
        """The reply, as hiredis gives it: bytes, int, list or None."""
        self._socket.sendall(encode(*arguments))
        return self.reply()

    def stream(self, chunks: Iterable[tuple[bytes, int]], chunks_ahead: int = 4) -> None:
        """Send chunks of commands, each with its count, and take every reply; `chunks_ahead` may be unanswered."""
        unanswered: deque[int] = deque()
        for data, commands in chunks:
            self._socket.sendall(data)
            unanswered.append(commands)
            if len(unanswered) == chunks_ahead:
                self._take(unanswered.popleft())
        for commands in unanswered:
            self._take(commands)

    def _take(self, replies: int) -> None:
        for _ in range(replies):
            self.reply()

    def reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(65536)
            if not data:
                raise ServerError("the server closed the connection")
            self._reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise ServerError(str(reply))
        return reply

    def info(self, section: str) -> dict[str, str]:
        text = self.command("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
