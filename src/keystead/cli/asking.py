"""Questions to the running server that the settings name, and their replies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import hiredis

from keystead.config import Settings
from keystead.engine import manifest as manifests
from keystead.engine.files import Directory
from keystead.errors import CommandError, KeysteadError, ServerUnreachable, StoreLocked

CONNECT_S: Final = 10.0
READ_BYTES: Final = 1 << 16


class Asking:
    """A connection. Close it, or use it in a `with` statement."""

    def __init__(self, settings: Settings, user: str = "") -> None:
        """Connect and log in, as *user* or the default user. ServerUnreachable; CommandError for a wrong password."""
        self._reader = hiredis.Reader()
        self.address = str(settings.unix_path) if settings.unix_path else f"{host_of(settings)}:{settings.port}"
        try:
            self._socket = _connected(settings)
        except OSError as error:
            raise ServerUnreachable(f"no server on {self.address} ({error.strerror or error})") from None
        if settings.requirepass:
            self.ask(b"AUTH", *([user.encode()] if user else []), settings.requirepass.encode())

    def ask(self, *words: bytes) -> Any:
        """The reply: bytes, int, None or a list of these. CommandError, ServerUnreachable; waits for ever."""
        try:
            self._socket.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub means other tuples
            while (reply := self._reader.gets()) is False:
                data = self._socket.recv(READ_BYTES)
                if not data:
                    raise ServerUnreachable(f"the server on {self.address} closed the connection")
                self._reader.feed(data)
        except OSError as error:
            raise ServerUnreachable(f"{self.address}: {error.strerror or error}") from None
        if isinstance(reply, hiredis.ReplyError):
            raise CommandError(str(reply))
        return reply

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AnotherServer(KeysteadError):
    """The server that was asked serves another directory; nothing was changed."""


@contextmanager
def holder_of(settings: Settings, user: str, locked: StoreLocked) -> Iterator[Asking]:
    """The server that holds the directory, once it is certain that it is that one. AnotherServer, ServerUnreachable,
    CommandError. *locked* says that somebody holds it."""
    with Asking(settings, user) as server:
        fields = dict(line.split(b":", 1) for line in server.ask(b"INFO", b"replication").splitlines() if b":" in line)
        if fields.get(b"master_replid", b"").decode() != _store_id(settings):
            raise AnotherServer(f"the server on {server.address} serves another directory. {locked}")
        yield server


def _store_id(settings: Settings) -> str:
    manifest = manifests.load(Directory(str(settings.directory)))
    return f"{manifest.store_id:040x}" if manifest is not None else ""


def host_of(settings: Settings) -> str:
    """The address to call where the settings say on which ones to listen."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}.get(settings.hosts[0], settings.hosts[0])


def _connected(settings: Settings) -> socket.socket:
    if settings.unix_path:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(settings.unix_path))
        return connection
    connection = socket.create_connection((host_of(settings), settings.port), CONNECT_S)
    connection.settimeout(None)  # a long answer takes as long as it takes
    return connection
