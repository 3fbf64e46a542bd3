"""All primaries of a real cluster followed at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clusters import Cluster, make_certificates, running_cluster, slot_of
from keystead.migration.addresses import ServerAddress, Tls
from keystead.migration.replica.feed import ReplicaFeed
from keystead.migration.source import Delete, Expire, Flush, Gap, PositionLost, Put, SourceFailed

MORE = ("--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes")
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("source"), more=MORE) as cluster:
        yield cluster


class Copy:
    """Strings of a cluster, by what a feed told of them."""

    def __init__(self, cluster: Cluster, **more: Any) -> None:
        nodes = tuple((node.host, node.port) for node in cluster.nodes)
        self.feed = ReplicaFeed(ServerAddress(nodes, cluster=True, **more))
        self.values: dict[bytes, bytes] = {}
        self.gaps = 0

    def copy(self) -> None:
        self.values = {record.key: record.value for record in self.feed.snapshot()}

    def follow(self) -> None:
        """Everything up to now."""
        deadline, asked_ms = time.monotonic() + PATIENCE_SECONDS, time.time() * 1000
        for batch in self.feed.changes():
            for change in batch.changes:
                assert not isinstance(change, Flush | Expire)
                if isinstance(change, Put):
                    self.values[change.key] = change.value
                elif isinstance(change, Delete):
                    self.values.pop(change.key, None)
                elif isinstance(change, Gap):
                    self.gaps += 1
            if batch.known_until_ms >= asked_ms:
                return
            assert time.monotonic() < deadline, batch


TAGS = 5  # keys are in so many slots, for it takes a while to find out whose one is


def key_of(number: int) -> bytes:
    return b"key:%d{%d}" % (number, number % TAGS)


def put(cluster: Cluster, numbers: range, value: str = "value") -> dict[bytes, bytes]:
    """Keys of these numbers, each to its primary."""
    owners = [cluster.primary_of(slot_of(key_of(number))) for number in range(TAGS)]
    values = {key_of(number): f"{value} {number}".encode() for number in numbers}
    for number in numbers:
        owners[number % TAGS].call("SET", key_of(number), values[key_of(number)])
    return values


def test_keys_and_changes_of_all_primaries_come_and_go_on_from_a_place(sharded: Cluster) -> None:
    expected = put(sharded, range(60))
    copy = Copy(sharded)
    with closing(copy.feed):
        copy.copy()
        assert copy.values == expected
        assert copy.feed.total_keys == 60
        expected |= put(sharded, range(30, 90), "other")
        copy.follow()
        assert copy.values == expected
        assert copy.feed.behind(copy.feed.position) == 0
        position = copy.feed.position
        copy.feed.close()
        expected |= put(sharded, range(80, 100), "third")
        copy.feed.resume(position)
        copy.follow()
        assert copy.values == expected


def test_a_cluster_with_a_password_behind_tls_is_followed_too(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "certificates")
    options = {"shards": 3, "replicas": 0, "certificates": files, "password": "secret", "more": MORE}
    with running_cluster(tmp_path / "nodes", **options) as cluster:
        expected = put(cluster, range(20))
        tls = Tls(str(files.authority), str(files.client_certificate), str(files.client_key))
        copy = Copy(cluster, password="secret", tls=tls)
        with closing(copy.feed):
            copy.copy()
            expected |= put(cluster, range(10, 30), "other")
            copy.follow()
            assert copy.values == expected


def test_a_node_that_is_flushed_is_a_gap_and_not_a_flush_of_everything(sharded: Cluster) -> None:
    put(sharded, range(10))
    copy = Copy(sharded)
    with closing(copy.feed):
        copy.copy()
        sharded.primaries()[0].call("FLUSHALL")
        copy.follow()
        assert copy.gaps > 0


def test_a_node_named_as_a_single_server_is_refused(sharded: Cluster) -> None:
    feed = ReplicaFeed(ServerAddress(((sharded.nodes[0].host, sharded.nodes[0].port),)))
    with closing(feed), pytest.raises(SourceFailed, match="cluster://"):
        next(feed.snapshot())


def test_slots_that_are_moved_meanwhile_end_the_following_with_a_reason(sharded: Cluster) -> None:
    put(sharded, range(10))
    copy, slot = Copy(sharded), slot_of(key_of(1))
    with closing(copy.feed):
        copy.copy()
        other = next(node for node in sharded.primaries() if node is not sharded.primary_of(slot))
        move = sharded.slot_move(slot, other)
        move.begin()
        with pytest.raises(PositionLost, match="moved"):
            copy.follow()
        position = copy.feed.position
        with pytest.raises(SourceFailed, match="being moved"):
            copy.copy()
        move.keys()
        move.end()
        with pytest.raises(PositionLost, match="other nodes"):
            copy.feed.resume(position)
        copy.copy()
        assert key_of(1) in copy.values


def test_a_failover_of_the_source_loses_nothing_that_its_replica_had(tmp_path: Path) -> None:
    with running_cluster(tmp_path, shards=2, replicas=1, more=MORE) as cluster:
        # Two primaries cannot vote out one of them; a replica that is told to takes over by itself.
        expected, slot = put(cluster, range(40)), slot_of(key_of(1))
        copy = Copy(cluster)
        with closing(copy.feed):
            copy.copy()
            copy.follow()
            old = cluster.primary_of(slot)
            replica = cluster.replicas_of(old)[0]
            expected |= put(cluster, range(20, 50), "before")
            assert old.call("WAIT", 1, 10_000) >= 1
            old.kill()
            replica.call("CLUSTER", "FAILOVER", "TAKEOVER")
            assert cluster.await_failover(slot, old) is replica
            expected |= put(cluster, range(40, 60), "after")
            copy.follow()
            assert copy.values == expected
