"""A development cluster: it serves, it is gone afterwards, and tests can do to it what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clusters import Cluster, make_certificates, running_cluster
from keystead.cluster import development_node
from keystead.cluster.development import DevelopmentCluster, until
from keystead.errors import CommandError, DevelopmentClusterFailed
from wire import SocketConnection

if TYPE_CHECKING:
    from keystead.cluster.development_node import DevelopmentNode

STARTED_AND_LEFT = """
import sys, time
from pathlib import Path
from keystead.cluster import development_node
from keystead.cluster.development import DevelopmentCluster
cluster = DevelopmentCluster(Path(sys.argv[1]), shards=1, replicas=1)
cluster.start()
print(*[node.process.pid for node in cluster.nodes], flush=True)
time.sleep(600)
"""

FOO, BAR = 12182, 5061  # the slots of the keys foo and bar, from the cluster specification's own example


def served(node: DevelopmentNode, key: str) -> bool:
    """Whether the node is the one to ask for the key."""
    try:
        node.call("GET", key)
    except CommandError as error:
        if error.prefix == "MOVED":
            return False
        raise
    return True


def lives(pid: int) -> bool:
    """Whether there is such a process, and it is not one that has ended and nobody asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_every_slot_is_served_and_every_primary_has_its_replica(cluster: Cluster):
    assert len(cluster.primaries()) == 3
    assert sorted(len(cluster.replicas_of(primary)) for primary in cluster.primaries()) == [1, 1, 1]
    assert [node for node in cluster.primaries() if served(node, "foo")] == [cluster.primary_of(FOO)]


def test_no_process_is_left_after_a_stop(tmp_path: Path):
    with running_cluster(tmp_path, shards=1, replicas=1) as servers:
        nodes = list(servers.nodes)
    assert [node.process.poll() for node in nodes if node.process] == [-signal.SIGKILL] * 2


@pytest.mark.linux
def test_no_process_is_left_when_the_one_that_started_them_is_killed(tmp_path: Path):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTED_AND_LEFT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    pids = [int(word) for word in starter.stdout.readline().split()]
    starter.kill()
    starter.wait()
    starter.stdout.close()
    assert len(pids) == 2
    until("the servers have ended", lambda: not any(map(lives, pids)), 10)


def test_a_replica_takes_over_and_the_old_primary_comes_back_as_its_replica(tmp_path: Path):
    with running_cluster(tmp_path) as servers:
        old = servers.primary_of(FOO)
        (replica,) = servers.replicas_of(old)
        old.kill()
        assert servers.await_failover(FOO, old) is replica
        servers.restart(old)
        servers.await_well()
        assert servers.replicas_of(replica) == [old]


def test_a_paused_primary_is_replaced_and_steps_down_when_it_goes_on(tmp_path: Path):
    with running_cluster(tmp_path) as servers:
        old = servers.primary_of(FOO)
        old.pause()
        new = servers.await_failover(FOO, old)
        old.resume()
        servers.await_well()
        assert servers.replicas_of(new) == [old]


def test_slots_move_to_a_new_shard_with_their_keys(tmp_path: Path):
    with running_cluster(tmp_path, shards=1, replicas=0) as servers:
        (first,) = servers.nodes
        first.call_each([("SET", "foo", "1"), ("SET", "bar", "2"), ("SET", "{foo}more", "3")])
        second = servers.add_shard(replicas=0)
        servers.move_slots([FOO], second)
        assert (first.call("GET", "bar"), second.call("GET", "foo"), second.call("DBSIZE")) == (b"2", b"1", 2)
        assert servers.primary_of(FOO) is second
        assert not served(first, "foo")


def test_a_slot_on_its_way_sends_clients_on_for_the_keys_that_left(tmp_path: Path):
    with running_cluster(tmp_path, shards=2, replicas=0) as servers:
        source, to = servers.primary_of(FOO), servers.primary_of(BAR)
        source.call("SET", "foo", "1")
        move = servers.slot_move(FOO, to)
        move.begin()
        assert source.call("GET", "foo") == b"1"
        assert move.keys() == 1
        with pytest.raises(CommandError, match="ASK"):
            source.call("GET", "foo")
        move.end()
        assert to.call("GET", "foo") == b"1"


def test_a_password_is_asked_for(tmp_path: Path):
    with running_cluster(tmp_path, shards=1, replicas=1, password="secret") as servers:
        connection = SocketConnection(servers.addresses[0])
        assert connection.call("PING").value.startswith(b"NOAUTH")
        connection.close()
        assert servers.nodes[0].call("PING") == b"PONG"


def test_a_cluster_speaks_tls_on_all_its_ports(tmp_path: Path):
    files = make_certificates(tmp_path / "certificates")
    with running_cluster(tmp_path / "nodes", shards=1, replicas=1, certificates=files) as servers:
        servers.nodes[0].call("SET", "foo", "1")
        assert servers.nodes[0].call("WAIT", 1, 5000) == 1


def test_a_missing_server_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DevelopmentClusterFailed, match="neither valkey-server nor redis-server is installed"):
        DevelopmentCluster(tmp_path).start()


def test_a_server_that_refuses_its_options_is_a_clear_error(tmp_path: Path):
    with pytest.raises(DevelopmentClusterFailed, match="no-such-option"):
        DevelopmentCluster(tmp_path, more=("--no-such-option", "1")).start()


def test_a_port_that_somebody_took_is_tried_again_elsewhere(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    taken = cluster.nodes[0].port, cluster.nodes[0].bus_port
    free = development_node._free_ports
    offers = iter([taken])
    monkeypatch.setattr(development_node, "_free_ports", lambda host: next(offers, None) or free(host))
    with running_cluster(tmp_path, shards=1, replicas=0) as servers:
        assert servers.nodes[0].port not in taken
