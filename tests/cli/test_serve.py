"""serve as seen from outside the process: what it prints, and the status it ends with."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stores import fill, flip, keystead
from servers import Server, free_port, running, start_keystead


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(start_keystead(tmp_path / "data")) as started:
        yield started


def test_it_says_where_it_listens_and_stops_with_status_0_on_sigterm(server: Server) -> None:
    assert server.stop() == 0
    lines = server.log.read_text().splitlines()
    assert [line for line in lines if line.endswith(f"info    ready on 127.0.0.1:{server.port}")]
    assert "stopped" in lines[-1]


def test_ctrl_c_stops_it_as_cleanly(server: Server) -> None:
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 0


def test_a_second_server_is_told_who_holds_the_directory(server: Server) -> None:
    run = keystead("serve", "--dir", server.directory, "--port", str(free_port()), "--http-port", "0")
    assert run.status == 75
    assert f"pid {server.process.pid}" in run.errors
    assert str(server.directory) in run.errors


def test_a_second_server_is_told_that_the_port_is_taken(server: Server, tmp_path: Path) -> None:
    run = keystead("serve", "--dir", tmp_path / "other", "--port", str(server.port), "--http-port", "0")
    assert (run.status, run.output) == (69, "")
    assert run.errors == (
        f"keystead: another process already listens on 127.0.0.1:{server.port}; stop it, or choose another --port\n"
    )
    assert not (tmp_path / "other").exists()


def test_damaged_data_is_named_and_nothing_is_changed(tmp_path: Path) -> None:
    fill(tmp_path / "data", 50)
    flip(tmp_path / "data" / "segment-0000000001.log", 500)
    run = keystead("serve", "--dir", tmp_path / "data", "--port", str(free_port()), "--http-port", "0")
    assert run.status == 65
    assert "segment-0000000001.log at byte" in run.errors
    assert keystead("check", "--dir", tmp_path / "data").status == 65


def test_a_directory_that_cannot_be_made_is_status_73(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = keystead("serve", "--dir", tmp_path / "file" / "data", "--port", str(free_port()), "--http-port", "0")
    assert run.status == 73
    assert str(tmp_path / "file" / "data") in run.errors


def test_an_address_of_another_machine_is_bad_configuration(tmp_path: Path) -> None:
    run = keystead(
        "serve", "--dir", tmp_path / "data", "--port", str(free_port()), "--http-port", "0", "--host", "192.0.2.1"
    )
    assert run.status == 78
    assert "192.0.2.1" in run.errors


def test_the_log_may_be_json(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "data", "--log-format", "json")) as server:
        server.stop()
    entries = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {"ts", "level", "logger", "msg"} <= set(entries[0])
    assert [entry for entry in entries if entry["msg"].startswith("ready on ")]


def test_the_log_may_be_quieter(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "data", "--loglevel", "warning")) as server:
        server.stop()
    assert server.log.read_text() == ""
