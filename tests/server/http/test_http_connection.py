"""One HTTP connection: what is HTTP and what is not, limits, pipelines, half-closed and slow clients."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from http_client import HttpConnection
from raw_http import RawConnection, statuses
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from wire import SocketConnection

HOST = b"Host: localhost\r\n"
GET = b"GET /v1/keys/k HTTP/1.1\r\n" + HOST + b"\r\n"


def put(key: bytes, value: bytes, headers: bytes = b"") -> bytes:
    return b"PUT /v1/keys/%b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (key, HOST, headers, len(value), value)


@pytest.fixture
def raw(http_server: HttpServer, http: HttpConnection) -> Iterator[RawConnection]:
    """A raw connection to an empty store."""
    assert http.ask("GET", "/livez").status == 200
    connection = RawConnection(http_server.http_address)
    yield connection
    connection.close()


# --- what is not HTTP -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\x01\x02\r\n\r\n", 400),
        (b"*1\r\n$4\r\nPING\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /livez HTTP/9.9\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"PUT /v1/keys/k HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET /v1/keys/k HTTP/1.1\r\n\r\n", 400),
        (b"GET v1/keys/k HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"".join(b"A%d: x\r\n" % i for i in range(200)) + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 100_000, 431),
        (b"PUT /v1/keys/k HTTP/1.1\r\n" + HOST + b"Content-Length: 999999999999\r\n\r\n", 413),
        (b"PUT /v1/keys/k HTTP/1.1\r\n" + HOST + b"Expect: wonders\r\nContent-Length: 1\r\n\r\n", 417),
    ],
)
def test_what_cannot_be_served_is_answered_by_a_problem_and_closed(
    raw: RawConnection, sent: bytes, status: int
) -> None:
    raw.send(sent)
    raw.socket.shutdown(socket.SHUT_WR)
    answer = raw.rest()
    assert statuses(answer) == [status]
    assert b"application/problem+json" in answer
    assert b"Traceback" not in answer


def test_what_came_before_the_garbage_is_answered(raw: RawConnection) -> None:
    raw.send(put(b"k", b"v") + GET + b"\x00\x00\r\n\r\n" + GET)
    assert statuses(raw.rest()) == [201, 200, 400]


# --- forms of requests ------------------------------------------------------------------------------------------------


def test_a_pipeline_is_answered_in_order(raw: RawConnection) -> None:
    count = 300
    raw.send(
        b"".join(put(b"k", b"%d" % i) + GET for i in range(count)) + GET.replace(HOST, HOST + b"Connection: close\r\n")
    )
    answer = raw.rest()
    assert statuses(answer) == [201, 200, *[204, 200] * (count - 1), 200]
    bodies = [part.partition(b"HTTP/1.1")[0] for part in answer.split(b"\r\n\r\n")[1:]]
    assert [body for body in bodies if body] == [*(b"%d" % i for i in range(count)), b"%d" % (count - 1)]


def test_a_request_may_come_byte_by_byte(raw: RawConnection) -> None:
    raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in put(b"k", b"value"):
        raw.send(bytes((byte,)))
    assert statuses(raw.until(b"\r\n\r\n")) == [201]


def test_a_body_may_come_in_chunks(raw: RawConnection, redis_door: SocketConnection) -> None:
    head = b"PUT /v1/keys/k HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    raw.send(head + b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nAuthorization: Basic eDp5\r\n\r\n")
    assert statuses(raw.until(b"\r\n\r\n")) == [201]
    assert redis_door.call("GET", "k").value == b"abcdefg"


def test_a_client_may_ask_whether_to_send_its_body(raw: RawConnection) -> None:
    raw.send(b"PUT /v1/keys/k HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert raw.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    raw.send(b"abc")
    assert statuses(raw.until(b"\r\n\r\n")) == [201]


def test_a_body_that_will_be_refused_is_not_asked_for(raw: RawConnection) -> None:
    raw.send(b"PUT /v1/keys/k?tll=1 HTTP/1.1\r\nHost: evil\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert statuses(raw.until(b"\r\n\r\n")) == [421]


def test_version_1_0_is_served_and_closed_unless_it_asks_otherwise(raw: RawConnection) -> None:
    raw.send(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in raw.until(b"}")
    raw.send(b"GET /livez HTTP/1.0\r\n\r\n")
    assert b"Connection: close\r\n" in raw.rest()


def test_a_target_may_be_absolute_and_then_names_the_host(raw: RawConnection) -> None:
    raw.send(b"GET http://localhost:1/livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert statuses(raw.until(b"}")) == [200]
    raw.send(b"GET http://evil/v1/keys/k HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert statuses(raw.until(b"}")) == [421]


def test_another_protocol_is_not_spoken(raw: RawConnection) -> None:
    raw.send(b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert statuses(raw.rest()) == [200]


def test_a_client_that_has_closed_its_side_still_gets_its_answers(raw: RawConnection) -> None:
    raw.send(put(b"k", b"v") + GET)
    raw.socket.shutdown(socket.SHUT_WR)
    assert statuses(raw.rest()) == [201, 200]


def test_half_a_request_changes_nothing(raw: RawConnection, redis_door: SocketConnection) -> None:
    raw.send(put(b"k", b"value")[:-1])
    raw.socket.shutdown(socket.SHUT_WR)
    assert raw.rest() == b""
    assert redis_door.call("EXISTS", "k").value == 0


def test_a_client_that_does_not_read_waits_for_nobody_else(raw: RawConnection, http: HttpConnection) -> None:
    http.ask("PUT", "/v1/keys/k", b"x" * 2_000_000)
    raw.send(GET * 200)
    assert http.ask("GET", "/v1/keys/k").status == 200
    first = raw.socket.recv(100)
    assert first.startswith(b"HTTP/1.1 200 OK")


# --- among clients ----------------------------------------------------------------------------------------------------


def test_http_clients_are_listed_and_can_be_killed(http: HttpConnection, redis_door: SocketConnection) -> None:
    http.ask("GET", "/v1/keys/k")
    lines = redis_door.call("CLIENT", "LIST").value.decode().splitlines()
    assert len(lines) >= 2
    own = redis_door.call("CLIENT", "ID").value
    for line in lines:
        fields = dict(word.split("=", 1) for word in line.split())
        if int(fields["id"]) != own:
            redis_door.call("CLIENT", "KILL", "ID", fields["id"])
    with pytest.raises(ConnectionError):
        http.ask("GET", "/v1/keys/k")


# --- limits of a server of their own ----------------------------------------------------------------------------------


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[HttpServer]:
    """A server with short deadlines and few connections."""
    options = ("--http-header-timeout", "1s", "--http-idle-timeout", "1s", "--http-max-connections-per-address", "3")
    with running(start_keystead_http(tmp_path / "data", *options)) as server:
        yield server


def test_a_head_that_does_not_come_in_time_is_answered_so(impatient: HttpServer) -> None:
    raw = RawConnection(impatient.http_address)
    raw.send(b"GET /livez HTT")
    assert statuses(raw.rest()) == [408]
    raw.close()


def test_who_says_nothing_is_closed_without_a_word(impatient: HttpServer) -> None:
    raw = RawConnection(impatient.http_address)
    assert raw.rest() == b""
    raw.close()


def test_an_idle_connection_is_closed(impatient: HttpServer) -> None:
    raw = RawConnection(impatient.http_address)
    raw.send(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
    assert statuses(raw.rest()) == [200]
    raw.close()


def test_one_address_has_only_so_many_connections(impatient: HttpServer) -> None:
    some = [RawConnection(impatient.http_address) for _ in range(3)]
    crowd = RawConnection(impatient.http_address)
    answer = crowd.until(b"}")
    assert statuses(answer) == [503]
    assert b"Retry-After: " in answer
    some.pop().close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        another = HttpConnection(impatient.http_address)
        try:
            if another.ask("GET", "/livez").status == 200:
                break
        except OSError:
            pass
        finally:
            another.close()
    else:
        pytest.fail("the place of a connection that was closed is not given to another")
    for connection in (*some, crowd):
        connection.close()


def test_a_thousand_slow_connections_do_not_keep_others_from_being_served(http_server: HttpServer) -> None:
    slow = []
    try:
        for _ in range(1000):
            connection = socket.create_connection(http_server.http_address)
            connection.sendall(b"GET /v1/keys/k HTTP/1.1\r\nHost:")
            slow.append(connection)
        quick = HttpConnection(http_server.http_address)
        assert quick.ask("PUT", "/v1/keys/k", b"v").status in (201, 204)
        assert quick.ask("GET", "/v1/keys/k").body == b"v"
        quick.close()
    finally:
        for connection in slow:
            connection.close()
