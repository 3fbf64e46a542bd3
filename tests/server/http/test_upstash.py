"""The REST dialect of Upstash: its published client unchanged, and what other clients of it send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis
from upstash_redis.errors import UpstashError

from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from pathlib import Path

    from wire import SocketConnection


def url_of(server: HttpServer) -> str:
    host, port = server.http_address
    return f"http://{host}:{port}"


@pytest.fixture(params=["base64", None], ids=["base64", "plain"])
def client(request: pytest.FixtureRequest, http_server: HttpServer, http: HttpConnection) -> Iterator[Redis]:
    """The client of Upstash on an empty store."""
    assert http.ask("GET", "/livez").status == 200
    made = Redis(url_of(http_server), "any token", rest_encoding=request.param, rest_retries=0, allow_telemetry=False)
    with made:
        yield made


# --- the client -------------------------------------------------------------------------------------------------------


def test_the_client_reads_and_writes(client: Redis) -> None:
    assert client.set("k", "v") is True
    assert client.get("k") == "v"
    assert client.get("absent") is None
    assert not client.set("k", "w", nx=True)
    assert client.set("k", "OK", ex=100, get=True) == "v"
    assert client.get("k") == "OK"
    assert 98 <= client.ttl("k") <= 100
    assert (client.incr("n"), client.incrbyfloat("n", 0.5), client.strlen("n")) == (1, 1.5, 3)
    assert client.mset({"a": "1", "ü": "€"}) is True
    assert client.mget("a", "absent", "ü") == ["1", None, "€"]
    assert sorted(client.keys("*")) == ["a", "k", "n", "ü"]
    assert client.scan(0, match="a*", count=1000) == (0, ["a"])
    assert (client.exists("a", "b"), client.delete("a", "b"), client.type("n")) == (1, 1, "string")
    assert (client.setbit("bits", 7, 1), client.bitcount("bits")) == (0, 1)
    assert client.echo("hello") == "hello"
    assert client.ping() == "PONG"
    assert client.flushdb() is True
    assert client.dbsize() == 0


def test_the_client_is_told_of_errors(client: Redis) -> None:
    client.set("text", "x")
    with pytest.raises(UpstashError, match="not an integer"):
        client.incr("text")
    with pytest.raises(UpstashError, match="unknown command"):
        client.execute(["NOSUCH", "k"])
    with pytest.raises(UpstashError, match="/multi-exec"):
        client.execute(["WATCH", "k"])


def test_pipelines_and_transactions(client: Redis) -> None:
    pipeline = client.pipeline()
    pipeline.set("a", "1").incr("a").get("a")
    assert pipeline.exec() == [True, 2, "2"]
    transaction = client.multi()
    transaction.incr("a").incr("a").delete("b")
    assert transaction.exec() == [3, 4, 0]


def test_the_asyncio_client(http_server: HttpServer, http: HttpConnection) -> None:
    async def use() -> list[Any]:
        async with AsyncRedis(url_of(http_server), "any token", rest_retries=0) as client:
            await client.set("k", "v")
            return list(await asyncio.gather(*(client.incr("n") for _ in range(20)), client.get("k")))

    found = asyncio.run(use())
    assert sorted(found[:-1]) == list(range(1, 21))
    assert found[-1] == "v"
    assert http.ask("GET", "/v1/keys/k").body == b"v"


def test_the_client_logs_in_by_a_token(tmp_path: Path) -> None:
    from cli.stores import keystead

    directory = tmp_path / "data"
    with running(start_keystead_http(directory, "--requirepass", "master")) as server:
        redis = server.connect()
        redis.call("AUTH", "master")
        redis.call("ACL", "SETUSER", "app", "on", "+@all", "~app:*")
        redis.call("ACL", "SAVE")
        token = keystead("user", "token", "app", "--dir", str(directory)).output.split()[-1]
        redis.call("ACL", "LOAD")
        redis.close()
        with Redis(url_of(server), token, rest_retries=0) as client:
            assert client.set("app:1", "v") is True
            with pytest.raises(UpstashError, match="NOPERM"):
                client.get("other")
        with Redis(url_of(server), "wrong", rest_retries=0) as client, pytest.raises(UpstashError, match="wrong"):
            client.get("app:1")
        by_parameter = HttpConnection(server.http_address)
        assert by_parameter.ask("GET", f"/get/app:1?_token={token}").json == {"result": "v"}
        assert by_parameter.ask("GET", "/get/app:1").status == 401
        by_parameter.close()


# --- what it is made of -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "body", "result"),
    [
        ("GET", "/set/k/v", None, "OK"),
        ("GET", "/SET/k/v?EX=100", None, "OK"),
        ("POST", "/set/k", b"the body", "OK"),
        ("POST", "/set/k?EX=100&NX", b"the body", "OK"),
        ("PUT", "/set/k", b"the body", "OK"),
        ("GET", "/mset/a/1/b%2Fc/2", None, "OK"),
        ("GET", "/incrby/n/5", None, 5),
        ("POST", "/", ["SET", "k", 1.5], "OK"),
        ("POST", "/", ["ECHO", True], "true"),
        ("GET", "/dbsize", None, 0),
    ],
)
def test_a_command_may_be_in_the_path_or_in_the_body(
    http: HttpConnection, method: str, target: str, body: Any, result: object
) -> None:
    assert http.ask(method, target, body).json == {"result": result}


def test_arguments_come_from_path_body_and_parameters_in_this_order(
    http: HttpConnection, redis_door: SocketConnection
) -> None:
    http.ask("POST", "/set/k?EX=100&GET", b"v")
    assert redis_door.call("GET", "k").value == b"v"
    assert redis_door.call("TTL", "k").value in (99, 100)


def test_replies_may_be_in_base64(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("SET", "k", b"\xff\0")
    assert http.ask("GET", "/get/k", Upstash_Encoding="base64").json == {"result": "/wA="}
    assert http.ask("GET", "/set/k/v", Upstash_Encoding="base64").json == {"result": "OK"}
    refused = http.ask("GET", "/get/k", Upstash_Encoding="gzip")
    assert (refused.status, "base64" in refused.json["error"]) == (400, True)


def test_a_transaction_is_refused_whole(http: HttpConnection) -> None:
    answer = http.ask("POST", "/multi-exec", [["SET", "k", "v"], ["NOSUCH"]])
    assert answer.status == 400
    assert http.ask("GET", "/exists/k").json == {"result": 0}
    assert http.ask("POST", "/pipeline", [["SET", "k", "v"], ["NOSUCH"], ["INCR", "k"]]).json[0] == {"result": "OK"}


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/", []),
        ("/", {}),
        ("/", b"{"),
        ("/", [["GET"]]),
        ("/", [None]),
        ("/pipeline", []),
        ("/pipeline", ["GET", "k"]),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(http: HttpConnection, target: str, body: Any) -> None:
    answer = http.ask("POST", target, body)
    assert answer.status == 400
    assert list(answer.json) == ["error"]
