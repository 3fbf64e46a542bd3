"""TLS in front of any protocol: the handshake with its deadline and its bound, then the protocol as without it.

A connection that has not finished its handshake costs a socket and a few kilobytes, is closed after ten seconds, and
there are never more than a thousand of them; nobody else notices. Whoever has finished is handed to the protocol that
`connect` makes, which sees an ordinary transport.

Owns: handshakes under way. Must not know: commands, which files the certificates are from (see certificates).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from keystead.server.certificates import common_name
from keystead.server.resp_server import Connection

if TYPE_CHECKING:
    from keystead.resp import RequestParser
    from keystead.server.certificates import Certificates
    from keystead.server.clients import Clients

log = logging.getLogger("keystead.server")

HANDSHAKE_SECONDS = 10.0
FLUSH_SECONDS = 10.0
"""How long a connection that is closed by us may take to accept what was written to it."""
MOST_HANDSHAKES = 1000

Connect: TypeAlias = Callable[[asyncio.Transport], asyncio.BaseProtocol]
"""Makes the protocol for one client; the argument is the transport of what is encrypted."""


class Handshakes:
    """All handshakes of one server that are under way; oldest first."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        certificates: Certificates,
        *,
        seconds: float = HANDSHAKE_SECONDS,
        most: int = MOST_HANDSHAKES,
    ) -> None:
        self.loop = loop
        self.certificates = certificates
        self.seconds = seconds
        self._most = most
        self._under_way: dict[Handshake, None] = {}
        self.failures: Counter[str] = Counter()
        """Handshakes that failed, by OpenSSL's reason; "timeout", "crowded" and "closed" are ours."""

    def __len__(self) -> int:
        return len(self._under_way)

    def begun(self, newcomer: Handshake) -> None:
        """One more. When there are too many the oldest goes: who means it has finished within milliseconds."""
        self._under_way[newcomer] = None
        if len(self._under_way) > self._most:
            self.failures["crowded"] += 1
            next(iter(self._under_way)).give_up()

    def ended(self, handshake: Handshake) -> None:
        """It has finished, one way or the other."""
        self._under_way.pop(handshake, None)

    def abort_all(self) -> None:
        """Close them at once."""
        for handshake in list(self._under_way):
            handshake.give_up()


class Handshake(asyncio.Protocol):
    """One client between `accept` and its first plain byte."""

    def __init__(self, handshakes: Handshakes, connect: Connect) -> None:
        self._handshakes = handshakes
        self._connect = connect
        self._carrier: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._carrier = cast("asyncio.Transport", transport)
        self._handshakes.begun(self)
        self._steps = self._handshakes.loop.start_tls(
            self._carrier,
            self,
            self._handshakes.certificates.context,
            server_side=True,
            ssl_handshake_timeout=self._handshakes.seconds,
            ssl_shutdown_timeout=FLUSH_SECONDS,
        )
        # The first step is taken here, within connection_made: before it returns, nothing is read. A task would take it
        # in the next pass of the loop, when the client's first bytes may have come and gone to this protocol.
        waiter: asyncio.Future[None] = self._steps.send(None)
        waiter.add_done_callback(self._finished)

    def _finished(self, _: asyncio.Future[None]) -> None:
        self._handshakes.ended(self)
        try:
            self._steps.send(None)
        except StopIteration as end:
            transport = end.value
            if not transport.is_closing():
                protocol = self._connect(self._carrier)
                transport.set_protocol(protocol)
                protocol.connection_made(transport)
        except OSError as failure:  # every ssl.SSLError is one
            self._handshakes.failures[_reason(failure)] += 1
            peer = self._carrier.get_extra_info("peername")
            log.debug("no TLS with %s: %s", peer, failure)

    def give_up(self) -> None:
        """Close at once."""
        self._handshakes.ended(self)
        self._carrier.abort()


def _reason(failure: OSError) -> str:
    if isinstance(failure, ConnectionAbortedError):
        return "timeout"
    if isinstance(failure, ssl.SSLError):
        return (failure.reason or "unknown").lower()
    return "closed"


class TlsConnection(Connection):
    """A client of the Redis protocol behind TLS, logged in by its certificate when that names a user.

    TLS connections are not half-closed: asyncio ends both directions when the peer ends one (as Redis does). What
    had been replied until then is written; replies that wait for the disk are lost.
    """

    __slots__ = ("_carrier",)

    def __init__(self, clients: Clients, carrier: asyncio.Transport, parser: RequestParser | None = None) -> None:
        super().__init__(clients, parser)
        self._carrier = carrier

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As any client; then it is whom the certificate names."""
        super().connection_made(transport)
        if not self._transport.is_closing():
            certificate: dict[str, Any] | None = transport.get_extra_info("peercert")
            user = self._clients.executor.access.certified(common_name(certificate))
            if user is not None:
                self.session.log_in(user)
                self._choose_limits()

    def eof_received(self) -> bool:
        """The peer will send no more, and the transport closes when this returns: write what was replied."""
        self._ended = True
        self._clients.flush()
        return False

    def unread_bytes(self) -> int:
        """With what is encrypted already."""
        return super().unread_bytes() + self._carrier.get_write_buffer_size()

    def _close(self) -> None:
        # The peer's farewell is not waited for, once ours is on its way: many clients never send one.
        self._transport.close()
        if not self._transport.get_write_buffer_size():
            self._carrier.close()
