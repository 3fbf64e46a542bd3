"""Clients that know nothing of a cluster: redis-py, blocking and with asyncio, and keystead.connect()."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis as redis_py
import redis.asyncio

import keystead
from keystead.errors import CommandError

if TYPE_CHECKING:
    from http_client import HttpConnection
    from servers import HttpServer


@pytest.fixture
def client(door: HttpServer, http: HttpConnection) -> Iterator[Any]:
    assert http, "the cluster is empty"
    found = redis_py.Redis(port=door.port, protocol=3)
    yield found
    found.close()


@pytest.fixture
def store(door: HttpServer, http: HttpConnection) -> Iterator[Any]:
    assert http, "the cluster is empty"
    with keystead.connect(f"redis://127.0.0.1:{door.port}", values=keystead.json) as found:
        yield found


def test_a_long_pipeline_over_all_shards_is_answered_in_order(client: Any) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(2000):
        pipeline.set(f"k{number}", number)
        pipeline.get(f"k{number}")
        if number % 100 == 0:
            pipeline.ping()
            pipeline.lpush(f"k{number}", 1)
    answers = iter(pipeline.execute(raise_on_error=False))
    for number in range(2000):
        assert next(answers) is True
        assert next(answers) == b"%d" % number
        if number % 100 == 0:
            assert next(answers) is True
            assert isinstance(next(answers), redis_py.ResponseError)
    assert client.dbsize() == 2000
    assert len(set(client.scan_iter(count=100))) == 2000
    assert client.mget("k1", "k2", "absent") == [b"1", b"2", None]
    assert client.delete(*(f"k{number}" for number in range(2000))) == 2000


def test_transactions_under_watch_lose_nothing_between_two_doors(
    client: Any, door: HttpServer, other_door: HttpServer
) -> None:
    client.set("count", 0)
    each, clients = 15, 6

    def count(server: HttpServer) -> None:
        own = redis_py.Redis(port=server.port)
        for _ in range(each):
            own.transaction(lambda pipeline: _raise_by_one(pipeline), "count")
        own.close()

    threads = [threading.Thread(target=count, args=(server,)) for server in (door, other_door) * (clients // 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("count") == b"%d" % (each * clients)


def _raise_by_one(pipeline: Any) -> None:
    now = int(pipeline.get("count"))
    pipeline.multi()
    pipeline.set("count", now + 1)


def test_fifty_asyncio_clients_are_served_at_once(door: HttpServer, client: Any) -> None:
    async def add(number: int) -> None:
        own = redis.asyncio.Redis(port=door.port)
        for _ in range(20):
            await own.incr(f"n{number % 5}")
        await own.aclose()

    async def all_at_once() -> None:
        await asyncio.gather(*(add(number) for number in range(50)))

    asyncio.run(all_at_once())
    assert [int(client.get(f"n{number}")) for number in range(5)] == [200] * 5


def test_what_reaches_over_slots_is_a_clear_error(client: Any) -> None:
    pipeline = client.pipeline(transaction=True)
    pipeline.set("a", 1)
    pipeline.set("b", 1)
    with pytest.raises(redis_py.ResponseError, match="same slot"):
        pipeline.execute()
    assert client.exists("a", "b") == 0


def test_the_mapping_works_through_a_front_door(store: Any) -> None:
    store["a"] = {"x": 1}
    store.update({"b": 1, "c": 2})
    assert (store["a"], len(store), sorted(store)) == ({"x": 1}, 3, ["a", "b", "c"])
    assert store.get_many(["a", "b", "z"]) == {"a": {"x": 1}, "b": 1}
    assert dict(store.items())["c"] == 2
    assert (store.increment("n"), store.setdefault("d", 5), store.pop("b")) == (1, 5, 1)
    store.set("e", 1, ttl=100)
    assert 95 < store.ttl("e") <= 100
    assert store.compare_and_set("c", 2, 3)
    assert not store.compare_and_set("c", 2, 4)
    with store.transaction() as transaction:
        transaction["{q}1"] = 1
        transaction["{q}2"] = transaction["{q}1"] + 1
    assert store["{q}2"] == 2
    del store["a"]
    assert "a" not in store
    store.clear()
    assert len(store) == 0


def test_what_the_mapping_cannot_do_in_a_cluster_says_why(store: Any) -> None:
    with pytest.raises(CommandError, match="same slot") as refused, store.transaction() as transaction:
        transaction["a"], transaction["b"] = 1, 2
    assert refused.value.prefix == "CROSSSLOT"
    with pytest.raises(CommandError, match="not available in front of a cluster"):
        list(store.history("a"))
    with pytest.raises(CommandError, match="not available in front of a cluster"):
        store.undo(1)
    with pytest.raises(CommandError, match="cluster"):
        store.sync()
