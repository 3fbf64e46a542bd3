"""A way to a node that is cut at a moment of the test's choice, which the node itself cannot be brought to do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import hiredis

Address = tuple[str, int]


class Detour:
    """An event loop, but connections to some addresses are made to others."""

    def __init__(self, loop: asyncio.AbstractEventLoop, detours: dict[Address, Address]) -> None:
        self._loop = loop
        self._detours = detours

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, host: str, port: int, **options: Any) -> Any:
        host, port = self._detours.get((host, port), (host, port))
        return await self._loop.create_connection(factory, host, port, **options)


class Cutter:
    """Hands everything on; once armed, WAIT is kept back, and the connection over which it came is cut as soon as the
    node has answered what was in front of it."""

    def __init__(self) -> None:
        self.address: Address = ("", 0)
        self.armed = False
        self.writes: list[bytes] = []
        """The values of all SETs that passed."""

    async def hand_on(self, node: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_node, to_node = await asyncio.open_connection(*node)
        back = asyncio.create_task(self._back(from_node, writer))
        commands = hiredis.Reader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                commands.feed(data)
                while (words := commands.gets()) is not False:
                    if words[0] == b"SET":
                        self.writes.append(words[2])
                    if words[0] == b"WAIT" and self.armed:
                        await to_node.drain()
                        await asyncio.sleep(0.2)  # the answer to the write has passed
                        writer.transport.abort()
                        break
                    to_node.write(hiredis.pack_command(tuple(words)))
        to_node.close()
        back.cancel()
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)


@contextlib.asynccontextmanager
async def cut_behind_the_write(node: Address) -> AsyncIterator[Cutter]:
    """A way to *node* that can be armed."""
    cutter = Cutter()
    server = await asyncio.start_server(lambda reader, writer: cutter.hand_on(node, reader, writer), "127.0.0.1", 0)
    cutter.address = server.sockets[0].getsockname()
    try:
        yield cutter
    finally:
        server.close()
