"""What is peculiar to a store behind a server: addresses, errors, other clients."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from typing import TYPE_CHECKING

import pytest

import keystead
import keystead as library  # where a fixture has the other name
from servers import free_port, running, start_keystead, start_redis

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server


def test_no_server_is_an_error_that_names_the_address() -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    with pytest.raises(keystead.ServerUnreachable, match=url):
        keystead.connect(url)
    with pytest.raises(keystead.ServerUnreachable, match="unix:/nowhere"):
        keystead.connect("unix:/nowhere/socket")


@pytest.mark.parametrize("url", ["", "data", "http://localhost", "redis://localhost:port"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(keystead.ConfigurationError, match="connect"):
        keystead.connect(url)


def test_who_does_not_answer_in_time_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(keystead.ServerUnreachable):
            keystead.connect(f"redis://127.0.0.1:{port}", timeout=0.2)


@pytest.mark.parametrize("start", [start_redis, start_keystead], ids=["redis", "keystead"])
def test_a_unix_socket_and_numbered_databases(tmp_path: Path, start) -> None:
    path = tmp_path / "socket"
    option = "--unixsocket" if start is start_redis else "--unix"
    with running(start(tmp_path / "data", option, str(path))):
        for url in (f"unix:{path}", f"unix://{path}"):
            with keystead.connect(url) as db:
                db["a"] = b"1"
                assert db["a"] == b"1"
        with keystead.connect(f"unix:{path}?db=3") as other:
            assert len(other) == 0


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    with running(start_redis(tmp_path / "data", "--requirepass", "secret")) as server:
        with pytest.raises((keystead.CommandError, keystead.ServerUnreachable), match=r"(?i)auth"):
            keystead.connect(f"redis://127.0.0.1:{server.port}")
        with keystead.connect(f"redis://:secret@127.0.0.1:{server.port}") as db:
            db["a"] = b"1"
            assert db["a"] == b"1"


def test_refusals_of_the_server_are_our_errors(tmp_path: Path) -> None:
    with running(start_redis(tmp_path / "data")) as server, keystead.connect(f"redis://127.0.0.1:{server.port}") as db:
        connection = server.connect()
        connection.call(b"RPUSH", b"list", b"1")
        with pytest.raises(keystead.CommandError, match="WRONGTYPE"):
            db["list"]
        assert list(db) == []  # strings only
        connection.call(b"CONFIG", b"SET", b"maxmemory", b"1")
        with pytest.raises(keystead.OutOfMemory):
            db["a"] = b"1"
        with pytest.raises(keystead.OutOfMemory), db.transaction() as tx:
            tx["a"] = b"1"
        connection.call(b"CONFIG", b"SET", b"maxmemory", b"0")
        connection.call(b"REPLICAOF", b"127.0.0.1", b"1")
        with pytest.raises(keystead.CommandError, match="READONLY") as refused:
            db["a"] = b"1"
        assert refused.value.prefix == "READONLY"
        connection.close()


def test_a_server_that_goes_away_is_unreachable_and_found_again(tmp_path: Path) -> None:
    server = start_keystead(tmp_path / "data")
    with running(server), keystead.connect(f"redis://127.0.0.1:{server.port}") as db:
        db["a"] = b"1"
        server.kill()
        with pytest.raises(keystead.ServerUnreachable):
            db["a"]
        with pytest.raises(keystead.ServerUnreachable):
            db.set("a", b"2")


def test_threads_share_a_connected_store(redis: Server) -> None:
    with keystead.connect(f"redis://127.0.0.1:{redis.port}", values=keystead.msgpack) as db:
        db.clear()

        def work() -> None:
            for _ in range(20):
                db.increment("n")  # no command of the server: watched, and run again on a conflict

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert db["n"] == 80


def _count(url: str) -> None:
    with keystead.connect(url) as db:
        for _ in range(50):
            db.increment("n")


def test_several_processes_share_a_store_through_its_server(keystead: Server) -> None:
    url = f"redis://127.0.0.1:{keystead.port}"
    with library.connect(url) as db:
        db.clear()
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=_count, args=(url,)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 0
        assert db["n"] == b"200"


def test_sync_asks_the_server(keystead: Server, redis: Server) -> None:
    with library.connect(f"redis://127.0.0.1:{keystead.port}") as db:
        db["a"] = b"1"
        db.sync()
    with library.connect(f"redis://127.0.0.1:{redis.port}") as db, pytest.raises(library.CommandError):
        db.sync()
