"""Several operations as one in front of a cluster: all or nothing within a slot, conditions, counters, transactions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from xxhash import xxh3_64_hexdigest

from http_client import Answer, HttpConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import HttpServer
    from wire import SocketConnection

CROSS_SLOT = "urn:keystead:cross-slot"


def tag(value: bytes) -> str:
    return f'"{xxh3_64_hexdigest(value)}"'


def batch(http: HttpConnection, *operations: dict[str, Any]) -> Answer:
    return http.ask("POST", "/v1/batch", {"operations": list(operations)})


def test_operations_run_in_order_and_each_has_a_result(http: HttpConnection) -> None:
    done = batch(
        http,
        {"op": "set", "key": "{t}a", "value": "1", "ttl": 100},
        {"op": "increment", "key": "{t}a", "by": 41},
        {"op": "get", "key": "{t}a"},
        {"op": "append", "key": "{t}b", "value": {"base64": "/w=="}},
        {"op": "get", "key": "{t}absent"},
        {"op": "expire", "key": "{t}b", "ttl": 50},
        {"op": "persist", "key": "{t}b"},
        {"op": "increment", "key": "{t}f", "by": 0.5},
        {"op": "command", "command": ["STRLEN", "{t}a"]},
        {"op": "command", "command": ["MGET", "{t}a", "{t}absent"]},
        {"op": "delete", "key": "{t}a"},
    )
    assert done.json == {
        "results": [
            {"etag": tag(b"1")},
            {"value": 42},
            {"value": "42", "etag": tag(b"42")},
            {"length": 1},
            {"value": None},
            {"applied": True},
            {"applied": True},
            {"value": 0.5},
            {"reply": 2},
            {"reply": ["42", None]},
            {"deleted": True},
        ]
    }


def test_what_was_done_before_a_failure_is_undone_with_lifetimes_and_types(
    http: HttpConnection, redis_door: SocketConnection, cluster_client: Callable[..., Any]
) -> None:
    redis_door.call("SET", "{t}text", "no number")
    redis_door.call("SET", "{t}lives", "old", "PX", 100_000)
    cluster_client("HSET", "{t}hash", "field", "1")
    failed = batch(
        http,
        {"op": "set", "key": "{t}new", "value": "1"},
        {"op": "set", "key": "{t}lives", "value": "new"},
        {"op": "delete", "key": "{t}hash"},
        {"op": "increment", "key": "{t}text"},
    )
    assert (failed.status, failed.json["operation"]) == (400, 3)
    assert failed.json["redis_error"] == "ERR value is not an integer or out of range"
    assert "Nothing was changed." in failed.json["detail"]
    assert redis_door.call("GET", "{t}new").value is None
    assert redis_door.call("GET", "{t}lives").value == b"old"
    assert 90_000 < redis_door.call("PTTL", "{t}lives").value <= 100_000
    assert cluster_client("HGET", "{t}hash", "field") == b"1"


def test_a_condition_that_does_not_hold_leaves_nothing_done(http: HttpConnection) -> None:
    http.ask("PUT", "/v1/keys/%7Bt%7Da", b"1")
    failed = batch(
        http,
        {"op": "set", "key": "{t}b", "value": "x"},
        {"op": "set", "key": "{t}a", "value": "2", "if_match": tag(b"other")},
    )
    assert (failed.status, failed.json["operation"]) == (412, 1)
    assert http.ask("GET", "/v1/keys/%7Bt%7Db").status == 404
    assert batch(http, {"op": "set", "key": "{t}a", "value": "2", "if_absent": True}).status == 412
    assert batch(http, {"op": "set", "key": "{t}c", "value": "2", "if_match": "*"}).status == 412
    done = batch(
        http,
        {"op": "set", "key": "{t}c", "value": "3", "if_absent": True},
        {"op": "set", "key": "{t}a", "value": "2", "if_match": tag(b"1")},
        {"op": "delete", "key": "{t}a", "if_match": "*"},
    )
    assert done.status == 200


def test_a_condition_sees_what_the_same_batch_has_done(http: HttpConnection) -> None:
    done = batch(
        http,
        {"op": "set", "key": "{t}a", "value": "1"},
        {"op": "set", "key": "{t}a", "value": "2", "if_match": tag(b"1")},
        {"op": "append", "key": "{t}a", "value": "3", "if_match": tag(b"2")},
        {"op": "get", "key": "{t}a", "if_match": tag(b"23")},
    )
    assert done.json["results"][3]["value"] == "23"


def test_keys_of_several_slots_are_refused_before_anything_is_done(http: HttpConnection) -> None:
    refused = batch(http, {"op": "set", "key": "a", "value": "1"}, {"op": "set", "key": "b", "value": "1"})
    assert (refused.status, refused.json["type"]) == (400, CROSS_SLOT)
    assert refused.json["redis_error"].startswith("CROSSSLOT ")
    assert http.ask("GET", "/v1/keys/a").status == 404


def test_counters_are_exact_beyond_what_a_double_holds(http: HttpConnection) -> None:
    most = 9_223_372_036_854_775_807
    http.ask("PUT", "/v1/keys/%7Bt%7Dn", b"%d" % (most - 2))
    done = batch(http, {"op": "increment", "key": "{t}n"}, {"op": "set", "key": "{t}x", "value": "1"})
    assert done.json["results"][0]["value"] == most - 1
    assert http.ask("POST", "/v1/increment/%7Bt%7Dn?by=1&ttl=100").json == {"value": most}
    over = batch(http, {"op": "delete", "key": "{t}x"}, {"op": "increment", "key": "{t}n"})
    assert (over.status, over.json["operation"]) == (400, 1)
    assert http.ask("GET", "/v1/keys/%7Bt%7Dx").status == 200


def test_a_reply_that_lua_cannot_hold_is_refused_and_undone(http: HttpConnection) -> None:
    http.ask("PUT", "/v1/keys/%7Bt%7Dbits", b"\x7f" + b"\xff" * 7)
    refused = batch(
        http,
        {"op": "command", "command": ["BITFIELD", "{t}bits", "SET", "i64", "0", "1"]},
        {"op": "set", "key": "{t}a", "value": "1"},
    )
    assert refused.status == 400
    assert "too large for a batch in a cluster" in refused.json["detail"]
    assert http.ask("GET", "/v1/keys/%7Bt%7Dbits").body == b"\x7f" + b"\xff" * 7


def test_an_increment_gives_a_lifetime_to_a_key_that_has_none(http: HttpConnection) -> None:
    assert http.ask("POST", "/v1/increment/visits").json == {"value": 1}
    assert http.ask("POST", "/v1/increment/visits?by=1.5").json == {"value": 2.5}
    assert http.ask("POST", "/v1/increment/limited?ttl=100").json == {"value": 1}
    assert float(http.ask("GET", "/v1/keys/limited").headers["keystead-ttl"]) > 95
    assert http.ask("POST", "/v1/increment/limited?by=x").status == 400


@pytest.mark.parametrize(
    "command", [["MULTI"], ["KEYS", "*"], ["KS.HISTORY", "{t}a"], ["FLUSHALL"], ["NOSUCH", "a"], ["GET"]]
)
def test_what_cannot_be_undone_or_is_not_there_is_no_part_of_a_batch(http: HttpConnection, command: list[str]) -> None:
    refused = batch(http, {"op": "set", "key": "{t}a", "value": "1"}, {"op": "command", "command": command})
    assert refused.status in (400, 501)
    assert http.ask("GET", "/v1/keys/%7Bt%7Da").status == 404


def test_batches_under_conditions_lose_nothing_between_two_doors(
    http: HttpConnection, door: HttpServer, other_door: HttpServer
) -> None:
    """Money moves between two accounts of one slot: the sum stays, and so does the number of moves."""
    batch(http, {"op": "set", "key": "{m}a", "value": "100"}, {"op": "set", "key": "{m}b", "value": "100"})
    each = 8

    def move(server: HttpServer) -> None:
        client = HttpConnection(server.http_address)
        for _ in range(each):
            while True:
                a, b = (client.ask("GET", f"/v1/keys/%7Bm%7D{name}") for name in "ab")
                moved = batch(
                    client,
                    {"op": "set", "key": "{m}a", "value": f"{int(a.body) - 1}", "if_match": a.headers["etag"]},
                    {"op": "set", "key": "{m}b", "value": f"{int(b.body) + 1}", "if_match": b.headers["etag"]},
                    {"op": "increment", "key": "{m}moves"},
                )
                if moved.status == 200:
                    break
                assert moved.status == 412
        client.close()

    servers = [door, other_door] * 3
    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(move, servers))
    moves = each * len(servers)
    values = [int(http.ask("GET", f"/v1/keys/%7Bm%7D{name}").body) for name in ("a", "b", "moves")]
    assert values == [100 - moves, 100 + moves, moves]


def test_the_upstash_dialect_works(http: HttpConnection) -> None:
    assert http.ask("POST", "/", ["SET", "{u}k", "v"]).json == {"result": "OK"}
    assert http.ask("GET", "/get/%7Bu%7Dk").json == {"result": "v"}
    piped = http.ask("POST", "/pipeline", [["INCR", "n"], ["INCR", "m"], ["LPUSH", "n"], ["GET", "n"]])
    assert piped.json[0] == {"result": 1}
    assert piped.json[1] == {"result": 1}
    assert "error" in piped.json[2]
    assert piped.json[3] == {"result": "1"}
    done = http.ask("POST", "/multi-exec", [["SET", "{u}k", "x"], ["INCR", "{u}k"], ["GET", "{u}k"]])
    assert done.json[0] == {"result": "OK"}
    assert "not an integer" in done.json[1]["error"]
    assert done.json[2] == {"result": "x"}
    refused = http.ask("POST", "/multi-exec", [["SET", "a", "x"], ["SET", "b", "x"]])
    assert (refused.status, refused.json["error"][:9]) == (400, "CROSSSLOT")


def test_commands_answer_as_json(http: HttpConnection) -> None:
    assert http.ask("POST", "/v1/commands", ["MSET", "a", "1", "b", "2"]).json == {"reply": "OK"}
    assert http.ask("POST", "/v1/commands", ["MGET", "a", "b", "c"]).json == {"reply": ["1", "2", None]}
    assert http.ask("POST", "/v1/commands", ["DBSIZE"]).json == {"reply": 2}
    wrong = http.ask("POST", "/v1/commands", ["GET"])
    assert (wrong.status, wrong.json["redis_error"]) == (400, "ERR wrong number of arguments for 'get' command")
    assert http.ask("POST", "/v1/commands", ["MULTI"]).status == 400


def test_a_batch_waits_for_the_end_of_a_pause(http: HttpConnection, redis_door: SocketConnection) -> None:
    assert redis_door.call("CLIENT", "PAUSE", 60_000, "WRITE").value == b"OK"
    operations = [{"op": "set", "key": "{p}a", "value": "1"}, {"op": "increment", "key": "{p}a"}]
    http.send("POST", "/v1/batch", {"operations": operations})
    assert redis_door.call("GET", "{p}a").value is None
    assert redis_door.call("CLIENT", "UNPAUSE").value == b"OK"
    assert http.receive().json["results"][1] == {"value": 2}


def test_monitors_are_told_of_the_steps_of_a_batch(http: HttpConnection, door: HttpServer) -> None:
    monitor = door.connect()
    assert monitor.call("MONITOR").value == b"OK"
    batch(http, {"op": "set", "key": "{t}a", "value": "1"}, {"op": "increment", "key": "{t}a"})
    told = [monitor.receive().value.split(b"] ")[1] for _ in range(2)]
    assert told == [b'"SET" "{t}a" "1"', b'"INCRBY" "{t}a" "1"']
    monitor.close()
