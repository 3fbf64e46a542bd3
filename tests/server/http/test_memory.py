"""What folders take: exact, complete, the largest first, and for who may ask."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from http_client import HttpConnection
from servers import HttpServer

if TYPE_CHECKING:
    from wire import SocketConnection


def usage(http: HttpConnection, query: str = "") -> Any:
    answer = http.ask("GET", f"/v1/memory{query}")
    assert answer.status == 200, answer
    return answer.json


def used_bytes(http: HttpConnection) -> int:
    page = http.ask("GET", "/metrics").body.decode()
    return int(float(page.split("\nkeystead_memory_used_bytes ")[1].split()[0]))


def fill(redis: SocketConnection) -> None:
    redis.call(
        "MSET", "user:1:name", "Ada", "user:1:photo", "x" * 5000, "user:2:name", "Bo", "user", "z", "big", "y" * 900
    )
    redis.call("SET", b"\xff:1", "v", "EX", 1000)
    redis.call("SETBIT", "user:2:bits", 7, 1)


def test_folders_and_keys_add_up_to_all_that_is_used(http: HttpConnection, redis_door: SocketConnection) -> None:
    before = used_bytes(http)  # by what the store keeps for itself
    fill(redis_door)
    said = usage(http)
    assert (said["keys"], said["bytes"]) == (7, used_bytes(http) - before)
    assert said["rest"] == {"keys": 0, "bytes": 0}
    named = {str(item["name"]): item for item in said["items"]}
    assert [item["name"] for item in said["items"]][:2] == ["user:", "big"]
    assert (named["user:"]["folder"], named["user:"]["keys"]) == (True, 4)
    assert (named["user"]["folder"], named["user"]["keys"]) == (False, 1)
    assert {"base64": "/zo="} in [item["name"] for item in said["items"]]
    assert sum(item["bytes"] for item in said["items"]) == said["bytes"]


def test_a_folder_is_looked_into(http: HttpConnection, redis_door: SocketConnection) -> None:
    fill(redis_door)
    whole = {item["name"]: item["bytes"] for item in usage(http)["items"] if isinstance(item["name"], str)}
    inside = usage(http, "?prefix=user:")
    assert [item["name"] for item in inside["items"]] == ["user:1:", "user:2:"]
    assert inside["bytes"] == whole["user:"]
    other = usage(http, "?prefix=user:&delimiter=name")
    assert {item["name"]: item["folder"] for item in other["items"]} == {
        "user:1:photo": False,
        "user:1:name": True,
        "user:2:bits": False,
        "user:2:name": True,
    }


def test_what_is_not_among_the_largest_is_summed_up(http: HttpConnection, redis_door: SocketConnection) -> None:
    fill(redis_door)
    whole, short = usage(http), usage(http, "?limit=1")
    assert short["items"] == whole["items"][:1]
    assert short["rest"]["keys"] == 3
    assert short["items"][0]["bytes"] + short["rest"]["bytes"] == short["bytes"] == whole["bytes"]


def test_many_keys_are_looked_at_by_slices_and_none_is_left_out(
    http: HttpConnection, redis_door: SocketConnection
) -> None:
    before = used_bytes(http)
    for start in range(0, 30_000, 3000):
        pairs = [part for n in range(start, start + 3000) for part in (f"f{n % 7}:{n}", "v" * (n % 50))]
        redis_door.call("MSET", *pairs)
    said = usage(http)
    assert (said["keys"], said["bytes"]) == (30_000, used_bytes(http) - before)
    assert {item["name"]: item["keys"] for item in said["items"]} == {
        f"f{n}:": len(range(n, 30_000, 7)) for n in range(7)
    }


def test_an_empty_database_takes_nothing(http: HttpConnection) -> None:
    assert usage(http, "?db=4") == {"items": [], "rest": {"keys": 0, "bytes": 0}, "keys": 0, "bytes": 0}


@pytest.mark.parametrize("query", ["delimiter=", "limit=0", "limit=1001", "prefx=a"])
def test_mistakes_are_refused(http: HttpConnection, query: str) -> None:
    assert http.ask("GET", f"/v1/memory?{query}").status == 400


@pytest.mark.usefixtures("http")
@pytest.mark.parametrize(
    ("rules", "seen"),
    [("+@read ~user:1:*", {"user:": 2}), ("+get ~*", None), ("+scan +get ~*", {}), ("+scan +strlen ~big", {"big": 1})],
)
def test_a_user_is_told_of_keys_whose_size_he_may_ask_for(
    redis_door: SocketConnection,
    http_server: HttpServer,
    rules: str,
    seen: dict[str, int] | None,
) -> None:
    fill(redis_door)
    redis_door.call("ACL", "SETUSER", "ada", "reset", "on", ">secret", *rules.split())
    ada = HttpConnection(
        http_server.http_address, {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
    )
    answer = ada.ask("GET", "/v1/memory")
    ada.close()
    redis_door.call("ACL", "DELUSER", "ada")
    if seen is None:
        assert answer.status == 403
    else:
        assert {item["name"]: item["keys"] for item in answer.json["items"]} == seen
