"""What the HTTP connections of one server share: who is connected, what holds for all, the phases of its life.

While the store is read only the probes answer; then routes do; at a stop connections end with what they are doing.
The lean routes are there from the start. The FastAPI application is imported (a quarter of a second) in a thread once
the store serves, so that neither the first answer waits for it nor the loop stands still; whoever asks for one of its
routes earlier waits until it is there.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from keystead.server.clients import DENIED
from keystead.server.http import cookies
from keystead.server.http.authentication import Authentication
from keystead.server.http.calls import Calls
from keystead.server.http.guards import Guard
from keystead.server.http.problems import Problem, problem_of_redis_error, unavailable
from keystead.server.http.routes import SAFE_METHODS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keystead.config.settings import Settings
    from keystead.execution.batches import Failure, Step
    from keystead.execution.executor import Executor
    from keystead.server.clients import Clients, Writer
    from keystead.server.http.asgi import Application
    from keystead.server.http.connection import Connection
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response
    from keystead.server.http.routes import Dialect, Routes
    from keystead.server.http.transactions import Respond
    from keystead.server.samples import AnySamples
    from keystead.server.waiting import Holds

log = logging.getLogger("keystead.http")

DEADLINES_INTERVAL_S = 1.0

RenderMetrics: TypeAlias = Callable[[str], tuple[str, bytes]]
"""From an Accept header to (content type, text)."""


class Readiness(NamedTuple):
    """Whether everything is served, and why not."""

    reason: str
    """"": ready. Else "loading", "disk-full", "out-of-memory", "cluster-down", "draining", …"""
    detail: str
    percent: int | None = None
    """How much of the store has been read."""

    def progress(self) -> dict[str, object]:
        """Members of a problem document."""
        return {} if self.percent is None else {"percent": self.percent}


READY: Final = Readiness("", "")
Mode: TypeAlias = Literal["store", "cluster"]


class Behind(Protocol):
    """What is behind the doors: a store or a cluster. Routes of one kind find more in it (`store_of`, `cluster_of`)."""

    @property
    def mode(self) -> Mode:
        """Which of them."""

    @property
    def samples(self) -> AnySamples:
        """The last ten minutes."""

    def readiness(self) -> Readiness:
        """Whether everything is served."""

    def choose_database(self, request: Request, number: int) -> None:
        """Have this request's commands run in that database, 0 to 15. Problem when there is none."""

    def execute_together(
        self,
        request: Request,
        steps: Sequence[Step],
        respond: Respond,
        *,
        all_or_nothing: bool,
        fail: Callable[[Failure], Problem],
    ) -> Response | None:
        """Run *steps* as one and answer; see `transactions.execute`."""


