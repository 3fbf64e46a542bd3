"""Questions about the past, of a running server: what an answer shows, and the processes that look for it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from keystead.server.past import LULL_S
from servers import Server, running, start_keystead
from wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wire import Reply, SocketConnection

PROCESS = "keystead.engine.history.asking"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One with a directory of its own."""
    with running(start_keystead(tmp_path / "data")) as server:
        yield server


@pytest.fixture
def redis(server: Server) -> Iterator[SocketConnection]:
    """A client of it."""
    connection = server.connect()
    yield connection
    connection.close()


def plain(reply: Reply) -> Any:
    """A reply of RESP3 as Python has it."""
    assert reply.kind not in "-!", reply
    if reply.value is None:
        return None
    if reply.kind == "%":
        parts = [plain(part) for part in reply.value]
        return {name.decode(): value for name, value in zip(parts[::2], parts[1::2], strict=True)}
    return [plain(part) for part in reply.value] if reply.kind in "*~" else reply.value


def send_all(connection: SocketConnection, *commands: list[str]) -> None:
    """In one chunk."""
    connection.send(b"".join(map(encode, commands)))


def values(reply: Reply) -> list[bytes | None]:
    """Of KS.HISTORY in RESP3: the value after each change."""
    return [change["value"] for change in plain(reply)]


def processes(server: Server, purpose: str = "") -> list[int]:
    """Of those that read the past for the server, quick or long."""
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return [int(line.split()[0]) for line in found.splitlines() if PROCESS in line and line.endswith(purpose)]


