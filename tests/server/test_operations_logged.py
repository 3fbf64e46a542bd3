"""The operation log of a whole server: both protocols, and what of HTTP is no command."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

PATIENCE_S = 10.0


class Logged:
    """A server with an operation log."""

    def __init__(self, server: HttpServer, path: Path) -> None:
        self.server = server
        self._path = path

    def lines(self, count: int) -> list[dict[str, Any]]:
        """So many lines, once they are there."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = [json.loads(line) for line in self._path.read_text().splitlines()] if self._path.exists() else []
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.01)


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    path = tmp_path / "operations.log"
    options = ("--operations-log-file", str(path), "--log-operations", "yes", "--requirepass", "x")
    with running(start_keystead_http(tmp_path / "data", *options)) as server:
        redis = server.connect()
        redis.call("AUTH", "x")
        redis.call("ACL", "SETUSER", "ada", "on", ">y", "+get", "+set", "~mine")
        redis.close()
        started = Logged(server, path)
        started.lines(3)  # PING while it started, AUTH, ACL SETUSER
        path.write_text("")
        yield started


def http(logged: Logged, name: str, password: str) -> HttpConnection:
    login = base64.b64encode(f"{name}:{password}".encode()).decode()
    return HttpConnection(logged.server.http_address, {"Authorization": f"Basic {login}"})


def test_single_keys_and_batches_name_user_protocol_and_keys(logged: Logged) -> None:
    client = http(logged, "ada", "y")
    assert client.ask("PUT", "/v1/keys/mine", b"secret").status == 201
    assert client.ask("GET", "/v1/keys/mine?db=0").body == b"secret"
    assert client.ask("GET", "/v1/keys/other").status == 403
    client.close()
    found = logged.lines(3)
    assert [(line["user"], line["protocol"], line["command"], line["keys"], line["result"]) for line in found] == [
        ("ada", "http", "SET", ["mine"], "ok"),
        ("ada", "http", "GET", ["mine"], "ok"),
        ("ada", "http", "GET", ["other"], "NOPERM"),
    ]
    assert "secret" not in json.dumps(found)


def test_every_operation_of_a_batch_has_a_line(logged: Logged) -> None:
    client = http(logged, "default", "x")
    operations = [{"op": "set", "key": "a", "value": "1"}, {"op": "increment", "key": "a"}]
    assert client.ask("POST", "/v1/batch?db=2", {"operations": operations}).status == 200
    client.close()
    assert [(line["db"], line["command"], line["keys"]) for line in logged.lines(2)] == [
        (2, "SET", ["a"]),
        (2, "INCRBY", ["a"]),
    ]


def test_listings_and_feeds_have_a_line_although_they_are_no_commands(logged: Logged) -> None:
    client = http(logged, "default", "x")
    while client.ask("GET", "/v1/keys").status == 503:  # the index is being built
        time.sleep(0.01)
    client.send("GET", "/v1/changes")
    found = logged.lines(2)
    assert [(line["user"], line["command"], line["keys"], line["result"]) for line in found] == [
        ("default", "SCAN", [], "ok"),
        ("default", "CHANGES", [], "ok"),
    ]
    client.close()


def test_a_failed_login_has_a_line_without_a_user(logged: Logged) -> None:
    client = http(logged, "ada", "wrong")
    assert client.ask("GET", "/v1/keys/mine").status == 401
    client.close()
    (line,) = logged.lines(1)
    assert (line["user"], line["command"], line["result"]) == ("", "AUTH", "WRONGPASS")
    redis = logged.server.connect()
    redis.call("AUTH", "x")
    assert b"ada" in str(redis.call("ACL", "LOG")).encode()
    redis.close()
