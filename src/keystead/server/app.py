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
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import uvloop

from keystead.config import reread
from keystead.engine.engine import Engine, Options
from keystead.errors import ConfigurationError, DiskFailure
from keystead.execution.access import Access
from keystead.execution.acl_file import AclFile
from keystead.execution.local import LocalExecutor
from keystead.server import listeners
from keystead.server.certificates import Certificates
from keystead.server.clients import Clients
from keystead.server.http.connection import Connection as HttpConnection
from keystead.server.http.encrypted import HttpsConnection
from keystead.server.http.server import HttpServer, Recovery
from keystead.server.loading import LoadingConnection
from keystead.server.operations_writer import OperationsWriter
from keystead.server.past import PastProcesses
from keystead.server.resp_server import Connection
from keystead.server.sync_process import SyncProcess
from keystead.server.systemd import ServiceManager
from keystead.server.threads import Threads
from keystead.server.tls import MOST_HANDSHAKES, Handshake, Handshakes, TlsConnection
from keystead.server.turns import Turns

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.engine.checkpoint import Progress
    from keystead.server.http.asgi import Application
    from keystead.server.http.server import RenderMetrics
    from keystead.server.listeners import Listener

log = logging.getLogger("keystead.server")
T = TypeVar("T")

HOUSEKEEPING_INTERVAL_S = 0.1
HOUSEKEEPING_BUDGET_MS = 2.0
INDEXING_INTERVAL_S = 0.008
INTERVAL_SYNC_S = 1.0
LOADING_SLICE_S = 0.02
"""How long the store is read between two looks at the sockets."""
SPARE_DESCRIPTORS = 64
"""What the process opens beside its clients: log, listeners, pipes, libraries."""

ShowProgress = Callable[[int, int], None]


