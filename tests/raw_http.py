"""A socket for saying things to an HTTP server that no client library would say."""

from __future__ import annotations

import contextlib
import re
import socket

from wire import TIMEOUT_SECONDS


class RawConnection:
    """Bytes in, bytes out."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """What comes up to and with *end*, or until the server closes."""
        found = b""
        while end not in found:
            piece = self.socket.recv(65536)
            if not piece:
                break
            found += piece
        return found

    def rest(self) -> bytes:
        """Everything until the server closes; a reset is an end too."""
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(65536):
                found += piece
        return found

    def close(self) -> None:
        self.socket.close()


def statuses(data: bytes) -> list[int]:
    """Of all answers in *data*."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]
