"""Undo and the change feed: who applies what it tells has what the store has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from event_stream import EventStream
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from event_stream import Told
    from wire import SocketConnection

KEYS = [f"app:{number}" for number in range(1_500)]

Data = dict[int, dict[bytes, tuple[bytes, int]]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpServer]:
    """One with a directory of its own."""
    with running(start_keystead_http(tmp_path / "data")) as server:
        yield server


@pytest.fixture
def redis(server: HttpServer) -> Iterator[SocketConnection]:
    """A client of it."""
    connection = server.connect()
    yield connection
    connection.close()


def apply(data: Data, told: Told) -> None:
    """What docs/changes.md says of each kind of event that these tests meet."""
    event, keys = told.data, data.setdefault(told.data["db"], {})
    match event["operation"]:
        case "put":
            assert told.key is not None
            assert told.value is not None
            keys[told.key] = (told.value, event.get("expires_at_ms", 0))
        case "expire":
            assert told.key is not None
            keys[told.key] = (keys[told.key][0], event.get("expires_at_ms", 0))
        case "delete" | "expired":
            assert told.key is not None
            del keys[told.key]
        case "flush":
            keys.clear()
        case "swap":
            other = event["swapped_with"]
            data[event["db"]], data[other] = data.get(other, {}), keys
        case operation:
            raise AssertionError(operation)


def followed(stream: EventStream) -> Data:
    """What the stream comes to, up to the key `end`."""
    data: Data = {}
    for told in stream:
        if told.name == "message":
            if told.key == b"end":
                break
            apply(data, told)
    return {number: keys for number, keys in data.items() if keys}


def held(redis: SocketConnection) -> Data:
    """What the store has, but for the key `end`."""
    data: Data = {}
    for number in range(4):
        redis.call("SELECT", str(number))
        keys = [reply.value for reply in redis.call("KEYS", "*").value]
        found = {
            key: (redis.call("GET", key).value, max(0, redis.call("PEXPIRETIME", key).value))
            for key in keys
            if key != b"end"
        }
        if found:
            data[number] = found
    return data


def last_change(redis: SocketConnection, key: str) -> str:
    (change,) = redis.call("KS.HISTORY", key, "COUNT", "1", "NOVALUES").value
    return str(change.value[1].value)


def filled(redis: SocketConnection) -> None:
    redis.call("MSET", *(part for key in KEYS for part in (key, "v" + key)))
    redis.call("PEXPIREAT", KEYS[1], "9000000000000")


def undo(redis: SocketConnection, sequence: str, how: str = "REFUSE") -> str:
    """Its reply is a map; the sequence number of the undo."""
    reply = redis.call("KS.UNDO", sequence, how)
    assert reply.kind == "*", reply
    return str(reply.value[1].value)


def delete_and_undo(redis: SocketConnection) -> None:
    redis.call("DEL", *KEYS)
    gone = last_change(redis, KEYS[0])
    redis.call("SET", KEYS[2], "newer")
    undo(redis, gone, "SKIP")


def undo_an_import(redis: SocketConnection) -> None:
    redis.call("MSET", "app:1", "replaced", "app:new", "made")
    undo(redis, last_change(redis, "app:new"))


def flush_and_undo(redis: SocketConnection) -> None:
    redis.call("FLUSHDB")
    undo(redis, last_change(redis, KEYS[0]))


def flush_write_and_undo(redis: SocketConnection) -> None:
    redis.call("FLUSHDB")
    flushed = last_change(redis, KEYS[0])
    redis.call("SET", "written", "since")
    redis.call("SET", KEYS[2], "newer")
    undo(redis, flushed, "FORCE")


def flush_all_and_undo_twice(redis: SocketConnection) -> None:
    redis.call("SELECT", "3")
    redis.call("SET", "elsewhere", "v")
    redis.call("FLUSHALL")
    undo(redis, undo(redis, undo(redis, last_change(redis, "elsewhere"))))
    redis.call("SELECT", "0")


def swap_and_undo(redis: SocketConnection) -> None:
    redis.call("SWAPDB", "0", "2")
    undo(redis, last_change(redis, KEYS[0]))


@pytest.mark.parametrize(
    "what",
    [
        delete_and_undo,
        undo_an_import,
        flush_and_undo,
        flush_write_and_undo,
        flush_all_and_undo_twice,
        swap_and_undo,
    ],
)
def test_who_applies_every_event_has_what_the_store_has(
    server: HttpServer, redis: SocketConnection, what: Callable[[SocketConnection], None]
) -> None:
    """Those who follow it live, and those who are told of it later, from the files."""
    with EventStream(server.http_address, "since=0&values=text") as live:
        filled(redis)
        what(redis)
        redis.call("SELECT", "0")
        redis.call("SET", "end", "")
        data = held(redis)
        assert data
        assert followed(live) == data
    with EventStream(server.http_address, "since=0&values=text") as late:
        assert followed(late) == data


def test_an_undo_is_one_transaction_to_who_follows(server: HttpServer, redis: SocketConnection) -> None:
    filled(redis)
    redis.call("DEL", *KEYS)
    with EventStream(server.http_address, "values=none") as stream:
        assert next(stream).name == "progress"
        sequence = undo(redis, last_change(redis, KEYS[0]))
        told = stream.changes(len(KEYS))
    assert {each.id.split(".")[1] for each in told} == {sequence}
    assert {each.data["operation"] for each in told} == {"put"}
