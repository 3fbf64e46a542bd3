"""An answer, and its bytes on the wire. Strict headers go with every one of them.

Must not know: sockets, routes, the store.
"""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import NamedTuple

HeaderLines = tuple[tuple[bytes, bytes], ...]

STRICT_HEADERS: dict[bytes, bytes] = {
    b"X-Content-Type-Options": b"nosniff",
    b"Cache-Control": b"no-store",
    b"Content-Security-Policy": b"default-src 'none'; frame-ancestors 'none'",
    b"Referrer-Policy": b"no-referrer",
    b"Cross-Origin-Resource-Policy": b"same-origin",
}
"""So that no value is ever run, framed, cached or read by another site. A page of our own replaces what it must."""

STRICT_LINES = b"".join(b"%b: %b\r\n" % line for line in STRICT_HEADERS.items())

STATUS_LINES: dict[int, bytes] = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in http.HTTPStatus
}
HEADS: dict[int, bytes] = {status: line + STRICT_LINES for status, line in STATUS_LINES.items()}
"""Status line and strict headers, ready made."""


def heads_with(headers: Mapping[bytes, bytes]) -> Mapping[int, bytes]:
    """The same for a page of our own: *headers* are added, or replace strict ones."""
    lines = b"".join(b"%b: %b\r\n" % line for line in (STRICT_HEADERS | dict(headers)).items())
    return {status: line + lines for status, line in STATUS_LINES.items()}


WITHOUT_BODY = frozenset((204, 304))
"""Statuses whose answers have neither a body nor its length."""


class Response(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes | bytearray = b""
    content_type: bytes = b""
    headers: HeaderLines = ()
    close: bool = False
    """The connection ends with it."""
    heads: Mapping[int, bytes] = HEADS
    """What it begins with, by status."""

    def head(self, date: bytes) -> bytes:
        """Everything before the body, but for the empty line that ends it. *date* is a whole header line."""
        lines = [self.heads[self.status], date]
        if self.content_type:
            lines.append(b"Content-Type: %b\r\n" % self.content_type)
        lines += [b"%b: %b\r\n" % line for line in self.headers]
        if self.status not in WITHOUT_BODY:
            lines.append(b"Content-Length: %d\r\n" % len(self.body))
        return b"".join(lines)
