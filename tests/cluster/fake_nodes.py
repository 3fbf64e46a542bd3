"""Nodes that answer what a test tells them to: for what a real node cannot be brought to do at a given moment.

They run in the loop of the test. Each says of the cluster what `FakeCluster.slots` says, unless it was told otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import hiredis

if TYPE_CHECKING:
    from types import TracebackType

Words = list[bytes]
Answer = bytes | None | Callable[[Words], bytes | None]

SILENCE: Final = None
"""No answer, and none to anything behind it."""
CUT: Final = b""
"""The connection is closed instead of answering."""
HELLO: Final = b"*2\r\n$6\r\nserver\r\n$5\r\nredis\r\n"

_ALWAYS: Final[dict[bytes, Answer]] = {
    b"HELLO": HELLO,
    b"SET": b"+OK\r\n",
    b"GET": b"$-1\r\n",
    b"WAIT": b":1\r\n",
    b"ASKING": b"+OK\r\n",
    b"WATCH": b"+OK\r\n",
    b"UNWATCH": b"+OK\r\n",
    b"MULTI": b"+OK\r\n",
    b"EXEC": b"*0\r\n",
}


class FakeNode:
    """`heard` has what it was sent, but for HELLO and CLUSTER NODES, by connection in `connections`."""

    def __init__(self, cluster: FakeCluster, number: int) -> None:
        self.id = f"{number:040x}"
        self.port = 0
        self.hellos: list[Words] = []
        self.connections: list[list[Words]] = []
        self._cluster = cluster
        self._script: dict[bytes, Answer | Iterator[Answer]] = {}
        self._transports: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    @property
    def heard(self) -> list[Words]:
        """All of it; of several connections in the order in which they were made."""
        return [words for connection in self.connections for words in connection]

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def is_connected(self) -> bool:
        """Whether anybody has a connection."""
        return bool(self._transports)

    def on(self, command: str, *answers: Answer) -> None:
        """Answer *command* with each of these in turn, and with the last one from then on."""

        def in_turn() -> Iterator[Answer]:
            yield from answers
            while True:
                yield answers[-1]

        self._script[command.encode()] = in_turn()

    async def open(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """As a node that dies: nobody listens, and all connections end."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self._transports):
            transport.abort()

    def answer(self, words: Words) -> bytes | None:
        name = words[0].upper()
        if name == b"CLUSTER" and name not in self._script:
            text = self._cluster.nodes_text(self)
            return b"$%d\r\n%b\r\n" % (len(text), text)
        answer = self._script.get(name, _ALWAYS.get(name, b"-ERR unknown command\r\n"))
        if isinstance(answer, Iterator):
            answer = next(answer)
        return answer(words) if callable(answer) else answer


class _Connection(asyncio.Protocol):
    def __init__(self, node: FakeNode) -> None:
        self._node = node
        self._reader = hiredis.Reader()
        self._silent = False
        self._heard: list[Words] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._node._transports.add(self._transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._node._transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (words := self._reader.gets()) is not False:
            self._note(words)
            if not self._silent:
                self._say(self._node.answer(words))

    def _note(self, words: Words) -> None:
        if words[0] == b"HELLO":
            self._node.hellos.append(words)
        elif words[0] != b"CLUSTER":
            if self._heard is None:
                self._heard = []
                self._node.connections.append(self._heard)
            self._heard.append(words)

    def _say(self, answer: bytes | None) -> None:
        if answer is SILENCE:
            self._silent = True
        elif answer == CUT:
            self._silent = True
            self._transport.close()
        else:
            self._transport.write(answer)


class FakeCluster:
    """So many nodes, all primaries, with the slots split among them; `slots` may be changed at any time."""

    def __init__(self, nodes: int) -> None:
        self.nodes = [FakeNode(self, number) for number in range(nodes)]
        self.slots = {
            node.id: [(16384 * number // nodes, 16384 * (number + 1) // nodes - 1)]
            for number, node in enumerate(self.nodes)
        }
        self.epochs = {node.id: number + 1 for number, node in enumerate(self.nodes)}

    async def __aenter__(self) -> FakeCluster:
        for node in self.nodes:
            await node.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.close()

    def give_all_to(self, node: FakeNode) -> None:
        """From now on it serves everything, and says so with an epoch greater than all."""
        self.slots = {node.id: [(0, 16383)]}
        self.epochs[node.id] = max(self.epochs.values()) + 1

    def nodes_text(self, asked: FakeNode) -> bytes:
        """What a node answers to CLUSTER NODES."""
        lines = []
        for node in self.nodes:
            flags = "myself,master" if node is asked else "master"
            spans = "".join(f" {first}-{last}" for first, last in self.slots.get(node.id, []))
            epoch = self.epochs[node.id]
            lines.append(f"{node.id} 127.0.0.1:{node.port}@{node.port} {flags} - 0 0 {epoch} connected{spans}\n")
        return "".join(lines).encode()
