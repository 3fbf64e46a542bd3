"""What a client is told while the server starts: -LOADING to every command, as Redis says it.

When what is behind is ready each of these connections becomes an ordinary one, with whatever it had begun to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from keystead import resp
from keystead.resp import Limits, ProtocolError, RequestParser
from keystead.server.resp_server import Connection

if TYPE_CHECKING:
    from keystead.server.clients import Clients

LOADING = resp.error("LOADING Keystead is loading the dataset in memory")


class LoadingConnection(asyncio.Protocol):
    """One client that came too early. *waiting* is the set of all of them, *become* makes the ordinary connection,
    *reply* is what it is told until then."""

    def __init__(
        self,
        waiting: set[LoadingConnection],
        become: Callable[[Clients, RequestParser], Connection] = Connection,
        reply: bytes = LOADING,
    ) -> None:
        self._waiting = waiting
        self._become = become
        self._reply = reply
        self._parser = RequestParser(Limits(before_login=True))
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait with the others."""
        self._transport = cast("asyncio.Transport", transport)
        self._waiting.add(self)

    def data_received(self, data: bytes) -> None:
        """Refuse each command."""
        try:
            while self._parser.feed(data):
                self._transport.write(self._reply)
                data = b""
        except ProtocolError as error:
            self._transport.write(resp.error(f"ERR {error.message}"))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why does not matter
        """It did not wait."""
        self._waiting.discard(self)

    def become_ordinary(self, clients: Clients) -> None:
        """From now on this client is served."""
        self._waiting.discard(self)
        if not self._transport.is_closing():
            connection = self._become(clients, self._parser)
            self._transport.set_protocol(connection)
            connection.connection_made(self._transport)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
