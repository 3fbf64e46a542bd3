"""What the tests of HTTP routes share: one server with both doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wire import SocketConnection


@pytest.fixture(scope="session")
def http_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """Keystead with its defaults and a place for backups, listening for HTTP too."""
    directory = tmp_path_factory.mktemp("http")
    with running(start_keystead_http(directory / "data", "--backup-places", str(directory / "backups"))) as server:
        yield server


@pytest.fixture
def http(http_server: HttpServer) -> Iterator[HttpConnection]:
    """A connection to an empty store."""
    redis = http_server.connect()
    redis.call("FLUSHALL")
    redis.close()
    connection = HttpConnection(http_server.http_address)
    yield connection
    connection.close()


@pytest.fixture
def redis_door(http_server: HttpServer) -> Iterator[SocketConnection]:
    """A connection to the same store by the Redis protocol."""
    connection = http_server.connect()
    yield connection
    connection.close()
