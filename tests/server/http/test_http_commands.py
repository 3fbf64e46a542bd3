"""POST /v1/commands: how commands are written, how replies and errors are told, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from http_client import HttpConnection
    from wire import SocketConnection

PATH = "/v1/commands"


@pytest.mark.parametrize(
    "body",
    [
        ["SET", "k", "v"],
        ["set", "k", {"base64": "dg=="}],
        {"command": ["SET", "k", "v"]},
        {"command": ["SET", "k", "v"], "db": 0},
        ["SET", "k", "v", "EX", 100],
    ],
)
def test_a_command_is_an_array_or_an_object_with_one(http: HttpConnection, body: Any) -> None:
    answer = http.ask("POST", PATH, body)
    assert (answer.status, answer.json) == (200, {"reply": "OK"})
    assert answer.headers["content-type"] == "application/json"
    assert http.ask("POST", PATH, ["GET", "k"]).json == {"reply": "v"}


def test_bytes_travel_as_base64(http: HttpConnection) -> None:
    http.ask("POST", PATH, ["SET", {"base64": "//8="}, {"base64": "AP8="}])
    assert http.ask("POST", PATH, ["GET", {"base64": "//8="}]).json == {"reply": {"base64": "AP8="}}
    assert http.ask("POST", PATH + "?reply=base64", ["KEYS", "*"]).json == {"reply": ["//8="]}


def test_a_reply_may_be_told_with_its_types(http: HttpConnection) -> None:
    typed = {"type": "array", "value": [{"type": "null", "value": None}]}
    assert http.ask("POST", PATH + "?reply=typed", ["MGET", "k"]).json == {"reply": typed}
    assert http.ask("POST", PATH, ["CONFIG", "GET", "databases"]).json == {"reply": {"databases": "16"}}


def test_the_database_is_named_by_the_parameter_or_the_body_and_forgotten_afterwards(http: HttpConnection) -> None:
    http.ask("POST", PATH + "?db=3", ["SET", "k", "three"])
    http.ask("POST", PATH, {"command": ["SET", "k", "four"], "db": 4})
    assert http.ask("POST", PATH, ["EXISTS", "k"]).json == {"reply": 0}
    assert http.ask("POST", PATH + "?db=4", ["GET", "k"]).json == {"reply": "four"}
    assert http.ask("POST", PATH, {"command": ["GET", "k"], "db": 16}).status == 400


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        (["GET"], 400, "ERR wrong number of arguments for 'get' command"),
        (["NOSUCH", "a"], 400, "ERR unknown command 'NOSUCH', with args beginning with: 'a' "),
        (["POST", "/"], 400, "ERR unknown command 'POST', with args beginning with: '/' "),
        ([""], 400, "ERR unknown command '', with args beginning with: "),
        (["OBJECT", "NOSUCH", "k"], 400, "ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP."),
        ([{"base64": "/w=="}], 400, "ERR unknown command '\ufffd', with args beginning with: "),
        (["INCR", "text"], 400, "ERR value is not an integer or out of range"),
    ],
)
def test_an_error_is_a_problem_with_the_redis_error_inside(
    http: HttpConnection, command: list[Any], status: int, error: str
) -> None:
    http.ask("POST", PATH, ["SET", "text", "abc"])
    answer = http.ask("POST", PATH, command)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["redis_error"] == error
    assert http.ask("POST", PATH, ["PING"]).json == {"reply": "PONG"}  # on the same connection


@pytest.mark.parametrize(
    "command",
    [
        ["MULTI"],
        ["EXEC"],
        ["WATCH", "k"],
        ["SELECT", "1"],
        ["AUTH", "x"],
        ["HELLO", "2"],
        ["CLIENT", "REPLY", "OFF"],
        ["CLIENT", "SETNAME", "x"],
        ["MONITOR"],
        ["UNSUBSCRIBE"],
        ["RESET"],
        ["QUIT"],
    ],
)
def test_what_changes_a_connection_is_refused_and_batches_are_named(http: HttpConnection, command: list[str]) -> None:
    answer = http.ask("POST", PATH, command)
    assert answer.status == 400
    assert "/v1/batch" in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no body"),
        (b"[", "cannot be read"),
        (b"[]", "a command has a name"),
        (b"null", "cannot be read"),
        (b"3", "cannot be read"),
        (b'"PING"', "cannot be read"),
        (b"{}", "missing required field `command`"),
        (b'{"command": "PING"}', "Expected `array`, got `str`"),
        (b'{"command": ["PING"], "database": 1}', "unknown field `database`"),
        (b'["GET", null]', "an argument must be"),
        (b'["GET", ["k"]]', "an argument must be"),
        (b'["GET", {"base64": "?"}]', "does not hold base64"),
        (b'["GET", "\\ud800"]', "cannot be read"),
        (b'["GET", "\xff"]', "cannot be read"),
        (b'["PING"] x', "cannot be read"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_command_is_refused_with_what_is_wrong(http: HttpConnection, body: bytes, says: str) -> None:
    answer = http.ask("POST", PATH, body)
    assert answer.status == 400
    assert says in answer.json["detail"]


def test_parameters_that_do_not_exist_are_refused(http: HttpConnection) -> None:
    assert "Did you mean 'reply'" in http.ask("POST", PATH + "?replay=typed", ["PING"]).json["detail"]
    assert http.ask("POST", PATH + "?reply=xml", ["PING"]).status == 400


def test_a_long_body_is_refused_in_favour_of_single_values(http: HttpConnection) -> None:
    answer = http.ask("POST", PATH, ["SET", "k", "x" * (17 << 20)])
    assert answer.status == 413
    assert "/v1/keys" in answer.json["detail"]


def test_commands_that_wait_are_waited_for(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("CLIENT", "PAUSE", "50", "WRITE")
    assert http.ask("POST", PATH, ["SET", "k", "v"]).json == {"reply": "OK"}
    assert http.ask("POST", PATH, ["WAIT", 1, 20]).json == {"reply": 0}
    assert http.ask("POST", PATH, ["DEBUG", "SLEEP", "0.01"]).json == {"reply": "OK"}
