"""Commands given to a ClusterClient by tests, as words; replies as bytes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import ParamSpec

import uvloop

from keystead.cluster import ClusterClient, Dedicated, Options, Request, slot_of

P = ParamSpec("P")

SECONDS = 60.0
READS = {"GET", "MGET", "WATCH", "DBSIZE", "PING", "EXISTS"}
UNKNOWN = b"-UNKNOWNOUTCOME "
DOWN = b"-CLUSTERDOWN "


def in_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """A test that is a coroutine, in an event loop of its own, of the kind that the server has."""

    @functools.wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(SECONDS):
                await test(*arguments, **named)

        uvloop.run(bounded())

    return run


@contextlib.asynccontextmanager
async def client_of(
    addresses: Sequence[tuple[str, int]], loop: asyncio.AbstractEventLoop | None = None, **options: object
) -> AsyncIterator[ClusterClient]:
    """A client that has started; it is closed behind the block."""
    client = ClusterClient(loop or asyncio.get_running_loop(), addresses, Options(**options))  # type: ignore[arg-type]
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def encode(*words: str | bytes | int) -> bytes:
    """A command as nodes read it."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def request(
    words: Sequence[str | bytes | int], target: int | str | None = None
) -> tuple[Request, asyncio.Future[bytes]]:
    """A request of one command, by the slot of its first key, and its reply to come."""
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    key = str(words[1]).encode() if len(words) > 1 else b""
    where = slot_of(key) if target is None else target
    return Request(where, encode(*words), future.set_result, writes=words[0] not in READS), future


def transaction(*commands: Sequence[str | bytes | int]) -> tuple[Request, asyncio.Future[bytes]]:
    """MULTI, these, EXEC."""
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    data = b"".join(encode(*words) for words in (["MULTI"], *commands, ["EXEC"]))
    writes = any(words[0] not in READS for words in commands)
    slot = slot_of(str(commands[0][1]).encode())
    return Request(slot, data, future.set_result, replies=len(commands) + 2, writes=writes), future


def send(
    client: ClusterClient, *commands: Sequence[str | bytes | int], protocol: int = 2
) -> list[asyncio.Future[bytes]]:
    """All in one piece, as what one connection's batch is."""
    made = [request(words) for words in commands]
    client.send([each for each, _ in made], protocol)
    return [future for _, future in made]


async def call(client: ClusterClient, *words: str | bytes | int, protocol: int = 2) -> bytes:
    """One command and its reply."""
    return await send(client, words, protocol=protocol)[0]


async def transact(client: ClusterClient, *commands: Sequence[str | bytes | int]) -> bytes:
    """A transaction and EXEC's reply."""
    made, future = transaction(*commands)
    client.send([made], 2)
    return await future


async def on(dedicated: Dedicated, *words: str | bytes | int) -> bytes:
    """One command over a dedicated connection."""
    made, future = request(words)
    dedicated.send(made)
    return await future


async def exec_on(dedicated: Dedicated, *commands: Sequence[str | bytes | int]) -> bytes:
    """A transaction over a dedicated connection."""
    made, future = transaction(*commands)
    dedicated.send(made)
    return await future


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Look again until it holds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)
