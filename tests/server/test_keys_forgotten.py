"""KS.FORGET and POST /v1/forget/{key}, of a running server: what is gone, where it was, and who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from event_stream import EventStream
from http_client import HttpConnection
from keystead.engine.files import Directory
from keystead.engine.remembered import remember
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wire import Reply, SocketConnection

KEY = "forget-me"
SECRET = "secret-of-mine"


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


@pytest.fixture
def http(server: HttpServer) -> Iterator[HttpConnection]:
    """A client of its other door."""
    connection = HttpConnection(server.http_address)
    yield connection
    connection.close()


def answer(reply: Reply) -> dict[str, Any]:
    """The map that RESP2 has no word for."""
    assert reply.kind == "*", reply
    values = [part.value for part in reply.value]
    return {name.decode(): value for name, value in zip(values[::2], values[1::2], strict=True)}


def files_with(server: HttpServer, *words: str) -> list[str]:
    """Files of the data directory that have one of these in them."""
    return [
        file.name
        for file in server.directory.iterdir()
        if file.is_file() and any(word.encode() in file.read_bytes() for word in words)
    ]


def test_the_answer_comes_when_nothing_is_left(server: HttpServer, redis: SocketConnection) -> None:
    """In the log, in a checkpoint, and after a restart; what is written later stays."""
    redis.call("SET", KEY, SECRET)
    redis.call("SET", "other", "kept")
    redis.call("SAVE")
    redis.call("APPEND", KEY, SECRET)
    assert len(files_with(server, SECRET)) == 3
    told = answer(redis.call("KS.FORGET", KEY, "never-was"))
    assert files_with(server, SECRET, KEY, "never-was") == []
    assert (told["operations"], told["files"]) == (3, 3)
    assert told["sequence"] == 4
    assert told["bytes"] > 0
    assert (told["broken"], told["logs"]) == ([], [])
    redis.call("SET", KEY, "later")
    server.kill()
    with running(start_keystead_http(server.directory)) as again:
        connection = again.connect()
        assert connection.call("MGET", KEY, "other").value[0].value == b"later"
        assert connection.call("DBSIZE").value == 2
        connection.close()


def test_over_http_it_is_a_post_of_the_key(server: HttpServer, http: HttpConnection, redis: SocketConnection) -> None:
    """Of the database that is named."""
    redis.call("SET", "a/b", "of another database")
    redis.call("SELECT", 3)
    redis.call("SET", "a/b", SECRET)
    told = http.ask("POST", "/v1/forget/a/b?db=3")
    assert told.status == 200
    assert told.json.keys() == {"sequence", "operations", "files", "bytes", "backups", "broken", "logs"}
    assert files_with(server, SECRET) == []
    assert http.ask("GET", "/v1/keys/a/b").body == b"of another database"
    assert http.ask("GET", "/v1/forget/a/b").status == 405


def test_it_is_for_administrators_who_may_write_the_key(redis: SocketConnection, server: HttpServer) -> None:
    """Whoever may write everything may not do this."""
    redis.call("ACL", "SETUSER", "writer", "on", ">p", "allkeys", "+@all", "-@admin")
    redis.call("ACL", "SETUSER", "officer", "on", ">p", "~user:*", "+ks.forget")
    for user, key, expected in [
        ("writer", "user:1", b"NOPERM"),
        ("officer", "shop:1", b"NOPERM"),
        ("officer", "user:1", None),
    ]:
        client = server.connect()
        client.call("AUTH", user, "p")
        reply = client.call("KS.FORGET", key)
        assert reply.kind == "*" if expected is None else reply.value.startswith(expected)
        client.close()
    categories = {name.value for name in redis.call("ACL", "CAT", "dangerous").value}
    assert b"ks.forget" in categories


def test_it_is_refused_in_a_transaction(redis: SocketConnection, http: HttpConnection) -> None:
    """It is not over when the others are."""
    redis.call("MULTI")
    assert redis.call("KS.FORGET", KEY).kind == "-"
    redis.call("DISCARD")
    assert http.ask("POST", "/v1/commands", ["KS.FORGET", KEY], {"Idempotency-Key": "k"}).status == 400
    assert http.ask("POST", "/v1/commands", ["KS.FORGET", KEY]).status == 200


def test_what_the_server_remembers_of_commands_is_forgotten_too(redis: SocketConnection, server: HttpServer) -> None:
    """Slow log and ACL log; the rest of them stays."""
    redis.call("CONFIG", "SET", "slowlog-log-slower-than", 0)
    redis.call("ACL", "SETUSER", "limited", "on", ">p", "~other*", "+get")
    client = server.connect()
    client.call("AUTH", "limited", "p")
    client.call("GET", KEY)
    client.call("GET", "elsewhere")
    client.close()
    redis.call("SET", KEY, SECRET)
    redis.call("SET", "other", "1")
    answer(redis.call("KS.FORGET", KEY))
    remembered = str(redis.call("SLOWLOG", "GET", -1)) + str(redis.call("ACL", "LOG"))
    assert KEY not in remembered
    assert "'other'" in remembered
    assert "elsewhere" in remembered


def test_the_change_feed_does_not_tell_of_it_any_more(
    server: HttpServer, redis: SocketConnection, http: HttpConnection
) -> None:
    """Neither from what it keeps in memory nor from the log; places of other events stay as they are."""
    with EventStream(server.http_address, "values=text") as stream:
        assert next(stream).name == "progress"
        start = stream.last_id
        redis.call("SET", "first", "1")
        redis.call("MULTI")
        redis.call("SET", KEY, SECRET)
        redis.call("SET", "second", "2")
        redis.call("EXEC")
        ids = [told.id for told in stream.changes(3)]
        assert http.ask("POST", f"/v1/forget/{KEY}").status == 200
        redis.call("SET", "third", "3")
        stream.changes(2)
    with EventStream(server.http_address, "values=text", start) as stream:
        assert next(stream).name == "progress"
        told = stream.changes(3)
    assert [each.key for each in told] == [b"first", b"second", b"third"]
    assert [each.id for each in told[:2]] == [ids[0], ids[2]]


def test_answers_that_were_kept_are_cleared_and_no_request_is_executed_twice(
    server: HttpServer, http: HttpConnection, redis: SocketConnection
) -> None:
    """An answer may be the value of any key."""
    redis.call("SET", KEY, SECRET)
    headers = {"Idempotency-Key": "my-request"}
    first = http.ask("POST", "/v1/commands", ["GETDEL", KEY], headers)
    assert first.json == {"reply": SECRET}
    assert http.ask("POST", "/v1/commands", ["GETDEL", KEY], headers).json == {"reply": SECRET}
    assert len(files_with(server, SECRET)) == 1
    http.ask("POST", f"/v1/forget/{KEY}")
    assert files_with(server, SECRET) == []
    redis.call("SET", KEY, "later")
    again = http.ask("POST", "/v1/commands", ["GETDEL", KEY], headers)
    assert again.status == 409
    assert "forgotten since" in again.json["detail"]
    assert http.ask("POST", "/v1/commands", ["GETDEL", "other"], headers).status == 422
    server.kill()
    with running(start_keystead_http(server.directory)) as restarted:
        connection = HttpConnection(restarted.http_address)
        assert connection.ask("POST", "/v1/commands", ["GETDEL", KEY], headers).status == 409
        assert connection.ask("GET", f"/v1/keys/{KEY}").body == b"later"
        connection.close()


def test_files_that_were_put_aside_and_logs_are_named(tmp_path: Path) -> None:
    """They are not ours to change."""
    log = tmp_path / "operations.log"
    with running(
        start_keystead_http(tmp_path / "data", "--log-operations", "yes", "--operations-log-file", str(log))
    ) as server:
        (server.directory / "segment-0000000001.log.4096.broken").write_bytes(b"forget-me")
        remember(Directory(str(server.directory)), "s3://bucket/shop", 5, 1_700_000_000_000)
        connection = server.connect()
        told = answer(connection.call("KS.FORGET", KEY))
        connection.close()
    assert [name.value for name in told["broken"]] == [b"segment-0000000001.log.4096.broken"]
    assert [name.value for name in told["backups"]] == [b"s3://bucket/shop"]
    assert [name.value for name in told["logs"]] == [str(log).encode()]


def test_a_list_of_backups_that_cannot_be_read_is_said(server: HttpServer, redis: SocketConnection) -> None:
    """The keys are forgotten all the same."""
    (server.directory / "BACKUPS").write_bytes(b"nonsense")
    (said,) = answer(redis.call("KS.FORGET", KEY))["backups"]
    assert b"BACKUPS cannot be read" in said.value


def test_many_can_be_forgotten_at_a_time(redis: SocketConnection, server: HttpServer) -> None:
    """Several wishes, one after the other, each answered when it is done."""
    clients = [server.connect() for _ in range(4)]
    for number in range(4):
        redis.call("SET", f"{KEY}-{number}", SECRET)
    for number, client in enumerate(clients):
        client.send(b"*2\r\n$9\r\nKS.FORGET\r\n$11\r\n%s-%d\r\n" % (KEY.encode(), number))
    told = [answer(client.receive()) for client in clients]
    assert [each["operations"] for each in told] == [2, 2, 2, 2]
    assert files_with(server, SECRET, KEY) == []
    for client in clients:
        client.close()
