"""GET /v1/memory: what each folder of keys takes, exactly, the largest first.

Every key is looked at, by slices of a millisecond with a pause after each, so that others wait no longer than for any
command. What changes between the slices is seen as the walk meets it. What is told adds up to the estimate that
`maxmemory` is compared with. Must not know: how the index is kept.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from keystead.server.http import bodies
from keystead.server.http.memory_document import DOCUMENT
from keystead.server.http.notation import text_of
from keystead.server.http.problems import Problem, problem_of_redis_error, unavailable
from keystead.server.http.requests import whole_number
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.store import store_of

if TYPE_CHECKING:
    from keystead.engine.key_index import KeyIndex
    from keystead.engine.keyspace import Keyspace
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

PARAMETERS: Final = ("prefix", "delimiter", "limit", "db")
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
STEP_KEYS: Final = 200
SLICE_S: Final = 0.001
PAUSE_S: Final = 0.001
"""Between two slices: half of the loop is for others."""


class Usage:
    """What has been seen: the largest folders and keys, and the sum of the others."""

    def __init__(self, prefix: bytes, delimiter: bytes, limit: int) -> None:
        self._start = len(prefix)
        self._delimiter = delimiter
        self._limit = limit
        self._largest: list[tuple[int, bytes, int]] = []  # a heap of (bytes, name, keys); a folder's name ends in ":"
        self._name = b""
        self._bytes = 0
        self._keys = 0
        self.keys = 0
        self.bytes = 0

    def add(self, keys: Iterable[bytes], sizes: Iterable[int]) -> None:
        """The next keys, in order, and what each takes; 0 is one that is not there."""
        start, delimiter = self._start, self._delimiter
        for key, size in zip(keys, sizes, strict=True):
            if not size:
                continue
            cut = key.find(delimiter, start)
            name = key if cut < 0 else key[: cut + len(delimiter)]
            if name != self._name:  # keys of a folder are neighbours
                self._close()
                self._name = name
            self._bytes += size
            self._keys += 1

    def _close(self) -> None:
        if self._keys:
            self.keys += self._keys
            self.bytes += self._bytes
            item = (self._bytes, self._name, self._keys)
            if len(self._largest) < self._limit:
                heapq.heappush(self._largest, item)
            else:
                heapq.heappushpop(self._largest, item)
            self._bytes = self._keys = 0

    def document(self) -> dict[str, object]:
        """All of it."""
        self._close()
        items = [self._item(*item) for item in sorted(self._largest, reverse=True)]
        shown_keys = sum(keys for _, _, keys in self._largest)
        shown_bytes = sum(size for size, _, _ in self._largest)
        rest = {"keys": self.keys - shown_keys, "bytes": self.bytes - shown_bytes}
        return {"items": items, "rest": rest, "keys": self.keys, "bytes": self.bytes}

    def _item(self, size: int, name: bytes, keys: int) -> dict[str, object]:
        folder = name.find(self._delimiter, self._start) >= 0
        return {"name": text_of(name), "folder": folder, "keys": keys, "bytes": size}


async def memory(request: Request) -> Response:
    """Look at every key that begins with the prefix."""
    began_ns = time.perf_counter_ns()
    parameters = request.raw_parameters(PARAMETERS)
    prefix, delimiter = parameters.get("prefix", b""), parameters.get("delimiter", b":")
    if not delimiter:
        raise Problem(400, "The delimiter must not be empty.")
    usage = Usage(prefix, delimiter, whole_number(parameters, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT))
    session = request.session
    refusal = session.executor.may(session.user, [b"SCAN", b"0"])
    if refusal is not None:
        session.executor.operations.note(session, "SCAN", began_ns, result="NOPERM")
        raise problem_of_redis_error(refusal)
    async with store_of(request).long_reads:
        await _walk(request, prefix, usage)
    session.must_wait = True  # what was seen in memory is told when it is durable
    session.executor.operations.note(session, "SCAN", began_ns)
    return bodies.answer(usage.document())


async def _walk(request: Request, prefix: bytes, usage: Usage) -> None:
    database = request.session.db
    keyspace, index = database.keyspace, database.keyspace.index
    if index is None or not index.ready:
        raise unavailable("The index of the keys is being built.")
    readable = _readable(request)
    after: bytes | None = None
    while True:
        after, ended = _slice(index, keyspace, prefix, after, readable, usage)
        if ended:
            return
        await asyncio.sleep(PAUSE_S)
        request.connection.check_that_it_is_wanted()
        if database.keyspace is not keyspace:
            raise unavailable("The database was emptied or swapped meanwhile.")


def _slice(
    index: KeyIndex,
    keyspace: Keyspace,
    prefix: bytes,
    after: bytes | None,
    readable: Callable[[bytes], bool] | None,
    usage: Usage,
) -> tuple[bytes | None, bool]:
    """Look at keys for a millisecond: the last of them, and whether it was the last of all."""
    until_s = time.perf_counter() + SLICE_S
    while time.perf_counter() < until_s:
        keys = index.range(prefix, after, STEP_KEYS)
        if not keys:
            return after, True
        after = keys[-1]
        shown = keys if readable is None else list(filter(readable, keys))
        usage.add(shown, keyspace.used_bytes_each(shown))
    return after, False


def _readable(request: Request) -> Callable[[bytes], bool] | None:
    """Whether the user may be told the size of a key; None when of each."""
    user, may = request.session.user, request.session.executor.may
    if user.permissions.is_unrestricted:
        return None
    return lambda key: may(user, [b"STRLEN", key]) is None


ROUTE = Route(b"/v1/memory", {b"GET": Endpoint(memory, changes_data=False)}, {"get": DOCUMENT})
