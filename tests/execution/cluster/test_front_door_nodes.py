"""The cluster executor, through front doors, on real nodes: what only several of them, or their end, can show."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import Cluster, running_cluster, slot_of
from front_doors import start_front_door
from servers import HttpServer, running
from wire import Reply, SocketConnection

KEYS = 3000


@pytest.fixture
def redis_client(front_door: HttpServer) -> Iterator[SocketConnection]:
    """A connection to an empty cluster."""
    connection = front_door.connect()
    assert connection.call("FLUSHALL").value == b"OK"
    yield connection
    connection.close()


def fill(connection: SocketConnection, count: int = KEYS) -> set[bytes]:
    keys = {b"key:%d" % number for number in range(count)}
    pairs = [part for key in keys for part in (key, b"v")]
    assert connection.call("MSET", *pairs).value == b"OK"
    return keys


def scanned(connections: list[SocketConnection], *options: str | int, start: bytes = b"0") -> list[bytes]:
    """All keys from a cursor on, asked of the connections in turn."""
    found: list[bytes] = []
    cursor, calls = start, 0
    while cursor != b"0" or not calls:
        reply = connections[calls % len(connections)].call("SCAN", cursor, *options)
        cursor, keys = reply.value[0].value, reply.value[1].value
        found += [key.value for key in keys]
        calls += 1
    return found


def test_what_is_set_over_all_slots_is_read_over_all_slots(redis_client: SocketConnection) -> None:
    keys = sorted(fill(redis_client))
    asked = [key for pair in zip(keys, reversed(keys), strict=True) for key in pair] + [b"nosuch"]
    values = [part.value for part in redis_client.call("MGET", *asked).value]
    assert values == [b"v"] * (len(asked) - 1) + [None]
    assert redis_client.call("EXISTS", *asked).value == 2 * KEYS
    assert redis_client.call("DBSIZE").value == KEYS
    assert {part.value for part in redis_client.call("KEYS", "key:*").value} == set(keys)
    assert redis_client.call("UNLINK", *keys).value == KEYS
    assert redis_client.call("RANDOMKEY").value is None


def test_a_scan_goes_on_at_another_front_door(redis_client: SocketConnection, cluster: Cluster, tmp_path: Path) -> None:
    keys = fill(redis_client)
    with running(start_front_door(tmp_path / "other", cluster.addresses[:1])) as door:
        other = door.connect()
        found = scanned([redis_client, other], "COUNT", 50)
        other.close()
    assert set(found) == keys
    assert len(found) == KEYS  # nothing has changed meanwhile, so nothing comes twice


def test_a_scan_filters_as_a_node_does(redis_client: SocketConnection) -> None:
    fill(redis_client)
    redis_client.call("SETBIT", "bits", 7, 1)
    assert sorted(scanned([redis_client], "MATCH", "key:29*", "TYPE", "string")) == sorted(
        b"key:%d" % number for number in range(KEYS) if str(number).startswith("29")
    )
    assert scanned([redis_client], "TYPE", "hash") == []


def test_transactions_of_several_clients_lose_nothing(front_door: HttpServer, redis_client: SocketConnection) -> None:
    """Each reads and writes under WATCH, and tries again when it lost; the sum tells whether two ever won at once."""
    tries = 40

    def add() -> None:
        client = front_door.connect()
        for _ in range(tries):
            while True:
                client.call("WATCH", "{t}sum")
                value = int(client.call("GET", "{t}sum").value or 0)
                client.call("MULTI")
                client.call("SET", "{t}sum", value + 1)
                client.call("INCR", "{t}all")
                if client.call("EXEC").value is not None:
                    break
        client.close()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert redis_client.call("MGET", "{t}sum", "{t}all").value == [Reply("$", b"160")] * 2


def test_pipelines_keep_their_order_over_all_nodes(redis_client: SocketConnection) -> None:
    count = 500
    for number in range(count):
        for args in (("SET", f"k{number}", number), ("GET", f"k{number}"), ("ECHO", number), ("INCR", f"k{number}")):
            redis_client.send(b"".join((b"*%d\r\n" % len(args), *(_bulk(arg) for arg in args))))
    for number in range(count):
        told = [redis_client.receive().value for _ in range(4)]
        assert told == [b"OK", b"%d" % number, b"%d" % number, number + 1]


def _bulk(arg: object) -> bytes:
    text = str(arg).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


def test_replies_are_in_the_protocol_that_each_client_has_chosen(front_door: HttpServer) -> None:
    second, third = front_door.connect(), front_door.connect()
    third.call("HELLO", 3)
    assert (second.call("GET", "nosuch").kind, third.call("GET", "nosuch").kind) == ("$", "_")
    second.close()
    third.close()


def test_waiting_for_more_replicas_than_there_are_ends_at_the_timeout(redis_client: SocketConnection) -> None:
    assert redis_client.call("SET", "k", "v").value == b"OK"
    assert redis_client.call("WAIT", 1, 0).value == 1
    assert redis_client.call("WAIT", 2, 200).value == 1


def test_a_scan_that_a_failover_comes_in_between_of_leaves_no_key_out(tmp_path: Path) -> None:
    with (
        running_cluster(tmp_path / "cluster") as cluster,
        running(start_front_door(tmp_path / "door", cluster.addresses)) as door,
    ):
        connection = door.connect()
        keys = fill(connection)
        found: list[bytes] = []
        cursor = b"0"
        first, *_ = cluster.primaries()
        for _ in range(4):
            page = connection.call("SCAN", cursor, "COUNT", 50).value
            cursor = page[0].value
            found += [key.value for key in page[1].value]
        first.kill()
        cluster.await_failover(0, first)
        found += scanned([connection], "COUNT", 50, start=cursor)
        assert set(found) == keys
        shard = {key for key in keys if slot_of(key) <= 5460}
        assert {key for key in found if found.count(key) > 1} <= shard
        connection.close()