class HttpServer:
    """All HTTP connections of one server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings, bound: list[str], routes: Routes) -> None:
        """*bound* are the addresses listened on, *routes* the lean ones."""
        self.loop = loop
        self.settings = settings
        self._bound = bound
        self.connections: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self.now_s = monotonic()
        """Monotonic time, a second old at most."""
        self.date = b""
        """The Date header, a whole line."""
        self._date_s = 0
        self._deadlines_at_s = 0.0
        self.draining = False
        self.starting: Readiness | None = Readiness("starting", "The server is starting.")
        """How far the start has come; None once what is behind is there."""
        self.routes = routes
        self._imported: asyncio.Future[tuple[Application, RenderMetrics]] = loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: Clients
        self.executor: Executor
        self.calls: Calls
        self.behind: Behind
        self.authentication: Authentication
        """Finds out who asks."""
        self.configure(settings)
        self._tell_time()

    def configure(self, settings: Settings) -> None:
        """These settings hold from now on."""
        self.settings = settings
        self.max_body_bytes = settings.max_value_bytes
        self.guard = Guard(settings.http_allowed_hosts, settings.http_allowed_origins, self._bound)

    # --- phases ------------------------------------------------------------------------------------------------------

    def begin(self, clients: Clients, turns: Holds, behind: Behind) -> None:
        """What is behind is there: serve."""
        self._clients = clients
        self.executor = clients.executor
        self.behind = behind
        self.calls = Calls(self.loop, clients.executor, turns)
        self.authentication = Authentication(clients.executor.access, monotonic)
        self.starting = None
        for connection in self.connections:
            connection.begin_session(self.executor.open_session(connection))

    def import_application(self, importing: Callable[[], tuple[Application, RenderMetrics]]) -> None:
        """Have *importing* called in a thread; from then on its results answer what no lean route does by itself."""
        self.run(self._import(importing))

    async def _import(self, importing: Callable[[], tuple[Application, RenderMetrics]]) -> None:
        imported = await self.loop.run_in_executor(None, importing)
        gc.freeze()  # modules stay: no collection need look at them again
        self._imported.set_result(imported)

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request by the FastAPI application, when it is there."""
        application, _ = await asyncio.shield(self._imported)
        await application(scope, receive, send)

    async def metrics(self, accept: str) -> tuple[str, bytes]:
        """The page of metrics, for a reader with this Accept header: content type and text."""
        _, render = await asyncio.shield(self._imported)
        return render(accept)

    def stop(self) -> None:
        """Begin no more requests; connections close when their answer is written."""
        self.draining = True
        for connection in list(self.connections):
            connection.stop()

    def abort(self) -> None:
        """Cut every connection, at once."""
        for connection in list(self.connections):
            connection.kill()
        for task in self._tasks:
            task.cancel()

    def readiness(self) -> Readiness:
        """Whether reads and writes are served."""
        if self.draining:
            return Readiness("draining", "The server is stopping.")
        return self.starting or self.behind.readiness()

    # --- connections -------------------------------------------------------------------------------------------------

    def admit(self, connection: Connection) -> Problem | None:
        """Count a new connection; the problem with which it is turned away, if it is."""
        self.connections.add(connection)
        self._by_address[connection.host] += 1
        settings = self.settings
        if self.starting is None:
            connection.begin_session(self.executor.open_session(connection))
        if len(self.connections) > settings.http_max_connections:
            return unavailable("So many HTTP connections as http-max-connections allows are open.")
        if self._by_address[connection.host] > settings.http_max_connections_per_address > 0:
            return unavailable("This address has as many connections open as http-max-connections-per-address allows.")
        is_open = not self._asks_for_password() and not settings.insecure
        if settings.protected_mode and is_open and not connection.is_local:
            return problem_of_redis_error(DENIED.decode())
        return None

    def _asks_for_password(self) -> bool:
        if self.starting is None:
            return self.executor.access.requires_password
        return bool(self.settings.requirepass)

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        if connection in self.connections:
            self.connections.discard(connection)
            self._by_address[connection.host] -= 1
            if not self._by_address[connection.host]:
                del self._by_address[connection.host]
            if hasattr(connection, "session"):
                self.calls.forget(connection.session)
                self.executor.close_session(connection.session)

    def enforce_deadlines(self) -> None:
        """Tell the time, and once a second close whoever is too slow and take a sample. To be called several times a
        second, once the store serves."""
        self._tell_time()
        if self.now_s - self._deadlines_at_s >= DEADLINES_INTERVAL_S:
            self._deadlines_at_s = self.now_s
            self.behind.samples.take(self.now_s)
            for connection in list(self.connections):
                connection.check_deadline(self.now_s)

    def _tell_time(self) -> None:
        self.now_s = monotonic()
        now_s = int(time())
        if now_s != self._date_s:
            self._date_s = now_s
            self.date = b"Date: %b\r\n" % formatdate(now_s, usegmt=True).encode()

    # --- for connections ---------------------------------------------------------------------------------------------

    def check(self, request: Request) -> None:
        """Find the route, and ask the guards. Problem when the request goes no further."""
        route = self.routes.find(request.path)
        if route is not None:
            request.endpoint = route.endpoints.get(request.method)
        endpoint = request.endpoint
        if endpoint is None or not endpoint.any_host:
            self.guard.check_host(request)
        if not request.path.startswith(b"/"):
            raise Problem(400, "The target of a request must be a path that begins with '/'.")
        if route is not None and endpoint is None:
            raise route.refusal_of(request.method)
        if endpoint.changes_data if endpoint is not None else request.method not in SAFE_METHODS:
            self.guard.check_site(request)
        expectation = request.headers.get(b"expect", b"100-continue")
        if expectation.lower() != b"100-continue":
            raise Problem(417, "The only expectation that can be met is 100-continue.")

    def is_known(self, request: Request) -> bool:
        """Whether it is clear at once who asks, as it mostly is; if not, `authenticate` finds it out."""
        headers = request.headers
        if self.starting is not None or b"authorization" in headers or b"cookie" in headers:
            return False
        endpoint = request.endpoint
        if endpoint is not None and (endpoint.dialect is not None or not endpoint.needs_login or not endpoint.asks_who):
            return False
        request.user = self.authentication.user_without_credentials(request.connection.certified_name)
        return request.user is not None

    def authenticate(self, request: Request, checked: Callable[[Problem | None], None]) -> None:
        """Find out who asks: *checked* is called, at once or later, with None or the problem. Raises Problem."""
        endpoint = request.endpoint
        if endpoint is not None and not endpoint.needs_login:
            checked(None)
        elif self.starting is not None:
            checked(unavailable(self.starting.detail, members=self.starting.progress()))
        else:
            if cookies.secret_in(request) is not None:
                self.guard.check_site(request, "it was let in by a cookie")
            if endpoint is not None and not endpoint.asks_who:
                checked(None)
                return
            if endpoint is not None and endpoint.dialect is not None:
                self._take_token(request, endpoint.dialect)
            self.authentication.check(request, checked)

    def _take_token(self, request: Request, dialect: Dialect) -> None:
        """A token given in another way is as good as a header's."""
        token = dialect.token_of(request)
        if token is not None:
            request.headers.setdefault(b"authorization", b"Bearer " + token)

    def choose_database(self, request: Request) -> None:
        """The session's database for this request: what ?db= says, else 0."""
        number = 0
        endpoint = request.endpoint
        if b"db=" in request.query and (endpoint is None or endpoint.dialect is None):
            number = _database_number(request.query)
        self.behind.choose_database(request, number)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task of its own; what it raises is logged."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the HTTP server failed", exc_info=task.exception())

    def post(self, writer: Writer, data: bytes) -> None:
        """Have an answer written with everybody's at the end of this turn."""
        self._clients.turns.plain_reads = True
        self._clients.post(writer, data)

    def flush(self) -> None:
        """Write what has been posted."""
        if self.starting is None:
            self._clients.flush()


def _database_number(query: bytes) -> int:
    numbers = [pair[3:] for pair in query.split(b"&") if pair.startswith(b"db=")]
    if len(numbers) != 1 or not numbers[0].isdigit() or len(numbers[0]) > 2 or int(numbers[0]) > 15:
        raise Problem(400, "The parameter 'db' must be the number of a database, 0 to 15.")
    return int(numbers[0])
