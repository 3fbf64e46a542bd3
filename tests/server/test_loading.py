"""Clients that come while the store is still being read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import uvloop
from stage import Pipe, Stage

from keystead.config.settings import Settings
from keystead.engine.engine import Engine
from keystead.execution.local import LocalExecutor
from keystead.server.clients import Clients
from keystead.server.loading import LoadingConnection
from keystead.server.resp_server import Connection
from keystead.server.turns import Turns

REFUSED = b"-LOADING Keystead is loading the dataset in memory\r\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "data")
    yield stage
    stage.engine.close()


def early(waiting: set[LoadingConnection]) -> tuple[LoadingConnection, Pipe]:
    connection, pipe = LoadingConnection(waiting), Pipe()
    pipe.protocol = connection
    connection.connection_made(pipe)  # type: ignore[arg-type]  # all of a transport that is used
    return connection, pipe


def test_every_command_is_refused_as_redis_does() -> None:
    waiting: set[LoadingConnection] = set()
    connection, pipe = early(waiting)
    connection.data_received(b"*1\r\n$4\r\nPING\r\nGET k\r\n*2\r\n$3\r\nGE")
    assert pipe.replies() == REFUSED * 2
    connection.data_received(b"T\r\n$1\r\nk\r\n")
    assert pipe.replies() == REFUSED
    assert not pipe.closed


def test_garbage_is_refused_as_ever() -> None:
    connection, pipe = early(set())
    connection.data_received(b"PING\r\n*x\r\n")
    assert pipe.replies() == REFUSED + b"-ERR Protocol error: invalid multibulk length\r\n"
    assert pipe.closed


def test_when_the_store_is_ready_the_client_is_served_with_what_it_had_begun_to_say(stage: Stage) -> None:
    waiting: set[LoadingConnection] = set()
    connection, pipe = early(waiting)
    connection.data_received(b"PING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhe")
    assert waiting == {connection}
    connection.become_ordinary(stage.server)
    assert waiting == set()
    served = cast("Connection", pipe.protocol)
    assert stage.server.connections == {served}
    served.get_buffer(-1)[:5] = b"llo\r\n"
    served.buffer_updated(5)
    stage.loop.run()
    assert pipe.replies() == REFUSED + b"$5\r\nhello\r\n"


def test_one_that_went_away_meanwhile_is_forgotten(stage: Stage) -> None:
    waiting: set[LoadingConnection] = set()
    connection, pipe = early(waiting)
    pipe.close()
    connection.connection_lost(None)
    assert waiting == set()
    connection.become_ordinary(stage.server)
    assert stage.server.connections == set()


def test_a_real_socket_changes_hands_without_losing_a_byte(tmp_path: Path) -> None:
    """uvloop reads for a buffered protocol in another way than for a plain one: the change must restart reading."""

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        waiting: set[LoadingConnection] = set()
        path = str(tmp_path / "socket")
        listener = await loop.create_unix_server(lambda: LoadingConnection(waiting), path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"PING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhe")
        assert await reader.readline() == REFUSED
        engine = Engine.open(str(tmp_path / "data"))
        turns = Turns(loop, engine, lambda failure: pytest.fail(str(failure)))
        server = Clients(loop, LocalExecutor(engine, Settings(), call_later=loop.call_later), turns)
        for connection in list(waiting):
            connection.become_ordinary(server)
        writer.write(b"llo\r\nSET k v\r\n")
        assert await reader.readexactly(len(b"$5\r\nhello\r\n+OK\r\n")) == b"$5\r\nhello\r\n+OK\r\n"
        writer.close()
        await writer.wait_closed()
        listener.close()
        await listener.wait_closed()
        engine.close()

    uvloop.run(asyncio.wait_for(scene(), 20))
