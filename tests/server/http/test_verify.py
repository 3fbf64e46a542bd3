"""The log verified while the server serves: begun by who may, told how far it is, damage found."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

VERIFY = "/v1/verify"


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """With a value that can be found in its files."""
    with running(start_keystead_http(tmp_path / "data")) as started:
        redis = started.connect()
        redis.call("SET", "k", "x" * 100_000)
        redis.close()
        yield started


def verified(http: HttpConnection) -> Any:
    assert http.ask("POST", VERIFY).status == 202
    deadline_s = time.monotonic() + 60
    while (said := http.ask("GET", VERIFY).json)["running"]:
        assert said["last"]["result"] is None
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    return said["last"]


def test_a_sound_log_is_found_sound(server: HttpServer) -> None:
    http = HttpConnection(server.http_address)
    before = http.ask("GET", VERIFY).json
    assert (before["running"], before["last"]) == (False, None)
    assert before["recovery"]["keys"] == 0
    assert before["recovery"]["torn_bytes"] == 0
    last = verified(http)
    assert (last["result"], last["damage"]) == ("sound", [])
    assert last["done_bytes"] == last["total_bytes"] > 100_000
    assert last["files"] > 0
    assert last["ended_ms"] >= last["began_ms"]
    http.close()


def test_damage_is_told_with_its_file(server: HttpServer) -> None:
    segment = max(server.directory.glob("*.log"), key=lambda path: path.read_bytes().count(b"x" * 1000))
    data = bytearray(segment.read_bytes())
    data[data.index(b"x" * 1000) + 500] ^= 1
    with segment.open("r+b") as file:
        file.write(data)
    http = HttpConnection(server.http_address)
    last = verified(http)
    assert last["result"] == "damaged"
    assert [Path(damage["file"]).name for damage in last["damage"]] == [segment.name]
    assert http.ask("GET", "/v1/keys/k").status == 200  # what is in memory is served as before
    http.close()


def test_only_who_may_ask_for_it_is_answered(server: HttpServer) -> None:
    redis = server.connect()
    redis.call("ACL", "SETUSER", "ada", "on", ">secret", "role:write", "~*")
    redis.close()
    header = {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
    ada = HttpConnection(server.http_address, header)
    assert [ada.ask(method, VERIFY).status for method in ("GET", "POST")] == [403, 403]
    assert ada.ask("POST", VERIFY, Sec_Fetch_Site="cross-site").status == 403
    ada.close()
