"""Idempotency-Key: what is answered again, to whom, for which request, over restarts and kills."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from pathlib import Path

    from http_client import Answer
    from wire import SocketConnection

REPLAYED = "idempotency-replayed"
INCREMENT = "/v1/increment/n"


def increment(http: HttpConnection, key: dict[str, str]) -> Answer:
    return http.ask("POST", INCREMENT, headers=key)


@pytest.fixture
def key() -> dict[str, str]:
    """A key of the test's own: what a key was first answered outlives FLUSHALL."""
    return {"Idempotency-Key": str(uuid.uuid4())}


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (INCREMENT, None),
        ("/v1/batch", {"operations": [{"op": "increment", "key": "n"}]}),
        ("/v1/commands", ["INCR", "n"]),
        ("/", ["INCR", "n"]),
        ("/pipeline", [["INCR", "n"], ["GET", "n"]]),
        ("/multi-exec", [["INCR", "n"], ["GET", "n"]]),
        ("/incr/n", None),
    ],
)
def test_a_request_that_is_sent_again_is_answered_again_and_not_executed(
    http: HttpConnection, target: str, body: Any, key: dict[str, str]
) -> None:
    first = http.ask("POST", target, body, key)
    again = http.ask("POST", target, body, key)
    assert first.status == again.status == 200
    assert first.body == again.body
    assert first.headers["content-type"] == again.headers["content-type"]
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert http.ask("GET", "/v1/keys/n").body == b"1"


def test_without_a_key_and_with_another_one_it_is_executed(http: HttpConnection, key: dict[str, str]) -> None:
    values = [
        increment(http, headers).json["value"]
        for headers in (key, {}, {"Idempotency-Key": "other-" + key["Idempotency-Key"]}, key)
    ]
    assert values == [1, 2, 3, 1]


@pytest.mark.parametrize(
    ("target", "body"),
    [(INCREMENT + "?by=2", None), ("/v1/increment/m", None), ("/v1/commands", ["INCR", "n"]), (INCREMENT, b"x")],
)
def test_another_request_with_the_same_key_is_refused(
    http: HttpConnection, target: str, body: Any, key: dict[str, str]
) -> None:
    increment(http, key)
    answer = http.ask("POST", target, body, key)
    assert answer.status == 422
    assert http.ask("GET", "/v1/keys/n").body == b"1"


def test_a_key_in_quotes_is_the_same_as_without(http: HttpConnection, key: dict[str, str]) -> None:
    increment(http, key)
    assert REPLAYED in increment(http, {"Idempotency-Key": f'"{key["Idempotency-Key"]}"'}).headers


@pytest.mark.parametrize("text", ["", '""', "a b", "a\\b", 'a"b', "x" * 256, "\xe9"])
def test_what_is_no_key_is_refused(http: HttpConnection, text: str) -> None:
    assert increment(http, {"Idempotency-Key": text}).status == 400
    assert http.ask("GET", "/v1/keys/n").status == 404


def test_a_key_that_is_given_twice_is_refused(http: HttpConnection) -> None:
    assert increment(http, {"Idempotency-Key": "a", "idempotency-key": "b"}).status == 400


def test_an_error_that_changed_nothing_is_tried_again(http: HttpConnection, key: dict[str, str]) -> None:
    http.ask("PUT", "/v1/keys/n", b"text")
    failed = increment(http, key)
    http.ask("DELETE", "/v1/keys/n")
    again = increment(http, key)
    assert (failed.status, again.status) == (400, 200)
    assert REPLAYED not in again.headers


def test_a_condition_that_does_not_hold_is_tried_again(http: HttpConnection, key: dict[str, str]) -> None:
    body = {"operations": [{"op": "set", "key": "n", "value": "1", "if_match": "*"}]}
    assert http.ask("POST", "/v1/batch", body, key).status == 412
    http.ask("PUT", "/v1/keys/n", b"0")
    assert http.ask("POST", "/v1/batch", body, key).status == 200


def test_a_command_that_cannot_write_is_executed_again(http: HttpConnection, key: dict[str, str]) -> None:
    http.ask("POST", "/v1/commands", ["GET", "n"], key)
    http.ask("PUT", "/v1/keys/n", b"1")
    again = http.ask("POST", "/v1/commands", ["GET", "n"], key)
    assert again.json == {"reply": "1"}
    assert REPLAYED not in again.headers


def test_a_flush_does_not_make_a_retry_a_second_execution(http: HttpConnection, key: dict[str, str]) -> None:
    http.ask("POST", "/v1/commands", ["FLUSHALL"], key)
    http.ask("PUT", "/v1/keys/n", b"1")
    assert REPLAYED in http.ask("POST", "/v1/commands", ["FLUSHALL"], key).headers
    assert http.ask("GET", "/v1/keys/n").body == b"1"


def test_an_answer_too_long_to_be_kept_is_not_given_again_and_nothing_is_executed(
    http: HttpConnection, key: dict[str, str]
) -> None:
    http.ask("PUT", "/v1/keys/long", bytes(300_000))
    first = http.ask("POST", "/v1/commands", ["GETDEL", "long"], key)
    http.ask("PUT", "/v1/keys/long", b"new")
    again = http.ask("POST", "/v1/commands", ["GETDEL", "long"], key)
    assert (first.status, again.status) == (200, 409)
    assert "too long" in again.json["detail"]
    assert http.ask("GET", "/v1/keys/long").body == b"new"


def test_a_duplicate_of_a_request_that_waits_is_told_so(
    http: HttpConnection, http_server: HttpServer, redis_door: SocketConnection, key: dict[str, str]
) -> None:
    other = HttpConnection(http_server.http_address)
    redis_door.call("CLIENT", "PAUSE", "10000", "WRITE")
    http.send("POST", INCREMENT, headers=key)
    # The first one may still be on its way: ask with another connection until the server knows of it.
    while not _is_waiting(redis_door):
        pass
    duplicate = increment(other, key)
    redis_door.call("CLIENT", "UNPAUSE")
    first = http.receive()
    after = increment(other, key)
    other.close()
    assert (duplicate.status, "retry-after" in duplicate.headers) == (409, True)
    assert (first.json, after.json, REPLAYED in after.headers) == ({"value": 1}, {"value": 1}, True)


def _is_waiting(redis_door: SocketConnection) -> bool:
    return b"blocked_clients:1" in redis_door.call("INFO", "clients").value


def test_while_nothing_can_be_kept_a_request_with_a_key_is_not_executed(
    http: HttpConnection, redis_door: SocketConnection, key: dict[str, str]
) -> None:
    http.ask("PUT", "/v1/keys/n", b"1")
    redis_door.call("CONFIG", "SET", "maxmemory", "1")
    try:
        refused = http.ask("POST", "/v1/commands", ["DEL", "n"], key)
    finally:
        redis_door.call("CONFIG", "SET", "maxmemory", "0")
    assert refused.status == 507
    assert http.ask("GET", "/v1/keys/n").status == 200


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_retry_after_a_restart_is_answered_as_the_first_time(tmp_path: Path, end: str, key: dict[str, str]) -> None:
    with running(start_keystead_http(tmp_path / "data")) as server:
        http = HttpConnection(server.http_address)
        first = increment(http, key)
        http.close()
        getattr(server, end)()
    with running(start_keystead_http(tmp_path / "data")) as server:
        http = HttpConnection(server.http_address)
        again, value = increment(http, key), http.ask("GET", "/v1/keys/n").body
        http.close()
    assert (first.body, again.body, value) == (b'{"value":1}', b'{"value":1}', b"1")
    assert REPLAYED in again.headers
