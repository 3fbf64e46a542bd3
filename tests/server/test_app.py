"""The server as a process: many clients, hostile clients, stops and failures, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py

from keystead.config import Settings
from keystead.engine.checkpoint import Progress
from keystead.engine.engine import Options
from keystead.server import app
from servers import Server, running, start_keystead
from wire import CLOSED, Reply, SocketConnection, encode

OK = Reply("+", b"OK")
PONG = Reply("+", b"PONG")
DISK_FAILED = 74
PATIENCE_S = 20.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(start_keystead(tmp_path / "data")) as started:
        yield started


def resident_bytes(server: Server) -> int:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def helper_pid(server: Server) -> int:
    """The sync helper among the server's children; waited for, where it is just being replaced."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        found = [int(pid) for pid in children if b"sync_helper" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        if len(found) == 1:
            return found[0]
        assert time.monotonic() < deadline, f"{len(found)} sync helpers"
        time.sleep(0.01)


def test_every_setting_of_the_engine_reaches_it() -> None:
    settings = Settings(fsync="interval", maxmemory_bytes=1, segment_bytes=2, history_max_age_s=3, history_max_bytes=4)
    assert app.engine_options(settings) == Options(
        fsync="interval", maxmemory=1, segment_bytes=2, history_max_age_ms=3_000, history_max_bytes=4
    )


def test_nothing_in_the_background_holds_the_loop_up_for_more_than_a_few_milliseconds() -> None:
    """Rule 11: what one step of each may take. While the store is read nobody is served, but everybody is answered."""
    assert app.HOUSEKEEPING_BUDGET_MS <= 5
    assert app.LOADING_SLICE_S <= 0.05


def test_others_have_their_turn_between_the_slices_in_which_the_store_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loading:
        """An engine of which nothing is asked but to read its store."""

        databases: tuple[()] = ()
        torn_bytes = 0

        def load(self) -> Iterator[Progress]:
            for step in range(1, 4):
                events.append("read")
                yield Progress(step, 3)

    async def load() -> bool:
        loop = asyncio.get_running_loop()
        server = app.App(loop, Settings(directory=tmp_path), [], None, shown, None)
        server._engine = Loading()  # type: ignore[assignment]
        return await server._load()

    def shown(_done: int, _total: int) -> None:
        asyncio.get_running_loop().call_soon(events.append, "others")

    events: list[str] = []
    monkeypatch.setattr(app, "LOADING_SLICE_S", 0.0)
    try:
        assert asyncio.run(load())
    finally:
        gc.unfreeze()
    assert events == ["read", "others"] * 3


def test_a_long_pipeline_of_anything_is_answered_in_order(server: Server) -> None:
    """Values of all bytes and sizes, cut at every place that the network likes, compared one by one."""
    choose = random.Random(5)
    client = redis_py.Redis(port=server.port, protocol=2)
    expected: dict[bytes, bytes] = {}
    for size in (1, 10, 1000, 5000):
        pipeline = client.pipeline(transaction=False)
        answers: list[object] = []
        for _ in range(size):
            key = b"k%d" % choose.randrange(300)
            if choose.random() < 0.5:
                value = choose.randbytes(choose.choice((0, 1, 3, 100, 1000, 20_000 if size < 2000 else 50)))
                pipeline.set(key, value)
                expected[key] = value
                answers.append(True)
            else:
                pipeline.get(key)
                answers.append(expected.get(key))
        assert pipeline.execute() == answers
    client.close()


def test_a_client_that_closes_its_side_gets_every_reply(server: Server) -> None:
    client = SocketConnection(server.address)
    client.send(b"".join(encode(("SET", f"k{number}", "v")) for number in range(2000)))
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.receive() for _ in range(2000)] == [OK] * 2000
    assert client.receive() == CLOSED
    client.close()


