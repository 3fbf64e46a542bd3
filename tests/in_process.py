"""The command cases' door without sockets: engine and executor in this process, the connection's part played here.

A connection parses what is sent, runs it and keeps the replies until they are received. The turn ends and is synced
after each chunk, so nothing waits for the disk. Timers run while somebody waits for a reply.
"""

from __future__ import annotations

import heapq
import io
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from keystead import resp
from keystead.config import Settings
from keystead.engine.engine import Engine, Options
from keystead.execution.local import LocalExecutor
from keystead.execution.promise import Promise
from keystead.resp import Limits, ProtocolError, RequestParser
from wire import CLOSED, TIMEOUT_SECONDS, Reply, read_reply

MAX_VALUE_BYTES = 512 << 20
HOUSEKEEPING_SECONDS = 0.05


@dataclass
class Timer:
    """A call to come; `cancel` makes it none."""

    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class InProcessServer:
    """An engine and an executor with every client in this process."""

    def __init__(self, directory: Path) -> None:
        self.engine = Engine.open(str(directory))
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count(1)
        self._housekeeping_at = 0.0
        settings = replace(Settings(), maxmemory_bytes=0, max_value_bytes=MAX_VALUE_BYTES)
        self.executor = LocalExecutor(self.engine, settings, call_later=self._call_later, on_settings=self._apply)

    def connect(self) -> InProcessConnection:
        return InProcessConnection(self, f"127.0.0.1:{50000 + next(self._numbers)}")

    def close(self) -> None:
        self.engine.close()

    def _call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def _apply(self, settings: Settings) -> None:
        self.engine.configure(Options(maxmemory=settings.maxmemory_bytes))

    def pass_time(self) -> None:
        """What the loop does between two inputs: due timers, now and then housekeeping, the end of the turn."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                timer.callback()
        if now >= self._housekeeping_at:
            self._housekeeping_at = now + HOUSEKEEPING_SECONDS
            self.engine.housekeep(1.0)
        self.end_turn()

    def end_turn(self) -> None:
        self.engine.end_turn()
        self.engine.sync()


class InProcessConnection:
    """One client; the `Peer` of its session."""

    is_local = True
    protocol = "resp"
    fd = 9
    laddr = "127.0.0.1:7379"

    def __init__(self, server: InProcessServer, addr: str) -> None:
        self.addr = addr
        self._server = server
        self._parser = RequestParser(Limits(max_bulk_bytes=MAX_VALUE_BYTES))
        self._backlog: deque[Iterator[list[bytes]]] = deque()
        self._promise: Promise | None = None
        self._farewell = b""
        self._output = bytearray()
        self._ended = self._closed = False
        self._session = server.executor.open_session(self)

    # ---- Connection, for the cases

    def send(self, data: bytes) -> None:
        self._server.pass_time()
        while not self._ended and self._parse(data):
            data = b""  # before login the parser gives one command at a time, judged by what the one before achieved
            self._run()
        self._run()

    def _parse(self, data: bytes) -> bool:
        self._choose_limits()
        try:
            commands = self._parser.feed(data)
        except ProtocolError as error:
            commands = error.commands
            self._farewell = resp.error(f"ERR {error.message}")
            self._ended = True
        self._backlog.append(iter(commands))
        return bool(commands)

    def receive(self) -> Reply:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            source = io.BytesIO(self._output)
            try:
                reply = read_reply(source)
            except EOFError:
                pass
            else:
                del self._output[: source.tell()]
                return reply
            if self._closed:
                return CLOSED
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.001)
            self._server.pass_time()

    def close(self) -> None:
        if not self._closed:
            self._closed = self._ended = True
            self._server.executor.close_session(self._session)

    # ---- Peer, for the session

    def kill(self) -> None:
        self._output.clear()
        self.close()

    def write_push(self, data: bytes) -> None:
        self._output += data

    def buffer_sizes(self) -> tuple[int, int]:
        return self._parser.buffered_bytes, len(self._output)

    # ---- running

    def _run(self) -> None:
        while self._backlog and self._promise is None and not self._closed:
            replies: list[bytes] = []
            stopped = self._server.executor.run(self._session, self._backlog[0], replies)
            self._output += b"".join(replies)
            self._server.end_turn()
            self._session.must_wait = False
            if isinstance(stopped, Promise):
                self._promise = stopped
                stopped.add_done(self._resolved)
            elif self._session.closing:
                self.close()
            elif stopped is None:
                self._backlog.popleft()
        if self._ended and not self._backlog and not self._closed:
            self._output += self._farewell
            self.close()

    def _choose_limits(self) -> None:
        self._parser.limits = replace(self._parser.limits, before_login=not self._session.authenticated)

    def _resolved(self, promise: Promise) -> None:
        self._promise = None
        self._output += promise.reply or b""
        self._server.end_turn()
        self._session.must_wait = False
        if self._session.closing:
            self.close()
        self._run()
