"""The composition root of a store: engine → executor → connections, and the order in which they start and stop.

Beside the order that holds for every server (see process): the last sync comes before the last replies, and after a
disk failure nothing of the sort: no reply may leave any more.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar, cast

from keystead.engine.engine import Engine, Options
from keystead.errors import DiskFailure
from keystead.execution.local import LocalExecutor
from keystead.server.clients import Clients
from keystead.server.http.lean import lean_routes
from keystead.server.http.server import Readiness
from keystead.server.http.store import Recovery, Store
from keystead.server.loading import LOADING
from keystead.server.past import PastProcesses
from keystead.server.process import HOUSEKEEPING_INTERVAL_S, Process, access_of, descriptors_for, run_process
from keystead.server.sync_process import SyncProcess
from keystead.server.turns import Turns

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.engine.checkpoint import Progress
    from keystead.server.certificates import Certificates
    from keystead.server.http.asgi import Application
    from keystead.server.http.server import RenderMetrics
    from keystead.server.listeners import Listener
    from keystead.server.meters import Meters

log = logging.getLogger("keystead.server")
T = TypeVar("T")

HOUSEKEEPING_BUDGET_MS = 2.0
INDEXING_INTERVAL_S = 0.008
INTERVAL_SYNC_S = 1.0
LOADING_SLICE_S = 0.02
"""How long the store is read between two looks at the sockets."""

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

    def make(loop: asyncio.AbstractEventLoop, bound: list[Listener], certificates: Certificates | None) -> App:
        return App(loop, settings, bound, certificates, show_progress, read_settings)

    run_process(settings, make, descriptors_for(settings))


def engine_options(settings: Settings) -> Options:
    """What of the settings is the engine's."""
    return Options(
        fsync=settings.fsync,
        maxmemory=settings.maxmemory_bytes,
        segment_bytes=settings.segment_bytes,
        history_max_age_ms=settings.history_max_age_s * 1000,
        history_max_bytes=settings.history_max_bytes,
    )


class App(Process):
    """One server of a store, from its first socket to its last sync."""

    early_reply = LOADING
    farewell = "stopped; everything acknowledged is on disk"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        bound: list[Listener],
        certificates: Certificates | None,
        show_progress: ShowProgress | None,
        read_settings: Callable[[], Settings] | None,
    ) -> None:
        super().__init__(loop, settings, bound, certificates, read_settings, lean_routes())
        self._show_progress = show_progress or _no_progress
        self._failure: DiskFailure | None = None
        self._engine: Engine
        self._turns: Turns
        self._past: PastProcesses
        self._helper: SyncProcess
        self._recovery: Recovery
        self._store: Store

    def _signals(self) -> dict[int, Callable[[], object]]:
        return super()._signals() | {signal.SIGUSR2: self._make_checkpoint}

    def _make_checkpoint(self) -> None:
        if self._loaded:
            log.info("a checkpoint was asked for by a signal")
            self._engine.request_checkpoint()

    # --- start -------------------------------------------------------------------------------------------------------

    async def _open(self) -> bool:
        self._engine = Engine(str(self._settings.directory), engine_options(self._settings))
        return await self._load()

    async def _load(self) -> bool:
        """Read the store in slices, so that clients who come early get their answer; False when told to stop."""
        began_s = time.perf_counter()
        with closing(cast("Generator[Progress]", self._engine.load())) as loading:
            for progress in _in_slices(loading, LOADING_SLICE_S):
                self._tell_progress(progress.done, progress.total)
                await asyncio.sleep(0)
                if self._stop.is_set():
                    return False
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection need look at it again
        keys = sum(len(database.keyspace) for database in self._engine.databases)
        took_s = time.perf_counter() - began_s
        self._recovery = Recovery(time.time_ns() // 1_000_000, keys, round(took_s, 3), self._engine.torn_bytes)
        log.info("read %d keys in %.2f s", keys, took_s)
        if self._engine.torn_bytes:
            log.warning("cut off %d bytes that were never acknowledged, kept in *.broken", self._engine.torn_bytes)
        return True

    def _tell_progress(self, done: int, total: int) -> None:
        self._show_progress(done, total)
        percent = int(100 * done / total) if total else 0
        self._http.starting = Readiness("loading", f"The store is being read: {percent} %.", percent)
        self._manager.loading(done, total)

    def _compose(self) -> None:
        self._turns = Turns(self._loop, self._engine, self._fail)
        self._helper = SyncProcess(self._loop, self._turns.synced, self._turns.fail)
        self._helper.start()
        self._turns.helper = self._helper
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
        self._store = Store(
            self._loop, executor, self._turns, self._recovery, self._settings.backup_places, self._http.now_s
        )
        self._http.begin(self._clients, self._turns, self._store)
        self._engine.maintenance.on_forgotten = self._forget

    def _forget(self) -> None:
        """Keys were erased from the files: nobody may tell of them from what was read before."""
        self._store.feed.forget()
        self._past.forget()

    def _apply(self, settings: Settings) -> None:
        self._engine.configure(engine_options(settings))
        if settings.fsync == "never":
            self._turns.meters.forget_turns()
        super()._apply(settings)
        self._turns.schedule()  # who waits for the disk may no longer have to

    # --- serving -----------------------------------------------------------------------------------------------------

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        return [
            self._sync_by_interval(),
            self._past.stay_ready(),
            *([self._index_keys()] if self._listens_for_http else []),
        ]

    def _importing(self) -> Callable[[], tuple[Application, RenderMetrics]]:
        return self._import_application

    def _import_application(self) -> tuple[Application, RenderMetrics]:
        from keystead.server.http import app
        from keystead.server.metrics_page import MetricsPage

        meters = self._turns.meters
        page = MetricsPage(self._store.executor, meters, self._operations, self._handshakes, time.perf_counter)
        return app.build_for_store(), page.render

    @property
    def _meters(self) -> Meters:
        return self._turns.meters

    def _keep_house(self) -> bool:
        meters = self._turns.meters
        meters.durable_lag.observe(meters.lag_s(time.perf_counter()))
        try:
            self._engine.housekeep(HOUSEKEEPING_BUDGET_MS)
        except DiskFailure as failure:
            self._turns.fail(failure)
            return False
        self._turns.schedule_if_needed()
        return True

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

    # --- stop --------------------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        while self._turns.syncing and self._failure is None:
            await asyncio.sleep(0.001)
        self._turns.end_now()

    def _let_go(self) -> None:
        if hasattr(self, "_past"):
            self._past.close()
        if hasattr(self, "_helper"):
            self._helper.close()

    async def _close(self) -> None:
        self._engine.close()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, failure: DiskFailure) -> None:
        """What the disk holds is unknown. Not one more reply may leave: cut every connection in this very call."""
        self._failure = self._engine.failed = failure
        log.critical("%s; stopping at once, because nothing more can be promised", failure)
        self._abort_all()
        self._stop.set()


def _in_slices(steps: Iterator[T], seconds: float) -> Iterator[T]:
    """The last step of each slice of so many seconds."""
    until_s = time.monotonic() + seconds
    for step in steps:
        if time.monotonic() >= until_s:
            yield step
            until_s = time.monotonic() + seconds


def _no_progress(done: int, total: int) -> None:
    pass
