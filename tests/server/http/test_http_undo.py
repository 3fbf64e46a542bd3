"""Undo over HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from http_client import HttpConnection
from servers import running, start_keystead_http

if TYPE_CHECKING:
    from pathlib import Path

    from servers import HttpServer
    from wire import SocketConnection


@pytest.fixture
def gone(http: HttpConnection) -> int:
    """The sequence number of a transaction that deleted keys `a/b` and `c`."""
    http.ask("PUT", "/v1/keys/a/b", b"one")
    http.ask("PUT", "/v1/keys/c", b"\xff")
    http.ask("POST", "/v1/commands", ["DEL", "a/b", "c"])
    return last_change(http, "a/b")


def last_change(http: HttpConnection, key: str) -> int:
    found: int = http.ask("GET", f"/v1/history/{key}?count=1").json["changes"][0]["sequence"]
    return found


def undo(http: HttpConnection, sequence: int, body: Any = None) -> tuple[int, Any]:
    answer = http.ask("POST", f"/v1/changes/{sequence}/undo", body)
    return answer.status, answer.json


def test_a_transaction_is_undone_and_the_undo_is_too(http: HttpConnection, gone: int) -> None:
    status, undone = undo(http, gone)
    assert (status, undone) == (200, {"sequence": gone + 1, "restored": 2, "skipped": [], "without_expiry": []})
    assert http.ask("GET", "/v1/keys/c").body == b"\xff"
    assert undo(http, undone["sequence"])[0] == 200
    assert http.ask("GET", "/v1/keys/c").status == 404


def test_an_undo_that_is_sent_again_changes_nothing(http: HttpConnection, gone: int) -> None:
    undo(http, gone)
    status, problem = undo(http, gone)
    assert status == 409
    assert "nothing to undo" in problem["detail"]


def test_keys_that_were_changed_since_are_listed_left_alone_or_put_back(http: HttpConnection, gone: int) -> None:
    http.ask("PUT", "/v1/keys/c", b"newer")
    status, problem = undo(http, gone)
    assert status == 409
    assert (problem["conflicts"], problem["keys"]) == (1, [{"db": 0, "key": "c"}])
    assert http.ask("GET", "/v1/keys/a/b").status == 404
    status, undone = undo(http, gone, {"conflicts": "skip"})
    assert (status, undone["restored"], undone["skipped"]) == (200, 1, [{"db": 0, "key": "c"}])
    assert http.ask("GET", "/v1/keys/c").body == b"newer"
    assert undo(http, gone, {"conflicts": "force"})[0] == 200
    assert http.ask("GET", "/v1/keys/c").body == b"\xff"


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ("/v1/changes/999999999/undo", None, 404),
        ("/v1/changes/first/undo", None, 404),
        ("/v1/changes/1", None, 404),
        ("/v1/changes/1/undo", {"conflicts": "ask"}, 400),
        ("/v1/changes/1/undo", {"conflict": "skip"}, 400),
        ("/v1/changes/1/undo?db=1", None, 400),
        ("/v1/restore/never-was", {"last": True}, 404),
        ("/v1/restore/never-was", {"at": "now"}, 404),
        ("/v1/restore/k", {}, 400),
        ("/v1/restore/k", None, 400),
        ("/v1/restore/k", {"at": "now", "last": True}, 400),
        ("/v1/restore/k", {"at": "some day"}, 400),
    ],
)
def test_what_cannot_be_done_is_a_problem(http: HttpConnection, target: str, body: Any, status: int) -> None:
    http.ask("PUT", "/v1/keys/k", b"v")
    answer = http.ask("POST", target, body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_removed_key_comes_back_as_it_was_last(http: HttpConnection) -> None:
    http.ask("PUT", "/v1/keys/a/b?db=3", b"one")
    http.ask("DELETE", "/v1/keys/a/b?db=3")
    answer = http.ask("POST", "/v1/restore/a/b?db=3", {"last": True})
    assert (answer.status, answer.json["restored"]) == (200, 1)
    assert http.ask("GET", "/v1/keys/a/b?db=3").body == b"one"
    assert http.ask("POST", "/v1/restore/a/b?db=3", {"last": True}).status == 409


def test_a_key_comes_back_as_it_was_at_a_moment(http: HttpConnection) -> None:
    http.ask("PUT", "/v1/keys/k", b"one")
    then = last_change(http, "k")
    for at in (then, str(then)):
        http.ask("PUT", "/v1/keys/k", b"two")
        assert http.ask("POST", "/v1/restore/?key=aw", {"at": at}).status == 200
        assert http.ask("GET", "/v1/keys/k").body == b"one"


def test_a_key_whose_time_is_up_comes_back_without_an_expiry(http: HttpConnection) -> None:
    http.ask("POST", "/v1/commands", ["SET", "k", "v", "PX", "50"])
    put = last_change(http, "k")
    while http.ask("GET", "/v1/keys/k").status == 200:
        pass
    answer = http.ask("POST", "/v1/restore/k", {"at": put})
    assert (answer.status, answer.json["without_expiry"]) == (200, [{"db": 0, "key": "k"}])
    assert "keystead-ttl" not in http.ask("GET", "/v1/keys/k").headers


def test_beyond_what_is_kept_the_answer_says_how_far_back_one_can_go(tmp_path: Path) -> None:
    options = ("--history-max-bytes", "0", "--segment-size", "1mb")
    with running(start_keystead_http(tmp_path / "data", *options)) as server:
        redis, http = server.connect(), HttpConnection(server.http_address)
        http.ask("PUT", "/v1/keys/k", b"v")
        for number in range(30):
            redis.call("SET", f"filling:{number}", "x" * 100_000)
        while http.ask("GET", "/v1/history/k?count=1").json["changes"]:
            redis.call("BGREWRITEAOF")
            time.sleep(0.05)
        for target, body in (("/v1/changes/1/undo", None), ("/v1/restore/k", {"at": 1})):
            answer = http.ask("POST", target, body)
            assert (answer.status, "past is kept from" in answer.json["detail"]) == (410, True)
        redis.close()
        http.close()


def test_who_may_not_write_one_of_the_keys_undoes_nothing(
    http: HttpConnection, http_server: HttpServer, redis_door: SocketConnection, gone: int
) -> None:
    redis_door.call("ACL", "SETUSER", "ada", "on", ">word", "~a*", "+@all")
    ada = HttpConnection(http_server.http_address, {"Authorization": "Basic YWRhOndvcmQ="})
    try:
        for how in ("refuse", "skip", "force"):
            assert undo(ada, gone, {"conflicts": how})[0] == 403
        assert http.ask("GET", "/v1/keys/a/b").status == 404
        assert ada.ask("POST", "/v1/restore/c", {"last": True}).status == 403
        assert ada.ask("POST", "/v1/restore/a/b", {"last": True}).status == 200
    finally:
        ada.close()
        redis_door.call("ACL", "DELUSER", "ada")
