"""The composition root: settings → sockets → engine → executor → connections, and the order of start and stop.

Start: bind (a taken port shows at once) → answer -LOADING → read the store → serve.
Stop: accept no more → execute no more → last sync → last replies → close the store. After a disk failure nothing of
the sort: no reply may leave any more.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar, cast

import uvloop

from keystead.engine.engine import Engine, Options
from keystead.errors import DiskFailure
from keystead.execution.local import LocalExecutor
from keystead.server import listeners
from keystead.server.clients import Clients
from keystead.server.http.connection import Connection as HttpConnection
from keystead.server.http.server import HttpServer
from keystead.server.loading import LoadingConnection
from keystead.server.resp_server import Connection
from keystead.server.sync_process import SyncProcess
from keystead.server.turns import Turns

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.engine.checkpoint import Progress
    from keystead.server.http.asgi import Application

log = logging.getLogger("keystead.server")
T = TypeVar("T")

HOUSEKEEPING_INTERVAL_S = 0.1
HOUSEKEEPING_BUDGET_MS = 2.0
INTERVAL_SYNC_S = 1.0
LOADING_SLICE_S = 0.02
"""How long the store is read between two looks at the sockets."""
SPARE_DESCRIPTORS = 64
"""What the process opens beside its clients: log, listeners, pipes, libraries."""

ShowProgress = Callable[[int, int], None]


def serve(settings: Settings, show_progress: ShowProgress | None = None) -> None:
    """Serve until SIGTERM, SIGINT or SHUTDOWN; returns when everything acknowledged is safe and the store is closed.

    *show_progress* is called with (bytes done, bytes in all) while the store is read. Raises PortTaken, any OpenError,
    ConfigurationError before serving; DiskFailure, at any time.
    """
    http_connections = settings.http_max_connections if settings.http_port else 0
    allow_descriptors(settings.max_clients + http_connections)
    sockets = listeners.bind(settings)
    http_sockets: list[socket.socket] = []
    try:
        http_sockets += listeners.bind_http(settings)
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(App(loop, settings, sockets, http_sockets, show_progress).run())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            asyncio.set_event_loop(None)
    finally:
        listeners.close(sockets + http_sockets)


def allow_descriptors(clients: int) -> None:
    """Raise the limit on open files so that so many clients fit, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            log.warning(
                "the system allows %d open files: %d clients at a time fit", allowed, allowed - SPARE_DESCRIPTORS
            )


def engine_options(settings: Settings) -> Options:
    """What of the settings is the engine's."""
    return Options(
        fsync=settings.fsync,
        maxmemory=settings.maxmemory_bytes,
        segment_bytes=settings.segment_bytes,
        history_max_age_ms=settings.history_max_age_s * 1000,
        history_max_bytes=settings.history_max_bytes,
    )


