"""keystead bench: a small load against a running server, checked and honest.

One process with one event loop plays all clients: each sends so many requests, waits for their replies, checks every
one, and sends the next. A latency is the time from sending to the last reply of the batch. Works against any server
that speaks the Redis protocol. The measurements that are published come from benchmarks/, not from here.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import hiredis

from keystead.cli.options import CommandLine
from keystead.cli.progress import Progress
from keystead.config import Settings
from keystead.errors import KeysteadError, ServerUnreachable

_PREFIX: Final = b"keystead-bench:"
_WARM_UP_S: Final = 0.3
_DESCRIPTION = """\
Measure a running server: PING, SET and GET on random keys, every reply checked.

The server is the one that --host, --port or --unix name. Keys begin with
"keystead-bench:" and are removed at the end; no other key is touched."""


class Load(NamedTuple):
    """What every test has in common."""

    clients: int
    depth: int
    seconds: float
    value: bytes
    keys: int


class Result(NamedTuple):
    operations_per_s: float
    batch_ms: list[float]
    """Sorted."""

    def percentile_ms(self, share: float) -> float:
        return self.batch_ms[min(len(self.batch_ms) - 1, int(len(self.batch_ms) * share))]


class UnexpectedReply(KeysteadError):
    """The server answered, but not what a working server answers."""


def run_bench(arguments: list[str]) -> int:
    """Measure and print; the server must be running."""
    line = CommandLine("bench", _DESCRIPTION, ["host", "port", "unix", "requirepass"])
    line.add_figure("--clients", 50, "connections that send at the same time")
    line.add_figure("--pipeline", 1, "requests a connection sends before it waits for replies")
    line.add_figure("--seconds", 3, "length of each of the three tests")
    line.add_figure("--size", 64, "bytes a value")
    line.add_figure("--keys", 10_000, "different keys")
    options, settings = line.parse(arguments)
    load = Load(
        options.clients, options.pipeline, options.seconds, os.urandom(options.size // 2).hex().encode(), options.keys
    )
    import uvloop

    uvloop.run(_bench(settings, load))
    return 0


async def _bench(settings: Settings, load: Load) -> None:
    first = await _connect(settings)
    server = await _describe(first)
    print(
        f"{_address(settings)}: {server}; {load.clients} clients, {load.depth} deep, {len(load.value)}-byte values, "
        f"{load.keys:,} keys, {load.seconds} s a test\n"
    )
    clients = [first, *[await _connect(settings) for _ in range(load.clients - 1)]]
    print(f"{'':6}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'p99.9 ms':>10}")
    try:
        await _fill(first, load)
        for name, request, expected in _tests(load):
            result = await _measure(clients, load, name, request, expected)
            latencies = "".join(f"{result.percentile_ms(share):>10.2f}" for share in (0.5, 0.99, 0.999))
            print(f"{name:6}{result.operations_per_s:>12,.0f}{latencies}")
    finally:
        await _clean_up(first, load)
        for client in clients:
            client.close()
    print(
        "\nOne Python process plays all clients and shares this machine with the server: the figures are what both "
        "reach together,\nand a faster client would see more. "
        "p50 is the time that half of the batches took at most, from sending to the last reply."
    )


def _tests(load: Load) -> list[tuple[str, Callable[[], bytes], Any]]:
    def key() -> bytes:
        return _key(random.randrange(load.keys))

    return [
        ("PING", lambda: b"*1\r\n$4\r\nPING\r\n", b"PONG"),
        ("SET", lambda: _command(b"SET", key(), load.value), b"OK"),
        ("GET", lambda: _command(b"GET", key()), load.value),
    ]


def _command(*arguments: bytes) -> bytes:
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # its stub means a tuple of any length
    return packed


def _key(number: int) -> bytes:
    return _PREFIX + b"%d" % number


async def _measure(clients: list[Client], load: Load, name: str, request: Callable[[], bytes], expected: Any) -> Result:
    began_s = time.perf_counter() + _WARM_UP_S
    ends_s = began_s + load.seconds
    finished: list[tuple[float, float]] = []

    async def play(client: Client) -> None:
        while (sent_s := time.perf_counter()) < ends_s:
            replies = await client.ask(b"".join([request() for _ in range(load.depth)]), load.depth)
            now_s = time.perf_counter()
            if replies.count(expected) != load.depth:
                raise UnexpectedReply(f"{name}: {next(reply for reply in replies if reply != expected)!r}")
            if sent_s >= began_s:
                finished.append((now_s, now_s - sent_s))

    await _all(play(client) for client in clients)
    elapsed_s = max(end for end, _ in finished) - began_s
    return Result(len(finished) * load.depth / elapsed_s, sorted(taken * 1000 for _, taken in finished))


async def _all(coroutines: Any) -> None:
    """Wait for all; the first error ends the others."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _fill(client: Client, load: Load) -> None:
    with Progress("writing keys", load.keys, "keys") as progress:
        for batch in _batches(load):
            await client.ask(b"".join(_command(b"SET", key, load.value) for key in batch), len(batch))
            progress.advance(len(batch))


