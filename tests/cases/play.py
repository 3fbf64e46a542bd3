"""Runs a case against a peer: what is asked, in which order, on which connection, and how two performances differ."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cases.case import SAME, Case, Step, View, matches, view_of
from wire import Connection, Reply, encode

PLACE = re.compile(rb"\{(id|addr|laddr):(\w+)\}")

MISFITS = (TypeError, ValueError, AttributeError, IndexError, KeyError)

Connect = Callable[[], Connection]


@dataclass(frozen=True)
class Peer:
    """Something that can be asked: a name for reports, a protocol version, and how to connect."""

    name: str
    protocol: int
    connect: Connect
    lacks: frozenset[str] = frozenset()

    def plays(self, case: Case) -> bool:
        return self.protocol in case.protocols and not case.needs & self.lacks


def perform(case: Case, peer: Peer) -> list[Reply]:
    """One reply a step (a null simple string for steps without); `raw` steps give an array of what came."""
    stage = _Stage(peer)
    try:
        stage.connection("main")
        _ask(stage, Step("FLUSHALL", [b"FLUSHALL"]))
        replies = [_answer(stage, step) for step in case.steps]
    finally:
        try:
            for step in case.cleanup:
                _ask(stage, step)
        finally:
            stage.close()
    return replies


def differences(case: Case, replies: list[Reply], oracle: list[Reply] | None) -> list[str]:
    """One line for each step whose reply is not the stated one, or not what the oracle answered."""
    found = []
    for number, (step, reply) in enumerate(zip(case.steps, replies, strict=True)):
        if step.expected is not SAME and not matches(reply, step.expected):
            found.append(f"{step.line}\n      answered {_shown(reply)}\n      stated   {_shown(step.expected)}")
        elif oracle is not None and not _same(step, reply, oracle[number]):
            view = view_of(step)
            found.append(
                f"{step.line}\n      answered {_shown(reply, view)}\n      Redis    {_shown(oracle[number], view)}"
            )
    return found


def _same(step: Step, reply: Reply, oracle: Reply) -> bool:
    if reply == oracle:
        return True
    view = view_of(step)
    try:
        return bool(view(reply) == view(oracle))
    except MISFITS:
        return False


class _Stage:
    """The connections of one performance, opened when first named, and what they said of themselves when first
    asked.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._connections: dict[str, Connection] = {}
        self.facts: dict[bytes, dict[bytes, bytes]] = {}

    def connection(self, name: str) -> Connection:
        if name not in self._connections:
            self._connections[name] = connection = self._peer.connect()
            if self._peer.protocol == 3:
                connection.send(encode((b"HELLO", b"3")))
                connection.receive()
        return self._connections[name]

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


def _answer(stage: _Stage, step: Step) -> Reply:
    try:
        return _ask(stage, step)
    except TimeoutError:
        raise TimeoutError(f"no reply to {step.line}, connection {step.on}") from None


def _ask(stage: _Stage, step: Step) -> Reply:
    if step.act == "wait":
        time.sleep(step.seconds)
        return Reply("+", b"")
    connection = stage.connection(step.on)
    if step.act != "receive":
        connection.send(step.data if isinstance(step.data, bytes) else encode(_filled(stage, step.data)))
    if step.act == "send":
        return Reply("+", b"")
    if step.act == "raw":
        return Reply("*", [connection.receive() for _ in range(step.replies)])
    return connection.receive()


def _filled(stage: _Stage, args: list[bytes]) -> list[bytes]:
    """`{id:b}` and `{addr:b}` stand for the id and the address of connection b."""
    return [PLACE.sub(lambda place: _fact(stage, place), arg) for arg in args]


def _fact(stage: _Stage, place: re.Match[bytes]) -> bytes:
    field, name = place.groups()
    if name not in stage.facts:
        info = _ask(stage, Step("CLIENT INFO", [b"CLIENT", b"INFO"], on=name.decode())).value
        stage.facts[name] = dict(word.split(b"=", 1) for word in info.removeprefix(b"txt:").split())
    return stage.facts[name][field]


def _shown(value: Any, view: View | None = None) -> str:
    """What is compared; the whole reply where the view was written for another type of reply."""
    with contextlib.suppress(*MISFITS):
        value = view(value) if view else value
    text = repr(value)
    return text if len(text) < 800 else text[:800] + f"… ({len(text)} characters)"
