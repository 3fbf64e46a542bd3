"""GET /v1/keys: keys in order, page by page; folders with exact counts; values, types, lifetimes and sizes if wanted.

A page goes on after a key, not at a number, so it neither skips nor repeats what others add and remove meanwhile. The
index knows what is in memory, so a page waits until all of that is durable, as SCAN does.

A user who may not read every key is shown those that he may read. Of them nobody keeps a count, so a page looks at so
many keys at most, and what it cannot know it does not say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes

import msgspec

from keystead.commands.value_types import text, type_name
from keystead.engine.values import value_bytes
from keystead.server.http import bulk_delete
from keystead.server.http.history import list_keys_at
from keystead.server.http.listing_document import COLLECTION
from keystead.server.http.notation import text_of
from keystead.server.http.problems import Problem, problem_of_redis_error, unavailable
from keystead.server.http.requests import Request, whole_number
from keystead.server.http.responses import Response
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.engine.key_index import Folder, KeyIndex
    from keystead.engine.values import Value

PATH: Final = b"/v1/keys"
PARAMETERS: Final = ("prefix", "after", "offset", "limit", "delimiter", "include", "at", "db")
INCLUDABLE: Final = {"value": b"GET", "type": b"TYPE", "ttl": b"PTTL", "size": b"STRLEN"}
"""What may be shown of a key, and the command that a user must be allowed for it."""
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
MAX_VALUE_BYTES: Final = 1 << 20
"""A page ends early, after at least one key, when its values are longer than this."""
MAX_SCANNED: Final = 10_000
"""Keys that a page looks at for a user who may not read all of them."""
WALK_KEYS: Final = 500


def list_keys(request: Request) -> Response | None:
    """One page; with ?at= as it was then."""
    started_ns = time.perf_counter_ns()
    parameters = request.raw_parameters(PARAMETERS)
    if "at" in parameters:
        limit = whole_number(parameters, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        list_keys_at(request, parameters, included(parameters), limit)
        return None
    session = request.session
    refusal = session.executor.may(session.user, [b"SCAN", b"0"])
    if refusal is not None:
        session.executor.operations.note(session, "SCAN", started_ns, result="NOPERM")
        raise problem_of_redis_error(refusal)
    index = session.db.keyspace.index
    if index is None or not index.ready:
        raise unavailable("The index of the keys is being built.")
    session.engine.clock.refresh()  # else a key whose time is up might still be shown
    session.must_wait = True  # so the answer is told when everything in memory now is durable
    page = _page(request, index, parameters)
    prefix = parameters.get("prefix", b"")
    total = index.count(prefix) if session.user.may_read_all else None
    session.executor.operations.note(session, "SCAN", started_ns)
    document = {"items": page.items, "total": total, "next": page.next_path(parameters)}
    return Response(200, msgspec.json.encode(document), b"application/json")


def _page(request: Request, index: KeyIndex, parameters: dict[str, bytes]) -> _Page:
    prefix, after = parameters.get("prefix", b""), parameters.get("after")
    limit = whole_number(parameters, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    page = _Page(request, included(parameters), limit)
    if "offset" in parameters:
        if after is not None or "delimiter" in parameters:
            raise Problem(400, "A page that begins at 'offset' has neither 'after' nor 'delimiter'.")
        if not request.session.user.may_read_all:
            raise Problem(403, "Positions count keys that this user may not read: page by 'after' instead.")
        page.take_positions(index, prefix, whole_number(parameters, "offset", 0, 0, (1 << 53) - 1))
    elif "delimiter" not in parameters:
        page.take_keys(index, prefix, after)
    elif not parameters["delimiter"]:
        raise Problem(400, "The delimiter must not be empty.")
    else:
        page.take_folders(index, prefix, parameters["delimiter"], after)
    return page


class _Page:
    """The items of one page, and where the next one goes on."""

    def __init__(self, request: Request, include: list[str], limit: int) -> None:
        session = request.session
        self._keyspace = session.db.keyspace
        self._now_ms = session.engine.clock.now_ms
        self._user = session.user
        self._reads_all = session.user.may_read_all
        self._is_unrestricted = session.user.permissions.is_unrestricted
        self._may = session.executor.may
        self._include = [(what, INCLUDABLE[what]) for what in include]
        self._limit = limit
        self._scannable = MAX_SCANNED
        self._value_bytes = 0
        self.items: list[dict[str, object]] = []
        self._next: tuple[str, bytes] | None = None

    @property
    def _is_full(self) -> bool:
        return len(self.items) == self._limit or self._value_bytes > MAX_VALUE_BYTES

    def take_keys(self, index: KeyIndex, prefix: bytes, after: bytes | None) -> None:
        """Keys in order, from the one after *after* on."""
        last = b""
        for key in _walk(index, prefix, after):
            if self._is_full or self._scannable == 0:
                self._next = ("after", last)
                return
            self._take_key(key)
            last = key

    def take_positions(self, index: KeyIndex, prefix: bytes, offset: int) -> None:
        """Keys in order, from that position on."""
        for position, key in enumerate(index.range_at(prefix, offset, self._limit + 1), offset):
            if self._is_full:
                self._next = ("offset", b"%d" % position)
                return
            self._take_key(key)

    def take_folders(self, index: KeyIndex, prefix: bytes, delimiter: bytes, after: bytes | None) -> None:
        """Folders and the keys beside them, in order."""
        found = index.folders(prefix, delimiter, after, self._limit + 1)
        last = b""
        for at, folder in enumerate(found):
            if self._is_full or self._scannable == 0 or at == self._limit:
                self._next = ("after", last)
                return
            if folder.name.find(delimiter, len(prefix)) < 0:
                self._take_key(folder.name)
            elif self._reads_all:
                self.items.append({"name": text_of(folder.name), "folder": True, "keys": folder.keys})
            else:
                self._take_readable(index, folder)
            last = folder.name

    def _take_readable(self, index: KeyIndex, folder: Folder) -> None:
        """Add a folder with the count of those of its keys that the user may read."""
        keys = index.range(folder.name, None, self._scannable)
        self._scannable -= len(keys)
        readable = sum(map(self._user.may_read_key, keys))
        item: dict[str, object] = {"name": text_of(folder.name), "folder": True, "keys": readable}
        if len(keys) < folder.keys:
            item["at_least"] = True
        elif not readable:
            return
        self.items.append(item)

    def _take_key(self, key: bytes) -> None:
        """Add the key, if it lives and the user may read it."""
        if not self._reads_all:
            self._scannable -= 1
            if not self._user.may_read_key(key):
                return
        value = self._keyspace.get(key)
        if value is not None:
            item: dict[str, object] = {"name": text_of(key)}
            for what, command in self._include:
                if self._is_unrestricted or self._may(self._user, [command, key]) is None:
                    item[what] = self._shown(what, key, value)
            self.items.append(item)

    def _shown(self, what: str, key: bytes, value: Value) -> object:
        match what:
            case "value":
                self._value_bytes += value_bytes(value)
                return text_of(bytes(text(value)))
            case "type":
                return type_name(value)
            case "size":
                return value_bytes(value)
        expires_at_ms = self._keyspace.expires_at_ms(key)
        return (expires_at_ms - self._now_ms) / 1000 if expires_at_ms else None

    def next_path(self, parameters: Mapping[str, bytes]) -> str | None:
        """The path of the next page; None after the last."""
        if self._next is None:
            return None
        name, place = self._next
        query = {**parameters, name: place}
        pairs = [f"{name}={quote_from_bytes(value, safe='')}" for name, value in query.items()]
        return f"{PATH.decode()}?{'&'.join(pairs)}"


def _walk(index: KeyIndex, prefix: bytes, after: bytes | None) -> Iterator[bytes]:
    """All keys in order, fetched by slices."""
    while keys := index.range(prefix, after, WALK_KEYS):
        yield from keys
        after = keys[-1]


def included(parameters: Mapping[str, bytes]) -> list[str]:
    """What ?include= names, each once. Problem for what cannot be shown."""
    if "include" not in parameters:
        return []
    wanted = parameters["include"].decode("utf-8", "replace").split(",")
    for name in wanted:
        if name not in INCLUDABLE:
            raise Problem(400, f"The parameter 'include' names {', '.join(INCLUDABLE)}, separated by commas.")
    return list(dict.fromkeys(wanted))


_ENDPOINT = Endpoint(list_keys, changes_data=False)
ROUTE = Route(PATH, {b"GET": _ENDPOINT, b"HEAD": _ENDPOINT, b"DELETE": bulk_delete.ENDPOINT}, COLLECTION)