def ended(pid: int) -> bool:
    """Whether a process is gone, or nothing but its status is left."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_ended(pid: int) -> None:
    while not ended(pid):
        time.sleep(0.005)


def test_an_answer_has_what_the_same_client_wrote_a_moment_ago(redis: SocketConnection) -> None:
    """In one chunk of input too, before any of it is in the log."""
    redis.call("HELLO", "3")
    for number in range(20):
        send_all(redis, ["SET", "k", str(number)], ["KS.HISTORY", "k", "COUNT", "1"], ["KS.GET", "k", "AT", "now"])
        redis.receive()
        assert values(redis.receive()) == [b"%d" % number]
        assert redis.receive().value == b"%d" % number


def test_each_change_has_its_author(redis: SocketConnection) -> None:
    redis.call("HELLO", "3")
    redis.call("CLIENT", "SETNAME", "importer")
    redis.call("SET", "k", "v")
    (change,) = plain(redis.call("KS.HISTORY", "k"))
    assert (change["user"], change["client"], change["operation"]) == (b"default", b"importer", b"put")


def test_many_clients_ask_at_once(server: Server) -> None:
    clients = [server.connect() for _ in range(20)]
    for number, client in enumerate(clients):
        client.call("HELLO", "3")
        send_all(
            client,
            ["SET", f"key:{number}", "v"],
            ["KS.HISTORY", f"key:{number}"],
            ["KS.DIFF", "0", "now", "PREFIX", f"key:{number}"],
            ["KS.LOG", "PREFIX", f"key:{number}"],
        )
    for number, client in enumerate(clients):
        client.receive()
        assert values(client.receive()) == [b"v"]
        assert b"key:%d" % number in [change["key"] for change in plain(client.receive())["changes"]]
        assert plain(client.receive())["transactions"]
        client.close()
    assert len(processes(server)) == 2


def test_no_process_runs_before_the_first_question(server: Server, redis: SocketConnection) -> None:
    redis.call("SET", "k", "v")
    time.sleep(2 * LULL_S)
    assert processes(server) == []
    redis.call("KS.HISTORY", "k")
    assert processes(server) == processes(server, "quick") != []


def test_what_was_written_is_taken_in_before_the_next_question(server: Server, redis: SocketConnection) -> None:
    redis.call("KS.HISTORY", "k")
    (pid,) = processes(server, "quick")
    before = read_bytes(pid)
    redis.call("SET", "k", "v" * 100_000)
    while read_bytes(pid) < before + 100_000:
        time.sleep(0.05)


def read_bytes(pid: int) -> int:
    """What the process has read so far."""
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])


def test_the_process_stays_for_the_next_question(server: Server, redis: SocketConnection) -> None:
    redis.call("KS.HISTORY", "k")
    first = processes(server, "quick")
    redis.call("KS.HISTORY", "k")
    assert processes(server, "quick") == first


def test_a_killed_process_is_followed_by_another(server: Server, redis: SocketConnection) -> None:
    redis.call("HELLO", "3")
    redis.call("SET", "k", "v")
    redis.call("KS.HISTORY", "k")
    (pid,) = processes(server, "quick")
    os.kill(pid, signal.SIGKILL)
    wait_until_ended(pid)
    while (reply := redis.call("KS.HISTORY", "k")).kind == "-":
        assert reply.value.startswith(b"TRYAGAIN"), reply
    assert values(reply) == [b"v"]


def test_who_waits_for_a_process_that_is_killed_is_told(server: Server, redis: SocketConnection) -> None:
    redis.call("KS.HISTORY", "k")
    (pid,) = processes(server, "quick")
    os.kill(pid, signal.SIGSTOP)
    send_all(redis, ["KS.HISTORY", "k"])
    other = server.connect()
    assert other.call("SET", "k", "v").value == b"OK"  # the question has come before it, and the server goes on
    os.kill(pid, signal.SIGKILL)
    assert redis.receive().value.startswith(b"TRYAGAIN")
    other.close()


def test_a_quick_question_does_not_wait_behind_a_long_one(server: Server, redis: SocketConnection) -> None:
    redis.call("HELLO", "3")
    redis.call("SET", "k", "v")
    redis.call("KS.LOG")
    (long,) = processes(server, "long")
    os.kill(long, signal.SIGSTOP)
    other = server.connect()
    send_all(other, ["KS.DIFF", "0", "now"])
    assert values(redis.call("KS.HISTORY", "k")) == [b"v"]
    os.kill(long, signal.SIGCONT)
    assert other.receive().kind == "*"
    other.close()


def test_a_client_that_leaves_calls_its_question_off(server: Server, redis: SocketConnection) -> None:
    redis.call("KS.LOG")
    (long,) = processes(server, "long")
    os.kill(long, signal.SIGSTOP)
    for _ in range(5):
        other = server.connect()
        send_all(other, ["KS.LOG"])
        other.close()
    os.kill(long, signal.SIGCONT)
    assert redis.call("KS.LOG").kind == "*"


def test_a_stopped_server_ends_its_processes(server: Server, redis: SocketConnection) -> None:
    """The question that runs is not waited for longer than any client is."""
    redis.call("CONFIG", "SET", "shutdown-timeout", "1")
    redis.call("KS.LOG")
    redis.call("KS.HISTORY", "k")
    found = processes(server)
    assert len(found) == 2
    os.kill(found[0], signal.SIGSTOP)
    os.kill(found[1], signal.SIGSTOP)
    send_all(redis, ["KS.LOG"])
    assert server.stop() == 0
    for pid in found:
        wait_until_ended(pid)


def test_a_killed_server_leaves_no_process(server: Server, redis: SocketConnection) -> None:
    redis.call("KS.HISTORY", "k")
    (pid,) = processes(server, "quick")
    server.kill()
    wait_until_ended(pid)


def test_what_is_forgotten_is_in_no_answer_any_more(redis: SocketConnection) -> None:
    redis.call("HELLO", "3")
    redis.call("SET", "gone", "secret")
    redis.call("SET", "k", "v")
    assert values(redis.call("KS.HISTORY", "gone")) == [b"secret"]
    assert plain(redis.call("KS.KEYS", "AT", "2"))["keys"] == [b"gone", b"k"]
    redis.call("KS.FORGET", "gone")
    assert b"secret" not in values(redis.call("KS.HISTORY", "gone"))
    assert plain(redis.call("KS.KEYS", "AT", "2"))["keys"] == [b"k"]


def test_beyond_retention_the_error_says_how_far_back_one_can_go(tmp_path: Path) -> None:
    options = ("--history-max-bytes", "0", "--segment-size", "1mb")
    with running(start_keystead(tmp_path / "data", *options)) as server:
        redis = server.connect()
        redis.call("SET", "k", "first")
        for _ in range(40):
            redis.call("SET", "k", "v" * 60_000)
        redis.call("SAVE")
        while (reply := redis.call("KS.GET", "k", "AT", "1")).kind != "-":
            redis.call("SET", "k", "v" * 60_000)
            redis.call("SAVE")
        assert reply.value.startswith(b"GONE the past is kept from 20"), reply
        floor = reply.value.rsplit(b" ", 1)[1]
        assert redis.call("KS.GET", "k", "AT", floor).kind == "$"
        assert redis.call("KS.LOG", "FROM", "1").value.startswith(b"GONE")
        redis.close()
