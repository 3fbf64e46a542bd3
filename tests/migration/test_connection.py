"""A connection to a server that is lost, not ready, or away."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystead.errors import CommandError, ServerUnreachable
from keystead.migration.addresses import ServerAddress
from keystead.migration.connection import Connection
from servers import Server, free_port, running, start_redis


class ScriptedServer:
    """Answers the commands that come on each connection with what it was given for it; then closes it."""

    def __init__(self, *connections: list[bytes]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._connections = connections
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answers in self._connections:
            connection, _ = self._listening.accept()
            with connection:
                for answer in answers:
                    self.received.append(connection.recv(1 << 16))
                    connection.sendall(answer)

    def close(self) -> None:
        self._listening.close()
        self._thread.join(10)


@contextlib.contextmanager
def scripted(*connections: list[bytes], patience_s: float = 30.0) -> Iterator[tuple[ScriptedServer, Connection]]:
    server = ScriptedServer(*connections)
    with contextlib.closing(server):
        address = ServerAddress((("127.0.0.1", server.port),))
        with contextlib.closing(Connection(address, patience_s=patience_s, sleep=lambda _: None)) as connection:
            yield server, connection


def test_replies_come_in_order_with_errors_among_them(redis: Server) -> None:
    with contextlib.closing(Connection(ServerAddress((redis.address,)))) as connection:
        replies = connection.run([(b"ECHO", b"a"), (b"NONSENSE",), (b"ECHO", b"b")])
    assert (replies[0], replies[2]) == (b"a", b"b")
    assert isinstance(replies[1], CommandError)


def test_replies_that_are_larger_than_any_buffer_do_not_block_what_is_still_to_be_sent(redis: Server) -> None:
    value = bytes(1 << 20)
    with contextlib.closing(Connection(ServerAddress((redis.address,)))) as connection:
        assert connection.run([(b"ECHO", value)] * 30) == [value] * 30


def test_a_lost_connection_is_made_anew_and_everything_is_sent_again() -> None:
    with scripted([b"+OK\r\n"], [b"+one\r\n+two\r\n"]) as (server, connection):
        assert connection.run([(b"A",), (b"B",)]) == [b"one", b"two"]
    assert server.received[0] == server.received[1]


def test_only_what_was_not_ready_is_sent_again() -> None:
    answers = [b"+one\r\n-LOADING it reads its data\r\n+three\r\n", b"-BUSY\r\n", b"+two\r\n"]
    with scripted(answers) as (server, connection):
        assert connection.run([(b"A",), (b"B",), (b"C",)]) == [b"one", b"two", b"three"]
    assert server.received[1:] == [b"*1\r\n$1\r\nB\r\n"] * 2


def test_a_server_that_stays_away_is_given_up(tmp_path: Path) -> None:
    with running(start_redis(tmp_path / "data")) as server:
        connection = Connection(ServerAddress((server.address,)), patience_s=0.0, sleep=lambda _: None)
        assert connection.ask(b"PING") == b"PONG"
    with contextlib.closing(connection), pytest.raises(ServerUnreachable, match=f"127.0.0.1:{server.port}"):
        connection.ask(b"PING")


def test_where_nobody_listens_there_is_no_connection() -> None:
    with pytest.raises(ServerUnreachable, match="Connection refused"):
        Connection(ServerAddress((("127.0.0.1", free_port()),)))


def test_a_wrong_password_is_an_error_at_once(tmp_path: Path) -> None:
    with running(start_redis(tmp_path / "data", "--requirepass", "right")) as server:
        with pytest.raises(CommandError, match="WRONGPASS"):
            Connection(ServerAddress((server.address,), password="wrong"))
        with contextlib.closing(Connection(ServerAddress((server.address,), password="right", database=3))) as right:
            right.ask(b"SET", b"k", b"v")
            assert b"db3:keys=1" in right.ask(b"INFO", b"keyspace")
