"""A connection to a node for questions about the cluster, each answered or failed for its asker alone."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from keystead.cluster.links import Link, command
from keystead.errors import ClusterUnavailable, CommandError
from keystead.resp.reading import ReadReply, read_reply

if TYPE_CHECKING:
    from keystead.cluster.options import Options
    from keystead.cluster.topology import Address


class ControlLink(Link):
    """Speaks RESP2; answers as Python values."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Address, options: Options) -> None:
        super().__init__(loop, address, options, protocol=2)
        self._outbox: list[bytes] = []
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._asked_at = 0.0

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    async def ask(self, *arguments: bytes) -> Any:
        """The reply to one command: bytes, int, None, or a list of these. CommandError; ClusterUnavailable without a
        connection."""
        if self.is_lost:
            raise self._failure()
        future: asyncio.Future[bytes] = self._loop.create_future()
        if not self._waiting:
            self._asked_at = self._loop.time()
        self._waiting.append(future)
        if self.is_ready:
            self._write(command(*arguments))
        else:
            self._outbox.append(command(*arguments))
        return _value(read_reply(await future))

    def cut_if_silent(self) -> None:
        """Close it if a question has waited for too long."""
        if self._waiting and self._loop.time() - self._asked_at > self._options.timeout_s:
            self.close(f"no answer within {self._options.timeout_s:g} s")

    def _ready(self) -> None:
        self._write(b"".join(self._outbox))
        self._outbox.clear()

    def _hear(self, replies: list[bytes]) -> None:
        for reply in replies:
            future = self._waiting.popleft()
            self._asked_at = self._loop.time()
            if not future.done():
                future.set_result(reply)

    def _lost(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(self._failure())
        self._waiting.clear()

    def _failure(self) -> ClusterUnavailable:
        return ClusterUnavailable(f"{self}: {self.reason}")


def _value(reply: ReadReply) -> Any:
    if reply.kind == "-":
        raise CommandError(reply.value.decode(errors="replace"))
    if isinstance(reply.value, list):
        return [_value(part) for part in reply.value]
    return reply.value
