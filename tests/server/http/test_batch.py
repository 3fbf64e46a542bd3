"""POST /v1/batch: what operations do, their results, conditions, all or nothing, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from keystead.server.http.batch import MOST_OPERATIONS

if TYPE_CHECKING:
    from http_client import Answer, HttpConnection
    from wire import SocketConnection

PATH = "/v1/batch"


def batch(http: HttpConnection, *operations: dict[str, Any], **headers: str) -> Answer:
    return http.ask("POST", PATH, {"operations": operations}, **headers)


def op(name: str, key: Any = "k", **members: Any) -> dict[str, Any]:
    return {"op": name, "key": key, **members}


def etag(http: HttpConnection, key: str) -> str:
    return http.ask("GET", f"/v1/keys/{key}").headers["etag"]


def test_operations_run_in_order_and_each_has_its_result(http: HttpConnection) -> None:
    answer = batch(
        http,
        op("set", value="v"),
        op("get"),
        op("append", value="w"),
        op("get", "missing"),
        op("increment", "n", by=5),
        op("increment", "n", by=0.25),
        op("expire", ttl=60),
        op("expire", "missing", ttl=60),
        op("persist"),
        op("persist"),
        op("delete"),
        op("delete"),
        {"op": "command", "command": ["SETBIT", "bits", 7, 1]},
        {"op": "command", "command": ["MGET", "n", {"base64": "Yml0cw=="}]},
    )
    assert answer.status == 200
    set_, got, *rest = answer.json["results"]
    assert got == {"value": "v", "etag": set_["etag"]}
    assert rest == [
        {"length": 2},
        {"value": None},
        {"value": 5},
        {"value": 5.25},
        {"applied": True},
        {"applied": False},
        {"applied": True},
        {"applied": False},
        {"deleted": True},
        {"deleted": False},
        {"reply": 0},
        {"reply": ["5.25", "\x01"]},
    ]


def test_keys_and_values_are_text_or_base64(http: HttpConnection) -> None:
    key = {"base64": "/w=="}
    answer = batch(http, op("set", key, value={"base64": "AP8="}), op("get", key), op("set", "é", value="ü"))
    assert answer.json["results"][1]["value"] == {"base64": "AP8="}
    assert http.ask("GET", "/v1/keys/%ff").body == b"\x00\xff"
    assert http.ask("GET", "/v1/keys/%c3%a9").body == "ü".encode()


def test_a_set_gives_a_time_to_live_keeps_it_or_takes_it_away(http: HttpConnection) -> None:
    ttl = {"op": "command", "command": ["PTTL", "k"]}
    given = batch(http, op("set", value="1", ttl=100.5), ttl, op("set", value="2", keep_ttl=True), ttl)
    assert [given.json["results"][at]["reply"] for at in (1, 3)] == [100_500, 100_500]
    assert batch(http, op("set", value="3"), ttl).json["results"][1] == {"reply": -1}


def test_a_counter_gets_its_time_to_live_once(http: HttpConnection) -> None:
    ttl = {"op": "command", "command": ["TTL", "n"]}
    answer = batch(http, op("increment", "n", ttl=100), op("increment", "n", ttl=900), ttl)
    assert answer.json["results"] == [{"value": 1}, {"value": 2}, {"reply": 100}]


def test_an_operation_that_fails_undoes_all_and_is_named(http: HttpConnection) -> None:
    batch(http, op("set", "text", value="abc"))
    answer = batch(http, op("set", value="v"), op("increment", "n", ttl=5), op("increment", "text"))
    assert answer.status == 400
    assert answer.json["operation"] == 2
    assert answer.json["redis_error"] == "ERR value is not an integer or out of range"
    assert answer.json["detail"].startswith("Operation 2: ")
    assert [http.ask("GET", f"/v1/keys/{key}").status for key in ("k", "n")] == [404, 404]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"if_absent": True}, False),
        ({"if_match": "*"}, True),
        ({"if_match": "the tag"}, True),
        ({"if_match": '"0000000000000000"'}, False),
        ({"if_match": '"0000000000000000", the tag'}, True),
    ],
)
def test_conditions_on_a_value_that_is_there(http: HttpConnection, condition: dict[str, Any], holds: bool) -> None:
    batch(http, op("set", value="old"))
    if "if_match" in condition:
        condition = {"if_match": condition["if_match"].replace("the tag", etag(http, "k"))}
    answer = batch(http, op("set", "other", value="1"), op("set", value="new", **condition))
    assert answer.status == (200 if holds else 412)
    assert http.ask("GET", "/v1/keys/k").body == (b"new" if holds else b"old")
    assert http.ask("GET", "/v1/keys/other").status == (200 if holds else 404)
    if not holds:
        assert answer.json["operation"] == 1


@pytest.mark.parametrize(
    ("condition", "holds"), [({"if_absent": True}, True), ({"if_match": "*"}, False), ({"if_match": '"0"'}, False)]
)
@pytest.mark.parametrize("name", ["get", "delete"])
def test_conditions_on_a_key_that_is_not_there(
    http: HttpConnection, name: str, condition: dict[str, Any], holds: bool
) -> None:
    assert batch(http, op(name, **condition)).status == (200 if holds else 412)


def test_a_condition_sees_what_operations_before_it_have_done(http: HttpConnection) -> None:
    assert batch(http, op("set", value="v", if_absent=True), op("delete", if_match="*")).status == 200
    assert batch(http, op("set", value="v"), op("set", value="w", if_absent=True)).json["operation"] == 1


def test_the_database_is_chosen_by_a_parameter(http: HttpConnection) -> None:
    http.ask("POST", PATH + "?db=5", {"operations": [op("set", value="five")]})
    assert http.ask("GET", "/v1/keys/k").status == 404
    assert http.ask("GET", "/v1/keys/k?db=5").body == b"five"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["FLUSHALL"], "cannot be undone"),
        (["DBSIZE"], "cannot be undone"),
        (["MULTI"], "/v1/batch"),
        (["NOSUCH"], "Unknown command"),
        (["GET"], "Wrong number of arguments"),
    ],
)
def test_commands_that_cannot_take_part_are_refused(http: HttpConnection, command: list[str], says: str) -> None:
    answer = batch(http, op("set", value="v"), {"op": "command", "command": command})
    assert (answer.status, answer.json["operation"]) == (400, 1)
    assert says in answer.json["detail"]
    assert http.ask("GET", "/v1/keys/k").status == 404


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        ([], "length >= 1"),
        ([{}], "missing required field `op`"),
        ([{"op": "nosuch", "key": "k"}], "Invalid value 'nosuch'"),
        ([{"op": "get"}], "missing required field `key`"),
        ([op("get", 3)], "Expected `str | object`, got `int`"),
        ([op("get", valeu=1)], "unknown field `valeu`"),
        ([op("set")], "missing required field `value`"),
        ([op("set", value=None)], "got `null`"),
        ([op("set", value="v", ttl=0)], "> 0.0"),
        ([op("set", value="v", ttl="60")], "got `str`"),
        ([op("set", value="v", ttl=1, keep_ttl=True)], "not both"),
        ([op("set", value="v", if_match="*", if_absent=True)], "not both"),
        ([op("set", value="v", if_match="unquoted")], "entity tags in quotes"),
        ([op("set", value="v", if_match="\u20ac")], "entity tags in quotes"),
        ([op("set", value={"base64": "*"})], "does not hold base64"),
        ([op("increment", by="x")], "got `str`"),
        ([op("increment", by=10**30)], "not an integer or out of range"),
        ([op("increment", by=True)], "got `bool`"),
        ([{"op": "command", "command": []}], "length >= 1"),
        ([op("get")] * (MOST_OPERATIONS + 1), f"length <= {MOST_OPERATIONS}"),
    ],
)
def test_what_is_no_batch_is_refused_with_what_is_wrong_and_where(
    http: HttpConnection, operations: list[Any], says: str
) -> None:
    answer = batch(http, *operations)
    assert answer.status == 400
    assert says in answer.json["detail"]


def test_a_batch_of_the_most_operations_runs(http: HttpConnection) -> None:
    answer = batch(http, *[op("increment", "n")] * MOST_OPERATIONS)
    assert answer.json["results"][-1] == {"value": MOST_OPERATIONS}


def test_a_batch_waits_for_the_end_of_a_pause(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("CLIENT", "PAUSE", "50", "WRITE")
    assert batch(http, op("set", value="v"), op("get")).json["results"][1]["value"] == "v"


def test_a_batch_that_grows_is_refused_while_there_is_no_room(
    http: HttpConnection, redis_door: SocketConnection
) -> None:
    batch(http, op("set", value="v"))
    redis_door.call("CONFIG", "SET", "maxmemory", "1")
    try:
        grows, shrinks = batch(http, op("delete"), op("set", "j", value="v")), batch(http, op("delete"))
    finally:
        redis_door.call("CONFIG", "SET", "maxmemory", "0")
    assert (grows.status, grows.json["operation"], grows.json["redis_error"][:3]) == (507, 1, "OOM")
    assert shrinks.json["results"] == [{"deleted": True}]


def test_a_watching_client_is_not_disturbed_by_what_was_undone(
    http: HttpConnection, redis_door: SocketConnection
) -> None:
    redis_door.call("WATCH", "k")
    batch(http, op("set", value="v"), op("set", value="w", if_absent=True))
    redis_door.call("MULTI")
    redis_door.call("PING")
    assert redis_door.call("EXEC").value is not None
