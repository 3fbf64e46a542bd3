"""What the connections of one server share: who is connected, limits that hold for all, and the outbox of a turn.

Must not know: commands, sockets.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from keystead import resp
from keystead.resp import Limits

if TYPE_CHECKING:
    import asyncio

    from keystead.config.settings import Settings
    from keystead.execution.executor import Executor
    from keystead.server.resp_server import Connection
    from keystead.server.waiting import Holds

MAX_CLIENTS_REACHED = resp.error("ERR max number of clients reached")
DENIED = resp.error(
    "DENIED Keystead is running in protected mode: nobody has to log in, so only clients on its own machine are "
    "served. To serve others, make users (keystead user add) or set a password (requirepass), or, if the network is "
    "trusted, turn protected-mode off in the configuration or with 'CONFIG SET protected-mode no' from the machine "
    "itself."
)


class Writer(Protocol):
    """Whoever has replies in the outbox."""

    def write_now(self, data: bytes) -> None:
        """Give them to the transport."""


class Clients:
    """Everybody who is connected."""

    def __init__(self, loop: asyncio.AbstractEventLoop, executor: Executor, turns: Holds) -> None:
        self.loop = loop
        self.executor = executor
        self.turns = turns
        self.statistics = executor.statistics
        self.connections: set[Connection] = set()
        self.outbox: list[tuple[Writer, bytes]] = []
        """Replies that wait for nothing, in order: written at the end of the turn."""
        turns.flush = self.flush
        self.strangers: dict[Connection, int] = {}
        """Connections that have to log in first, and since when (store time), oldest first."""
        self.slow_readers: dict[Connection, float] = {}
        """Connections whose peer does not take its replies, and since when (monotonic seconds) they have been over the
        soft limit; 0 while they are not."""

    def post(self, writer: Writer, data: bytes) -> None:
        """Have replies that wait for nothing written at the end of this turn, in the order of the calls."""
        if not self.outbox:
            self.loop.call_soon(self.flush)
        self.outbox.append((writer, data))

    def flush(self) -> None:
        """Write what this turn's commands replied, all in a row.

        One by one, as each is executed, they would wake a waiting peer for each, and a wake-up costs more than all
        else that a short command needs: a fifth of the whole server's time was spent in it.
        """
        outbox, self.outbox = self.outbox, []
        for connection, data in outbox:
            connection.write_now(data)

    def limits(self) -> Limits:
        """What a client that is logged in may send."""
        settings = self.executor.settings
        return Limits(max_bulk_bytes=settings.max_value_bytes, max_query_buffer_bytes=settings.max_query_buffer_bytes)

    def apply_limits(self) -> None:
        """Limits that were changed hold for clients that are connected, too."""
        limits = self.limits()
        for connection in self.connections:
            connection.use_limits(limits)

    def refusal(self, connection: Connection) -> bytes | None:
        """Why this client is not served, as an error reply; None when it is."""
        settings = self.executor.settings
        is_open = not self.executor.access.requires_password and not settings.insecure
        if settings.protected_mode and is_open and not connection.is_local:
            return DENIED
        if len(self.connections) >= settings.max_clients:
            return MAX_CLIENTS_REACHED
        return None

    def enforce_limits(self) -> None:
        """Close those that do not read, do not log in, or are silent for too long. To be called several times a
        second."""
        settings = self.executor.settings
        for connection in list(self.slow_readers):
            self._enforce_output_limit(connection, settings)
        now_ms = self.executor.clock.now_ms
        if settings.login_timeout_s:
            self._close_strangers(now_ms - settings.login_timeout_s * 1000)
        if settings.idle_timeout_s:
            oldest_ms = now_ms - settings.idle_timeout_s * 1000
            for connection in list(self.connections):
                connection.close_if_idle_since(oldest_ms)

    def _close_strangers(self, oldest_ms: int) -> None:
        for connection, since_ms in list(self.strangers.items()):
            if since_ms >= oldest_ms:
                break
            connection.kill()

    def _enforce_output_limit(self, connection: Connection, settings: Settings) -> None:
        unread = connection.unread_bytes()
        now_s = time.monotonic()
        if settings.output_buffer_hard_bytes and unread > settings.output_buffer_hard_bytes:
            connection.close_as_slow()
        elif not settings.output_buffer_soft_bytes or unread <= settings.output_buffer_soft_bytes:
            self.slow_readers[connection] = 0.0
        elif not self.slow_readers[connection]:
            self.slow_readers[connection] = now_s
        elif now_s - self.slow_readers[connection] >= settings.output_buffer_soft_s:
            connection.close_as_slow()
