"""Listing, export and import in front of a cluster: by SCAN, and told as what it is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from http_client import Answer, HttpConnection

if TYPE_CHECKING:
    from wire import SocketConnection

NOT_IN_A_CLUSTER = "urn:keystead:not-in-a-cluster"


def pages(http: HttpConnection, path: str) -> list[Any]:
    """All pages from that path on."""
    found = []
    following: str | None = path
    while following is not None:
        page = http.ask("GET", following).json
        found.append(page)
        following = page["next"]
    return found


def fill(redis_door: SocketConnection, names: list[str]) -> None:
    for name in names:
        redis_door.call("SET", name, "v")


def test_all_keys_of_all_shards_are_on_some_page(http: HttpConnection, redis_door: SocketConnection) -> None:
    names = [f"user:{number}" for number in range(300)]
    fill(redis_door, [*names, "other"])
    found = pages(http, "/v1/keys?prefix=user:&limit=50")
    assert {item["name"] for page in found for item in page["items"]} == set(names)
    assert {(page["total"], page["order"]) for page in found} == {(None, "none")}
    assert len(found) > 3


def test_a_prefix_is_taken_literally(http: HttpConnection, redis_door: SocketConnection) -> None:
    fill(redis_door, ["a*b", "axb", "a[x]b", "a?", "a\\b", "a^"])
    for prefix, name in (("a*", "a*b"), ("a[x", "a[x]b"), ("a%3F", "a?"), ("a%5C", "a\\b"), ("a%5E", "a^")):
        assert [item["name"] for page in pages(http, f"/v1/keys?prefix={prefix}") for item in page["items"]] == [name]


def test_what_is_wanted_of_each_key_is_shown(
    http: HttpConnection, redis_door: SocketConnection, cluster_client: Callable[..., Any]
) -> None:
    redis_door.call("SET", "text", "Ada", "EX", 100)
    redis_door.call("SET", b"\xff", b"\x80")
    cluster_client("RPUSH", "list", "1")
    found = pages(http, "/v1/keys?include=value,type,ttl,size")
    by_name = {json.dumps(item["name"]): item for page in found for item in page["items"]}
    assert 95 < by_name['"text"'].pop("ttl") <= 100
    assert by_name['"text"'] == {"name": "text", "value": "Ada", "type": "string", "size": 3}
    assert by_name['"list"'] == {"name": "list", "value": None, "type": "list", "ttl": None, "size": None}
    assert by_name['{"base64": "/w=="}']["value"] == {"base64": "gA=="}


def test_a_page_shows_a_megabyte_of_values_at_most_and_leaves_no_key_out(
    http: HttpConnection, redis_door: SocketConnection
) -> None:
    for number in range(6):
        redis_door.call("SET", f"{{t}}{number}", b"x" * 400_000)
    items = [item for page in pages(http, "/v1/keys?include=value") for item in page["items"]]
    assert len(items) == 6
    assert sum("value" in item for item in items) in (2, 3, 4)


@pytest.mark.parametrize("parameter", ["after=a", "offset=0", "delimiter=:"])
def test_what_needs_an_order_is_refused(http: HttpConnection, parameter: str) -> None:
    refused = http.ask("GET", f"/v1/keys?{parameter}")
    assert (refused.status, refused.json["type"]) == (400, NOT_IN_A_CLUSTER)
    assert "cursor" in refused.json["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=",
        "cursor=nonsense",
        "cursor=-1",
        "cursor=99999999999999999999999999",
        "limit=0",
        "limit=1001",
        "include=owner",
        "db=1",
        "nosuch=1",
        "cursor=" + "1" * 200,
    ],
)
def test_a_listing_that_makes_no_sense_is_refused(http: HttpConnection, query: str) -> None:
    assert http.ask("GET", f"/v1/keys?{query}").status == 400


def test_keys_that_stay_are_all_listed_while_others_come_and_go(
    http: HttpConnection, redis_door: SocketConnection, other_http: HttpConnection
) -> None:
    names = {f"stays:{number}" for number in range(200)}
    fill(redis_door, sorted(names))
    ended = threading.Event()

    def disturb() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            other_http.ask("PUT", f"/v1/keys/goes:{number}", b"v")
            other_http.ask("DELETE", f"/v1/keys/goes:{number - 20}")

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        for _ in range(5):
            found = {item["name"] for page in pages(http, "/v1/keys?limit=20") for item in page["items"]}
            assert names <= found
    finally:
        ended.set()
        disturber.join()


# --- export and import -----------------------------------------------------------------------------------------------


def lines_of(answer: Answer) -> list[Any]:
    return [json.loads(line) for line in answer.body.splitlines()]


def test_what_is_exported_can_be_imported(
    http: HttpConnection, redis_door: SocketConnection, cluster_client: Callable[..., Any]
) -> None:
    for number in range(500):
        redis_door.call("SET", f"k{number}", b"\xff%d" % number)
    redis_door.call("SET", "lives", "v", "PX", 100_000)
    cluster_client("RPUSH", "list", "1")
    exported = http.ask("GET", "/v1/export")
    assert (exported.status, exported.headers["content-type"]) == (200, "application/x-ndjson")
    lines = lines_of(exported)
    assert len({str(line["key"]) for line in lines}) == 501
    (lives,) = (line for line in lines if line["key"] == "lives")
    assert 0 < lives["expires_at_ms"] - time.time() * 1000 <= 100_000
    redis_door.call("FLUSHALL")
    imported = http.ask("POST", "/v1/import", exported.body)
    assert imported.json["imported"] >= 501
    assert redis_door.call("DBSIZE").value == 501
    assert redis_door.call("GET", "k7").value == b"\xff7"
    assert 90_000 < redis_door.call("PTTL", "lives").value <= 100_000
    assert len(lines_of(http.ask("GET", "/v1/export?prefix=k49"))) == 11


def test_an_import_keeps_what_exists_if_that_is_wanted(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("SET", "a", "old")
    body = b'{"key":"a","value":"new"}\n{"key":"b","value":"new"}\n{"key":"c","value":"x","expires_at_ms":1}\n'
    assert http.ask("POST", "/v1/import?existing=keep", body).json == {"imported": 1, "kept": 1, "expired": 1}
    assert redis_door.call("MGET", "a", "b", "c").value[0].value == b"old"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b'{"key":"a"', "Line 2"),
        (b'{"key":"a","value":1}', "Line 2"),
        (b'{"db":3,"key":"a","value":"v"}', "only database 0"),
    ],
)
def test_a_line_that_is_wrong_leaves_nothing_imported(
    http: HttpConnection, redis_door: SocketConnection, line: bytes, what: str
) -> None:
    refused = http.ask("POST", "/v1/import", b'{"key":"first","value":"v"}\n' + line)
    assert refused.status == 400
    assert what in refused.json["detail"]
    assert redis_door.call("DBSIZE").value == 0


def test_lines_of_other_databases_may_be_put_into_the_one_there_is(
    http: HttpConnection, redis_door: SocketConnection
) -> None:
    assert http.ask("POST", "/v1/import?db=0", b'{"db":3,"key":"a","value":"v"}').json["imported"] == 1
    assert redis_door.call("GET", "a").value == b"v"
