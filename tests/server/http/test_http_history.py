"""The past over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from wire import SocketConnection


@pytest.fixture
def sequence(http: HttpConnection) -> int:
    """Of the last transaction before the test."""
    http.ask("PUT", "/v1/keys/marker", b"x")
    found: int = http.ask("GET", "/v1/history/marker").json["changes"][0]["sequence"]
    return found


def changes(http: HttpConnection, target: str) -> list[tuple[Any, ...]]:
    found = http.ask("GET", target)
    assert found.status == 200, found.body
    return [(change["operation"], change.get("value")) for change in found.json["changes"]]


def test_a_key_has_its_past(http: HttpConnection) -> None:
    http.ask("PUT", "/v1/keys/a/b?ttl=100", b"one")
    http.ask("PUT", "/v1/keys/a/b", b"\xff")
    http.ask("DELETE", "/v1/keys/a/b")
    answer = http.ask("GET", "/v1/history/a/b?count=3")
    newest, second, first = answer.json["changes"]
    assert (newest["operation"], newest["value"], newest["size"]) == ("delete", None, None)
    assert (second["operation"], second["value"], second["expires_at_ms"]) == ("put", {"base64": "/w=="}, None)
    assert (first["value"], first["size"], first["user"]) == ("one", 3, "default")
    assert 99_000 < first["expires_at_ms"] - first["time_ms"] <= 100_000
    assert changes(http, "/v1/history/?key=YS9i&count=1") == [("delete", None)]


def test_the_past_of_a_key_has_pages(http: HttpConnection) -> None:
    for number in range(5):
        http.ask("PUT", "/v1/keys/paged", b"%d" % number)
    target, found = "/v1/history/paged?count=2&values=true", []
    while target:
        page = http.ask("GET", target).json
        found += [change["value"] for change in page["changes"] if change["operation"] == "put"]
        target = page["next"]
    assert found[:5] == ["4", "3", "2", "1", "0"]


def test_values_are_left_out_when_told_so(http: HttpConnection) -> None:
    http.ask("PUT", "/v1/keys/k", b"long")
    (change,) = http.ask("GET", "/v1/history/k?values=false&count=1").json["changes"]
    assert "value" not in change
    assert change["size"] == 4


def test_a_value_is_read_as_it_was(http: HttpConnection, sequence: int) -> None:
    http.ask("PUT", "/v1/keys/k", b"first\r\n")
    http.ask("PUT", "/v1/keys/k", b"second")
    answer = http.ask("GET", f"/v1/keys/k?at={sequence + 1}")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        200,
        b"first\r\n",
        "application/octet-stream",
    )
    assert http.ask("HEAD", f"/v1/keys/k?at={sequence + 1}").headers["etag"] == answer.headers["etag"]
    assert http.ask("GET", "/v1/keys/k?at=now").body == b"second"
    assert http.ask("GET", f"/v1/keys/k?at={sequence}").status == 404


def test_conditions_hold_for_values_of_the_past_too(http: HttpConnection, sequence: int) -> None:
    http.ask("PUT", "/v1/keys/k", b"first")
    http.ask("PUT", "/v1/keys/k", b"second")
    then = f"/v1/keys/k?at={sequence + 1}"
    tag = http.ask("GET", then).headers["etag"]
    assert http.ask("GET", then, if_none_match=tag).status == 304
    assert http.ask("GET", then, if_match='"0000000000000000"').status == 412
    assert http.ask("GET", then, if_match=tag).status == 200


def test_keys_are_listed_as_they_were(http: HttpConnection) -> None:
    for key in ("p:1", "p:2", "p:3"):
        http.ask("PUT", f"/v1/keys/{key}?ttl=50", key.encode())
    then = http.ask("GET", "/v1/history/p:3?count=1").json["changes"][0]["sequence"]
    http.ask("DELETE", "/v1/keys/p:2")
    target, found = f"/v1/keys?prefix=p:&limit=2&include=value,ttl,size,type&at={then}", []
    while target:
        page = http.ask("GET", target).json
        assert page["at"]["sequence"] == then
        assert page["total"] is None
        found += page["items"]
        target = page["next"]
    assert [(item["name"], item["value"], item["size"], item["type"]) for item in found] == [
        (key, key, 3, "string") for key in ("p:1", "p:2", "p:3")
    ]
    assert all(45 < item["ttl"] <= 50 for item in found)
    names = http.ask("GET", "/v1/keys?prefix=p:&at=now").json["items"]
    assert names == [{"name": "p:1"}, {"name": "p:3"}]


def test_keys_of_the_past_are_folded_into_folders_with_exact_counts(http: HttpConnection) -> None:
    for key in ("fold:a:1", "fold:a:2", "fold:b", "fold:c:1"):
        http.ask("PUT", f"/v1/keys/{key}", b"x")
    then = http.ask("GET", "/v1/history/fold:c:1?count=1").json["changes"][0]["sequence"]
    http.ask("DELETE", "/v1/keys?prefix=fold:a:&expect=2")
    target, found = f"/v1/keys?prefix=fold:&delimiter=:&limit=1&at={then}", []
    while target:
        page = http.ask("GET", target).json
        assert page["at"]["sequence"] == then
        assert page["total"] == 4
        found += page["items"]
        target = page["next"]
    folders = [{"name": "fold:a:", "folder": True, "keys": 2}, {"name": "fold:b"}]
    assert found == [*folders, {"name": "fold:c:", "folder": True, "keys": 1}]


def test_a_page_of_the_past_has_no_positions(http: HttpConnection) -> None:
    assert http.ask("GET", "/v1/keys?at=now&offset=3").status == 400
    assert http.ask("GET", "/v1/keys?at=now&delimiter=").status == 400
    assert http.ask("GET", "/v1/keys?at=now&delimiter=:&include=value").status == 400


def test_differences_have_pages_between_the_same_moments(http: HttpConnection, sequence: int) -> None:
    for number in range(5):
        http.ask("PUT", f"/v1/keys/d:{number}", b"new")
    target, found = f"/v1/diff?from={sequence}&to=now&prefix=d:&count=2", []
    while target:
        page = http.ask("GET", target).json
        assert (page["from"]["sequence"], page["to"]["sequence"]) == (sequence, sequence + 5)
        found += [(change["key"], change["before"], change["after"]) for change in page["changes"]]
        http.ask("PUT", "/v1/keys/d:later", b"not yet")
        target = page["next"]
    assert found == [(f"d:{number}", None, "new") for number in range(5)]


def test_differences_are_to_now_unless_told_otherwise(http: HttpConnection, sequence: int) -> None:
    http.ask("PUT", "/v1/keys/until-now", b"new")
    document = http.ask("GET", f"/v1/diff?from={sequence}").json
    assert (document["to"]["sequence"], document["changes"][0]["key"]) == (sequence + 1, "until-now")


def test_keys_that_are_gone_are_found(http: HttpConnection) -> None:
    for number in range(3):
        http.ask("PUT", f"/v1/keys/g:{number}", b"%d" % number)
        http.ask("DELETE", f"/v1/keys/g:{number}")
    target, found = "/v1/deleted?prefix=g:&count=2", []
    while target:
        page = http.ask("GET", target).json
        found += [(item["key"], item["value"], item["operation"]) for item in page["keys"]]
        target = page["next"]
    assert found == [(f"g:{number}", str(number), "delete") for number in (2, 1, 0)]


def test_what_a_flush_took_is_found_page_by_page(http: HttpConnection, redis_door: SocketConnection) -> None:
    """Many keys of one transaction: a page goes on behind a key."""
    for number in range(5):
        http.ask("PUT", f"/v1/keys/f:{number}", b"v")
    redis_door.call("FLUSHALL")
    target, found = "/v1/deleted?prefix=f:&count=2", []
    while target:
        page = http.ask("GET", target).json
        found += [item["key"] for item in page["keys"]]
        target = page["next"]
    assert sorted(found) == [f"f:{number}" for number in range(5)]


def test_transactions_tell_who_did_what(http: HttpConnection, redis_door: SocketConnection, sequence: int) -> None:
    redis_door.call("CLIENT", "SETNAME", "importer")
    redis_door.call("MSET", "t:1", "one", "t:2", "two")
    redis_door.call("SELECT", 3)
    redis_door.call("SET", "t:3", "three", "PX", 1_000_000)
    page = http.ask("GET", f"/v1/transactions?from={sequence + 1}&author=importer&prefix=t:").json
    first, second = page["transactions"]
    assert [(each["operation"], each["db"], each["key"], each["size"]) for each in first["operations"]] == [
        ("put", 0, "t:1", 3),
        ("put", 0, "t:2", 3),
    ]
    assert (first["user"], first["client"], first["left_out"]) == ("default", "importer", 0)
    assert second["operations"][0]["db"] == 3
    assert second["operations"][0]["expires_at_ms"] > second["time_ms"]
    only = http.ask("GET", f"/v1/transactions?from={sequence + 1}&db=3").json["transactions"]
    assert [each["sequence"] for each in only] == [second["sequence"]]
    begun = http.ask("GET", f"/v1/transactions?from={sequence + 1}&count=1").json
    assert http.ask("GET", begun["next"]).json["transactions"][0]["sequence"] == sequence + 2


def test_transactions_are_told_the_newest_first(http: HttpConnection, sequence: int) -> None:
    for number in range(5):
        http.ask("PUT", "/v1/keys/k", b"%d" % number)
    target, found = f"/v1/transactions?before=now&count=2&prefix=k&from={sequence + 1}", []
    while target:
        page = http.ask("GET", target).json
        found += [each["sequence"] for each in page["transactions"]]
        target = page["next"]
    assert found == list(range(sequence + 5, sequence, -1))
    (one,) = http.ask("GET", f"/v1/transactions?before={sequence + 3}&count=1").json["transactions"]
    assert one["sequence"] == sequence + 2


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("/v1/keys/k?at=tomorrow", 400, "yesterday 18:00"),
        ("/v1/keys/k?at=", 400, "yesterday 18:00"),
        ("/v1/keys/k?at=999999999", 400, "has not happened"),
        ("/v1/keys?at=tomorrow", 400, "yesterday 18:00"),
        ("/v1/diff?to=now", 400, "'from'"),
        ("/v1/diff?from=0&to=soon", 400, "yesterday 18:00"),
        ("/v1/history/k?count=0", 400, "'count'"),
        ("/v1/history/k?count=1001", 400, "'count'"),
        ("/v1/history/k?values=no", 400, "'values'"),
        ("/v1/history/k?before=x", 400, "not an integer"),
        ("/v1/history/k?limit=3", 400, "'limit'"),
        ("/v1/deleted?before=x", 400, "not an integer"),
        ("/v1/transactions?from=x", 400, "yesterday 18:00"),
    ],
)
def test_what_makes_no_sense_is_told(http: HttpConnection, target: str, status: int, words: str) -> None:
    answer = http.ask("GET", target)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json["detail"]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[HttpServer]:
    """One whose past is short: that of a server which all tests share is long, and full of flushes."""
    with running(start_keystead_http(tmp_path / "data")) as server:
        yield server


def test_a_restricted_user_sees_only_what_he_may_read(own_server: HttpServer) -> None:
    http, redis_door, sequence = HttpConnection(own_server.http_address), own_server.connect(), 0
    while http.ask("GET", "/v1/keys").status == 503:
        time.sleep(0.01)  # the index is being built
    for number in range(5):
        http.ask("PUT", f"/v1/keys/open:{number}", b"1")
        http.ask("PUT", f"/v1/keys/secret:{number}", b"2")
    http.ask("DELETE", "/v1/keys/open:0")
    http.ask("DELETE", "/v1/keys/secret:0")
    redis_door.call("ACL", "SETUSER", "ada", "on", ">word", "~open:*", "+@read")
    ada = HttpConnection(own_server.http_address, {"Authorization": "Basic YWRhOndvcmQ="})
    try:
        assert ada.ask("GET", "/v1/history/secret:1").status == 403
        assert ada.ask("GET", "/v1/keys/secret:1?at=now").status == 403
        assert ada.ask("GET", "/v1/history/open:1").status == 200
        for target, name, field in (
            ("/v1/keys?at=now&limit=2", "items", "name"),
            (f"/v1/diff?from={sequence}&to=now&count=2", "changes", "key"),
            ("/v1/deleted?count=2", "keys", "key"),
        ):
            following, seen = target, []
            while following:
                page = ada.ask("GET", following)
                assert b"secret" not in page.body
                seen += [item[field] for item in page.json[name]]
                following = page.json["next"]
            assert "open:0" in seen or "open:4" in seen
        told = ada.ask("GET", f"/v1/transactions?from={sequence + 1}")
        assert b"secret" not in told.body
        assert len(told.json["transactions"]) == 6
        back, target = [], "/v1/transactions?before=now&count=4"
        while len(back) < 6:
            page = ada.ask("GET", target)
            assert b"secret" not in page.body
            back += page.json["transactions"]
            target = page.json["next"]
        assert back[:6] == told.json["transactions"][::-1]
    finally:
        ada.close()
        http.close()
        redis_door.close()
