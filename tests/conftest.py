"""What tests share: one redis-server, one Keystead and one Redis Cluster a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clusters import Cluster, running_cluster
from executors import Stage, stage
from front_doors import start_front_door
from http_door import HttpDoor
from in_process import InProcessServer
from servers import HttpServer, Server, running, start_keystead, start_keystead_http, start_redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real redis-server: the oracle."""
    with running(start_redis(tmp_path_factory.mktemp("redis") / "data")) as server:
        yield server


@pytest.fixture(scope="session")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessServer]:
    """Keystead without sockets."""
    server = InProcessServer(tmp_path_factory.mktemp("in_process") / "data")
    yield server
    server.close()


@pytest.fixture(scope="session")
def keystead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Keystead with its defaults, but for two bounds that the oracle has elsewhere."""
    bounds = ("--maxmemory", "0", "--max-value-bytes", "512mb")
    with running(start_keystead(tmp_path_factory.mktemp("keystead") / "data", *bounds)) as server:
        yield server


@pytest.fixture(scope="session")
def keystead_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpDoor]:
    """The same over HTTP."""
    bounds = ("--maxmemory", "0", "--max-value-bytes", "512mb")
    with running(start_keystead_http(tmp_path_factory.mktemp("keystead_http") / "data", *bounds)) as server:
        yield HttpDoor(server)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real cluster, three primaries with a replica each. Tests that break theirs make one of their own."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture(scope="session")
def front_door(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """Keystead in front of that cluster."""
    bounds = ("--max-value-bytes", "512mb")
    directory = tmp_path_factory.mktemp("front_door") / "data"
    with running(start_front_door(directory, cluster.addresses, *bounds)) as server:
        yield server


@pytest.fixture(scope="session")
def front_door_http(front_door: HttpServer) -> HttpDoor:
    """The same over HTTP."""
    return HttpDoor(front_door)


@pytest.fixture
def executor_stage(tmp_path: Path) -> Iterator[Stage]:
    """An executor without sockets, on an engine of its own."""
    built = stage(tmp_path / "data")
    yield built
    built.executor.engine.close()
