"""/v1/keys/{key} in front of a cluster: as in front of a store, and conditions that hold between two front doors."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from xxhash import xxh3_64_hexdigest

from http_client import HttpConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import HttpServer
    from wire import SocketConnection

PATH = "/v1/keys/"


def tag(value: bytes) -> str:
    return f'"{xxh3_64_hexdigest(value)}"'


def test_a_value_comes_back_byte_for_byte_through_either_door(http: HttpConnection, other_http: HttpConnection) -> None:
    value = bytes(range(256)) * 100
    stored = http.ask("PUT", PATH + "k", value)
    assert (stored.status, stored.headers["etag"], stored.body) == (201, tag(value), b"")
    for connection in (http, other_http):
        read = connection.ask("GET", PATH + "k")
        assert (read.status, read.body, read.headers["etag"]) == (200, value, tag(value))
        assert "keystead-ttl" not in read.headers
    assert other_http.ask("PUT", PATH + "k", b"other").status == 204
    assert http.ask("DELETE", PATH + "k").status == 204
    assert other_http.ask("DELETE", PATH + "k").status == 404
    assert http.ask("GET", PATH + "k").status == 404


def test_head_tells_all_but_the_value(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k?ttl=100", b"value")
    head = http.ask("HEAD", PATH + "k")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
    assert (head.headers["etag"], http.ask("HEAD", PATH + "absent").status) == (tag(b"value"), 404)
    assert 95 < float(head.headers["keystead-ttl"]) <= 100


def test_a_lifetime_is_set_kept_and_ended(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k?ttl=100", b"1")
    http.ask("PUT", PATH + "k?ttl=keep", b"2")
    assert "keystead-ttl" in http.ask("GET", PATH + "k").headers
    http.ask("PUT", PATH + "k", b"3")
    assert "keystead-ttl" not in http.ask("GET", PATH + "k").headers
    assert http.ask("PUT", PATH + "k?ttl=0", b"4").status == 400


@pytest.mark.parametrize("target", ["a/b%2Fc//", "%ff%00", "%2e%2E/..", "?key=_w", "", "%7Btag%7Dk"])
def test_the_key_is_the_rest_of_the_raw_path_or_in_base64url(http: HttpConnection, target: str) -> None:
    assert http.ask("PUT", PATH + target, b"v").status == 201
    assert http.ask("GET", PATH + target).body == b"v"
    assert http.ask("DELETE", PATH + target).status == 204


def test_an_empty_value_must_be_meant(http: HttpConnection) -> None:
    assert http.ask("PUT", PATH + "k").status == 400
    assert http.ask("PUT", PATH + "k?empty=true").status == 201
    read = http.ask("GET", PATH + "k")
    assert (read.status, read.body) == (200, b"")


def test_a_read_may_be_conditional(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k", b"v")
    assert http.ask("GET", PATH + "k", if_none_match=tag(b"v")).status == 304
    assert http.ask("GET", PATH + "k", if_none_match=tag(b"w")).status == 200
    assert http.ask("GET", PATH + "k", if_match=tag(b"v")).status == 200
    assert http.ask("GET", PATH + "k", if_match=tag(b"w")).status == 412


def test_a_change_may_be_conditional(http: HttpConnection) -> None:
    assert http.ask("PUT", PATH + "k", b"0", if_match=tag(b"x")).status == 412
    assert http.ask("PUT", PATH + "k", b"0", if_match="*").status == 412
    assert http.ask("PUT", PATH + "k", b"1", if_none_match="*").status == 201
    assert http.ask("PUT", PATH + "k", b"2", if_none_match="*").status == 412
    assert http.ask("PUT", PATH + "k", b"2", if_match=tag(b"x")).status == 412
    assert http.ask("PUT", PATH + "k", b"2", if_match=f"{tag(b'x')}, {tag(b'1')}").status == 204
    assert http.ask("PUT", PATH + "k", b"3", if_match="*").status == 204
    assert http.ask("PUT", PATH + "k", b"4", if_none_match=tag(b"3")).status == 412
    assert http.ask("PUT", PATH + "k", b"4", if_none_match=tag(b"x")).status == 204
    assert http.ask("PUT", PATH + "new", b"4", if_none_match=tag(b"x")).status == 201
    assert http.ask("GET", PATH + "k").body == b"4"
    assert http.ask("DELETE", PATH + "k", if_match=tag(b"x")).status == 412
    assert http.ask("DELETE", PATH + "k", if_none_match=tag(b"4")).status == 412
    assert http.ask("DELETE", PATH + "k", if_none_match="*").status == 400
    assert http.ask("DELETE", PATH + "k", if_match=tag(b"4")).status == 204
    assert http.ask("DELETE", PATH + "k", if_match=tag(b"4")).status == 404
    assert http.ask("PUT", PATH + "k", b"1", headers={"If-Match": "*", "If-None-Match": "*"}).status == 400


def test_a_condition_keeps_what_set_is_told_of_the_lifetime(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k", b"1")
    http.ask("PUT", PATH + "k?ttl=100", b"2", if_match=tag(b"1"))
    assert float(http.ask("GET", PATH + "k").headers["keystead-ttl"]) > 95


def test_other_types_than_strings_are_left_alone(http: HttpConnection, cluster_client: Callable[..., object]) -> None:
    cluster_client("HSET", "h", "field", "1")
    assert http.ask("GET", PATH + "h").status == 409
    assert http.ask("PUT", PATH + "h", b"v", if_match=tag(b"x")).status == 409
    assert http.ask("DELETE", PATH + "h", if_match=tag(b"x")).status == 409
    assert http.ask("PUT", PATH + "h", b"v").status == 204
    assert http.ask("GET", PATH + "h").body == b"v"


def test_of_many_who_create_at_once_through_two_doors_one_wins(door: HttpServer, other_door: HttpServer) -> None:
    clients = [HttpConnection(each.http_address) for each in (door, other_door) for _ in range(4)]
    start = threading.Barrier(len(clients))

    def create(client: HttpConnection, number: int) -> int:
        start.wait()
        return client.ask("PUT", f"{PATH}only-once-{number}", b"mine", if_none_match="*").status

    with ThreadPoolExecutor(len(clients)) as pool:
        for number in range(20):
            statuses = Counter(pool.map(create, clients, [number] * len(clients)))
            assert statuses == {201: 1, 412: len(clients) - 1}
            clients[0].ask("DELETE", f"{PATH}only-once-{number}")
    for client in clients:
        client.close()


def test_no_change_under_if_match_is_lost_between_two_doors(
    http: HttpConnection, door: HttpServer, other_door: HttpServer
) -> None:
    """Eight clients count by reading, adding and writing under the entity tag that they have read."""
    http.ask("PUT", PATH + "count", b"0")
    each = 10

    def count(server: HttpServer) -> int:
        client = HttpConnection(server.http_address)
        tries = 0
        for _ in range(each):
            while True:
                tries += 1
                read = client.ask("GET", PATH + "count")
                value = b"%d" % (int(read.body) + 1)
                status = client.ask("PUT", PATH + "count", value, if_match=read.headers["etag"]).status
                if status == 204:
                    break
                assert status == 412
        client.close()
        return tries

    servers = [door, other_door] * 4
    with ThreadPoolExecutor(len(servers)) as pool:
        tries = sum(pool.map(count, servers))
    assert http.ask("GET", PATH + "count").body == b"%d" % (each * len(servers))
    assert tries > each * len(servers), "nobody was ever quicker, so nothing was tested"


def test_both_protocols_see_the_same(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("SET", "k", "by redis")
    assert http.ask("GET", PATH + "k").body == b"by redis"
    http.ask("PUT", PATH + "k", b"by http")
    assert redis_door.call("GET", "k").value == b"by http"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "k?db=1", 400),
        ("PUT", "k?db=15", 400),
        ("GET", "k?db=x", 400),
        ("GET", "k?ttl=1", 400),
        ("GET", "%zz", 400),
        ("GET", "?key=***", 400),
        ("PATCH", "k", 405),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(http: HttpConnection, method: str, target: str, status: int) -> None:
    answer = http.ask(method, PATH + target, b"v" if method == "PUT" else None)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_one_database_may_be_named(http: HttpConnection) -> None:
    assert http.ask("PUT", PATH + "k?db=0", b"v").status == 201
    refused = http.ask("GET", PATH + "k?db=3")
    assert "one database" in refused.json["detail"]
