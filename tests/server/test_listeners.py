"""What is listened on, and what accepted sockets inherit."""

from __future__ import annotations

import socket
import stat
import sys
from pathlib import Path

import pytest

from keystead.config import Settings, load
from keystead.errors import ConfigurationError, PortTaken
from keystead.server import listeners


def settings(**options: str) -> Settings:
    return load(options, {})


def test_accepted_clients_are_probed_when_they_are_silent() -> None:
    option = getattr(socket, "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE")
    with listeners.bind_tcp("127.0.0.1", 0, keepalive_s=90) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
                assert accepted.getsockopt(socket.IPPROTO_TCP, option) == 90


def test_without_the_setting_they_are_not() -> None:
    with listeners.bind_tcp("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


def test_a_taken_port_is_named() -> None:
    with listeners.bind_tcp("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            listeners.bind_tcp("127.0.0.1", port)
    assert caught.value.address == f"127.0.0.1:{port}"


def test_when_one_address_fails_the_others_are_let_go(tmp_path: Path) -> None:
    with listeners.bind_tcp("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    path = tmp_path / "k.sock"
    path.write_text("a file, no socket")
    with pytest.raises(PortTaken):
        listeners.bind(settings(port=str(port), unix=str(path)))
    listeners.bind_tcp("127.0.0.1", port).close()


def test_an_unknown_host_is_bad_configuration() -> None:
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        listeners.bind_tcp("no.such.host.invalid", 0)


def test_a_unix_socket_has_the_permissions_that_are_set(tmp_path: Path) -> None:
    path = tmp_path / "k.sock"
    sockets = listeners.bind(settings(**{"port": "0", "unix": str(path), "unix-mode": "770"}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o770
    listeners.close(sockets)
    assert not path.exists()


def test_a_socket_that_a_dead_process_left_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "k.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    live = listeners.bind_unix(path, 0o700)
    live.listen()
    with pytest.raises(PortTaken):
        listeners.bind_unix(path, 0o700)
    live.close()


# --- strangers


@pytest.mark.parametrize("options", [{"host": "0.0.0.0"}, {"host": "::"}, {"http-host": "192.0.2.1"}])
def test_a_public_address_is_refused_while_nobody_has_to_log_in(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="--insecure"):
        listeners.refuse_strangers(settings(**options), requires_password=False)


def test_a_public_address_is_served_when_all_must_log_in_or_when_told_to() -> None:
    listeners.refuse_strangers(settings(host="0.0.0.0"), requires_password=True)
    listeners.refuse_strangers(settings(host="0.0.0.0", insecure="yes"), requires_password=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_addresses_of_this_machine_alone_need_no_users(host: str) -> None:
    listeners.refuse_strangers(settings(host=host), requires_password=False)


def test_a_public_address_of_a_protocol_that_is_off_needs_no_users() -> None:
    options = {"http-host": "0.0.0.0", "http-port": "0"}
    listeners.refuse_strangers(settings(**options), requires_password=False)
