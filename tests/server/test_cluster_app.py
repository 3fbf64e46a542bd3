"""The life of a front door before it serves: what it says, and that it ends when it is told to."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from keystead.cluster.options import Options
from keystead.cluster.status import READY, down
from keystead.config import Settings
from keystead.errors import ClusterUnavailable
from keystead.server.cluster_app import ClusterApp
from keystead.server.http.cluster.behind import Cluster


class Client:
    """A cluster that is never found, or not there at all."""

    def __init__(self, failure: ClusterUnavailable | None = None) -> None:
        self.failure = failure
        self.closed = False

    async def start(self) -> None:
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(3600)

    async def close(self) -> None:
        self.closed = True


def app_before(client: Client) -> ClusterApp:
    app = ClusterApp(asyncio.get_running_loop(), Settings(cluster=(("a", 1),)), [], None, None, Options())
    app._client = cast("Any", client)
    return app


def test_a_front_door_that_looks_for_its_cluster_says_so_and_ends_when_told_to() -> None:
    async def look() -> tuple[str, bytes, bool, bool]:
        client = Client()
        app = app_before(client)
        opening = asyncio.ensure_future(app._open())
        await asyncio.sleep(0)
        reason = app._http.readiness().reason
        app._stop.set()
        return reason, app.early_reply, await opening, client.closed

    reason, reply, opened, closed = asyncio.run(look())
    assert (reason, opened, closed) == ("connecting", False, True)
    assert reply.startswith(b"-LOADING ")


def test_a_cluster_that_is_not_there_ends_the_start() -> None:
    async def look() -> None:
        await app_before(Client(ClusterUnavailable("nobody is at a:1")))._open()

    with pytest.raises(ClusterUnavailable, match="nobody is at a:1"):
        asyncio.run(look())


def test_the_log_tells_once_that_the_cluster_is_down_and_once_that_it_is_well(caplog: pytest.LogCaptureFixture) -> None:
    behind = Cluster.__new__(Cluster)
    behind._was_ready = True
    with caplog.at_level(logging.INFO, "keystead.cluster"):
        for status in (READY, down("no node serves slot 7"), down("no node serves slots 7-9"), READY, READY):
            behind.note(status)
    assert [record.message for record in caplog.records] == [
        "the cluster is down: no node serves slot 7",
        "the cluster is well again",
    ]
