"""A Redis or Valkey Cluster on this machine, to try things with: real servers, started and joined in seconds.

For `keystead cluster dev` and for tests. Nothing is kept on disk, the servers end with the process that started them.
Knows how a cluster is formed; what one looks like to a client is for the other modules of this package.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from keystead.cluster.development_node import Certificates, DevelopmentNode, Launch, NodeOptions
from keystead.errors import CommandError, DevelopmentClusterFailed

SERVERS: Final = ("valkey-server", "redis-server")
_SLOTS: Final = 16384
_FORMS_S: Final = 60.0
_LOOKS_EACH_S: Final = 0.05


class DevelopmentCluster:
    """So many shards, each a primary and its replicas. `nodes` has the primaries first, in the order of their slots;
    replica *r* of shard *s* is `nodes[shards * (1 + r) + s]`. That order says who was what at the start.

    `server` is the program, `more` further options of it. `launch` starts a process on a host (default: as a child);
    `hosts` are the addresses of the nodes in order, those to come too (default: all on 127.0.0.1).
    """

    def __init__(
        self,
        directory: Path,
        *,
        shards: int = 3,
        replicas: int = 1,
        server: str | None = None,
        password: str = "",
        node_timeout_ms: int = 1000,
        certificates: Certificates | None = None,
        more: tuple[str, ...] = (),
        launch: Launch | None = None,
        hosts: tuple[str, ...] = (),
    ) -> None:
        self.nodes: list[DevelopmentNode] = []
        self.node_timeout_ms = node_timeout_ms
        self._directory = directory
        self._shards, self._replicas = shards, replicas
        self._options = NodeOptions(server or "", password, node_timeout_ms, certificates, more)
        self._watch = _Watch()
        self._launch = launch or _start
        self._hosts = hosts

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [(node.host, node.port) for node in self.nodes]

    def start(self) -> None:
        """Start all nodes and join them; returns when every node says that the cluster is well and every replica
        follows its primary. DevelopmentClusterFailed when that cannot be had; nothing runs then.
        """
        self._options = self._options._replace(server=_installed(self._options.server))
        try:
            for _ in range(self._shards * (1 + self._replicas)):
                self.new_node()
            self._join()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process that was started. Nothing is lost by SIGKILL, for nothing is kept."""
        for node in self.nodes:
            node.kill()
        self._watch.close()

    def new_node(self) -> DevelopmentNode:
        """Start one more server, which is alone until it is met. It is the last of `nodes`."""
        number = len(self.nodes)
        host = self._hosts[number] if self._hosts else "127.0.0.1"
        node = DevelopmentNode(self._directory / f"node{number}", self._options, self._launched, host)
        self.nodes.append(node)
        node.start()
        return node

    def meet(self, node: DevelopmentNode) -> None:
        """Make `node` known to all others that run, and wait until each knows the other's name."""
        others = [other for other in self.running() if other is not node]
        for other in others:
            _introduce(node, other)
        until("every node knows the new one", lambda: all(_knows(other, [node]) for other in others))
        until("the new node knows all", lambda: _knows(node, others))

    def running(self) -> list[DevelopmentNode]:
        """The nodes that are neither ended nor paused."""
        return [node for node in self.nodes if node.running]

    def await_well(self) -> None:
        """Wait until all that run agree on who there is and who follows whom, and every replica follows.

        DevelopmentClusterFailed after a minute. Nodes that do not run, or are paused, are left out of account.
        """
        until("the cluster is well", self._is_well)

    def _launched(self, host: str, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        process = self._launch(host, command, log)
        self._watch.add(process.pid)
        return process

    def _join(self) -> None:
        primaries, replicas = self.nodes[: self._shards], self.nodes[self._shards :]
        for epoch, node in enumerate(self.nodes, 1):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for number, node in enumerate(primaries):
            first, behind = (_SLOTS * edge // self._shards for edge in (number, number + 1))
            node.call("CLUSTER", "ADDSLOTSRANGE", first, behind - 1)
        for number, node in enumerate(self.nodes):
            for other in self.nodes[:number]:  # rather than to wait for gossip, which takes seconds
                _introduce(node, other)
        until("all nodes know one another", lambda: all(_knows(node, self.nodes) for node in self.nodes))
        for number, replica in enumerate(replicas):
            replica.call("CLUSTER", "REPLICATE", primaries[number % self._shards].id)
        self.await_well()

    def _is_well(self) -> bool:
        nodes = self.running()
        views = [_roles(node) for node in nodes]
        alive = {node.id for node in nodes}
        agreed = all({name: primary for name, primary in view.items() if name in alive} == views[0] for view in views)
        return (
            agreed
            and alive <= views[0].keys()
            and all(node.info("cluster")["cluster_state"] == "ok" for node in nodes)
            and all(node.info("replication").get("master_link_status", "up") == "up" for node in nodes)
            and all(self._followed(node, views[0]) for node in nodes)
        )

    def _followed(self, node: DevelopmentNode, roles: dict[str, str]) -> bool:
        expected = sum(primary == node.id for primary in roles.values())
        replication = node.info("replication")
        online = sum("state=online" in text for name, text in replication.items() if name.startswith("slave"))
        return online >= expected


class _Watch:
    """Ends the servers when this process ends in whatever way: a shell that reads the end of a pipe that only we hold.

    Linux could be asked to end them with their parent (PR_SET_PDEATHSIG), but takes the thread that started them for
    it, and other systems cannot.
    """

    _SCRIPT: Final = 'pids=; while read -r pid; do pids="$pids $pid"; done; test -z "$pids" || kill -9 $pids'

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, pid: int) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", self._SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us, who then stop all in order
                bufsize=0,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % pid)

    def close(self) -> None:
        """Nothing is left to end, so it must not: the system may give the numbers to others."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process = None


def until(what: str, holds: Callable[[], bool], seconds: float = _FORMS_S) -> None:
    """Ask again until it holds. DevelopmentClusterFailed when the time is over, with what was waited for."""
    deadline_s = time.monotonic() + seconds
    trouble = ""
    while time.monotonic() < deadline_s:
        try:
            if holds():
                return
        except (OSError, CommandError) as error:
            trouble = f" ({error})"
        time.sleep(_LOOKS_EACH_S)
    raise DevelopmentClusterFailed(f"waited {seconds:.0f} s in vain until {what}{trouble}")


def _installed(server: str) -> str:
    """The path of the program. DevelopmentClusterFailed when there is none."""
    for name in (server,) if server else SERVERS:
        if path := shutil.which(name):
            return path
    missing = f"{server} is not" if server else "neither valkey-server nor redis-server is"
    raise DevelopmentClusterFailed(
        f"{missing} installed; a cluster is made of servers of Redis 7 or Valkey "
        "(Debian and Ubuntu: apt install redis-server, macOS: brew install valkey)"
    )


def _start(_: str, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def _introduce(node: DevelopmentNode, other: DevelopmentNode) -> None:
    node.call("CLUSTER", "MEET", other.host, other.port, other.bus_port)


def _knows(node: DevelopmentNode, others: list[DevelopmentNode]) -> bool:
    """Whether the handshake with each is over, on this side."""
    known = _roles(node)
    return all(other.id in known for other in others)


def _roles(node: DevelopmentNode) -> dict[str, str]:
    """Who there is as this node sees it, by id; each with its primary's id, or "" if it is one."""
    lines = [line.split() for line in node.call("CLUSTER", "NODES").decode().splitlines()]
    return {fields[0]: "" if "master" in fields[2] else fields[3] for fields in lines if "handshake" not in fields[2]}