def serve(
    settings: Settings,
    show_progress: ShowProgress | None = None,
    read_settings: Callable[[], Settings] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SHUTDOWN; returns when everything acknowledged is safe and the store is closed.

    *show_progress* is called with (bytes done, bytes in all) while the store is read, *read_settings* reads the sources
    of the settings again at SIGHUP. Raises PortTaken, any OpenError, ConfigurationError before serving; DiskFailure, at
    any time.
    """
    listeners.refuse_strangers(settings, access_of(settings).requires_password)
    certificates = Certificates(settings) if settings.tls_cert_file else None
    allow_descriptors(descriptors_for(settings))
    bound = listeners.bind(settings)
    try:
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(App(loop, settings, bound, certificates, show_progress, read_settings).run())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            asyncio.set_event_loop(None)
    finally:
        listeners.close(bound)


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


def descriptors_for(settings: Settings) -> int:
    """How many connections there may be at a time."""
    http = settings.http_max_connections if settings.http_port or settings.http_tls_port else 0
    handshakes = MOST_HANDSHAKES if settings.tls_cert_file else 0
    return settings.max_clients + http + handshakes


def access_of(settings: Settings, threads: Threads | None = None) -> Access:
    """The users that the settings and the ACL file have. ConfigurationError when the file makes no sense."""
    path = settings.acl_path
    return Access(settings.requirepass, file=AclFile(path) if path is not None else None, aside=threads)


def _operations_writer(settings: Settings) -> OperationsWriter:
    path = settings.operations_log_file
    return OperationsWriter(path, text=path is None and settings.log_format == "text")


class App:
    """One server process, from its first socket to its last sync."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        bound: list[Listener],
        certificates: Certificates | None,
        show_progress: ShowProgress | None,
        read_settings: Callable[[], Settings] | None,
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._http = HttpServer(loop, settings, [*settings.hosts, *settings.http_hosts])
        self._read = settings
        """As the sources were when they were last read; CONFIG SET may have changed some since."""
        self._read_settings = read_settings or (lambda: settings)
        self._manager = ServiceManager()
        self._operations = _operations_writer(settings)
        self._listeners = bound
        self._certificates = certificates
        self._handshakes = Handshakes(loop, certificates) if certificates else None
        self._show_progress = show_progress or _no_progress
        self._stop = asyncio.Event()
        self._failure: DiskFailure | None = None
        self._threads = Threads(loop)
        self._early: set[LoadingConnection] = set()
        self._loaded = False
        self._engine: Engine
        self._turns: Turns
        self._past: PastProcesses
        self._clients: Clients

    async def run(self) -> None:
        """The life of the server."""
        # Before the directory is locked, for the lock file tells others whom to send SIGHUP to.
        for number, handler in self._signals().items():
            self._loop.add_signal_handler(number, handler)
        accepting = [await self._listen(listener) for listener in self._listeners]
        try:
            self._engine = Engine(str(self._settings.directory), engine_options(self._settings))
            if await self._load():
                helper = self._compose()
                try:
                    await self._serve()
                    self._stop_accepting(accepting)
                    await self._drain()
                finally:
                    self._past.close()
                    helper.close()
                    self._operations.close()
                self._engine.close()
        finally:
            self._stop_accepting(accepting)
            self._abort_all()
            self._threads.close()
        log.info("stopped; everything acknowledged is on disk")

    # --- signals -----------------------------------------------------------------------------------------------------

    def _signals(self) -> dict[int, Callable[[], object]]:
        return {
            signal.SIGTERM: self._stop.set,
            signal.SIGINT: self._stop.set,
            signal.SIGHUP: self._reload,
            signal.SIGUSR2: self._make_checkpoint,
        }

    def _reload(self) -> None:
        """Read anew what may change while clients are served: settings, users, certificates, the operation log's file.

        What is bad is logged and not taken; connections stay.
        """
        if not self._loaded:
            return  # what is read will be fresh enough
        self._manager.reloading()
        try:
            read = self._read_settings()
        except ConfigurationError as reason:
            log.error("the settings in use stay: %s", reason)
        else:
            settings, waiting = reread(self._settings, self._read, read)
            self._read = read
            if waiting:
                log.warning("changed, but only from the next start on: %s", ", ".join(waiting))
            self._clients.executor.apply(settings)
        self._clients.executor.reload_users()
        if self._certificates is not None:
            self._certificates.reload(self._settings)
        self._operations.reopen()
        log.info("reloaded")
        self._manager.ready(self._serving_status())

    def _make_checkpoint(self) -> None:
        if self._loaded:
            log.info("a checkpoint was asked for by a signal")
            self._engine.request_checkpoint()

    # --- start -------------------------------------------------------------------------------------------------------

    async def _listen(self, listener: Listener) -> asyncio.AbstractServer:
        connect = self._connect_http if listener.protocol == "http" else self._connect
        if listener.tls:
            assert self._handshakes is not None
            behind = self._connect_https if listener.protocol == "http" else self._connect_tls
            connect = partial(Handshake, self._handshakes, behind)
        backlog = self._settings.tcp_backlog
        if listener.socket.family == socket.AF_UNIX:
            return await self._loop.create_unix_server(connect, sock=listener.socket, backlog=backlog)
        return await self._loop.create_server(connect, sock=listener.socket, backlog=backlog)

    def _connect(self) -> asyncio.BaseProtocol:
        return Connection(self._clients) if self._loaded else LoadingConnection(self._early)

    def _connect_http(self) -> asyncio.BaseProtocol:
        return HttpConnection(self._http)

    def _connect_https(self, carrier: asyncio.Transport) -> asyncio.BaseProtocol:
        return HttpsConnection(self._http, carrier)

    def _connect_tls(self, carrier: asyncio.Transport) -> asyncio.BaseProtocol:
        if self._loaded:
            return TlsConnection(self._clients, carrier)
        return LoadingConnection(self._early, lambda clients, parser: TlsConnection(clients, carrier, parser))

    async def _load(self) -> bool:
        """Read the store in slices, so that clients who come early get their answer; False when told to stop."""
        began_s = time.perf_counter()
        with closing(cast("Generator[Progress]", self._engine.load())) as loading:
            for progress in _in_slices(loading, LOADING_SLICE_S):
                self._show_progress(progress.done, progress.total)
                self._http.show_progress(progress.done, progress.total)
                self._manager.loading(progress.done, progress.total)
                await asyncio.sleep(0)
                if self._stop.is_set():
                    return False
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection need look at it again
        keys = sum(len(database.keyspace) for database in self._engine.databases)
        took_s = time.perf_counter() - began_s
        self._http.recovery = Recovery(time.time_ns() // 1_000_000, keys, round(took_s, 3), self._engine.torn_bytes)
        log.info("read %d keys in %.2f s", keys, took_s)
        if self._engine.torn_bytes:
            log.warning("cut off %d bytes that were never acknowledged, kept in *.broken", self._engine.torn_bytes)
        return True

    def _compose(self) -> SyncProcess:
        self._turns = Turns(self._loop, self._engine, self._fail)
        helper = SyncProcess(self._loop, self._turns.synced, self._turns.fail)
        helper.start()
        self._turns.helper = helper
        self._past = PastProcesses(self._loop, self._engine, self._turns)
        executor = LocalExecutor(
            self._engine,
            self._settings,
            call_later=self._loop.call_later,
            access=access_of(self._settings, self._threads),
            historian=self._past,
            stop=self._stop.set,
            on_settings=self._apply,
        )
        executor.operations.sink = self._operations.put
        if self._settings.log_operations:
            self._operations.start()
        self._clients = Clients(self._loop, executor, self._turns)
        self._loaded = True
        for connection in list(self._early):
            connection.become_ordinary(self._clients)
        self._http.begin(self._clients, self._turns)
        self._engine.maintenance.on_forgotten = self._forget
        return helper

    def _forget(self) -> None:
        """Keys were erased from the files: nobody may tell of them from what was read before."""
        self._http.feed.forget()
        self._past.forget()

    def _apply(self, settings: Settings) -> None:
        """CONFIG SET."""
        self._settings = settings
        self._engine.configure(engine_options(settings))
        if settings.fsync == "never":
            self._turns.meters.forget_turns()
        if settings.log_operations:
            self._operations.start()
        self._clients.apply_limits()
        self._http.configure(settings)
        self._turns.schedule()  # who waits for the disk may no longer have to
        logging.getLogger("keystead").setLevel(settings.log_level.upper())

    async def _serve(self) -> None:
        log.info("ready on %s", ", ".join(map(str, self._listeners)))
        self._manager.ready(self._serving_status())
        tasks = [self._housekeep(), self._sync_by_interval(), self._show_life(), self._past.stay_ready()]
        if any(listener.protocol == "http" for listener in self._listeners):
            self._http.import_application(self._import_application)
            tasks.append(self._index_keys())
        running = [self._loop.create_task(task) for task in tasks]
        await self._stop.wait()
        for task in running:
            task.cancel()

    def _import_application(self) -> tuple[Application, RenderMetrics]:
        from keystead.server.http import app
        from keystead.server.metrics_page import MetricsPage

        executor, meters = self._clients.executor, self._turns.meters
        page = MetricsPage(executor, meters, self._operations, self._handshakes, time.perf_counter)
        return app.build(), page.render

    def _serving_status(self) -> str:
        return "serving on " + ", ".join(map(str, self._listeners))

    async def _housekeep(self) -> None:
        meters = self._turns.meters
        due_s = time.perf_counter() + HOUSEKEEPING_INTERVAL_S
        while True:
            await asyncio.sleep(HOUSEKEEPING_INTERVAL_S)
            now_s = time.perf_counter()
            self._loop.call_soon(self._measure_pass, now_s - due_s, now_s)
            meters.durable_lag.observe(meters.lag_s(now_s))
            try:
                self._engine.housekeep(HOUSEKEEPING_BUDGET_MS)
            except DiskFailure as failure:
                self._turns.fail(failure)
                return
            self._turns.schedule_if_needed()
            self._clients.enforce_limits()
            self._http.enforce_deadlines()
            due_s = time.perf_counter() + HOUSEKEEPING_INTERVAL_S

    def _measure_pass(self, late_s: float, asked_s: float) -> None:
        self._turns.meters.loop_turned(late_s, time.perf_counter() - asked_s)

    async def _index_keys(self) -> None:
        """Build the index that lists keys in order, and let it be asked again soon after many keys have changed at
        once: by slices. Housekeeping alone would take ten times as long, a minute for a million keys."""
        self._engine.build_index()
        while True:
            is_behind = self._engine.index_until(time.perf_counter() + HOUSEKEEPING_BUDGET_MS / 1000)
            await asyncio.sleep(INDEXING_INTERVAL_S if is_behind else HOUSEKEEPING_INTERVAL_S)

    async def _sync_by_interval(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SYNC_S)
            if self._engine.options.fsync == "interval":
                self._turns.sync_in_helper()

    async def _show_life(self) -> None:
        while self._manager.watchdog_s:
            self._manager.alive()
            await asyncio.sleep(self._manager.watchdog_s / 2)

    # --- stop --------------------------------------------------------------------------------------------------------

    def _stop_accepting(self, accepting: list[asyncio.AbstractServer]) -> None:
        listeners.remove_paths(self._listeners)
        for server in accepting:
            server.close()

    async def _drain(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._manager.stopping()
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
        if self._handshakes is not None:
            self._handshakes.abort_all()
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


def _no_progress(done: int, total: int) -> None:
    pass
