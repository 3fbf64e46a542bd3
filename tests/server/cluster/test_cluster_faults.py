"""A front door while its cluster breaks and heals: what is told, and that it goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xxhash import xxh3_64_hexdigest

from clusters import Cluster, running_cluster, slot_of
from front_doors import readiness, start_front_door, until
from http_client import HttpConnection
from servers import HttpServer, running

UNKNOWN_OUTCOME = "urn:keystead:unknown-outcome"
SHORT = ("--cluster-wait-timeout", "300ms", "--cluster-timeout", "2s")


@pytest.fixture
def breakable(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture
def its_door(breakable: Cluster, tmp_path: Path) -> Iterator[HttpServer]:
    with running(start_front_door(tmp_path / "door", breakable.addresses, *SHORT)) as server:
        yield server


@pytest.fixture
def its_http(its_door: HttpServer) -> Iterator[HttpConnection]:
    connection = HttpConnection(its_door.http_address)
    yield connection
    connection.close()


def named(http: HttpConnection, node_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(node for node in http.ask("GET", "/v1/cluster").json["nodes"] if node["id"] == node_id)
    return found


def test_a_write_that_no_replica_confirms_has_an_unknown_outcome(breakable: Cluster, its_http: HttpConnection) -> None:
    primary = breakable.primary_of(slot_of(b"{t}k"))
    replicas = breakable.replicas_of(primary)
    for replica in replicas:
        replica.pause()
    unknown: list[tuple[str, str, Any]] = [
        ("PUT", "/v1/keys/%7Bt%7Dk", b"1"),
        ("PUT", "/v1/keys/%7Bt%7Dnew", b"1"),
        ("POST", "/v1/increment/%7Bt%7Dn", None),
        ("POST", "/v1/commands", ["SET", "{t}k", "2"]),
        ("POST", "/v1/import", b'{"key":"{t}k","value":"3"}'),
        (
            "POST",
            "/v1/batch",
            {"operations": [{"op": "set", "key": "{t}k", "value": "4"}, {"op": "increment", "key": "{t}k"}]},
        ),
    ]
    for method, target, body in unknown:
        told = its_http.ask(method, target, body)
        assert (told.status, told.json["type"]) == (504, UNKNOWN_OUTCOME), target
        assert told.json["redis_error"].startswith("UNKNOWNOUTCOME ")
        assert "Nothing was changed" not in told.json["detail"]
    assert its_http.ask("POST", "/", ["SET", "{t}k", "5"]).status == 504
    read = its_http.ask("GET", "/v1/keys/%7Bt%7Dk")
    assert (read.status, read.body) == (200, b"5"), "reads wait for no replica"
    refused = its_http.ask("PUT", "/v1/keys/%7Bt%7Dk", b"x", if_none_match="*")
    assert refused.status in (412, 504)
    for replica in replicas:
        replica.resume()
    until(lambda: its_http.ask("PUT", "/v1/keys/%7Bt%7Dk", b"6").status == 204, "writes are confirmed again")
    page = its_http.ask("GET", "/metrics").body.decode()
    (line,) = (line for line in page.splitlines() if line.startswith("keystead_cluster_unknown_outcomes_total "))
    assert float(line.split()[1]) >= len(unknown)


def test_a_shard_that_is_gone_shows_in_the_probe_and_heals_by_itself(
    breakable: Cluster, its_door: HttpServer, its_http: HttpConnection
) -> None:
    key = "%7Bt%7Dk"
    its_http.ask("PUT", f"/v1/keys/{key}", b"v")
    primary = breakable.primary_of(slot_of(b"{t}k"))
    shard = [primary, *breakable.replicas_of(primary)]
    assert readiness(its_http) == 200
    for node in reversed(shard):
        node.pause()
    until(lambda: readiness(its_http) == 503, "the probe tells of it")
    told = its_http.ask("GET", "/readyz")
    assert told.json["reason"] == "cluster-down"
    assert told.headers["retry-after"]
    assert its_http.ask("GET", "/livez").status == 200
    down = its_http.ask("GET", "/v1/cluster").json
    assert down["state"] == "down"
    assert down["detail"]
    refused = its_http.ask("GET", f"/v1/keys/{key}")
    assert (refused.status, refused.json["type"]) == (503, "urn:keystead:cluster-down")
    assert refused.headers["retry-after"]
    for node in shard:
        node.resume()
    until(lambda: readiness(its_http) == 200, "the probe tells that it is well")
    until(lambda: its_http.ask("GET", f"/v1/keys/{key}").status == 200, "the shard serves")
    assert its_http.ask("GET", "/v1/cluster").json["state"] == "ok"
    log = its_door.log.read_text()
    assert log.index("the cluster is down: ") < log.index("the cluster is well again")


def test_a_failover_is_shown_and_served_through(breakable: Cluster, its_http: HttpConnection) -> None:
    its_http.ask("PUT", "/v1/keys/%7Bt%7Dk", b"v")
    slot = slot_of(b"{t}k")
    old = breakable.primary_of(slot)
    (replica,) = breakable.replicas_of(old)
    assert named(its_http, replica.id)["role"] == "replica"
    assert named(its_http, replica.id)["primary"] == old.id
    old.kill()
    breakable.await_failover(slot, old)
    until(lambda: its_http.ask("GET", "/v1/keys/%7Bt%7Dk").body == b"v", "the new primary serves")
    until(lambda: named(its_http, replica.id)["role"] == "primary", "the new primary is shown")
    until(lambda: named(its_http, old.id)["health"] == "failed", "the old one is shown as failed")
    until(lambda: named(its_http, old.id)["keys"] is None, "nothing is told of who does not answer")
    assert readiness(its_http) == 200


def test_a_server_that_is_told_to_stop_ends_although_the_cluster_is_down(
    breakable: Cluster, its_door: HttpServer
) -> None:
    client = its_door.connect()
    for node in breakable.nodes:
        node.pause()
    client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    assert its_door.stop() == 0
    client.close()


def test_a_node_that_takes_no_writes_says_why_and_reads_go_on(breakable: Cluster, its_http: HttpConnection) -> None:
    its_http.ask("PUT", "/v1/keys/%7Bt%7Dk", b"v")
    primary = breakable.primary_of(slot_of(b"{t}k"))
    batch = {"operations": [{"op": "set", "key": "{t}k", "value": "w"}, {"op": "set", "key": "{t}l", "value": "w"}]}
    for setting, value, status, word in (
        ("maxmemory", "1", 507, "OOM"),
        ("min-replicas-to-write", "5", 503, "NOREPLICAS"),
    ):
        before = primary.call("CONFIG", "GET", setting)[1]
        primary.call("CONFIG", "SET", setting, value)
        for method, target, body in (
            ("PUT", "/v1/keys/%7Bt%7Dk", b"w"),
            ("PUT", "/v1/keys/%7Bt%7Dnew", b"w"),
            ("POST", "/v1/increment/%7Bt%7Dn", None),
            ("POST", "/v1/batch", batch),
        ):
            refused = its_http.ask(method, target, body)
            assert (refused.status, refused.json["redis_error"].split()[0]) == (status, word), (target, refused.body)
        condition = f'"{xxh3_64_hexdigest(b"v")}"'
        assert its_http.ask("PUT", "/v1/keys/%7Bt%7Dk", b"w", if_match=condition).status == status
        assert its_http.ask("GET", "/v1/keys/%7Bt%7Dk").body == b"v"
        primary.call("CONFIG", "SET", setting, before.decode())
        assert its_http.ask("PUT", "/v1/keys/%7Bt%7Dk", b"v").status == 204
