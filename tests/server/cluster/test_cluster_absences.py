"""What a cluster cannot do answers 501 with a kind of its own, the reason, and what to use instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from http_client import HttpConnection
from keystead.server.http.cluster.absent import EXACT, PREFIXES

if TYPE_CHECKING:
    from http_door import HttpDoor
    from servers import HttpServer
    from wire import SocketConnection

ABSENT: list[tuple[str, str, Any]] = [
    ("GET", "/v1/history/k", None),
    ("HEAD", "/v1/history/k", None),
    ("GET", "/v1/diff?from=-1h", None),
    ("GET", "/v1/deleted", None),
    ("GET", "/v1/transactions", None),
    ("GET", "/v1/changes", None),
    ("GET", "/v1/changes?since=1", None),
    ("POST", "/v1/changes/7/undo", None),
    ("POST", "/v1/restore/k", None),
    ("POST", "/v1/forget/k", None),
    ("GET", "/v1/verify", None),
    ("POST", "/v1/verify", None),
    ("GET", "/v1/memory", None),
    ("GET", "/v1/keys/k?at=-1h", None),
    ("GET", "/v1/keys?at=-1h", None),
    ("DELETE", "/v1/keys?prefix=a", None),
    ("POST", "/v1/commands", ["KS.HISTORY", "k"]),
    ("POST", "/v1/commands", ["SWAPDB", "0", "1"]),
    ("POST", "/v1/commands", ["BGREWRITEAOF"]),
]


@pytest.mark.parametrize(("method", "target", "body"), ABSENT)
def test_it_is_refused_with_the_reason_and_what_to_use(
    http: HttpConnection, method: str, target: str, body: Any
) -> None:
    refused = http.ask(method, target, body)
    assert refused.status == 501
    if method != "HEAD":
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json["type"] == "urn:keystead:not-in-a-cluster"
        assert len(refused.json["detail"].split(". ")) > 1, "the reason, and what to use"


def test_every_absent_route_is_among_those_above() -> None:
    paths = {target.partition("?")[0] for _, target, _ in ABSENT}
    assert [route.path for route in EXACT if route.path.decode() not in paths] == []
    for route in PREFIXES:
        assert any(path.startswith(route.path.decode()) for path in paths), route.path


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/batch", {"operations": [{"op": "increment", "key": "n"}]}),
        ("/v1/increment/n", None),
        ("/v1/commands", ["INCR", "n"]),
        ("/", ["INCR", "n"]),
        ("/pipeline", [["INCR", "n"]]),
        ("/multi-exec", [["INCR", "n"]]),
    ],
)
def test_an_idempotency_key_is_refused_rather_than_known_to_one_door_only(
    http: HttpConnection, redis_door: SocketConnection, target: str, body: Any
) -> None:
    refused = http.ask("POST", target, body, idempotency_key="a-key")
    assert refused.status == 501
    assert "Idempotency-Key" in (refused.json.get("detail") or refused.json["error"])
    assert redis_door.call("GET", "n").value is None


def test_what_only_reads_may_carry_an_idempotency_key(http: HttpConnection) -> None:
    assert http.ask("POST", "/v1/commands", ["GET", "n"], idempotency_key="a-key").status == 200


def test_the_cluster_is_not_told_of_by_a_store(keystead_http: HttpDoor) -> None:
    store = HttpConnection(keystead_http.server.http_address)
    assert store.ask("GET", "/v1/cluster").status == 404
    store.close()


def test_absent_commands_say_so_over_the_redis_protocol_too(door: HttpServer) -> None:
    client = door.connect()
    for command in (["KS.HISTORY", "k"], ["SELECT", "1"], ["SWAPDB", "0", "1"]):
        reply = client.call(*command)
        assert reply.kind == "-", command
    client.close()
