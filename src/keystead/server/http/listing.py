"""GET /v1/keys: keys in order, page by page; folders with exact counts; values, types, lifetimes and sizes if wanted.

A page goes on after a key, not at a number, so it neither skips nor repeats what others add and remove meanwhile. The
index knows what is in memory, so a page waits until all of that is durable, as SCAN does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import msgspec

from keystead.commands.value_types import text, type_name
from keystead.server.http import keys
from keystead.server.http.listing_document import COLLECTION
from keystead.server.http.problems import Problem, unavailable
from keystead.server.http.requests import Request, to_base64url
from keystead.server.http.responses import Response
from keystead.server.http.routes import Endpoint, Handler, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keystead.engine.key_index import KeyIndex

PATH = b"/v1/keys"
PARAMETERS = ("prefix", "after", "offset", "limit", "delimiter", "include", "db")
INCLUDABLE = ("value", "type", "ttl", "size")
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_VALUE_BYTES = 1 << 20
"""A page ends early, after at least one key, when its values are longer than this."""


def list_keys(request: Request) -> Response:
    """One page."""
    parameters = request.raw_parameters(PARAMETERS)
    prefix = parameters.get("prefix", b"")
    after = parameters.get("after")
    limit = _number(parameters, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    include = _included(parameters.get("include", b""))
    index = request.session.db.keyspace.index
    if index is None or not index.ready:
        raise unavailable("The index of the keys is being built.")
    request.session.must_wait = True  # so the answer is told when everything in memory now is durable
    page = _Page(request, include)
    if "delimiter" in parameters:
        page.take_folders(index, prefix, _delimiter(parameters), after, limit)
    elif "offset" in parameters:
        if after is not None:
            raise Problem(400, "A page begins at 'after' or at 'offset', not at both.")
        offset = _number(parameters, "offset", 0, 0, 1 << 53)
        page.take_keys(index.range_at(prefix, offset, limit))
    else:
        page.take_keys(index.range(prefix, after, limit), more_than=limit)
    document: dict[str, object] = {"items": page.items, "total": index.count(prefix), "next": None}
    if page.last is not None:
        document["next"] = _next(parameters, page.last)
    return Response(200, msgspec.json.encode(document), b"application/json")


class _Page:
    """The items of one page, and the name that the next one goes on after."""

    def __init__(self, request: Request, include: frozenset[str]) -> None:
        self._keyspace = request.session.db.keyspace
        self._now_ms = request.session.engine.clock.now_ms
        self._include = include
        self._value_bytes = 0
        self.items: list[dict[str, object]] = []
        self.last: bytes | None = None

    def take_keys(self, names: Iterable[bytes], more_than: int = 0) -> None:
        """Add keys."""
