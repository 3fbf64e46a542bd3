"""/livez, /readyz, /metrics: in every phase of a server's life."""

from __future__ import annotations

import http.client
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from http_client import HttpConnection
from servers import running, spawn_keystead_http, start_keystead_http

if TYPE_CHECKING:
    from wire import SocketConnection


def test_probes_say_that_all_is_well(http: HttpConnection) -> None:
    assert (http.ask("GET", "/livez").json, http.ask("GET", "/readyz").json) == (
        {"status": "alive"},
        {"status": "ready"},
    )
    assert http.ask("GET", "/readyz?verbose").status == 400
    assert http.ask("POST", "/livez").status == 405


def test_out_of_memory_is_not_ready(http: HttpConnection, redis_door: SocketConnection) -> None:
    http.ask("PUT", "/v1/keys/k", b"v")
    before = redis_door.call("CONFIG", "GET", "maxmemory").value
    redis_door.call("CONFIG", "SET", "maxmemory", "1")
    try:
        answer = http.ask("GET", "/readyz")
        assert (answer.status, answer.json["reason"]) == (503, "out-of-memory")
        refused = http.ask("PUT", "/v1/keys/k2", b"v")
        assert (refused.status, refused.json["redis_error"].split()[0]) == (507, "OOM")
        assert http.ask("GET", "/v1/keys/k").status == 200
        assert http.ask("DELETE", "/v1/keys/k").status == 204
    finally:
        redis_door.call("CONFIG", "SET", "maxmemory", before[1].value)
    assert http.ask("GET", "/readyz").status == 200


def test_metrics_are_read_by_prometheus_in_both_formats(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("SET", "secret-key", "v")
    page = http.ask("GET", "/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(page.body.decode())}
    for name in ("keystead_commands", "keystead_connections", "keystead_memory_used_bytes", "keystead_keys"):
        assert name in families
    histograms = {name for name, family in families.items() if family.type == "histogram"}
    for part in ("fsync", "commit", "loop"):
        assert any(part in name for name in histograms), (part, histograms)
    assert b"secret-key" not in page.body
    openmetrics = http.ask("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.body.endswith(b"# EOF\n")


def test_answers_are_counted_by_their_status(http: HttpConnection) -> None:
    def answers() -> dict[str, float]:
        page = http.ask("GET", "/metrics").body.decode()
        families = {family.name: family for family in text_string_to_metric_families(page)}
        return {sample.labels["status"]: sample.value for sample in families["keystead_http_answers"].samples}

    http.ask("GET", "/v1/keys/missing")
    before = answers()
    for target in ("/v1/keys/missing", "/v1/keys", "/openapi.json"):
        http.ask("GET", target)
    after = answers()
    assert after["404"] - before["404"] == 1
    assert after["200"] - before["200"] == 3, "the listing, the document of the application, and the page before"


def test_labels_never_depend_on_data(http: HttpConnection, redis_door: SocketConnection) -> None:
    def labelled() -> set[str]:
        return set(re.findall(r"^[a-z_]+\{.*?\}", http.ask("GET", "/metrics").body.decode(), re.MULTILINE))

    redis_door.call("SET", "k", "v")
    http.ask("GET", "/livez")  # the first answer of a status has its own
    before = labelled()
    for number in range(100):
        redis_door.call("SET", f"key:{number}", "v")
    assert labelled() == before


def test_while_a_large_store_is_read_only_probes_answer(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with running(start_keystead_http(directory)) as server:
        redis = server.connect()
        for _ in range(40):
            redis.call("MSET", *[word for i in range(5000) for word in (f"k{i}", "x" * 100)])
        redis.close()
    # A start that is slow enough to be looked at depends on the machine: what is seen must fit, whatever is seen.
    server = spawn_keystead_http(directory)
    seen: list[int] = []
    deadline = time.monotonic() + 30
    try:
        while not seen or seen[-1] != 200:
            assert time.monotonic() < deadline
            connection = HttpConnection(server.http_address)
            try:
                alive, ready = connection.ask("GET", "/livez"), connection.ask("GET", "/readyz")
                if ready.status == 503:
                    assert alive.status == 200
                    assert ready.json["reason"] == "loading"
                    assert 0 <= ready.json["percent"] <= 100
                    refused = connection.ask("GET", "/v1/keys/k1")
                    assert refused.status in (200, 503)
                    assert refused.status == 200 or refused.headers["retry-after"] == "1"
                seen.append(ready.status)
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
    finally:
        server.stop()
    assert set(seen) <= {200, 503}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_may_be_asked_by_head(http: HttpConnection, method: str) -> None:
    assert http.ask(method, "/readyz").status == 200
