"""The composition root in front of a Redis or Valkey Cluster: client of the cluster → executor → connections.

Nothing is kept here but who is connected, so several of these processes may serve one cluster, and each may be started
and stopped at any time. Must not know: how nodes are spoken to, where a command goes.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from keystead import resp
from keystead.cluster.client import ClusterClient
from keystead.cluster.options import Options
from keystead.errors import ConfigurationError
from keystead.execution.cluster.executor import ClusterExecutor
from keystead.server.clients import Clients
from keystead.server.cluster_nodes import NodeFigures
from keystead.server.http.cluster.behind import Cluster
from keystead.server.http.cluster.routes import cluster_routes
from keystead.server.http.server import Readiness
from keystead.server.process import Process, access_of, descriptors_for, run_process
from keystead.server.waiting import NothingWaits

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.server.certificates import Certificates
    from keystead.server.http.asgi import Application
    from keystead.server.http.server import RenderMetrics
    from keystead.server.listeners import Listener
    from keystead.server.meters import Meters

log = logging.getLogger("keystead.server")

LINKS_DESCRIPTORS: Final = 512
"""Connections to nodes, a few to each, beside those of clients."""


def serve(settings: Settings, read_settings: Callable[[], Settings] | None = None) -> None:
    """Serve until SIGTERM, SIGINT or SHUTDOWN.

    *read_settings* reads the sources of the settings again at SIGHUP. Raises PortTaken, ConfigurationError and
    ClusterUnavailable before serving; a cluster that goes down later is waited for.
    """
    options = client_options(settings)

    def make(loop: asyncio.AbstractEventLoop, bound: list[Listener], certificates: Certificates | None) -> ClusterApp:
        return ClusterApp(loop, settings, bound, certificates, read_settings, options)

    run_process(settings, make, descriptors_for(settings) + LINKS_DESCRIPTORS)


def client_options(settings: Settings) -> Options:
    """What of the settings is the cluster client's. ConfigurationError for certificates that cannot be used."""
    return Options(
        username=settings.cluster_username,
        password=settings.cluster_password,
        ssl=_context(settings) if settings.cluster_tls else None,
        acknowledge=settings.cluster_acknowledge,
        wait_timeout_ms=settings.cluster_wait_timeout_ms,
        timeout_s=settings.cluster_timeout_ms / 1000,
    )


def _context(settings: Settings) -> ssl.SSLContext:
    authorities, certificate = settings.cluster_tls_ca_cert_file, settings.cluster_tls_cert_file
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cluster-tls-ca-cert-file {authorities} cannot be used: {error}") from None
    context.check_hostname = settings.cluster_tls_check_hostname
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, settings.cluster_tls_key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"cluster-tls-cert-file {certificate} cannot be used: {error}") from None
    return context


class ClusterApp(Process):
    """One front door, from its first socket to its last reply."""

    early_reply = resp.error("LOADING Keystead is looking for the cluster")
    farewell = "stopped"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        bound: list[Listener],
        certificates: Certificates | None,
        read_settings: Callable[[], Settings] | None,
        options: Options,
    ) -> None:
        super().__init__(loop, settings, bound, certificates, read_settings, cluster_routes())
        self._waits = NothingWaits()
        self._client = ClusterClient(loop, settings.cluster, options)
        self._nodes = NodeFigures(self._client, time.monotonic)
        self._behind: Cluster

    def _signals(self) -> dict[int, Callable[[], object]]:
        return super()._signals() | {signal.SIGUSR2: self._refuse_checkpoint}

    def _refuse_checkpoint(self) -> None:
        log.warning("there is no checkpoint to make: the data is in the cluster")

    # --- start -------------------------------------------------------------------------------------------------------

    async def _open(self) -> bool:
        self._http.starting = Readiness("connecting", "The cluster is being looked for.")
        starting = self._loop.create_task(self._client.start())
        stopping = self._loop.create_task(self._stop.wait())
        try:
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
        finally:
            starting.cancel()
            stopping.cancel()
        if self._stop.is_set():
            await self._client.close()
            return False
        return True

    def _compose(self) -> None:
        executor = ClusterExecutor(
            self._client,
            self._settings,
            call_later=self._loop.call_later,
            access=access_of(self._settings, self._threads),
            stop=self._stop.set,
            on_settings=self._apply,
        )
        executor.operations.sink = self._operations.put
        if self._settings.log_operations:
            self._operations.start()
        self._clients = Clients(self._loop, executor, self._waits)
        self._behind = Cluster(self._client, executor, self._nodes, self._waits.meters, self._http.now_s)
        self._client.on_change = self._note_change
        self._http.begin(self._clients, self._waits, self._behind)
        topology = self._client.topology
        log.info(
            "in front of %d nodes, %d of them primaries; a write is acknowledged when %s it",
            len(topology.nodes),
            len(topology.primaries),
            "a replica has" if self._settings.cluster_acknowledge == "replicated" else "its primary alone has",
        )

    def _note_change(self) -> None:
        """The log tells when the cluster goes down, and when it is back."""
        self._behind.note(self._client.status)

    # --- serving -----------------------------------------------------------------------------------------------------

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        return [self._nodes.gather()]

    def _keep_house(self) -> bool:
        self._clients.executor.clock.refresh()
        return True

    def _importing(self) -> Callable[[], tuple[Application, RenderMetrics]]:
        return self._import_application

    def _import_application(self) -> tuple[Application, RenderMetrics]:
        from keystead.server.cluster_metrics import ClusterPage
        from keystead.server.http.cluster.application import build

        behind = self._behind
        page = ClusterPage(behind, self._waits.meters, self._operations, self._handshakes)
        return build(), page.render

    @property
    def _meters(self) -> Meters:
        return self._waits.meters

    # --- stop --------------------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """What was sent to the cluster is answered while clients are waited for."""

    def _let_go(self) -> None:
        """There are no helpers."""

    async def _close(self) -> None:
        await self._client.close()

    def _check(self) -> None:
        """Nothing ends a front door but being told to."""
