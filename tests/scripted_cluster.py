"""The cluster executor on a cluster that says what the test wants, when it wants it: no sockets, no loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from executors import FakePeer, Timers
from keystead.cluster.client import ClusterClient
from keystead.cluster.request import Request
from keystead.cluster.slots import SLOTS, slot_of
from keystead.cluster.status import READY, Status
from keystead.cluster.topology import PRIMARY, Node, Topology
from keystead.config import Settings
from keystead.execution.cluster.executor import ClusterExecutor
from keystead.execution.promise import Promise
from keystead.execution.session import Session
from keystead.resp import Limits, RequestParser

IDS = ("a" * 40, "b" * 40, "c" * 40)


def topology_of(*ids: str) -> Topology:
    """These primaries share all slots, in this order."""
    bounds = [SLOTS * place // len(ids) for place in range(len(ids) + 1)]
    nodes, owners = [], []
    for place, (name, first, following) in enumerate(zip(ids, bounds, bounds[1:], strict=False)):
        nodes.append(Node(name, "127.0.0.1", 7000 + place, PRIMARY, None, ((first, following - 1),)))
        owners += [name] * (following - first)
    return Topology(nodes, owners)


@dataclass
class Sent:
    """One request, and what it says."""

    request: Request
    protocol: int

    @property
    def commands(self) -> list[list[bytes]]:
        return list(RequestParser(Limits()).feed(self.request.data))

    @property
    def line(self) -> str:
        return "; ".join(" ".join(word.decode() for word in args) for args in self.commands)

    def answer(self, reply: bytes, *earlier: bytes) -> None:
        self.request.earlier = list(earlier)
        self.request.done(reply)


@dataclass
class ScriptedDedicated:
    """Keeps what is sent over it."""

    slot: int
    protocol: int
    sent: list[Sent] = field(default_factory=list)
    closed: bool = False

    def send(self, request: Request) -> None:
        self.sent.append(Sent(request, self.protocol))

    def close(self) -> None:
        self.closed = True


class ScriptedClient:
    """Keeps what is sent; `sends` has one list for each call."""

    def __init__(self) -> None:
        self.topology = topology_of(*IDS)
        self.status: Status = READY
        self.sends: list[list[Sent]] = []
        self.dedicated: list[ScriptedDedicated] = []

    def send(self, requests: Sequence[Request], protocol: int) -> None:
        self.sends.append([Sent(request, protocol) for request in requests])

    def dedicate(self, slot: int, protocol: int) -> ScriptedDedicated:
        self.dedicated.append(ScriptedDedicated(slot, protocol))
        return self.dedicated[-1]

    @property
    def sent(self) -> list[Sent]:
        return [sent for sends in self.sends for sent in sends]

    def lines(self) -> list[str]:
        return [sent.line for sent in self.sent]

    def answer(self, *replies: bytes) -> None:
        """To what was sent last, in order."""
        for sent, reply in zip(self.sends[-1], replies, strict=True):
            sent.answer(reply)


@dataclass
class FrontClient:
    """One client of the front door."""

    executor: ClusterExecutor
    session: Session
    peer: FakePeer

    def run(self, *lines: str) -> Running:
        return Running(self, deque(line.encode().split() for line in lines))

    def __call__(self, *lines: str) -> bytes | None:
        """The replies to the lines as one chunk, if they are there at once."""
        return self.run(*lines).replies


class Running:
    """One chunk of a client on its way, as a connection would run it."""

    def __init__(self, client: FrontClient, commands: deque[list[bytes]]) -> None:
        self._client = client
        self._commands = iter(list(commands))
        self.output = b""
        self.waits = False
        self._go_on()

    def _go_on(self) -> None:
        while True:
            replies: list[bytes] = []
            stopped = self._client.executor.run(self._client.session, self._commands, replies)
            self.output += b"".join(replies)
            if stopped is None or self._client.session.closing:
                if isinstance(stopped, Promise):
                    self.output += stopped.reply or b""
                return
            if not isinstance(stopped, Promise):
                continue
            if not stopped.is_resolved:
                self.waits = True
                stopped.add_done(self._resolved)
                return
            self.output += stopped.reply or b""

    def _resolved(self, promise: Promise) -> None:
        self.waits = False
        self.output += promise.reply or b""
        self._go_on()

    @property
    def replies(self) -> bytes | None:
        """All of them, or None while something is waited for."""
        return None if self.waits else self.output


@dataclass
class FrontStage:
    """An executor in front of the scripted cluster."""

    executor: ClusterExecutor
    cluster: ScriptedClient
    timers: Timers

    def client(self, **peer: Any) -> FrontClient:
        there = FakePeer(**peer)
        return FrontClient(self.executor, self.executor.open_session(there), there)


def front_stage(**settings: Any) -> FrontStage:
    cluster, timers = ScriptedClient(), Timers()
    executor = ClusterExecutor(
        cast("ClusterClient", cluster), replace(Settings(), **settings), call_later=timers.call_later
    )
    return FrontStage(executor, cluster, timers)


def key_in(place: int, number: int = 0) -> str:
    """A key of the primary at that place."""
    first, last = topology_of(*IDS).primaries[place].slots[0]
    return [key for key in (f"k{at}" for at in range(1000)) if first <= slot_of(key.encode()) <= last][number]


A, B, C = key_in(0), key_in(1), key_in(2)
"""A key of each primary."""
