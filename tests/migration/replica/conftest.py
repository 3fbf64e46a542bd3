"""Two real servers: one to be followed, one to be given what was told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers import Server, running, start_redis

SOURCE = ("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "4mb")


@pytest.fixture(scope="module", params=["yes", "no"], ids=["diskless", "by a file"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that makes snapshots in either way."""
    options = (*SOURCE, "--repl-diskless-sync", request.param)
    with running(start_redis(tmp_path_factory.mktemp("source") / "data", *options)) as server:
        yield server


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(start_redis(tmp_path_factory.mktemp("target") / "data")) as server:
        yield server


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> None:
    """Whichever of them a test uses has no keys."""
    for name in ("source", "target"):
        if name in request.fixturenames:
            connection = request.getfixturevalue(name).connect()
            connection.call("FLUSHALL")
            connection.call("FUNCTION", "FLUSH")
            connection.close()
