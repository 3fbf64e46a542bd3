"""cluster dev as seen from outside: it serves a cluster, says where, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stores import keystead
from clusters import Cluster
from http_client import HttpConnection
from keystead.cluster.development import until
from servers import HttpServer, free_port, ready, running, spawn


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    port, http_port = free_port(), free_port()
    arguments = ["cluster", "dev", "--shards", "2", "--port", str(port), "--http-port", str(http_port)]
    with running(spawn([sys.executable, "-m", "keystead", *arguments], port, tmp_path / "work")) as server:
        yield HttpServer(**vars(ready(server)), http_port=http_port)


def test_one_command_serves_a_cluster_and_ctrl_c_ends_all_of_it(served: HttpServer, tmp_path: Path) -> None:
    connection = served.connect()
    for number in range(20):
        assert connection.call("SET", f"k{number}", number).value == b"OK"
    assert connection.call("DBSIZE").value == 20
    connection.close()
    http = HttpConnection(served.http_address)
    assert http.ask("GET", "/v1/keys/k7").body == b"7"
    http.close()

    said = served.log.read_text()
    assert f"redis-cli -p {served.port}" in said
    assert f"http://127.0.0.1:{served.http_port}/" in said
    node = re.search(r"redis-cli -c -p (\d+)", said)
    assert node is not None
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(30) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(node[1])))
    assert list(tmp_path.glob("keystead-cluster-*")) == []


@pytest.mark.linux
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_leaves_nothing_behind_when_it_is_ended_while_servers_start(
    number: signal.Signals, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    port = free_port()
    arguments = ["cluster", "dev", "--port", str(port), "--http-port", "0"]
    starting = spawn([sys.executable, "-m", "keystead", *arguments], port, tmp_path / "work")
    until("a server is started", lambda: bool(processes_below(tmp_path)), 30)
    starting.process.send_signal(number)
    assert starting.process.wait(30) == status
    assert processes_below(tmp_path) == []
    assert list(tmp_path.glob("keystead-cluster-*")) == []


def processes_below(directory: Path) -> list[int]:
    """Those that work in a directory below it, as each node does."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink().is_relative_to(directory):
                    found.append(int(process.name))
    return found


def test_a_taken_port_is_told_before_servers_are_started(cluster: Cluster, tmp_path: Path) -> None:
    port = cluster.nodes[0].port
    run = keystead("cluster", "dev", "--port", str(port), "--http-port", "0", cwd=tmp_path)
    assert (run.status, run.output) == (69, "")
    assert f"already listens on 127.0.0.1:{port}" in run.errors


def test_a_server_that_is_not_installed_is_a_clear_error() -> None:
    run = keystead("cluster", "dev", "--port", str(free_port()), "--http-port", "0", "--server", "no-such-server")
    assert run.status == 1
    assert "no-such-server is not installed" in run.errors


def test_it_knows_no_other_subcommand() -> None:
    run = keystead("cluster", "prod")
    assert run.status == 2
    assert "keystead cluster dev" in run.errors
