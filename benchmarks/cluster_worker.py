"""Plays the clients of a cluster in a process of its own, with a library that people use: `python -m
benchmarks.cluster_worker LIBRARY HOST:PORT get|set`.

One event loop, so many tasks that each send a command on a random key, wait for the reply, and send the next; every
reply is checked. `redis-py` and `glide` speak to the nodes directly; `redis-py-plain` to one server, which may be a
front door.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.datasets import key, value
from benchmarks.figures import quantile

Call = Callable[[bytes], Awaitable[Any]]
LIBRARIES = ("redis-py", "glide", "redis-py-plain")
_WARM_UP_S = 0.3
_PATIENCE_MS = 10_000  # its own bound of 250 ms is passed where load and servers share two cores


class WrongAnswer(Exception):
    """What the library gave back is not what was stored."""


class Client:
    """A library's client as its manual says, and how its users would get, set and close."""

    def __init__(self, get: Call, put: Call, close: Callable[[], Awaitable[Any]], set_reply: Any) -> None:
        self.get, self.put, self.close, self.set_reply = get, put, close, set_reply


async def connect(library: str, host: str, port: int, clients: int) -> Client:
    stored = value(0)
    if library == "glide":
        from glide import GlideClusterClient, GlideClusterClientConfiguration, NodeAddress

        patient = GlideClusterClientConfiguration([NodeAddress(host, port)], request_timeout=_PATIENCE_MS)
        glide = await GlideClusterClient.create(patient)
        return Client(glide.get, lambda name: glide.set(name, stored), glide.close, "OK")
    if library == "redis-py":
        from redis.asyncio.cluster import RedisCluster

        cluster = RedisCluster(host=host, port=port, max_connections=clients)
        await cluster.initialize()
        return Client(cluster.get, lambda name: cluster.set(name, stored), cluster.aclose, True)
    from redis.asyncio import BlockingConnectionPool, Redis

    pool = BlockingConnectionPool(host=host, port=port, max_connections=clients)
    plain = Redis(connection_pool=pool)
    return Client(plain.get, lambda name: plain.set(name, stored), plain.aclose, True)


async def measure(client: Client, command: str, clients: int, keys: int, seconds: float) -> dict[str, float]:
    """Commands a second, what each took, and the processor time of this process a command, all threads; and how many
    commands there were, the first moments too."""
    call, expected = (client.get, value(0)) if command == "get" else (client.put, client.set_reply)
    names = [key(number) for number in range(keys)]
    latencies: list[float] = []
    done = 0
    cpu = time.process_time()
    began = time.perf_counter() + _WARM_UP_S
    ends = began + seconds

    async def play(number: int) -> None:
        nonlocal done
        choose = random.Random(number).choice
        while (sent := time.perf_counter()) < ends:
            reply = await call(choose(names))
            if reply != expected:
                raise WrongAnswer(f"{command} was answered {reply!r}")
            done += 1
            if sent >= began:
                latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(play(number) for number in range(clients)))
    taken = time.perf_counter() - began
    latencies.sort()
    return {
        "requests_per_s": len(latencies) / taken,
        "p50_ms": quantile(latencies, 0.5) * 1000,
        "p99_ms": quantile(latencies, 0.99) * 1000,
        "commands": done,
        "cpu_us": (time.process_time() - cpu) / done * 1e6,
    }


async def work(given: argparse.Namespace) -> dict[str, float]:
    host, _, port = given.address.rpartition(":")
    client = await connect(given.library, host, int(port), given.clients)
    try:
        return await measure(client, given.command, given.clients, given.keys, given.seconds)
    finally:
        await client.close()


def main() -> None:
    import uvloop

    options = argparse.ArgumentParser(prog="benchmarks.cluster_worker")
    options.add_argument("library", choices=LIBRARIES)
    options.add_argument("address")
    options.add_argument("command", choices=("get", "set"))
    options.add_argument("--clients", type=int, required=True)
    options.add_argument("--keys", type=int, required=True)
    options.add_argument("--seconds", type=float, required=True)
    try:
        print(json.dumps(uvloop.run(work(options.parse_args()))))
    except WrongAnswer as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
