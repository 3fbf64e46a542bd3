"""One server process, whatever is behind its doors: the order of start and stop, sockets, signals, limits that hold for
all.

Start: bind (a taken port shows at once) → answer -LOADING → open what is behind → serve.
Stop: accept no more → execute no more → last replies → close what is behind.

A subclass says what opening, serving and closing are: `app.App` for a store, `cluster_app.ClusterApp` for a cluster.
Must not know: engines, clusters, commands.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import uvloop

from keystead.config import reread
from keystead.errors import ConfigurationError
from keystead.execution.access import Access
from keystead.execution.acl_file import AclFile
from keystead.server import listeners
from keystead.server.certificates import Certificates
from keystead.server.http.connection import Connection as HttpConnection
from keystead.server.http.encrypted import HttpsConnection
from keystead.server.http.server import HttpServer
from keystead.server.loading import LoadingConnection
from keystead.server.operations_writer import OperationsWriter
from keystead.server.resp_server import Connection
from keystead.server.systemd import ServiceManager
from keystead.server.threads import Threads
from keystead.server.tls import MOST_HANDSHAKES, Handshake, Handshakes, TlsConnection

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.resp import RequestParser
    from keystead.server.clients import Clients
    from keystead.server.http.asgi import Application
    from keystead.server.http.routes import Routes
    from keystead.server.http.server import RenderMetrics
    from keystead.server.listeners import Listener
    from keystead.server.meters import Meters

log = logging.getLogger("keystead.server")

HOUSEKEEPING_INTERVAL_S = 0.1
SPARE_DESCRIPTORS = 64
"""What the process opens beside its clients: log, listeners, pipes, libraries."""

ReadSettings: TypeAlias = "Callable[[], Settings]"
Make: TypeAlias = "Callable[[asyncio.AbstractEventLoop, list[Listener], Certificates | None], Process]"


def run_process(settings: Settings, make: Make, descriptors: int) -> None:
    """Bind, and run what *make* makes to its end, in an event loop of its own. *descriptors*: files and sockets that it
    may have open. PortTaken, ConfigurationError."""
    listeners.refuse_strangers(settings, access_of(settings).requires_password)
    certificates = Certificates(settings) if settings.tls_cert_file else None
    allow_descriptors(descriptors)
    bound = listeners.bind(settings)
    try:
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(make(loop, bound, certificates).run())
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


def descriptors_for(settings: Settings) -> int:
    """How many connections there may be at a time."""
    http = settings.http_max_connections if settings.http_port or settings.http_tls_port else 0
    handshakes = MOST_HANDSHAKES if settings.tls_cert_file else 0
    return settings.max_clients + http + handshakes


def access_of(settings: Settings, threads: Threads | None = None) -> Access:
    """The users that the settings and the ACL file have. ConfigurationError when the file makes no sense."""
    path = settings.acl_path
    # A store makes its directory itself; in front of a cluster nothing else is in it.
    file = AclFile(path, makes_directory=bool(settings.cluster)) if path is not None else None
    return Access(settings.requirepass, file=file, aside=threads)


def _operations_writer(settings: Settings) -> OperationsWriter:
    path = settings.operations_log_file
    return OperationsWriter(path, text=path is None and settings.log_format == "text")


class Process(ABC):
    """From its first socket to its last reply."""

    early_reply: bytes
    """To every command of a client that comes before what is behind is open."""
    farewell: str
    """What the log says at the end of a clean stop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        bound: list[Listener],
        certificates: Certificates | None,
        read_settings: ReadSettings | None,
        routes: Routes,
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._http = HttpServer(loop, settings, [*settings.hosts, *settings.http_hosts], routes)
        self._read = settings
        """As the sources were when they were last read; CONFIG SET may have changed some since."""
        self._read_settings = read_settings or (lambda: settings)
        self._manager = ServiceManager()
        self._operations = _operations_writer(settings)
        self._listeners = bound
        self._certificates = certificates
        self._handshakes = Handshakes(loop, certificates) if certificates else None
        self._stop = asyncio.Event()
        self._threads = Threads(loop)
        self._early: set[LoadingConnection] = set()
        self._loaded = False
        self._clients: Clients
        """Set by `_compose`."""

    # --- what is behind ----------------------------------------------------------------------------------------------

    @abstractmethod
    async def _open(self) -> bool:
        """Open what is behind; False when told to stop before it was open."""

    @abstractmethod
    def _compose(self) -> None:
        """Build everything from what is behind up to the clients, and begin to serve."""

    @abstractmethod
    def _work(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on while clients are served, beside them."""

    @abstractmethod
    def _keep_house(self) -> bool:
        """Called ten times a second; False when everything is to end."""

    @abstractmethod
    async def _finish(self) -> None:
        """Nothing more is executed. Returns when what was executed may be told."""

    @abstractmethod
    def _let_go(self) -> None:
        """Nothing is served any more, however that came: end helpers."""

    @abstractmethod
    async def _close(self) -> None:
        """Close what is behind, after a clean stop."""

    @abstractmethod
    def _importing(self) -> Callable[[], tuple[Application, RenderMetrics]]:
        """Imports what answers the requests that no lean route does; called in a thread."""

    @property
    @abstractmethod
    def _meters(self) -> Meters: ...

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """The life of the server."""
        # Before anything is locked or reached, for whoever looks finds out that way whom to send SIGHUP to.
        for number, handler in self._signals().items():
            self._loop.add_signal_handler(number, handler)
        accepting = [await self._listen(listener) for listener in self._listeners]
        try:
            if await self._open():
                try:
                    self._begin()
                    await self._serve()
                    self._stop_accepting(accepting)
                    await self._drain()
                finally:
                    self._let_go()
                    self._operations.close()
                await self._close()
        finally:
            self._stop_accepting(accepting)
            self._abort_all()
            self._threads.close()
        log.info(self.farewell)

    def _begin(self) -> None:
        self._compose()
        self._loaded = True
        for connection in list(self._early):
            connection.become_ordinary(self._clients)

    def _signals(self) -> dict[int, Callable[[], object]]:
        return {
            signal.SIGTERM: self._stop.set,
            signal.SIGINT: self._stop.set,
            signal.SIGHUP: self._reload,
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

    def _apply(self, settings: Settings) -> None:
        """CONFIG SET."""
        self._settings = settings
        if settings.log_operations:
            self._operations.start()
        self._clients.apply_limits()
        self._http.configure(settings)
        logging.getLogger("keystead").setLevel(settings.log_level.upper())

    # --- doors -------------------------------------------------------------------------------------------------------

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
        return Connection(self._clients) if self._loaded else self._early_connection(Connection)

    def _connect_http(self) -> asyncio.BaseProtocol:
        return HttpConnection(self._http)

    def _connect_https(self, carrier: asyncio.Transport) -> asyncio.BaseProtocol:
        return HttpsConnection(self._http, carrier)

    def _connect_tls(self, carrier: asyncio.Transport) -> asyncio.BaseProtocol:
        if self._loaded:
            return TlsConnection(self._clients, carrier)
        return self._early_connection(lambda clients, parser: TlsConnection(clients, carrier, parser))

    def _early_connection(self, become: Callable[[Clients, RequestParser], Connection]) -> LoadingConnection:
        return LoadingConnection(self._early, become, self.early_reply)

    # --- serving -----------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        log.info("ready on %s", ", ".join(map(str, self._listeners)))
        self._manager.ready(self._serving_status())
        if self._listens_for_http:
            self._http.import_application(self._importing())
        tasks = [self._housekeep(), self._show_life(), *self._work()]
        running = [self._loop.create_task(task) for task in tasks]
        await self._stop.wait()
        for task in running:
            task.cancel()

    @property
    def _listens_for_http(self) -> bool:
        return any(listener.protocol == "http" for listener in self._listeners)

    def _serving_status(self) -> str:
        return "serving on " + ", ".join(map(str, self._listeners))

    async def _housekeep(self) -> None:
        due_s = time.perf_counter() + HOUSEKEEPING_INTERVAL_S
        while True:
            await asyncio.sleep(HOUSEKEEPING_INTERVAL_S)
            now_s = time.perf_counter()
            self._loop.call_soon(self._measure_pass, now_s - due_s, now_s)
            if not self._keep_house():
                return
            self._clients.enforce_limits()
            self._http.enforce_deadlines()
            due_s = time.perf_counter() + HOUSEKEEPING_INTERVAL_S

    def _measure_pass(self, late_s: float, asked_s: float) -> None:
        self._meters.loop_turned(late_s, time.perf_counter() - asked_s)

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
        self._check()
        self._manager.stopping()
        connections = list(self._clients.connections)
        log.info("stopping; %d clients are connected", len(connections) + len(self._http.connections))
        for connection in connections:
            connection.stop_input()
        self._http.stop()
        await self._finish()
        deadline_s = time.monotonic() + self._settings.shutdown_timeout_s
        while self._has_clients() and time.monotonic() < deadline_s:
            self._check()
            await asyncio.sleep(0.005)
        self._check()

    @abstractmethod
    def _check(self) -> None:
        """Raise what has ended the server, if it is not to end cleanly."""

    def _has_clients(self) -> bool:
        return bool(self._clients.connections or self._http.connections)

    def _abort_all(self) -> None:
        for early in list(self._early):
            early.abort()
        self._http.abort()
        if self._handshakes is not None:
            self._handshakes.abort_all()
        if hasattr(self, "_clients"):
            for connection in list(self._clients.connections):
                connection.kill()
