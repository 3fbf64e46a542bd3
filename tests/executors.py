"""An executor and its clients, without sockets and without a loop: time passes when the test says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cases.case import split
from keystead.config import Settings
from keystead.engine.clock import wall_clock_ms
from keystead.engine.engine import Engine, Fsync
from keystead.execution.local import LocalExecutor
from keystead.execution.promise import Promise
from keystead.execution.session import Session


def choose_fsync(engine: Engine, fsync: Fsync) -> None:
    """CONFIG SET appendfsync, and wait until it holds: the manifest must know of less durability first."""
    options = engine.options._replace(fsync=fsync)
    engine.configure(options)
    while engine.options != options:
        time.sleep(0.001)
        engine.configure(options)


class Timers:
    """Stands for an event loop's `call_later`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.due: list[tuple[float, Timer]] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        self.due.append((self.now_s + delay_s, timer))
        return timer

    def pass_time(self, seconds: float) -> None:
        """Let time pass and call what falls due, in order."""
        until_s = self.now_s + seconds
        while ready := [entry for entry in self.due if entry[0] <= until_s and not entry[1].cancelled]:
            entry = min(ready, key=lambda entry: entry[0])
            self.due.remove(entry)
            self.now_s = max(self.now_s, entry[0])
            entry[1].callback()
        self.now_s = until_s


@dataclass
class Timer:
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class FakePeer:
    """A connection that goes nowhere."""

    addr: str = "127.0.0.1:50000"
    laddr: str = "127.0.0.1:7379"
    is_local: bool = True
    protocol: str = "resp"
    fd: int = 9
    pushed: bytes = b""
    killed: bool = False
    buffers: tuple[int, int] = (0, 0)

    def kill(self) -> None:
        self.killed = True

    def write_push(self, data: bytes) -> None:
        self.pushed += data

    def buffer_sizes(self) -> tuple[int, int]:
        return self.buffers


@dataclass
class Client:
    """One client; calling it with a command line executes it and gives the encoded reply, or the promise of one."""

    executor: LocalExecutor
    peer: FakePeer
    session: Session

    def __call__(self, line: str) -> Any:
        replies, stopped = self.pipeline(line)
        return stopped if isinstance(stopped, Promise) else replies[-1]

    def pipeline(self, *lines: str) -> tuple[list[bytes], bytes | Promise | None]:
        """Execute the lines as one chunk: the replies, and what the executor returned."""
        replies: list[bytes] = []
        return replies, self.executor.run(self.session, iter([split(line) for line in lines]), replies)

    def text(self, line: str) -> str:
        """The reply decoded, for looking into it."""
        reply: bytes = self(line)
        return reply.decode()


@dataclass
class Stage:
    """An executor on an engine in a directory of the test."""

    executor: LocalExecutor
    timers: Timers
    stopped: list[bool] = field(default_factory=list)
    applied: list[Settings] = field(default_factory=list)

    def client(self, **peer: Any) -> Client:
        there = FakePeer(**peer)
        return Client(self.executor, there, self.executor.open_session(there))


def stage(directory: Path, *, wall_ms: Callable[[], int] = wall_clock_ms, **settings: Any) -> Stage:
    """Everything but sockets."""
    engine = Engine(str(directory), wall_ms=wall_ms)
    for _ in engine.load():
        pass
    timers = Timers()
    stopped: list[bool] = []
    applied: list[Settings] = []
    executor = LocalExecutor(
        engine,
        replace(Settings(), **settings),
        call_later=timers.call_later,
        stop=lambda: stopped.append(True),
        on_settings=applied.append,
    )
    return Stage(executor, timers, stopped, applied)