def test_a_client_that_never_reads_costs_no_more_than_its_limit(server: Server) -> None:
    client, other = server.connect(), server.connect()
    other.call("SET", "big", b"x" * 20_000_000)
    before = resident_bytes(server)
    request = encode(("GET", "big"))
    client.socket.setblocking(False)
    sent = 0
    for _ in range(200):
        try:
            sent += client.socket.send(request * 50)
        except BlockingIOError:
            break
        assert other.call("PING") == PONG
    assert sent > 10 * len(request), "more was asked for than may be kept"
    assert resident_bytes(server) - before < (64 + 16) << 20
    assert other.call("PING") == PONG
    client.close()
    other.close()


def test_a_client_that_reads_late_gets_everything(server: Server) -> None:
    client = server.connect()
    value = b"y" * 1_000_000
    assert client.call("SET", "big", value) == OK
    client.send(encode(("GET", "big")) * 40 + encode(("PING",)))
    time.sleep(0.3)
    assert [client.receive().value == value for _ in range(40)] == [True] * 40
    assert client.receive() == PONG
    client.close()


@pytest.mark.parametrize(
    "begun",
    [b"*1048576\r\n", b"*2\r\n$3\r\nGET\r\n$67108864\r\n", b"*1048576\r\n$1\r\nx\r\n", b"GET " + b"x" * 60_000],
)
def test_what_is_declared_and_not_sent_takes_no_memory(server: Server, begun: bytes) -> None:
    watcher = server.connect()
    assert watcher.call("PING") == PONG
    before = resident_bytes(server)
    clients = [server.connect() for _ in range(50)]
    for client in clients:
        client.send(begun)
    assert watcher.call("PING") == PONG
    assert resident_bytes(server) - before < 50 * len(begun) + (4 << 20)
    for client in clients:
        client.close()
    assert watcher.call("PING") == PONG
    watcher.close()


def test_idle_clients_cost_little_and_hinder_nobody(server: Server) -> None:
    before = resident_bytes(server)
    idle = [server.connect() for _ in range(900)]  # each takes a descriptor of this process, too
    for client in idle:
        assert client.call("PING") == PONG
    assert (resident_bytes(server) - before) / len(idle) < 10_000
    for client in idle:
        client.close()


def test_too_many_clients_are_refused_and_the_others_served(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "data", "--max-clients", "3")) as server:
        clients = [server.connect() for _ in range(3)]
        assert [client.call("PING") for client in clients] == [PONG] * 3
        refused = server.connect()
        assert refused.receive() == Reply("-", b"ERR max number of clients reached")
        assert refused.receive() == CLOSED
        clients.pop().close()
        later = server.connect()
        assert later.call("PING") == PONG
        for client in (*clients, refused, later):
            client.close()


def test_a_unix_socket_serves_as_well_and_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "keystead.sock"
    with running(start_keystead(tmp_path / "data", "--unix", str(path), "--unix-mode", "600")) as server:
        client = SocketConnection(str(path))
        assert client.call("SET", "k", "v") == OK
        assert f"addr={path}:0".encode() in client.call("CLIENT", "INFO").value
        assert path.stat().st_mode & 0o777 == 0o600
        client.close()
        assert server.stop() == 0
    assert not path.exists()


def test_a_socket_that_a_killed_server_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "keystead.sock"
    with running(start_keystead(tmp_path / "data", "--unix", str(path))) as server:
        server.kill()
    assert path.exists()
    with running(start_keystead(tmp_path / "data", "--unix", str(path))):
        client = SocketConnection(str(path))
        assert client.call("PING") == PONG
        client.close()


def test_a_silent_client_is_closed_after_the_timeout(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "data", "--timeout", "1s")) as server:
        silent = server.connect()
        assert silent.receive() == CLOSED
        silent.close()


def test_a_client_can_be_killed_by_another(server: Server) -> None:
    victim, other = server.connect(), server.connect()
    identity = victim.call("CLIENT", "ID").value
    assert other.call("CLIENT", "KILL", "ID", identity) == Reply(":", 1)
    assert victim.receive() == CLOSED
    assert other.call("PING") == PONG
    victim.close()
    other.close()


