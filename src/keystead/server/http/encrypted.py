"""An HTTP connection behind TLS: as any other, but for how it ends and whom a certificate may name.

Must not know: handshakes, which files certificates are from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.server.certificates import common_name
from keystead.server.http.connection import Connection

if TYPE_CHECKING:
    import asyncio

    from keystead.server.http.server import HttpServer


class HttpsConnection(Connection):
    """One client. A request without credentials of its own is made by the user whom the certificate names, if any.

    Not half-closed: asyncio ends both directions when the peer ends one.
    """

    def __init__(self, server: HttpServer, carrier: asyncio.Transport) -> None:
        """*carrier* is the transport of what is encrypted."""
        super().__init__(server)
        self._carrier = carrier

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As any client; its certificate has been believed."""
        self.certified_name = common_name(transport.get_extra_info("peercert"))
        super().connection_made(transport)

    def eof_received(self) -> bool:
        """The peer will send no more, and the transport closes when this returns."""
        super().eof_received()
        self.server.flush()
        return False

    def _unwritten(self) -> int:
        return super()._unwritten() + self._carrier.get_write_buffer_size()

    def _close(self) -> None:
        # The peer's farewell is not waited for, once ours is on its way: many clients never send one.
        super()._close()
        if not self._transport.get_write_buffer_size():
            self._carrier.close()
