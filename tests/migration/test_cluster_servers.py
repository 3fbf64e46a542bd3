"""A real cluster as where commands go, also while its nodes fail."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from clusters import Cluster, running_cluster
from keystead.errors import ClusterUnavailable
from keystead.migration.addresses import ServerAddress
from keystead.migration.cluster_servers import ClusterServers
from keystead.migration.server_keys import ServerKeys
from keystead.migration.server_target import ServerTarget
from keystead.migration.source import Delete, Record
from servers import Server

FAR_MS = 4_000_000_000_000


def records(first: int, count: int) -> list[Record]:
    return [Record(0, b"key:%d" % i, "string", b"%d" % i, FAR_MS if i % 2 else 0) for i in range(first, first + count)]


def test_facts_go_to_the_nodes_that_have_the_keys_and_are_read_back(cluster: Cluster) -> None:
    servers = ClusterServers(ServerAddress(tuple(cluster.addresses), cluster=True), acknowledge="replicated")
    with contextlib.closing(servers):
        target = ServerTarget(servers, "cluster", 0, servers.close)
        target.flush()
        assert target.apply(records(0, 1000)) == []
        target.apply([Delete(0, b"key:0")])
        assert target.count() == 999
        assert target.look([b"key:0", b"key:1"]) == [None, Record(0, b"key:1", "string", b"1", FAR_MS)]
        assert sorted(record for page in target.scan() for record in page) == sorted(records(1, 999))
        target.flush()
        assert target.count() == 0


def kill_and_replace(cluster: Cluster) -> None:
    """Kill a primary; when its replica has taken over it comes back as a replica, without which no write counts."""
    dead = cluster.nodes[0]
    dead.kill()
    cluster.await_failover(0, dead)
    cluster.restart(dead)


def test_writes_go_on_when_a_primary_dies_and_nothing_that_was_acknowledged_is_missing(tmp_path: Path) -> None:
    with running_cluster(tmp_path / "cluster") as cluster:
        servers = ClusterServers(ServerAddress(tuple(cluster.addresses), cluster=True), acknowledge="replicated")
        with contextlib.closing(servers):
            target = ServerTarget(servers, "cluster", 0, servers.close)
            failing = threading.Thread(target=kill_and_replace, args=(cluster,))
            for first in range(0, 3000, 500):
                if first == 1000:
                    failing.start()
                target.apply(records(first, 500))
            failing.join()
            found = ServerKeys(servers, 0).look([b"key:%d" % i for i in range(3000)])
            assert found == records(0, 3000)


def test_a_server_that_is_no_cluster_is_refused(redis: Server) -> None:
    with pytest.raises(ClusterUnavailable):
        ClusterServers(ServerAddress((redis.address,), cluster=True), acknowledge="async")
