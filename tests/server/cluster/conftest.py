"""What the tests of a server in front of a cluster share: one cluster, and two front doors to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clusters import slot_of
from front_doors import start_front_door
from http_client import HttpConnection
from servers import HttpServer, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clusters import Cluster
    from wire import SocketConnection


@pytest.fixture(scope="session")
def door(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A front door with its defaults, to the cluster that all tests share."""
    with running(start_front_door(tmp_path_factory.mktemp("door") / "data", cluster.addresses)) as server:
        yield server


@pytest.fixture(scope="session")
def other_door(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """Another one; it is told of one node only."""
    directory = tmp_path_factory.mktemp("other_door") / "data"
    with running(start_front_door(directory, cluster.addresses[-1:])) as server:
        yield server


@pytest.fixture
def http(door: HttpServer) -> Iterator[HttpConnection]:
    """A connection to an empty cluster."""
    redis = door.connect()
    assert redis.call("FLUSHALL").value == b"OK"
    redis.close()
    connection = HttpConnection(door.http_address)
    yield connection
    connection.close()


@pytest.fixture
def other_http(other_door: HttpServer) -> Iterator[HttpConnection]:
    """A connection to the same cluster through the other door."""
    connection = HttpConnection(other_door.http_address)
    yield connection
    connection.close()


@pytest.fixture
def cluster_client(cluster: Cluster) -> Callable[..., Any]:
    """Sends a command to the node of the key that comes first, by no door of ours."""

    def call(name: str, key: str, *arguments: object) -> Any:
        return cluster.primary_of(slot_of(key.encode())).call(name, key, *arguments)

    return call


@pytest.fixture
def redis_door(door: HttpServer) -> Iterator[SocketConnection]:
    """A connection by the Redis protocol."""
    connection = door.connect()
    yield connection
    connection.close()
