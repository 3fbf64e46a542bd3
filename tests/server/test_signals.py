"""SIGHUP and SIGUSR2 to a running server: what is taken over, what waits, what is refused and logged."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.stores import fill
from servers import Server, ready, running, spawn_keystead, start_keystead
from wire import Reply

OK = Reply("+", b"OK")
PATIENCE_S = 20.0


class Configured:
    """A server with a settings file that can be changed."""

    def __init__(self, server: Server, file: Path) -> None:
        self.server = server
        self.file = file
        self.client = server.connect()

    def setting(self, name: str) -> bytes:
        value: bytes = self.client.call("CONFIG", "GET", name).value[1].value
        return value

    def hang_up(self, text: str, said: str = "reloaded") -> str:
        """Write the settings and send SIGHUP; what the log said until it was done."""
        self.file.write_text(text)
        before = len(self.server.log.read_text())
        self.server.process.send_signal(signal.SIGHUP)
        until(lambda: said in self.server.log.read_text()[before:])
        return self.server.log.read_text()[before:]


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Configured]:
    file = tmp_path / "keystead.toml"
    file.write_text("max-clients = 50\n")
    with running(start_keystead(tmp_path / "data", "--config", str(file))) as server:
        started = Configured(server, file)
        yield started
        started.client.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happens"
        time.sleep(0.01)


def test_what_may_change_while_running_is_taken_from_the_file_and_connections_stay(configured: Configured) -> None:
    configured.hang_up('max-clients = 60\ntimeout = "1h"\n')
    assert (configured.setting("maxclients"), configured.setting("timeout")) == (b"60", b"3600")


def test_what_config_set_has_changed_stays_unless_the_file_has_changed_it_too(configured: Configured) -> None:
    assert configured.client.call("CONFIG", "SET", "maxclients", "70", "timeout", "9") == OK
    configured.hang_up("max-clients = 50\ntimeout = 5\n")
    assert (configured.setting("maxclients"), configured.setting("timeout")) == (b"70", b"5")


def test_what_waits_for_the_next_start_is_named(configured: Configured) -> None:
    said = configured.hang_up("max-clients = 50\ntcp-backlog = 99\n")
    assert "only from the next start on: tcp-backlog" in said
    assert configured.setting("tcp-backlog") == b"511"


@pytest.mark.parametrize("text", ["max-clients = \n", "max-clents = 60\n", 'max-clients = "many"\n'])
def test_a_file_that_makes_no_sense_is_logged_and_changes_nothing(configured: Configured, text: str) -> None:
    said = configured.hang_up(text)
    assert "the settings in use stay: " in said
    assert configured.setting("maxclients") == b"50"


def test_users_are_read_anew(configured: Configured) -> None:
    path = configured.server.directory / "users.acl"
    path.write_text("user default on nopass ~* &* +@all\nuser ada on nopass ~mine +get\n")
    configured.hang_up("max-clients = 50\n")
    assert configured.client.call("AUTH", "ada", "x") == OK
    assert configured.client.call("GET", "other").value.startswith(b"NOPERM")


def test_sigusr2_makes_a_checkpoint(configured: Configured) -> None:
    assert configured.client.call("SET", "k", "v") == OK
    configured.server.process.send_signal(signal.SIGUSR2)
    until(lambda: b"rdb_saves:1" in configured.client.call("INFO", "persistence").value)


def test_signals_that_come_while_the_store_is_read_end_nothing(tmp_path: Path) -> None:
    """The lock file tells others whom to send SIGHUP to, and it is there before the server is."""
    fill(tmp_path / "data", 20_000)
    lock = tmp_path / "data" / "LOCK"
    with running(spawn_keystead(tmp_path / "data")) as server:
        until(lambda: f"{server.process.pid}" in lock.read_text())
        for number in (signal.SIGHUP, signal.SIGUSR2):
            server.process.send_signal(number)
        client = ready(server).connect()
        assert client.call("DBSIZE") == Reply(":", 20_000)
        client.close()
        assert server.stop() == 0
