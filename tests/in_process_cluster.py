"""The command cases' door to a cluster without sockets of its own: the cluster executor in this process, real nodes.

What an event loop does between two inputs it does here whenever somebody waits for a reply.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace

from in_process import MAX_VALUE_BYTES, InProcessConnection
from keystead.cluster.client import ClusterClient
from keystead.cluster.options import Options
from keystead.config import Settings
from keystead.execution.cluster.executor import ClusterExecutor

TURN_S = 0.0005


class InProcessFrontDoor:
    """A cluster executor with every client in this process. `InProcessConnection`'s server."""

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = ClusterClient(self._loop, addresses, Options())
        self._loop.run_until_complete(self._client.start())
        settings = replace(Settings(), maxmemory_bytes=0, max_value_bytes=MAX_VALUE_BYTES)
        self.executor = ClusterExecutor(self._client, settings, call_later=self._loop.call_later)
        self._numbers = itertools.count(1)

    def connect(self) -> InProcessConnection:
        return InProcessConnection(self, f"127.0.0.1:{50000 + next(self._numbers)}")

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def pass_time(self) -> None:
        """One turn of the loop, and a moment for the nodes to answer."""
        self._loop.run_until_complete(asyncio.sleep(TURN_S))

    def end_turn(self) -> None:
        """Nothing is kept here."""
