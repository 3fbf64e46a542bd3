"""The kernel says EIO to one sync of a running server, and would say yes to the next: the one failure must be the end.

Rule 5, on a real server with the real kernel: strace puts the error between them, at the server itself, which syncs
when everybody waits, or at its sync helper.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import Server, running, start_keystead
from wire import CLOSED, SocketConnection

STRACE = shutil.which("strace")
DISK_FAILED = 74
WRITERS = 4
FAILING_SYNC = 30
"""Of each traced process, counted from when strace is there."""
WAIT_SECONDS = 60

pytestmark = pytest.mark.linux


class Writer(threading.Thread):
    """Sets key after key until the connection ends; `acknowledged` counts those it was told of."""

    def __init__(self, address: tuple[str, int], number: int) -> None:
        super().__init__()
        self._connection = SocketConnection(address)
        self._number = number
        self.acknowledged = 0

    def key(self, i: int) -> bytes:
        return b"writer%d:%d" % (self._number, i)

    def run(self) -> None:
        with contextlib.closing(self._connection) as connection, contextlib.suppress(ConnectionError):
            while connection.call("SET", self.key(self.acknowledged), b"v" * 100).value == b"OK":
                self.acknowledged += 1


class Reader(threading.Thread):
    """Reads what is durable, and so never waits: beside it the server leaves syncing to its helper."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__()
        self._connection = SocketConnection(address)

    def run(self) -> None:
        with contextlib.closing(self._connection) as connection, contextlib.suppress(ConnectionError):
            while connection.call("GET", "writer0:0") != CLOSED:
                pass


def sync_helper(server: Server) -> int:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    [found] = [int(pid) for pid in children if b"sync_helper" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found


@contextlib.contextmanager
def traced(pids: list[int], trace: Path) -> Iterator[None]:
    """Note these processes' syncs and writes in *trace*, and let one sync of each fail."""
    if STRACE is None:
        pytest.skip("strace is not installed: see scripts/system-packages")
    command = [STRACE, "-f", "-s", "4096", "-o", str(trace)]
    command += ["-e", "trace=fdatasync,fsync,write,writev,sendto,sendmsg"]
    command += ["-e", f"inject=fdatasync:error=EIO:when={FAILING_SYNC}"]
    for pid in pids:
        command += ["-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "not permitted" in line:
                process.wait()
                pytest.skip("strace is not permitted here")
            pids = [pid for pid in pids if not re.search(rf"Process {pid} attached", line)]
            if not pids:
                break
        yield
        process.communicate(timeout=WAIT_SECONDS)  # it ends with what it traces


@pytest.mark.parametrize("readers", [0, 2], ids=["while everybody waits", "beside readers"])
def test_one_failed_sync_ends_the_server_and_loses_nothing_that_was_acknowledged(tmp_path: Path, readers: int) -> None:
    server = start_keystead(tmp_path / "data")
    helper = sync_helper(server)
    writers = [Writer(server.address, number) for number in range(WRITERS)]
    clients = [*writers, *(Reader(server.address) for _ in range(readers))]
    with traced([server.process.pid, helper], tmp_path / "trace"):
        for client in clients:
            client.start()
        assert server.process.wait(WAIT_SECONDS) == DISK_FAILED
    for client in clients:
        client.join()
    assert "syncing" in server.log.read_text()
    assert "Input/output error" in server.log.read_text()

    lines = (tmp_path / "trace").read_text().splitlines()
    [failure] = [i for i, line in enumerate(lines) if "(INJECTED)" in line]
    failed = int(lines[failure].split()[0])
    assert failed == helper or not readers
    assert any('"+OK' in line for line in lines[:failure])
    assert not any('"+OK' in line for line in lines[failure:]), "a write was acknowledged after the failure"
    assert not any("fdatasync(" in line and line.split()[0] == str(failed) for line in lines[failure + 1 :])

    with running(start_keystead(tmp_path / "data")) as again:
        connection = again.connect()
        for writer in writers:
            assert writer.acknowledged > 0
            for i in range(writer.acknowledged):
                assert connection.call("GET", writer.key(i)).value == b"v" * 100
            assert connection.call("EXISTS", writer.key(writer.acknowledged + 1)).value == 0, "nobody sent it"
        connection.close()
