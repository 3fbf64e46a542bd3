"""A connection on a stage: real engine, executor, turns and connection; the loop and the socket are props.

The loop runs only when told to, and the socket takes as much as it is told to, so every order of events can be played.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from keystead import resp
from keystead.config.settings import Settings
from keystead.engine.engine import Engine
from keystead.errors import DiskFailure
from keystead.execution.access import Access
from keystead.execution.local import LocalExecutor
from keystead.execution.promise import Promise
from keystead.execution.session import Session
from keystead.server import resp_server
from keystead.server.clients import Clients
from keystead.server.resp_server import Connection
from keystead.server.turns import Turns

Runner = Callable[[Session, list[bytes]], "bytes | Promise"]


class ManualLoop:
    """Callbacks run when `run` is called, in order; those that they add run in the next round of the same call."""

    def __init__(self) -> None:
        self.soon: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        self.soon.append((callback, args))

    def call_later(self, _seconds: float, _callback: Callable[[], None]) -> ManualTimer:
        return ManualTimer()

    def run(self) -> None:
        while self.soon:
            self.run_once()

    def run_once(self) -> None:
        """One turn of the loop: what is added meanwhile belongs to the next one."""
        callbacks, self.soon = self.soon, []
        for callback, args in callbacks:
            callback(*args)


class ManualTimer:
    """Never fires."""

    def cancel(self) -> None:
        return


class ManualHelper:
    """A sync helper that answers when told to."""

    def __init__(self) -> None:
        self.requests: list[list[int]] = []
        self.sync_s = 0.0
        """What the next syncs take by its own clock."""

    def request(self, descriptors: list[int]) -> None:
        self.requests.append(list(descriptors))


class Pipe:
    """The transport of one client: what was written, and how much of it the client has not taken."""

    def __init__(self, peer: object = ("127.0.0.1", 50000)) -> None:
        self.written = b""
        self.writes = 0
        self.unread = 0
        self.room: int | None = None  # None: the client takes everything at once
        self.reading = True
        self.closed = self.aborted = False
        self.high = 1 << 16
        self.paused = False
        self.protocol: asyncio.BaseProtocol | None = None
        self._peer = peer

    def write(self, data: bytes) -> None:
        if self.closed:
            return
        self.written += data
        self.writes += 1
        if self.room is not None:
            self.unread += len(data)
            taken = min(self.room, self.unread)
            self.unread -= taken
            self.room -= taken
        if self.unread > self.high and not self.paused:
            self.paused = True
            cast("Connection", self.protocol).pause_writing()

    def take(self) -> None:
        """The client reads everything, and goes on doing so."""
        self.room, self.unread = None, 0
        if self.paused:
            self.paused = False
            cast("Connection", self.protocol).resume_writing()

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True
        self.unread = 0
        cast("Connection", self.protocol).connection_lost(None)

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return self.unread

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str) -> Any:
        return {"peername": self._peer, "sockname": ("127.0.0.1", 7379), "socket": self}[name]

    def fileno(self) -> int:
        return 99

    def replies(self) -> bytes:
        """What was written since the last call."""
        written, self.written = self.written, b""
        return written


class Client:
    """One client and its connection."""

    def __init__(self, stage: Stage, peer: object = ("127.0.0.1", 50000)) -> None:
        self.stage = stage
        self.pipe = Pipe(peer)
        self.connection = Connection(stage.server)
        self.pipe.protocol = self.connection
        self.connection.connection_made(cast("asyncio.BaseTransport", self.pipe))

    def sends(self, *commands: str | bytes) -> None:
        """Send commands in one go: a text is an inline command, bytes are themselves. The loop is not run."""
        data = b"".join(c if isinstance(c, bytes) else c.encode() + b"\r\n" for c in commands)
        for start in range(0, len(data), resp_server.READ_BYTES):
            piece = data[start : start + resp_server.READ_BYTES]
            while not self.pipe.reading:
                if self.pipe.closed:
                    return
                assert self.stage.loop.soon, "the connection does not read"
                self.stage.loop.run()
            self.connection.get_buffer(-1)[: len(piece)] = piece
            self.connection.buffer_updated(len(piece))

    def asks(self, *commands: str | bytes) -> bytes:
        """Send, let the loop run, and return the replies."""
        self.sends(*commands)
        self.stage.loop.run()
        return self.pipe.replies()


class Stage:
    """The store, everything above it, and what has gone wrong."""

    def __init__(
        self,
        directory: Path,
        settings: Settings | None = None,
        *,
        helper: bool = False,
        access: Access | None = None,
    ) -> None:
        self.loop = ManualLoop()
        self.engine = Engine.open(str(directory))
        self.failures: list[DiskFailure] = []
        self.now_s = 1000.0
        loop = cast("asyncio.AbstractEventLoop", self.loop)
        self.turns = Turns(loop, self.engine, self.failures.append, clock_s=lambda: self.now_s)
        self.helper = ManualHelper()
        if helper:
            self.turns.helper = self.helper
        self.executor = LocalExecutor(
            self.engine, settings or Settings(), call_later=self.loop.call_later, access=access
        )
        self.promises: list[Promise] = []
        self.executed: list[bytes] = []
        self.server = Clients(loop, self.executor, self.turns)
        for name, runner in self._runners().items():
            self.executor.tables.normal[name] = runner

    def _runners(self) -> dict[bytes, Runner]:
        def put(session: Session, args: list[bytes]) -> bytes:
            session.must_wait = True
            session.db.keyspace.put(args[1], args[2])
            return resp.OK

        def read(session: Session, args: list[bytes]) -> bytes:
            return session.encode(session.db.keyspace.read(args[1], session))

        def size(session: Session, _args: list[bytes]) -> bytes:
            session.must_wait = True
            return resp.integer(len(session.db.keyspace))

        def large(_session: Session, args: list[bytes]) -> bytes:
            self.executed.append(args[0])
            return resp.bulk(b"x" * int(args[1]))

        def later(_session: Session, _args: list[bytes]) -> Promise:
            promise = Promise()
            self.promises.append(promise)
            return promise

        return {b"PUT": put, b"READ": read, b"SIZE": size, b"LARGE": large, b"LATER": later}

    def sync(self) -> None:
        """The helper answers that its sync is done."""
        self.turns.synced(self.helper.sync_s)
        self.loop.run()
