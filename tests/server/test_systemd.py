"""What a service manager is told, by a manager that listens: the fields alone, then the life of a whole server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stores import fill
from keystead.server.systemd import ServiceManager
from servers import Server, free_port, keystead_command, ready, running
from wire import TIMEOUT_SECONDS, Reply

KEYS = 50_000
"""So many take longer to read than the server reads without looking at its sockets."""


class Manager:
    """The manager's end: a socket that datagrams come to."""

    def __init__(self, path: Path | str) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(TIMEOUT_SECONDS)
        self._socket.bind(self.address.replace("@", "\0", 1))

    def next(self) -> dict[str, str]:
        """The fields of the next message."""
        message = self._socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in message.splitlines())

    def until(self, name: str) -> list[dict[str, str]]:
        """The messages up to the first one that has that field."""
        found = [self.next()]
        while name not in found[-1]:
            found.append(self.next())
        return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


def start(directory: Path, manager: Manager, *options: str, **environment: str) -> Server:
    """A server that was started by the manager."""
    port, log = free_port(), directory.with_suffix(".log")
    variables = os.environ | {"NOTIFY_SOCKET": manager.address} | environment
    with log.open("wb") as output:
        process = subprocess.Popen(keystead_command(directory, port, *options), env=variables, stderr=output)
    return Server(process, port, directory, log)


# --- fields -----------------------------------------------------------------------------------------------------------


def test_without_a_manager_nothing_is_sent_and_nothing_fails() -> None:
    alone = ServiceManager({})
    alone.ready("serving")
    alone.alive()
    assert alone.watchdog_s == 0


def test_a_manager_that_does_not_listen_any_more_stops_nobody(tmp_path: Path) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("serving")


@pytest.mark.linux
def test_an_address_that_begins_with_an_at_sign_is_an_abstract_one() -> None:
    name = f"@keystead-test-{os.getpid()}"
    listening = Manager(name)
    ServiceManager({"NOTIFY_SOCKET": name}).ready("serving")
    assert listening.next() == {"READY": "1", "STATUS": "serving"}
    listening.close()


def test_each_percent_is_told_once_and_asks_for_more_time(manager: Manager) -> None:
    told = ServiceManager({"NOTIFY_SOCKET": manager.address})
    for done in (0, 1, 10, 11, 500, 1000):
        told.loading(done, 1000)
    told.stopping()
    *loading, stopping = manager.until("STOPPING")
    assert [message["STATUS"] for message in loading] == [
        f"reading the store, {percent} %" for percent in (0, 1, 50, 100)
    ]
    assert {message["EXTEND_TIMEOUT_USEC"] for message in loading} == {"30000000"}
    assert stopping["STATUS"] == "stopping"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_signs_of_life_are_given_only_when_they_are_asked_of_this_process(
    environment: dict[str, str], seconds: float
) -> None:
    assert ServiceManager(environment).watchdog_s == seconds


# --- a server's life --------------------------------------------------------------------------------------------------


def test_a_server_is_ready_only_when_it_has_read_its_store_and_says_how_far_it_is(
    tmp_path: Path, manager: Manager
) -> None:
    fill(tmp_path / "data", KEYS)
    with running(start(tmp_path / "data", manager)) as server:
        *loading, told = manager.until("READY")
        assert told["STATUS"] == f"serving on 127.0.0.1:{server.port}"
        assert loading
        assert all(message["STATUS"].startswith("reading the store, ") for message in loading)
        client = server.connect()
        assert client.call("DBSIZE") == Reply(":", KEYS)
        client.close()


def test_a_stop_is_told_before_clients_are_waited_for(tmp_path: Path, manager: Manager) -> None:
    with running(start(tmp_path / "data", manager)) as server:
        manager.until("READY")
        server.process.send_signal(signal.SIGTERM)
        assert manager.until("STOPPING")[-1] == {"STOPPING": "1", "STATUS": "stopping"}
        assert server.process.wait(TIMEOUT_SECONDS) == 0


def test_signs_of_life_come_for_as_long_as_the_loop_turns(tmp_path: Path, manager: Manager) -> None:
    with running(start(tmp_path / "data", manager, WATCHDOG_USEC="100000")) as server:
        manager.until("READY")
        assert [manager.next() for _ in range(3)] == [{"WATCHDOG": "1"}] * 3
        assert server.process.poll() is None


def test_a_reload_begins_and_ends_with_a_message(tmp_path: Path, manager: Manager) -> None:
    with running(ready(start(tmp_path / "data", manager))) as server:
        manager.until("READY")
        server.process.send_signal(signal.SIGHUP)
        began = manager.next()
        assert (began["RELOADING"], began["MONOTONIC_USEC"].isdigit()) == ("1", True)
        assert manager.next()["READY"] == "1"
