"""One request answered by an ASGI application: the server's side of ASGI 3, for HTTP.

The whole body has been collected before, so `receive` gives it at once. Answers stream: a client that does not read
stops its sender, and nothing piles up. Must not know: routes, commands.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from keystead.server.http.responses import STATUS_LINES, STRICT_HEADERS, WITHOUT_BODY

if TYPE_CHECKING:
    from keystead.server.http.connection import Connection
    from keystead.server.http.requests import Request

log = logging.getLogger("keystead.http")

Message: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_STRICT = [(name.lower(), b"%b: %b\r\n" % (name, value)) for name, value in STRICT_HEADERS.items()]


class Exchange:
    """What goes between the application and the connection."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._gone: asyncio.Future[None] = connection.server.loop.create_future()
        self._writable: asyncio.Future[None] | None = None  # while the client does not read
        self._body_given = False
        self._head: bytes | None = None  # kept back until the first piece of the body
        self._started = False
        self._complete = False
        self._chunked = False
        self._to_come = 0  # bytes of the body still to be sent, by its Content-Length

    @property
    def streaming(self) -> bool:
        """The answer has begun and goes on."""
        return self._started and not self._complete

    async def run(self, application: Application) -> None:
        """Have the application answer."""
        try:
            await application(self._scope(), self._receive, self._send)
        except Exception as failure:
            if not self._started:
                self._connection.fail(self._request, failure)
                return
            log.error("an answer broke off", exc_info=failure)
        if not self._complete:
            self._connection.kill()  # half an answer must not pass for a whole one

    def disconnect(self) -> None:
        """The client has gone, or is to be let go."""
        if not self._gone.done():
            self._gone.set_result(None)
        self.go_on_writing()

    def go_on_writing(self) -> None:
        """The client reads again."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def _scope(self) -> dict[str, Any]:
        request, connection = self._request, self._connection
        host, _, port = connection.addr.rpartition(":")
        own_host, _, own_port = connection.laddr.rpartition(":")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": request.version,
            "method": request.method.decode("ascii"),
            "scheme": "https" if connection.is_encrypted else "http",
            "path": unquote(request.path.decode("latin-1")),
            "raw_path": request.path,
            "query_string": request.query,
            "root_path": "",
            "headers": list(request.headers.items()),
            "client": (host, int(port)),
            "server": (own_host, int(own_port)),
            "state": {},
            "keystead": request,
        }

    async def _receive(self) -> Message:
        if not self._body_given:
            self._body_given = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        await asyncio.shield(self._gone)
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.done():
            return
        if message["type"] == "http.response.start":
            session = self._request.session
            if session.must_wait:
                await self._request.calls.settle(session, None)
            self._begin(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
            if self._connection.writing_paused and not self._complete:
                self._writable = self._connection.server.loop.create_future()
                await self._writable

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        request = self._request
        lines = [STATUS_LINES[status], self._connection.server.date]
        given = set()
        length = None
        for name, value in headers:
            name = name.lower()
            given.add(name)
            if name == b"content-length":
                length = int(value)
            lines.append(b"%b: %b\r\n" % (name, value))
        lines += [line for name, line in _STRICT if name not in given]
        has_body = request.method != b"HEAD" and status not in WITHOUT_BODY
        if length is not None:
            self._to_come = length if has_body else 0
        elif has_body:
            self._chunked = request.version == "1.1"
            request.keep_alive = request.keep_alive and self._chunked
            if self._chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        if self._connection.server.draining:
            request.keep_alive = False
        lines.append(self._connection.last_line(request))
        self._connection.count(status)
        self._head = b"".join(lines)
        self._started = True
        if has_body and length is None:
            self._write(b"")  # the first piece of a stream may be long in coming

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._write(data if more else data + b"0\r\n\r\n")
        elif self._request.method != b"HEAD":
            self._to_come -= len(body)
            self._write(body)
        else:
            self._write(b"")
        if not more and not self._to_come:
            self._complete = True
            self._connection.finish(self._request)

    def _write(self, data: bytes) -> None:
        head, self._head = self._head or b"", None
        self._connection.write_now(head + data)
