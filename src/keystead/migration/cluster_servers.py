"""A cluster as where commands go: each to the primary that has its key, or to one that is named.

Owns: the thread in which the cluster's client lives, for all else here blocks. Must not know: what commands mean,
beyond which ones write. Facts may be executed twice, so a write whose outcome is unknown is simply sent again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import hiredis

from keystead.cluster.client import ClusterClient
from keystead.cluster.options import Options
from keystead.cluster.request import Request
from keystead.cluster.slots import slot_of
from keystead.errors import CommandError, ServerUnreachable
from keystead.migration.addresses import ServerAddress
from keystead.migration.connection import AGAIN_S, PATIENCE_S, Command, is_not_now, tls_context

WRITES = frozenset({b"SET", b"DEL", b"PEXPIREAT", b"RESTORE", b"FLUSHDB"})
PROTOCOL = 2
STARTS_S = 60.0


class ClusterServers:
    """All primaries of a cluster. Close it."""

    def __init__(
        self, address: ServerAddress, *, acknowledge: Literal["replicated", "async"], patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        """ClusterUnavailable."""
        self.address = address
        self._patience_s = patience_s
        self._sleep = sleep
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cluster", daemon=True)
        self._thread.start()
        options = Options(address.username, address.password, tls_context(address), acknowledge)
        self._client = ClusterClient(self._loop, address.hosts, options)
        try:
            asyncio.run_coroutine_threadsafe(self._client.start(), self._loop).result(STARTS_S)
        except BaseException:
            self._end_loop()
            raise

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """As Servers."""
        return self.run_at([slot_of(command[1]) for command in commands], commands)

    def places(self) -> list[ClusterPlace]:
        """As Servers: the primaries of now."""
        return [ClusterPlace(self, node.id) for node in self._client.topology.primaries]

    def without_replicas(self) -> list[str]:
        """The addresses of the primaries that nobody follows."""
        topology = self._client.topology
        return [node.shown_address for node in topology.primaries if not topology.replicas_of(node.id)]

    def run_at(self, targets: Sequence[int | str], commands: Sequence[Command]) -> list[Any]:
        """Each at its slot, or at a node. ServerUnreachable when the cluster is not well for too long."""
        deadline_s = time.monotonic() + self._patience_s
        replies: list[Any] = [None] * len(commands)
        waiting = list(range(len(commands)))
        while True:
            answers = self._exchange([targets[i] for i in waiting], [commands[i] for i in waiting])
            for i, reply in zip(waiting, answers, strict=True):
                replies[i] = reply
            waiting = [i for i in waiting if is_not_now(replies[i])]
            if not waiting:
                return replies
            if time.monotonic() > deadline_s:
                raise ServerUnreachable(f"{self.address}: {replies[waiting[0]]}")
            self._sleep(AGAIN_S)

    def _exchange(self, targets: Sequence[int | str], commands: Sequence[Command]) -> list[Any]:
        if not commands:
            return []
        answered: list[bytes | None] = [None] * len(commands)
        left = len(commands)
        done = threading.Event()

        def answering(i: int) -> Callable[[bytes], None]:
            def answer(reply: bytes) -> None:
                nonlocal left
                answered[i] = reply
                left -= 1
                if not left:
                    done.set()

            return answer

        requests = [
            Request(target, _packed(command), answering(i), writes=command[0] in WRITES)
            for i, (target, command) in enumerate(zip(targets, commands, strict=True))
        ]
        self._loop.call_soon_threadsafe(self._client.send, requests, PROTOCOL)
        done.wait()
        return [_decoded(reply or b"") for reply in answered]

    def close(self) -> None:
        """Hang up."""
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(STARTS_S)
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class ClusterPlace(NamedTuple):
    """One primary."""

    servers: ClusterServers
    node_id: str

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """As Place."""
        return self.servers.run_at([self.node_id] * len(commands), commands)


def _packed(command: Command) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub means other tuples
    return packed


def _decoded(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    value = reader.gets()
    return CommandError(str(value)) if isinstance(value, hiredis.ReplyError) else value