def test_a_stop_under_load_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """SIGTERM in the middle of pipelines: whoever got an answer finds the write after the next start, and status 0."""
    with running(start_keystead(tmp_path / "data")) as server:
        clients = [server.connect() for _ in range(8)]
        for name, client in enumerate(clients):
            client.send(b"".join(encode(("SET", f"{name}:{count}", "v")) for count in range(3000)))
        server.process.send_signal(signal.SIGTERM)
        acknowledged = []
        for name, client in enumerate(clients):
            count = 0
            while client.receive() == OK:
                acknowledged.append(f"{name}:{count}")
                count += 1
            client.close()
        assert server.process.wait(20) == 0
    with running(start_keystead(tmp_path / "data")) as server:
        client = server.connect()
        client.send(b"".join(encode(("EXISTS", key)) for key in acknowledged))
        assert [client.receive().value for _ in acknowledged] == [1] * len(acknowledged)
        client.close()


def test_shutdown_stops_the_server_cleanly(server: Server) -> None:
    client = server.connect()
    assert client.call("SET", "k", "v") == OK
    client.send(encode(("SHUTDOWN",)))
    assert client.receive() == CLOSED
    assert server.process.wait(20) == 0
    client.close()


def test_a_sync_helper_that_dies_idle_is_replaced_and_nobody_notices(server: Server) -> None:
    client = server.connect()
    for _ in range(3):
        os.kill(helper_pid(server), signal.SIGKILL)
        client.call("PING")
        time.sleep(0.2)  # it is idle: nobody writes
        assert client.call("SET", "k", "v") == OK
    assert server.process.poll() is None
    client.close()


def test_a_sync_helper_that_dies_during_a_sync_stops_the_server_with_status_74(server: Server) -> None:
    """What the disk holds is unknown then: no reply may follow, and the message says why."""
    writer, reader = server.connect(), server.connect()
    assert writer.call("SET", "k", "old") == OK
    pid = helper_pid(server)
    os.kill(pid, signal.SIGSTOP)
    # A plain read just before sends the next sync to the helper, which cannot answer.
    while True:
        assert reader.call("GET", "k").value == b"old"
        writer.socket.settimeout(0.2)
        writer.send(encode(("SET", "k", "new")))
        try:
            assert writer.socket.recv(100) == b"+OK\r\n", "it was synced in place: try again"
        except TimeoutError:
            break
        writer.socket.settimeout(5)
        assert writer.call("SET", "k", "old") == OK
    assert reader.call("GET", "k").value == b"old", "nobody is shown what is not durable"
    os.kill(pid, signal.SIGKILL)
    writer.socket.settimeout(10)
    assert writer.receive() == CLOSED
    assert server.process.wait(20) == DISK_FAILED
    assert "the sync helper died with status -9 during a sync" in server.log.read_text()
    writer.close()
    reader.close()


def test_a_start_says_what_it_cut_off(tmp_path: Path) -> None:
    """Rule 7: nobody was told that it was written, but somebody may want to look at it."""
    server = start_keystead(tmp_path / "data")
    client = server.connect()
    assert client.call("SET", "k", "v") == OK
    client.close()
    server.kill()
    with (tmp_path / "data" / "segment-0000000001.log").open("r+b") as segment:
        segment.seek(8192)
        segment.write(b"half a frame")
    with running(start_keystead(tmp_path / "data")) as server:
        client = server.connect()
        assert client.call("GET", "k").value == b"v"
        client.close()
        assert re.search(r"cut off \d+ bytes that were never acknowledged", server.log.read_text())
    [kept] = (tmp_path / "data").glob("*.broken")
    assert kept.read_bytes().lstrip(b"\0") == b"half a frame"


@pytest.mark.parametrize("fsync", ["interval", "never"])
def test_with_less_durability_a_clean_stop_still_keeps_everything(tmp_path: Path, fsync: str) -> None:
    with running(start_keystead(tmp_path / "data", "--fsync", fsync)) as server:
        client = server.connect()
        assert client.call("SET", "k", "v") == OK
        client.close()
        assert server.stop() == 0
    with running(start_keystead(tmp_path / "data")) as server:
        client = server.connect()
        assert client.call("GET", "k").value == b"v"
        client.close()
