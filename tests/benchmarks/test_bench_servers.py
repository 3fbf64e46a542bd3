"""Servers and processes of the benchmarks: what is started, and that all of it ends."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks import processes
from benchmarks.__main__ import distinct
from benchmarks.datasets import fill
from benchmarks.servers import CannotStart, Server, ServerKind, version_in

REDIS = ServerKind.parse("redis")


def test_a_side_is_named_by_kind_and_program() -> None:
    assert ServerKind.parse("redis:/opt/valkey-server") == ServerKind("redis", "/opt/valkey-server", "Redis")
    assert ServerKind.parse("keystead:/opt/python").command(Path("d"), 1, "always")[:4] == [
        "/opt/python",
        "-m",
        "keystead",
        "serve",
    ]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="neither keystead"):
        ServerKind.parse("memcached")


def test_redis_is_told_to_sync_as_its_peer_does() -> None:
    words = REDIS.command(Path("d"), 7379, "interval")
    assert words[words.index("--appendfsync") + 1] == "everysec"
    assert words[words.index("--save") + 1] == ""


def test_two_sides_of_one_kind_are_told_apart() -> None:
    ours, peer = distinct(REDIS, REDIS)
    assert ours.label != peer.label


@pytest.mark.parametrize("text", ["Redis server v=7.0.15 sha=0:0 malloc=jemalloc-5.3.0", "7.0.15\n"])
def test_a_version_is_the_number_alone(text: str) -> None:
    assert version_in(text) == "7.0.15"


def test_a_server_that_ends_at_once_says_so_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\necho port is taken\nexit 69\n")
    program.chmod(0o755)
    with (
        pytest.raises(CannotStart, match="status 69: port is taken"),
        Server(ServerKind("redis", str(program), "Redis"), tmp_path / "data"),
    ):
        pass


def test_a_server_that_is_not_installed_is_reported(tmp_path: Path) -> None:
    kind = ServerKind("redis", str(tmp_path / "none"), "Redis")
    assert kind.version() == "not installed"
    with pytest.raises(CannotStart, match="No such file"), Server(kind, tmp_path / "data"):
        pass


def test_a_filled_server_holds_the_keys_and_ends_with_the_block(tmp_path: Path) -> None:
    with Server(REDIS, tmp_path / "data", "never") as server:
        fill(server, 1_234, expiring=True)
        with server.connect() as connection:
            assert connection.command("DBSIZE") == 1_234
            assert connection.command("PTTL", "key:000000001233") > 0
        assert server.resident_bytes() > 1_000_000
        pid = server.pid
    assert processes.family(pid) == []


def test_what_a_server_leaves_behind_ends_too() -> None:
    script = "trap 'exit 0' TERM; (trap '' TERM; sleep 60 & wait; sleep 60) & wait"
    leader = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    while len(processes.family(leader.pid)) < 3:
        time.sleep(0.01)
    processes.end(leader)
    assert processes.family(leader.pid) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("0:00.25", 0.25), ("12:03.50", 723.5), ("02:03:04", 7384.0), ("1-02:03:04", 93784.0)]
)
def test_processor_time_is_read_as_ps_prints_it(text: str, seconds: float) -> None:
    assert processes.clock_seconds(text) == seconds


def test_a_familys_processor_time_grows_with_its_work() -> None:
    before = processes.cpu_seconds(os.getpid())
    while processes.cpu_seconds(os.getpid()) == before:
        sum(range(100_000))
    assert processes.cpu_seconds(os.getpid()) > before
