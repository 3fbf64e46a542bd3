"""Which path leads where.

Lean routes are plain functions of a Request: nothing lies between them and the parser, for what must be as fast as the
store. All else goes to the FastAPI application (`app`), which also documents the lean ones. Guards, login and limits
are the connection's, before any route, so they treat all alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from keystead.server.http.problems import Problem
from keystead.server.http.requests import Request
from keystead.server.http.responses import Response

Handler: TypeAlias = Callable[[Request], "Response | Awaitable[Response] | None"]
"""Returns the answer, or something to await for it; None when it will call (or has called) `request.answer`. May raise
Problem. A returned answer still waits until what its session was shown or changed is durable."""

SAFE_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS"))


class Dialect(NamedTuple):
    """The conventions of another API, for endpoints that follow it. Their parameters are its own, ?db= too."""

    tell: Callable[[Problem], Response]
    """The answer when something goes wrong."""
    token_of: Callable[[Request], bytes | None]
    """The token of a request that has no Authorization header."""


class Endpoint(NamedTuple):
    """What a method of a path does."""

    handler: Handler
    changes_data: bool
    """Requests of other sites' pages are refused. A GET that writes (the Upstash dialect) must say so."""
    needs_login: bool = True
    """If not, it is served to everybody, and while the store is being read."""
    asks_who: bool = True
    """If not, it is the endpoint's own business who asks; like others it is not served before the store is."""
    any_host: bool = False
    """Probes may ask by any address: exempt from the list of hosts."""
    dialect: Dialect | None = None


class Route(NamedTuple):
    """One path, or everything below it when it ends in a slash and is among the prefixes."""

    path: bytes
    endpoints: Mapping[bytes, Endpoint]
    documentation: Mapping[str, Any]
    """The OpenAPI path item."""
    template: str = ""
    """The path as OpenAPI writes it, when it is not `path`."""

    def refusal_of(self, method: bytes) -> Problem:
        """405 for a method that does nothing here, naming those that do."""
        names = b", ".join(sorted(self.endpoints))
        detail = f"{method.decode()} is not allowed here; use {names.decode()}."
        return Problem(405, detail, headers={b"Allow": names})


class Routes:
    """The lean routes, by path."""

    def __init__(
        self, exact: list[Route], prefixes: list[Route], by_name: Route | None = None, names: Collection[bytes] = ()
    ) -> None:
        """*by_name* is the route of paths whose first piece is one of *names* (small letters), written in any way."""
        self._exact = {route.path: route for route in exact}
        self._prefixes = [(route.path, route) for route in prefixes]
        self._by_name = by_name
        self._names = frozenset(names)
        self.all = [*exact, *prefixes, *([by_name] if by_name else [])]

    def find(self, path: bytes) -> Route | None:
        """The route of a raw path; None for those of the application."""
        for prefix, route in self._prefixes:
            if path.startswith(prefix):
                return route
        found = self._exact.get(path)
        if found is None and path[1:].partition(b"/")[0].lower() in self._names:
            return self._by_name
        return found