async def _clean_up(client: Client, load: Load) -> None:
    for batch in _batches(load):
        await client.ask(_command(b"DEL", *batch), 1)


def _batches(load: Load, size: int = 500) -> list[list[bytes]]:
    return [[_key(n) for n in range(i, min(i + size, load.keys))] for i in range(0, load.keys, size)]


class Client(asyncio.Protocol):
    """One connection that asks and waits."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._transport: Any = None
        self._replies: list[Any] = []
        self._wanted = 0
        self._answered: asyncio.Future[list[Any]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    async def ask(self, requests: bytes, count: int) -> list[Any]:
        """Send `count` requests and wait for their replies. Raises UnexpectedReply on an error reply."""
        self._answered = asyncio.get_running_loop().create_future()
        self._replies = []
        self._wanted = count
        self._transport.write(requests)
        return await self._answered

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._replies.append(reply)
        if self._answered is not None and len(self._replies) >= self._wanted:
            answered, self._answered = self._answered, None
            for reply in self._replies:
                if isinstance(reply, hiredis.ReplyError):
                    answered.set_exception(UnexpectedReply(str(reply)))
                    return
            answered.set_result(self._replies)

    def connection_lost(self, _: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ServerUnreachable("the server closed the connection"))

    def close(self) -> None:
        self._transport.close()


def _address(settings: Settings) -> str:
    return str(settings.unix_path) if settings.unix_path else f"{_host(settings)}:{settings.port}"


def _host(settings: Settings) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}.get(settings.hosts[0], settings.hosts[0])


async def _connect(settings: Settings) -> Client:
    loop = asyncio.get_running_loop()
    try:
        if settings.unix_path:
            _, client = await loop.create_unix_connection(Client, str(settings.unix_path))
        else:
            _, client = await loop.create_connection(Client, _host(settings), settings.port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServerUnreachable(
            f"no server on {_address(settings)} ({reason}); start one with: keystead serve"
        ) from None
    if settings.requirepass:
        await client.ask(_command(b"AUTH", settings.requirepass.encode()), 1)
    return client


async def _describe(client: Client) -> str:
    """What answers, and when it syncs: figures without that mean nothing."""
    (info,) = await client.ask(b"INFO server\r\n", 1)
    fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    (pair,) = await client.ask(b"CONFIG GET appendfsync\r\n", 1)
    fsync = {b"everysec": "interval", b"no": "never"}.get(pair[1], pair[1].decode()) if len(pair) == 2 else "unknown"
    if "keystead_version" in fields:
        return f"keystead {fields['keystead_version']}, fsync {fsync}"
    (pair,) = await client.ask(b"CONFIG GET appendonly\r\n", 1)
    durable = fsync if pair[1:] == [b"yes"] else "never (no append-only file)"
    return f"redis {fields.get('redis_version', '?')}, fsync {durable}"
