"""What a front door tells of itself: its document, the topology, metrics, statistics, the console's files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from front_doors import start_front_door, until
from http_client import HttpConnection
from schema_checks import CHECKS, found_by_schemathesis
from servers import running

if TYPE_CHECKING:
    from clusters import Cluster
    from servers import HttpServer
    from wire import SocketConnection

METHODS = ("get", "put", "post", "delete")


@pytest.fixture
def document(http: HttpConnection) -> dict[str, Any]:
    found: dict[str, Any] = http.ask("GET", "/openapi.json").json
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, item[method]) for path, item in document["paths"].items() for method in METHODS if method in item
    ]


def test_the_document_describes_what_is_here_and_nothing_else(document: dict[str, Any]) -> None:
    assert {
        "/v1/session", "/v1/keys", "/v1/keys/{key}", "/v1/batch", "/v1/increment/{key}", "/v1/commands", "/v1/import",
        "/v1/export", "/v1/cluster", "/v1/reference", "/v1/statistics", "/livez", "/readyz", "/metrics", "/",
        "/pipeline", "/multi-exec", "/{command}/{arguments}",
    } == set(document["paths"])  # fmt: skip
    text = json.dumps(document)
    for absent in ("Idempotency-Key", "/v1/history", "on disk", "durable"):
        assert absent not in text, absent
    assert "cluster" in document["info"]["description"].lower()


def test_every_operation_says_what_may_go_wrong_in_a_cluster(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        changes = method != "get" and "keys" in operation["tags"] + ["keys"] * ("commands" in operation["tags"])
        if changes:
            assert "504" in operation["responses"], (path, method)
            assert "unknown-outcome" in operation["responses"]["504"]["description"]


def test_every_example_of_a_body_does_what_it_says(http: HttpConnection, document: dict[str, Any]) -> None:
    tried = 0
    for path, method, operation in operations(document):
        for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
            example = content.get("example")
            if example is None or path in ("/v1/session",):
                continue
            body = example.encode() if isinstance(example, str) else example
            target = re.sub(r"\{[a-z]+\}", "example", path)
            done = http.ask(method.upper(), target, body, headers={"Content-Type": content_type})
            assert done.status < 300, (path, method, done)
            tried += 1
    assert tried >= 5


def test_the_topology_has_every_node_with_its_figures(
    http: HttpConnection, cluster: Cluster, redis_door: SocketConnection
) -> None:
    for number in range(60):
        redis_door.call("SET", f"k{number}", "v")
    until(lambda: sum(_keys(http, "primary")) == 60, "figures are a second old")
    told = http.ask("GET", "/v1/cluster").json
    assert (told["state"], told["detail"], told["acknowledge"], told["slots_covered"]) == (
        "ok",
        "",
        "replicated",
        16384,
    )
    nodes = {node["id"]: node for node in told["nodes"]}
    assert {node["address"] for node in nodes.values()} == {node.address for node in cluster.nodes}
    primaries = [node for node in nodes.values() if node["role"] == "primary"]
    assert sum(last - first + 1 for node in primaries for first, last in node["slots"]) == 16384
    for node in nodes.values():
        assert node["health"] == "online"
        assert node["used_memory_bytes"] > 0
        if node["role"] == "replica":
            assert nodes[node["primary"]]["role"] == "primary"
            assert node["lag_bytes"] >= 0
        else:
            assert (node["primary"], node["lag_bytes"]) == (None, None)


def _keys(http: HttpConnection, role: str) -> list[int]:
    nodes = http.ask("GET", "/v1/cluster").json["nodes"]
    return [node["keys"] for node in nodes if node["role"] == role and node["keys"] is not None]


def test_metrics_tell_of_the_door_of_the_promise_and_of_each_node(http: HttpConnection, cluster: Cluster) -> None:
    until(lambda: len(_keys(http, "replica")) == 3, "every node has told its figures")
    page = http.ask("GET", "/metrics").body.decode()
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["keystead_cluster_up", ()] == 1
    assert samples["keystead_cluster_slots_covered", ()] == 16384
    assert samples["keystead_cluster_acknowledge", (("promise", "replicated"),)] == 1
    assert samples["keystead_cluster_acknowledge", (("promise", "async"),)] == 0
    by_node = {dict(labels)["node"] for name, labels in samples if name == "keystead_cluster_node_used_memory_bytes"}
    assert by_node == {node.address for node in cluster.nodes}
    assert not [name for name, _ in samples if "fsync" in name or "history" in name]


def test_statistics_have_a_column_a_figure(http: HttpConnection) -> None:
    until(lambda: http.ask("GET", "/v1/statistics").json["now"] is not None, "a second has passed")
    told = http.ask("GET", "/v1/statistics").json
    assert set(told["samples"]) == set(told["now"]) >= {"unknown_outcomes_per_s", "node_operations_per_s"}


def test_the_console_comes_from_here_too(http: HttpConnection) -> None:
    page = http.ask("GET", "/", headers={"Accept": "text/html"})
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert http.ask("GET", "/console/js/main.js").status == 200
    assert http.ask("GET", "/v1/session").json["mode"] == "cluster"
    assert http.ask("GET", "/v1/reference").status == 200
    assert http.ask("GET", "/docs").status == 200


def test_operations_are_logged_batches_too_and_never_with_a_value(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "operations"
    options = ("--log-operations", "yes", "--operations-log-file", str(log))
    with running(start_front_door(tmp_path / "door", cluster.addresses, *options)) as door:
        http = HttpConnection(door.http_address)
        http.ask("PUT", "/v1/keys/%7Bl%7Da", b"secret")
        http.ask(
            "POST",
            "/v1/batch",
            {
                "operations": [
                    {"op": "set", "key": "{l}a", "value": "secret", "if_match": "*"},
                    {"op": "set", "key": "{l}b", "value": "secret", "if_match": "*"},
                ]
            },
        )
        http.close()
        until(lambda: log.exists() and log.read_text().count("\n") >= 3, "lines are written")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    sets = [(line["keys"], line["result"]) for line in lines if line["command"] == "SET"]
    assert sets == [(["{l}a"], "ok"), (["{l}b"], "UNMET")], "of a batch that was undone, the step that failed"
    assert "secret" not in log.read_text()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /v1/keys/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/keys HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n[[[",
        b'POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 17\r\n\r\n{"operations":[]}',
        b"POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n[null]",
        b"PUT /v1/keys/k HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1\r\n\r\nx",
        b"PUT /v1/keys/k HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 1\r\n\r\nx",
        b"GET /v1/keys?prefix=" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_hostile_input_is_refused_and_harms_nobody(door: HttpServer, request_bytes: bytes) -> None:
    import socket

    with socket.create_connection(door.http_address, 20) as hostile:
        hostile.sendall(request_bytes)
        hostile.shutdown(socket.SHUT_WR)
        answer = hostile.makefile("rb").readline()
    assert answer.startswith(b"HTTP/1.1 4"), answer
    http = HttpConnection(door.http_address)
    assert http.ask("GET", "/readyz").status == 200
    http.close()


def test_every_answer_is_documented(cluster: Cluster, tmp_path: Path) -> None:
    """By schemathesis. A status of the server's side is documented here (501), so only others are errors."""
    with running(start_front_door(tmp_path / "door", cluster.addresses)) as door:
        assert found_by_schemathesis(door, tmp_path, checks=CHECKS) == ""
        assert "Traceback" not in door.log.read_text()


def test_a_command_may_name_the_one_database(http: HttpConnection) -> None:
    assert http.ask("POST", "/v1/commands", {"command": ["GET", "k"], "db": 0}).status == 200
    for number in (1, 15, 16, -1):
        assert http.ask("POST", "/v1/commands", {"command": ["GET", "k"], "db": number}).status == 400
