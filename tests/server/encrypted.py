"""Servers with both protocols behind TLS, for tests, and clients that reach them."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from http_client import HttpConnection
from servers import Server, free_port, running, start_keystead
from wire import CLOSED, TIMEOUT_SECONDS, Reply, encode, read_reply


class TlsServer:
    """A server, its TLS ports, and how to get there."""

    def __init__(self, server: Server, port: int, http_port: int, folder: Path) -> None:
        self.server = server
        self.port = port
        self.http_port = http_port
        self.folder = folder

    def context(self, user: str | None = None, of: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        if user is not None:
            where = of or self.folder
            context.load_cert_chain(where / f"{user}.crt", where / f"{user}.key")
        return context

    def connect(self, user: str | None = None, of: Path | None = None) -> TlsClient:
        return TlsClient(self.port, self.context(user, of))

    def connect_http(self, user: str | None = None, of: Path | None = None) -> HttpConnection:
        return HttpConnection(("localhost", self.http_port), context=self.context(user, of))

    def raw_http(self) -> ssl.SSLSocket:
        """For what no HTTP client would send."""
        plain = socket.create_connection(("127.0.0.1", self.http_port), TIMEOUT_SECONDS)
        return self.context().wrap_socket(plain, server_hostname="localhost")

    def hang_up(self, until_log_says: str) -> None:
        """Send SIGHUP, and wait for a line of the log that was not there yet."""
        before = self.server.log.read_text().count(until_log_says)
        self.server.process.send_signal(signal.SIGHUP)
        until(lambda: self.server.log.read_text().count(until_log_says) > before)


class TlsClient:
    """A `wire.SocketConnection` behind TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        try:
            self.socket = context.wrap_socket(plain, server_hostname="localhost")
        except OSError:
            plain.close()
            raise
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> Reply:
        try:
            return read_reply(self._file)
        except (EOFError, ConnectionError, ssl.SSLError):
            return CLOSED

    def call(self, *args: bytes | str | int) -> Reply:
        self.send(encode(args))
        return self.receive()

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextlib.contextmanager
def serving(directory: Path, folder: Path, *options: str) -> Iterator[TlsServer]:
    port, http_port = free_port(), free_port()
    ports = ("--tls-port", str(port), "--http-tls-port", str(http_port))
    files = ("--tls-cert-file", str(folder / "server.crt"), "--tls-key-file", str(folder / "server.key"))
    with running(start_keystead(directory, *ports, *files, *options)) as server:
        yield TlsServer(server, port, http_port, folder)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never happens"
        time.sleep(0.01)


def copied(folder: Path, to: Path) -> Path:
    """Certificates that a test may change."""
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to
