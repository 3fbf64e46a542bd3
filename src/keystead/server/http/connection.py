"""One HTTP connection: requests to answers, in order; deadlines, back-pressure.

The way of a request: its head is parsed (`incoming.py`), guards and login let it in, its body is collected within the
limit, its route runs, and the answer is written, or waits until what it depends on is durable. One request at a time is
executed; what the client sends behind it (pipelining) waits, and no more than a little of that is read.

Why not uvicorn's protocol around the same parser: it starts a task for every request, collects no bodies and bounds no
heads, so all but forty lines of it would be replaced; and importing it takes 60 ms (it brings a command line along),
which would delay the first answer of every start.

Implements the `Peer` of its session. Must not know: what routes and commands mean, when a sync is due.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from keystead.errors import DiskFailure
from keystead.server.http.asgi import Exchange
from keystead.server.http.deadlines import Deadline
from keystead.server.http.incoming import READ_BYTES, Incoming
from keystead.server.http.problems import Problem, unavailable
from keystead.server.http.requests import Request
from keystead.server.http.responses import WITHOUT_BODY, Response
from keystead.server.peers import named

if TYPE_CHECKING:
    from keystead.execution.session import Session
    from keystead.execution.statistics import Statistics
    from keystead.server.http.server import HttpServer

log = logging.getLogger("keystead.http")

TURN_REQUESTS = 64
"""Requests of one connection executed in a turn."""
OUTPUT_PAUSE_BYTES = 1 << 20
"""While a client has so much unread, nothing more is executed for it."""
LONG_BODY_BYTES = 65536
"""Bodies longer than this are not copied behind their head."""

BODY_GRACE_S = 10.0
BODY_BYTES_PER_S = 4096
"""A body has the grace, and a second more for every so many bytes that have come."""
STALLED_S = 30.0
"""A client that takes nothing of its answer for so long is gone."""
LINGER_S = 2.0
"""How long what a refused client still sends is read and thrown away, so that it sees the answer and not a reset."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSING = b"Connection: close\r\n\r\n"
KEPT_ALIVE = b"Connection: keep-alive\r\n\r\n"
"""Said to HTTP/1.0 only, where it is not understood by itself."""


