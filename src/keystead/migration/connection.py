"""A connection to one server that speaks the Redis protocol: many commands in one piece, their replies in order.

Owns: bytes on one socket; trying again what is safe to do twice. Must not know: what commands mean. Whoever uses it
sends only what may be executed twice: reads, and facts.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import hiredis

from keystead.errors import CommandError, ServerUnreachable
from keystead.migration.addresses import ServerAddress

Command: TypeAlias = tuple[bytes, ...]

CONNECT_S = 10.0
REPLY_S = 60.0
"""A server that says nothing for so long while it is asked is taken for lost."""
READ_BYTES = 1 << 18
AGAIN_S = 0.2
PATIENCE_S = 60.0
"""So long a server that is away, or not ready, is waited for in the middle of a migration."""
NOT_NOW = frozenset({"LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "UNKNOWNOUTCOME", "READONLY"})
"""Prefixes of errors that say nothing of the command: the same one may succeed later."""


class Connection:
    """One connection, made anew when it is lost. Close it."""

    def __init__(
        self, address: ServerAddress, *, patience_s: float = PATIENCE_S, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Connect and log in. ServerUnreachable; CommandError for a wrong password."""
        self.address = address
        self._patience_s = patience_s
        self._sleep = sleep
        self._socket: socket.socket | None = None
        self._reader = hiredis.Reader()
        self._connect()

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """The reply of each command: bytes, int, None, a list of these, or a CommandError, which is not raised.

        A lost connection is made anew and everything is sent again, and so is what was answered by an error that says
        "not now". ServerUnreachable when that goes on for too long.
        """
        deadline_s = time.monotonic() + self._patience_s
        replies: list[Any] = [None] * len(commands)
        waiting = list(range(len(commands)))
        while True:
            failure = ""
            try:
                for i, reply in zip(waiting, self._exchange([commands[i] for i in waiting]), strict=True):
                    replies[i] = reply
                waiting = [i for i in waiting if is_not_now(replies[i])]
            except (OSError, ServerUnreachable) as error:
                self.close()
                failure = getattr(error, "strerror", None) or str(error)
            if not waiting:
                return replies
            if time.monotonic() > deadline_s:
                raise ServerUnreachable(f"{self.address}: {failure or replies[waiting[0]]}")
            self._sleep(AGAIN_S)

    def ask(self, *words: bytes) -> Any:
        """The reply of one command. CommandError, ServerUnreachable."""
        (reply,) = self.run([words])
        if isinstance(reply, CommandError):
            raise reply
        return reply

    def places(self) -> list[Connection]:
        """All servers that have keys: this one."""
        return [self]

    def _connect(self) -> socket.socket:
        try:
            connected = connected_to(self.address, *self.address.hosts[0])
        except OSError as error:
            raise ServerUnreachable(f"{self.address}: {error.strerror or error}") from None
        self._socket, self._reader = connected, hiredis.Reader()
        greeting = login(self.address)
        if self.address.database:
            greeting.append((b"SELECT", b"%d" % self.address.database))
        for reply in self._exchange(greeting):
            if isinstance(reply, CommandError):
                self.close()
                raise reply
        return connected

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send and receive at the same time: a server may stop reading until its replies are read."""
        connection = self._socket or self._connect()
        unsent = memoryview(b"".join(hiredis.pack_command(words) for words in commands))  # type: ignore[arg-type]  # its stub means other tuples
        replies: list[Any] = []
        heard_s = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
            connection.setblocking(False)
            while len(replies) < len(commands):
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0)
                selector.modify(connection, events)
                pending = isinstance(connection, ssl.SSLSocket) and connection.pending()
                if not pending and not selector.select(REPLY_S - (time.monotonic() - heard_s)):
                    raise ServerUnreachable(f"no answer for {REPLY_S:.0f} s")
                if unsent:
                    unsent = unsent[_sent(connection, unsent) :]
                if data := _received(connection):
                    heard_s = time.monotonic()
                    self._reader.feed(data)
                    while (reply := self._reader.gets()) is not False:
                        replies.append(CommandError(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply)
        return replies

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def is_not_now(reply: Any) -> bool:
    """Whether it is an error that says nothing of the command."""
    return isinstance(reply, CommandError) and reply.prefix in NOT_NOW


def login(address: ServerAddress) -> list[Command]:
    """The command that logs in, if any is needed."""
    if not address.password:
        return []
    user = [address.username.encode()] if address.username else []
    return [(b"AUTH", *user, address.password.encode())]


def connected_to(address: ServerAddress, host: str, port: int) -> socket.socket:
    """A socket to that host, encrypted if the address says so. OSError."""
    plain = socket.create_connection((host, port), CONNECT_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = tls_context(address)
    return plain if context is None else context.wrap_socket(plain, server_hostname=host)


def tls_context(address: ServerAddress) -> ssl.SSLContext | None:
    """How to encrypt; None: not at all. OSError for files that cannot be read."""
    if address.tls is None:
        return None
    context = ssl.create_default_context(cafile=address.tls.ca or None)
    if address.tls.certificate:
        context.load_cert_chain(address.tls.certificate, address.tls.key or None)
    return context


def _sent(connection: socket.socket, data: memoryview) -> int:
    try:
        return connection.send(data[:READ_BYTES])
    except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return 0


def _received(connection: socket.socket) -> bytes:
    try:
        data = connection.recv(READ_BYTES)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return b""
    if not data:
        raise ServerUnreachable("the server closed the connection")
    return data
