"""Bytes in, requests out: the half of an HTTP connection that reads.

Owns: the parser, the limits on heads and bodies, and what is said to a client that exceeds them. Must not know: the
transport, when a request is executed, what it means.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, cast

import httptools

from keystead.server.http.problems import Problem
from keystead.server.http.requests import Request

if TYPE_CHECKING:
    from keystead.server.http.connection import Connection
    from keystead.server.http.server import HttpServer

READ_BYTES = 16384
"""Heads of requests parsed in a turn of the loop, and what is kept of a client's input while it is being served."""
HEAD_BYTES = 32768
"""The longest head of a request."""
TARGET_BYTES = 16384
HEADERS = 100
SENT_ONCE = frozenset((b"host", b"authorization", b"content-length"))


class Incoming:
    """What a client has sent and not been answered. A `Connection` is one, so that a request costs no detour."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self._request = partial(Request, cast("Connection", self))
        self._parser = httptools.HttpRequestParser(self)
        # Of the head that is being parsed:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._in_head = False
        self._partial: Request | None = None  # its head is complete, its body is not
        self._requests: deque[Request] = deque()  # not executed yet, in order; the last one may be partial
        self._left = b""  # read, not parsed
        self._deaf = False  # nothing more is parsed
        self._lingering = False  # when all is answered, wait for the client to close

    def _parse(self) -> None:
        """Give the parser what has been read: a slice, so that no client owns a turn; bodies as they come."""
        data, self._left = self._left, b""
        if len(data) > READ_BYTES and self._partial is None:
            data, self._left = data[:READ_BYTES], data[READ_BYTES:]
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # no other protocol is spoken here: the request is answered, the connection closed
        except httptools.HttpParserError as error:
            self._refuse(Problem(400, f"This is not HTTP: {error}."))
        if self._in_head:
            # The parser hands out headers when they are whole; one that never ends shows only here.
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES + READ_BYTES:
                self._refuse(_head_too_large())

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers = {}
        self._head_bytes = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self._target += url
        if len(self._target) > TARGET_BYTES:
            self._refuse(Problem(414, f"The path and its parameters are longer than {TARGET_BYTES} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; one sent twice is joined by a comma."""
        if not self._in_head:
            return  # a trailer of a chunked body, which must not pass for a header
        headers = self._headers
        name = name.lower()
        self._head_bytes += len(name) + len(value)
        if name in headers:
            if name in SENT_ONCE:
                self._refuse(Problem(400, f"The header {name.decode('latin-1')} is given more than once."))
            value = headers[name] + b", " + value
        headers[name] = value
        if self._head_bytes > HEAD_BYTES or len(headers) > HEADERS:
            self._refuse(_head_too_large())

    def on_headers_complete(self) -> None:
        """The head is whole; a body may follow."""
        self._in_head = False
        if self._deaf:
            return
        parser = self._parser
        keep_alive = parser.should_keep_alive() and not parser.should_upgrade()
        request = self._request(parser.get_method(), self._target, self._headers, keep_alive=keep_alive)
        request.version = parser.get_http_version()
        self._partial = request
        self._requests.append(request)
        length = self._headers.get(b"content-length")
        if length is not None and int(length) > self.server.max_body_bytes:
            self._refuse(self._too_large())

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        request = self._partial
        if request is None:
            return
        request.received += len(body)
        if request.received > self.server.max_body_bytes:
            self._refuse(self._too_large())
        else:
            request.parts.append(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        request, self._partial = self._partial, None
        if request is None:
            return
        parts = request.parts
        if parts:
            request.body = parts[0] if len(parts) == 1 else b"".join(parts)
            request.parts = []
        request.complete = True
        if not request.keep_alive:
            self._deaf = True

    def _too_large(self) -> Problem:
        return Problem(413, f"The body is longer than {self.server.max_body_bytes} bytes, which is max-value-bytes.")

    def _refuse(self, problem: Problem) -> None:
        """Answer what is being received with *problem*, behind the answers to earlier requests; then close."""
        if self._deaf:
            return
        self._deaf = self._lingering = True
        request, self._partial = self._partial, None
        if request is None:
            request = self._request(b"GET", b"/", {}, keep_alive=False)
            self._requests.append(request)
        request.problem = problem
        request.keep_alive = False
        request.complete = request.admitted = True
        request.parts = []


def _head_too_large() -> Problem:
    return Problem(431, f"The head of the request is longer than {HEAD_BYTES} bytes, or has over {HEADERS} headers.")
