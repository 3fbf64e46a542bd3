"""Out as JSON lines and in again: complete, byte for byte, checked before anything is changed."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from http_client import Answer, HttpConnection
from servers import HttpServer

if TYPE_CHECKING:
    from wire import SocketConnection

HOSTILE = [(b"user:\xff\0", b"\x80\0"), (b"user:<img onerror=x>", b'\n"\\'), (b"user:\xc3\xa9", b"")]


def lines(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer
    return [json.loads(line) for line in answer.body.splitlines()]


def ada(server: HttpServer, redis: SocketConnection, rules: str) -> HttpConnection:
    redis.call("ACL", "SETUSER", "ada", "reset", "on", ">secret", *rules.split())
    return HttpConnection(server.http_address, {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()})


# --- out --------------------------------------------------------------------------------------------------------------


def test_keys_of_a_prefix_come_in_order_with_their_expiries(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("MSET", "user:2", "Bo", "user:1", "Ada", "other", "x")
    redis_door.call("PEXPIREAT", "user:2", 4102444800000)
    answer = http.ask("GET", "/v1/export?prefix=user:")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert lines(answer) == [
        {"db": 0, "key": "user:1", "value": "Ada"},
        {"db": 0, "key": "user:2", "value": "Bo", "expires_at_ms": 4102444800000},
    ]


def test_what_goes_out_comes_in_again_byte_for_byte(http: HttpConnection, redis_door: SocketConnection) -> None:
    for key, value in HOSTILE:
        redis_door.call("SET", key, value)
    redis_door.call("SETBIT", "user:bits", 9, 1)
    exported = http.ask("GET", "/v1/export").body
    redis_door.call("FLUSHALL")
    assert http.ask("POST", "/v1/import", exported).json == {"imported": 4, "kept": 0, "expired": 0}
    assert http.ask("GET", "/v1/export").body == exported
    assert [redis_door.call("GET", key).value for key, _ in HOSTILE] == [value for _, value in HOSTILE]


def test_a_long_export_streams_and_leaves_nothing_out(http: HttpConnection, redis_door: SocketConnection) -> None:
    for start in range(0, 20_000, 2000):
        redis_door.call("MSET", *(part for n in range(start, start + 2000) for part in (f"k{n:05}", "v" * 50)))
    redis_door.call("SET", "long", "x" * 3_000_000)
    answer = http.ask("GET", "/v1/export")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert [line["key"] for line in lines(answer)] == [f"k{n:05}" for n in range(20_000)] + ["long"]


def test_nothing_to_export_is_an_empty_answer(http: HttpConnection) -> None:
    answer = http.ask("GET", "/v1/export?db=9")
    assert (answer.status, answer.body) == (200, b"")


def test_a_user_is_given_what_he_may_read(http_server: HttpServer, http: HttpConnection, redis_door: Any) -> None:
    redis_door.call("MSET", "public:1", "one", "private", "two")
    visitor = ada(http_server, redis_door, "+@read ~public:*")
    assert [line["key"] for line in lines(visitor.ask("GET", "/v1/export"))] == ["public:1"]
    redis_door.call("ACL", "SETUSER", "ada", "-@all", "+get")
    assert visitor.ask("GET", "/v1/export").status == 403
    visitor.close()
    redis_door.call("ACL", "DELUSER", "ada")
    assert len(lines(http.ask("GET", "/v1/export"))) == 2


# --- in ---------------------------------------------------------------------------------------------------------------


def line(key: str, value: str = "v", **more: int) -> bytes:
    return json.dumps({"key": key, "value": value, **more}).encode() + b"\n"


def test_many_lines_are_several_transactions(http: HttpConnection, redis_door: SocketConnection) -> None:
    body = b"".join(line(f"k{n}", "v" * (n % 100)) for n in range(1001))
    assert http.ask("POST", "/v1/import", body).json == {"imported": 1001, "kept": 0, "expired": 0}
    assert redis_door.call("DBSIZE").value == 1001


def test_lines_go_to_their_database_unless_told_otherwise(http: HttpConnection, redis_door: SocketConnection) -> None:
    body = line("a", db=3) + line("b") + line("c", db=3)
    http.ask("POST", "/v1/import", body)
    redis_door.call("SELECT", 3)
    assert redis_door.call("DBSIZE").value == 2
    http.ask("POST", "/v1/import?db=5", body)
    redis_door.call("SELECT", 5)
    assert redis_door.call("DBSIZE").value == 3


def test_keys_that_exist_are_replaced_or_kept(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("SET", "a", "old")
    body = line("a", "new") + line("b", "new")
    assert http.ask("POST", "/v1/import?existing=keep", body).json == {"imported": 1, "kept": 1, "expired": 0}
    assert redis_door.call("GET", "a").value == b"old"
    assert http.ask("POST", "/v1/import", body).json["imported"] == 2
    assert redis_door.call("GET", "a").value == b"new"


def test_keys_whose_time_is_up_are_left_out(http: HttpConnection, redis_door: SocketConnection) -> None:
    body = line("gone", expires_at_ms=1) + line("there", expires_at_ms=4102444800000) + b"\n  \n"
    assert http.ask("POST", "/v1/import", body).json == {"imported": 1, "kept": 0, "expired": 1}
    assert redis_door.call("PEXPIRETIME", "there").value == 4102444800000


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b'{"key": "k"}',
        b'{"key": "k", "value": 7}',
        b'{"key": "k", "value": "v", "db": 16}',
        b'{"key": "k", "value": "v", "type": "hash"}',
        b'{"key": {"base64": "?"}, "value": "v"}',
        b'{"key": "\\ud800", "value": "v"}',
        b"\xff",
    ],
)
def test_a_line_that_makes_no_sense_leaves_nothing_half_done(
    http: HttpConnection, redis_door: SocketConnection, bad: bytes
) -> None:
    answer = http.ask("POST", "/v1/import", b"".join(line(f"k{n}") for n in range(500)) + bad)
    assert (answer.status, answer.json["line"]) == (400, 501)
    assert redis_door.call("DBSIZE").value == 0


def test_a_user_imports_what_he_may_set(http_server: HttpServer, http: HttpConnection, redis_door: Any) -> None:
    visitor = ada(http_server, redis_door, "+@read ~*")
    assert visitor.ask("POST", "/v1/import", line("public:1")).status == 403
    assert visitor.ask("POST", "/v1/import", b"").status == 403
    redis_door.call("ACL", "SETUSER", "ada", "resetkeys", "~public:*", "+set")
    answer = visitor.ask("POST", "/v1/import", line("public:1") + line("private"))
    assert (answer.status, answer.json["line"]) == (403, 2)
    assert visitor.ask("POST", "/v1/import", line("public:1")).json["imported"] == 1
    visitor.close()
    redis_door.call("ACL", "DELUSER", "ada")
    assert [item["name"] for item in http.ask("GET", "/v1/keys").json["items"]] == ["public:1"]


def test_an_import_waits_while_clients_are_paused(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("CLIENT", "PAUSE", "50", "WRITE")
    assert http.ask("POST", "/v1/import", line("a")).json["imported"] == 1


def test_an_import_that_is_too_long_is_refused(http: HttpConnection) -> None:
    answer = http.ask("POST", "/v1/import", line("k", "x" * (17 << 20)))
    assert answer.status == 413
    assert "several" in answer.json["detail"]


def test_pages_of_other_sites_import_nothing(http: HttpConnection) -> None:
    assert http.ask("POST", "/v1/import", line("k"), Sec_Fetch_Site="cross-site").status == 403
    assert http.ask("POST", "/v1/import?existing=never", line("k")).status == 400
