"""The files of the console: a page that speaks to this server by its public routes alone.

They are read once, when a browser first asks for them, and kept with their compressed form. They tell nothing of the
store, so nobody need log in for them, and they come while it is still being read. Must not know: what the page does.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from xxhash import xxh3_128_hexdigest

from keystead.server.http.problems import Problem
from keystead.server.http.responses import Response, heads_with
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.server.http.requests import Request

FOLDER: Final = Path(__file__).parent.parent / "console"
PREFIX: Final = b"/console/"
TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
}
"""What is served, by suffix; nothing else is."""

POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    b"font-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing runs, loads or is sent but from and to this server; no text ever becomes markup."""

HEADS: Final = heads_with(
    {
        b"Content-Security-Policy": POLICY,
        b"Cache-Control": b"private, no-cache",  # kept, and asked for by its ETag each time
        b"Cross-Origin-Opener-Policy": b"same-origin",
        b"Permissions-Policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        b"Vary": b"Accept-Encoding",
    }
)


class StaticFile(NamedTuple):
    """A file as it goes over the wire."""

    content_type: bytes
    plain: bytes
    compressed: bytes
    etag: bytes


@cache
def _paths() -> dict[str, Path]:
    """Every file that there is, by its path below the folder: what is not among them cannot be asked for."""
    found = (path for path in FOLDER.rglob("*") if path.suffix in TYPES)
    return {path.relative_to(FOLDER).as_posix(): path for path in found}


@cache
def _file(name: str) -> StaticFile | None:
    path = _paths().get(name)
    if path is None:
        return None
    data = path.read_bytes()
    compressed = gzip.compress(data, mtime=0)
    return StaticFile(TYPES[path.suffix], data, compressed, b'"%b"' % xxh3_128_hexdigest(data).encode())


def page(request: Request) -> Response:
    """The page itself, for a browser."""
    if b"text/html" not in request.headers.get(b"accept", b""):
        raise Problem(406, "Here is the console, a page for browsers (Accept: text/html); /docs describes the API.")
    return _answer(request, "index.html")


def file(request: Request) -> Response:
    """One of the files that it needs."""
    return _answer(request, request.path[len(PREFIX) :].decode("latin-1"))


def _answer(request: Request, name: str) -> Response:
    found = _file(name) if name in _paths() else None  # so that wrong names are not remembered
    if found is None:
        raise Problem(404, f"The console has no file {name[:100]!r}.")
    known = request.headers.get(b"if-none-match", b"")
    etag = (b"ETag", found.etag)
    if found.etag in known.replace(b"W/", b"").split(b", "):
        return Response(304, headers=(etag,), heads=HEADS)
    if _takes_gzip(request) and len(found.compressed) < len(found.plain):
        headers = (etag, (b"Content-Encoding", b"gzip"))
        return Response(200, found.compressed, found.content_type, headers, heads=HEADS)
    return Response(200, found.plain, found.content_type, (etag,), heads=HEADS)


def _takes_gzip(request: Request) -> bool:
    offered = request.headers.get(b"accept-encoding", b"").lower().replace(b" ", b"").split(b",")
    return b"gzip" in offered or any(coding.startswith(b"gzip;q=") and coding != b"gzip;q=0" for coding in offered)


_PAGE = Endpoint(page, changes_data=False, needs_login=False)
_FILE = Endpoint(file, changes_data=False, needs_login=False)
PAGE = {b"GET": _PAGE, b"HEAD": _PAGE}
"""What `/` is to a browser; to others it is a command of the dialect of Upstash."""
ROUTE = Route(PREFIX, {b"GET": _FILE, b"HEAD": _FILE}, {})