class Connection(Incoming, asyncio.Protocol):
    """One client."""

    protocol = "http"

    def __init__(self, server: HttpServer) -> None:
        super().__init__(server)
        self.session: Session
        self._statistics: Statistics | None = None  # of the session, when there is one
        self._transport: asyncio.Transport
        self._current: Request | None = None  # being executed or answered
        self._exchange: Exchange | None = None  # when the application answers it
        self._held: tuple[bytes, bytes | bytearray] | None = None  # an answer that waits for the disk
        self._looping = False  # within _go_on
        self._checking = False  # a login is being checked elsewhere
        self._eof = False  # nothing more will come
        self._reading = True
        self.writing_paused = False
        """The client does not take its answers."""
        self.certified_name: str | None = None
        """The user whom a certificate of the client names."""
        self._written = 0
        self._served = 0
        self._deadline = Deadline(server.now_s)

    # --- the transport's calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or say why not and close."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(OUTPUT_PAUSE_BYTES)
        self.is_local, self.addr = named(transport.get_extra_info("peername"))
        _, self.laddr = named(transport.get_extra_info("sockname"))
        self.host = self.addr.rpartition(":")[0]
        """The client's address without its port."""
        self.fd: int = transport.get_extra_info("socket").fileno()
        self.is_encrypted = transport.get_extra_info("sslcontext") is not None
        refusal = self.server.admit(self)
        if refusal is not None:
            self._refuse(refusal)
            self._go_on()

    def begin_session(self, session: Session) -> None:
        """The store is there: from now on commands are executed, in *session*."""
        session.use_protocol(3)
        self.session = session
        self._statistics = session.statistics

    def data_received(self, data: bytes) -> None:
        """Parse, and execute what is complete."""
        if self._statistics is not None:
            self._statistics.net_input_bytes += len(data)
        if not self._deaf:
            self._left = self._left + data if self._left else data
            self._go_on()

    def eof_received(self) -> bool:
        """The client sends no more, but may still read: what it has asked for is answered."""
        self._eof = True
        if self._exchange is not None and self._exchange.streaming:
            self._exchange.disconnect()  # a stream has no end that could be waited for
        self._go_on()
        return True

    def pause_writing(self) -> None:
        """The client does not take its answers."""
        self.writing_paused = True

    def resume_writing(self) -> None:
        """It has taken them."""
        self.writing_paused = False
        if self._exchange is not None:
            self._exchange.go_on_writing()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why does not matter
        """The client is gone; what it had coming goes nowhere."""
        self._deaf = True
        self._requests.clear()
        if self._exchange is not None:
            self._exchange.disconnect()
        self.server.forget(self)

    # --- input to answers --------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Parse and execute as far as may be, then read on, or close. Whoever lifts an obstacle calls this."""
        if self._looping or self._transport.is_closing():
            return
        self._looping = True
        executed = 0
        while self._current is None and not self._checking and not self.writing_paused:
            request = self._requests[0] if self._requests else None
            if request is not None and not request.admitted:
                self._admit(request)
            elif request is None or not request.complete:
                if not self._left or self._deaf:
                    break
                if executed and self._partial is None:
                    self.server.loop.call_soon(self._go_on)  # the next slice belongs to the next turn
                    break
                self._parse()
            elif executed == TURN_REQUESTS:
                self.server.loop.call_soon(self._go_on)
                break
            else:
                executed += 1
                self._requests.popleft()
                self._execute(request)
        self._looping = False
        if self._deaf or self._eof:
            self._close_when_served()
        self._choose_reading()

    def _admit(self, request: Request) -> None:
        """Guards, route, login: before the body is asked for."""
        server = self.server
        try:
            server.check(request)
            if server.is_known(request):
                self._admitted(request, None)
            else:
                server.authenticate(request, lambda problem: self._admitted(request, problem))
                self._checking = not request.admitted
        except Problem as problem:
            self._admitted(request, problem)

    def _admitted(self, request: Request, problem: Problem | None) -> None:
        """It is known whether the request is served; *problem* says why not."""
        request.admitted = True
        if problem is not None:
            if request.complete:
                request.problem = problem
            else:
                self._refuse(problem)  # before its body is sent
        elif not request.complete and b"expect" in request.headers:
            self._transport.write(CONTINUE)
        if self._checking:
            self._checking = False
            self.server.loop.call_soon(self._go_on)

    def _execute(self, request: Request) -> None:
        self._current = request
        try:
            if request.problem is not None:
                raise request.problem
            if self._statistics is not None:
                if request.user is not None:
                    self.session.log_in(request.user)  # now, for the one before may have been executed until now
                self.server.choose_database(request)
            endpoint = request.endpoint
            if endpoint is None:
                self._exchange = Exchange(self, request)
                self.server.run(self._exchange.run(self.server.application))
                return
            answer = endpoint.handler(request)
            if isinstance(answer, Response):
                self.answer(request, answer)
            elif answer is not None:
                self.server.run(self._answer_later(request, answer))
        except Problem as problem:
            self.answer(request, request.response_to(problem))
        except Exception as failure:
            self.fail(request, failure)

    async def _answer_later(self, request: Request, answer: Awaitable[Response]) -> None:
        try:
            self.answer(request, await answer)
        except Problem as problem:
            self.answer(request, request.response_to(problem))
        except Exception as failure:
            self.fail(request, failure)

    def fail(self, request: Request, failure: Exception) -> None:
        """A route made a mistake. What went wrong is the log's, not the client's."""
        if not isinstance(failure, DiskFailure):  # after that nothing is answered
            where = request.path[:100].decode("latin-1")
            log.error("%s %s failed", request.method.decode(), where, exc_info=failure)
            self.answer(request, Problem(500, "The server made a mistake; its log says which.").response())

    # --- answers -----------------------------------------------------------------------------------------------------

    def answer(self, request: Request, response: Response) -> None:
        """Write the answer to *request*: at once, or when what it depends on is durable."""
        if request is not self._current or self._held is not None:
            return  # the client has gone, or has its answer
        if response.close or self.server.draining or (self._statistics is not None and self.session.closing):
            request.keep_alive = False
        head = response.head(self.server.date) + self.last_line(request)
        self.count(response.status)
        body = b"" if request.method == b"HEAD" or response.status in WITHOUT_BODY else response.body
        if self._statistics is not None and self.session.must_wait:
            self._held = head, body
            if self.server.calls.hold(self.session, self):
                return
            self._held = None
        if len(body) > LONG_BODY_BYTES or self._statistics is None:
            self.server.flush()
            self.write_now(head)
            self.write_now(body)
        else:
            self.server.post(self, head + body)
        self.finish(request)

    def count(self, status: int) -> None:
        """An answer of that status is given."""
        if self._statistics is not None:
            self._statistics.http_answers[status] += 1

    def last_line(self, request: Request) -> bytes:
        """What ends the head of its answer."""
        if not request.keep_alive:
            return CLOSING
        return KEPT_ALIVE if request.version == "1.0" else b"\r\n"

    def released(self, data: bytes) -> None:  # noqa: ARG002 - the answer is kept here, in two pieces
        """What the held answer depends on is durable: write it."""
        held, self._held = self._held, None
        if held is not None and self._current is not None:
            head, body = held
            if len(body) > LONG_BODY_BYTES:
                self.write_now(head)
                self.write_now(body)
            else:
                self.write_now(head + body)
            self.finish(self._current)

    def write_now(self, data: bytes | bytearray) -> None:
        """Give bytes to the transport; those for a client that has gone go nowhere."""
        if data and not self._transport.is_closing():
            self._written += len(data)
            if self._statistics is not None:
                self._statistics.net_output_bytes += len(data)
            self._transport.write(data)

    def finish(self, request: Request) -> None:
        """The answer has been given in full."""
        self._current = self._exchange = None
        self._served += 1
        if not request.keep_alive:
            self._deaf = True
            self._requests.clear()
        if not self._looping and (self._requests or self._left or self._deaf or self._eof or not self._reading):
            # Not within this call: what is executed now must not come between two answers that are being released.
            self.server.loop.call_soon(self._go_on)

    def check_that_it_is_wanted(self) -> None:
        """For what takes long: Problem when nobody waits for the answer any more, or nobody may."""
        if self._transport.is_closing():
            raise unavailable("The client has gone.")
        if self.server.draining:
            raise unavailable("The server is stopping.")

    # --- reading and closing -----------------------------------------------------------------------------------------

    def _choose_reading(self) -> None:
        wanted = self._lingering or (len(self._left) < READ_BYTES and not self.writing_paused)
        if wanted is not self._reading and not self._transport.is_closing():
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _close_when_served(self) -> None:
        waiting = self._requests[0] if self._requests else None
        if self._current is not None or self._checking or (waiting is not None and waiting.complete):
            return
        if self._left and not self._deaf:
            return
        self.server.flush()
        if self._lingering and not self._eof and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._close()

    def _close(self) -> None:
        self._transport.close()

    def _unwritten(self) -> int:
        """Bytes of answers that the peer has not taken."""
        return self._transport.get_write_buffer_size()

    def stop(self) -> None:
        """The server stops: what is being executed is still answered, what has not begun is not."""
        self._deaf = True
        self._left = b""
        self._requests.clear()
        if self._exchange is not None and self._exchange.streaming:
            self._exchange.disconnect()
        self._go_on()

    def check_deadline(self, now_s: float) -> None:
        """Close a client that is too slow. To be called about once a second."""
        if self._transport.is_closing():
            return
        deadline = self._deadline
        unread = self._unwritten()
        if unread:
            if deadline.lasts_s("taken", self._written - unread, now_s) > STALLED_S:
                self.kill()
            return
        stage = self._stage()
        lasts_s = deadline.lasts_s(stage, self._served, now_s)
        limits = self.server.settings
        if stage == "lingering":
            if lasts_s > LINGER_S:
                self.kill()
        elif stage == "head":
            if lasts_s > limits.http_header_timeout_s:
                self._time_out(f"The head of the request did not come within {limits.http_header_timeout_s} s.")
        elif stage == "body":
            request = self._partial
            if request is not None and lasts_s > BODY_GRACE_S + request.received / BODY_BYTES_PER_S:
                self._time_out(f"The body came slower than {BODY_BYTES_PER_S} bytes a second.")
        elif stage == "idle" and lasts_s > limits.http_idle_timeout_s > 0:
            self._close()

    def _stage(self) -> str:
        if self._current is not None or self._checking:
            return "busy"
        if self._lingering:
            return "lingering"
        if self._partial is not None:
            return "body"
        return "head" if self._in_head or not self._served else "idle"

    def _time_out(self, detail: str) -> None:
        if self._in_head or self._partial is not None:
            self._refuse(Problem(408, detail))
            self._go_on()
        else:
            self._close()  # it has not said a word

    # --- for the session (its Peer) ----------------------------------------------------------------------------------

    def kill(self) -> None:
        """Close at once; answers that are not written yet are lost."""
        self._deaf = True
        self._transport.abort()

    def write_push(self, data: bytes) -> None:
        """Nothing: HTTP has no place for what nobody asked for, and its routes begin nothing that pushes."""

    def buffer_sizes(self) -> tuple[int, int]:
        """(bytes of input not executed, bytes of output not written)."""
        received = sum(request.received for request in self._requests)
        return len(self._left) + received, self._unwritten()