class App:
    """One server process, from its first socket to its last sync."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        sockets: list[socket.socket],
        http_sockets: list[socket.socket],
        show_progress: ShowProgress | None,
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._sockets = sockets
        self._http_sockets = http_sockets
        self._http = HttpServer(loop, settings, [*settings.hosts, *settings.http_hosts])
        self._show_progress = show_progress or _no_progress
        self._stop = asyncio.Event()
        self._failure: DiskFailure | None = None
        self._early: set[LoadingConnection] = set()
        self._connect: Callable[[], asyncio.BaseProtocol] = lambda: LoadingConnection(self._early)
        self._engine: Engine
        self._turns: Turns
        self._clients: Clients

    async def run(self) -> None:
        """The life of the server."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        accepting = [await self._listen(listener, self._new_connection) for listener in self._sockets]
        accepting += [await self._listen(listener, self._new_http_connection) for listener in self._http_sockets]
        try:
            self._engine = Engine(str(self._settings.directory), engine_options(self._settings))
            if await self._load():
                helper = self._compose()
                try:
                    await self._serve()
                    self._stop_accepting(accepting)
                    await self._drain()
                finally:
                    helper.close()
                self._engine.close()
        finally:
            self._stop_accepting(accepting)
            self._abort_all()
        log.info("stopped; everything acknowledged is on disk")

    # --- start -------------------------------------------------------------------------------------------------------

    def _new_connection(self) -> asyncio.BaseProtocol:
        return self._connect()

    def _new_http_connection(self) -> asyncio.BaseProtocol:
        return HttpConnection(self._http)

    async def _listen(
        self, listener: socket.socket, connect: Callable[[], asyncio.BaseProtocol]
    ) -> asyncio.AbstractServer:
        backlog = self._settings.tcp_backlog
        if listener.family == socket.AF_UNIX:
            return await self._loop.create_unix_server(connect, sock=listener, backlog=backlog)
        return await self._loop.create_server(connect, sock=listener, backlog=backlog)

    async def _load(self) -> bool:
        """Read the store in slices, so that clients who come early get their answer; False when told to stop."""
        began_s = time.perf_counter()
        with closing(cast("Generator[Progress]", self._engine.load())) as loading:
            for progress in _in_slices(loading, LOADING_SLICE_S):
                self._show_progress(progress.done, progress.total)
                self._http.show_progress(progress.done, progress.total)
                await asyncio.sleep(0)
                if self._stop.is_set():
                    return False
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection need look at it again
        keys = sum(len(database.keyspace) for database in self._engine.databases)
        log.info("read %d keys in %.2f s", keys, time.perf_counter() - began_s)
        if self._engine.torn_bytes:
            log.warning("cut off %d bytes that were never acknowledged, kept in *.broken", self._engine.torn_bytes)
        return True

    def _compose(self) -> SyncProcess:
        self._turns = Turns(self._loop, self._engine, self._fail)
        helper = SyncProcess(self._loop, self._turns.synced, self._turns.fail)
        helper.start()
        self._turns.helper = helper
        executor = LocalExecutor(
            self._engine,
            self._settings,
            call_later=self._loop.call_later,
            stop=self._stop.set,
            on_settings=self._apply,
        )
        self._clients = Clients(self._loop, executor, self._turns)
        self._connect = lambda: Connection(self._clients)
        for connection in list(self._early):
            connection.become_ordinary(self._clients)
        self._http.begin(self._clients, self._turns)
        return helper

    def _apply(self, settings: Settings) -> None:
        """CONFIG SET."""
        self._settings = settings
        self._engine.configure(engine_options(settings))
        self._clients.apply_limits()
        self._http.configure(settings)
        self._turns.schedule()  # who waits for the disk may no longer have to
        logging.getLogger("keystead").setLevel(settings.log_level.upper())

    async def _serve(self) -> None:
        where = [listeners.described(listener) for listener in self._sockets]
        where += [f"http://{listeners.described(listener)}" for listener in self._http_sockets]
        log.info("ready on %s", ", ".join(where))
        if self._http_sockets:
            self._http.import_application(_import_application)
        housekeeping = self._loop.create_task(self._housekeep())
        syncing = self._loop.create_task(self._sync_by_interval())
        await self._stop.wait()
        housekeeping.cancel()
        syncing.cancel()

    async def _housekeep(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_INTERVAL_S)
            try:
                self._engine.housekeep(HOUSEKEEPING_BUDGET_MS)
            except DiskFailure as failure:
                self._turns.fail(failure)
                return
            self._turns.schedule_if_needed()
            self._clients.enforce_limits()
            self._http.enforce_deadlines()

    async def _sync_by_interval(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SYNC_S)
            if self._engine.options.fsync == "interval":
                self._turns.sync_in_helper()

    # --- stop --------------------------------------------------------------------------------------------------------

    def _stop_accepting(self, accepting: list[asyncio.AbstractServer]) -> None:
        listeners.remove_paths(self._sockets)
        for server in accepting:
            server.close()

    async def _drain(self) -> None:
        if self._failure is not None:
            raise self._failure
        connections = list(self._clients.connections)
        log.info("stopping; %d clients are connected", len(connections) + len(self._http.connections))
        for connection in connections:
            connection.stop_input()
        self._http.stop()
        while self._turns.syncing and self._failure is None:
            await asyncio.sleep(0.001)
        self._turns.end_now()
        deadline_s = time.monotonic() + self._settings.shutdown_timeout_s
        while self._has_clients() and self._failure is None and time.monotonic() < deadline_s:
            await asyncio.sleep(0.005)
        if self._failure is not None:
            raise self._failure

    def _has_clients(self) -> bool:
        return bool(self._clients.connections or self._http.connections)

    def _fail(self, failure: DiskFailure) -> None:
        """What the disk holds is unknown. Not one more reply may leave: cut every connection in this very call."""
        self._failure = self._engine.failed = failure
        log.critical("%s; stopping at once, because nothing more can be promised", failure)
        self._abort_all()
        self._stop.set()

    def _abort_all(self) -> None:
        for early in list(self._early):
            early.abort()
        self._http.abort()
        if hasattr(self, "_clients"):
            for connection in list(self._clients.connections):
                connection.kill()


def _in_slices(steps: Iterator[T], seconds: float) -> Iterator[T]:
    """The last step of each slice of so many seconds."""
    until_s = time.monotonic() + seconds
    for step in steps:
        if time.monotonic() >= until_s:
            yield step
            until_s = time.monotonic() + seconds


def _import_application() -> Application:
    from keystead.server.http import app

    return app.build()


def _no_progress(done: int, total: int) -> None:
    pass
