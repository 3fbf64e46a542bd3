"""A store behind a server: the same mapping, for several processes. Redis commands only, so any Redis server will do.

Owns: which command does what a change does; whatever no single command does runs as WATCH, reads, MULTI, EXEC, again
and again until nobody was quicker. Must not know: redis-py's own ways, beyond its pipelines.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keystead.embedded import changes
from keystead.embedded.changes import NEVER, Condition, Expiry
from keystead.embedded.overlay import Overlay
from keystead.embedded.past import checked_conflicts, checked_sequence, moment_of
from keystead.embedded.redis_client import Server
from keystead.embedded.shared_engine import Gone
from keystead.embedded.store import Store
from keystead.embedded.transaction import Transaction
from keystead.errors import CommandError, StoreClosed, TransactionConflict, TransactionError, ValueRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from keystead.embedded.calls import Call
    from keystead.embedded.codecs import Coding
    from keystead.embedded.past import Ask as AsksPast
    from keystead.embedded.past import When
    from keystead.engine.undone import Conflicts, Undone
    from keystead.execution.forgetting import Forgotten

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

PAGE_KEYS: Final = 500

Ask = Callable[..., Any]
"""Sends one command and returns its reply."""


class RemoteStore(Store[K, V]):
    """What `connect()` returns."""

    __slots__ = ("_closed", "_in_transaction", "_server", "_url")

    def __init__(self, server: Server, coding: Coding[K, V]) -> None:
        super().__init__(coding)
        self._server = server
        self._url = server.url
        self._closed = False
        self._in_transaction: set[int] = set()

    def __repr__(self) -> str:
        return f"<keystead.Store {self._url!r} ({'closed' if self._closed else 'connected'})>"

    # --- How a mapping's method is done here ------------------------------------------------------------------------

    def _read(self, key: bytes) -> bytes | None:
        value: bytes | None = self._server.call("GET", key)
        return value

    def _read_with_expiry(self, key: bytes) -> tuple[bytes | None, int]:
        return self._server.call("GET", key), max(0, self._server.call("PTTL", key))

    def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """As Methods, in one round trip."""
        names = list(keys)
        if not names:
            return {}
        found = self._server.call("MGET", *map(self._coding.key, names))
        return {name: self._coding.decoded(data) for name, data in zip(names, found, strict=True) if data is not None}

    def _run(self, call: Call[T]) -> T:
        if get_ident() in self._in_transaction:
            raise TransactionError(
                "a transaction of this thread is open on this store: write through it, not through the store"
            )
        direct = _DIRECT.get(call.change)
        result = NotImplemented if direct is None else direct(self._server.call, *call.arguments)
        if result is NotImplemented:
            result = self._run_watching(call)
        finished: T = call.finish(result)
        return finished

    def _run_watching(self, call: Call[T]) -> Any:
        while True:
            pipeline = self._server.pipeline()
            try:
                overlay = Overlay(WatchedBase(self._server, pipeline))
                result = call.change(overlay, *call.arguments)
                self._commit(overlay, pipeline)
            except TransactionConflict:
                continue
            finally:
                pipeline.reset()
            return result

    def _pages(self, prefix: bytes | None) -> Iterator[list[tuple[bytes, bytes | bytearray]]]:
        for keys in _key_pages(self._server.call, prefix):
            values = self._server.call("MGET", *keys)
            yield [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]

    def _count(self, prefix: bytes | None) -> int:
        if prefix is None:
            count: int = self._server.call("DBSIZE")
            return count
        return sum(map(len, _key_pages(self._server.call, prefix)))

    # --- asyncio: in threads, of which asyncio keeps a few ----------------------------------------------------------

    async def _arun(self, call: Call[T]) -> T:
        from asyncio import to_thread

        return await to_thread(self._run, call)

    async def _aread(self, key: bytes) -> bytes | None:
        from asyncio import to_thread

        return await to_thread(self._read, key)

    async def _apages(self, prefix: bytes | None) -> AsyncIterator[list[tuple[bytes, bytes | bytearray]]]:
        from asyncio import to_thread

        pages = self._pages(prefix)
        while (page := await to_thread(next, pages, None)) is not None:
            yield page

    # --- Transactions -----------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Transaction[K, V]]:
        """As Store, except that others' writes go on: TransactionConflict when one changed what this has read."""
        with self._watching() as (overlay, pipeline):
            with self._opened(overlay) as transaction:
                yield transaction
            self._commit(overlay, pipeline)

    @asynccontextmanager
    async def atransaction(self) -> AsyncIterator[Transaction[K, V]]:
        """As `transaction`; what it reads is asked of the server at once, and holds up the loop for a round trip."""
        from asyncio import to_thread

        with self._watching() as (overlay, pipeline):
            with self._opened(overlay) as transaction:
                yield transaction
            await to_thread(self._commit, overlay, pipeline)

    @contextmanager
    def _watching(self) -> Iterator[tuple[Overlay, Any]]:
        thread = get_ident()
        if thread in self._in_transaction:
            raise TransactionError("a transaction of this thread is open on this store; do not begin one inside it")
        pipeline = self._server.pipeline()
        self._in_transaction.add(thread)
        try:
            yield Overlay(WatchedBase(self._server, pipeline)), pipeline
        finally:
            self._in_transaction.discard(thread)
            pipeline.reset()

    @contextmanager
    def _opened(self, overlay: Overlay) -> Iterator[Transaction[K, V]]:
        transaction = Transaction(self._coding, overlay)
        try:
            yield transaction
        finally:
            transaction._end()

    def _commit(self, overlay: Overlay, pipeline: Any) -> None:
        if not overlay.changed:
            return

        def execute() -> None:
            pipeline.multi()
            overlay.apply_to(Queue(pipeline))
            pipeline.execute()

        self._server.translated(execute)

    # --- The end ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """As Store; the server and its data go on."""
        if not self._closed:
            self._closed = True
            server, gone = self._server, Gone(StoreClosed, f"the connection to {self._url} has been closed")
            self._server = gone  # type: ignore[assignment]
            server.close()

    async def aclose(self) -> None:
        """As Store."""
        self.close()

    @property
    def closed(self) -> bool:
        """As Store."""
        return self._closed

    def forget(self, *keys: K) -> Forgotten:
        """As Store, by KS.FORGET. CommandError when the server does not know that."""
        from keystead.execution.forgetting import Forgotten

        if not keys:
            raise TypeError("forget() needs a key")
        answer = self._server.call("KS.FORGET", *map(self._coding.key, keys))
        fields = {name.decode(): _plain(value) for name, value in zip(answer[::2], answer[1::2], strict=True)}
        return Forgotten(**fields)

    def undo(self, sequence: int, *, conflicts: Conflicts = "refuse") -> Undone:
        """As Store, by KS.UNDO. CommandError when the server does not know that, or this user may not."""
        from keystead.embedded.remote_undo import undo_by

        return undo_by(self._server.call, checked_sequence(sequence), checked_conflicts(conflicts))

    def restore(self, key: K, *, at: When | None = None) -> Undone:
        """As Store, by KS.RESTORE. CommandError when the server does not know that, or this user may not."""
        from keystead.embedded.remote_undo import restore_by

        undone = restore_by(self._server.call, self._coding.key(key), None if at is None else moment_of(at))
        if undone is None:
            raise KeyError(key)
        return undone

    @property
    def _past(self) -> AsksPast:
        from keystead.embedded.remote_past import RemotePast

        return RemotePast(self._server.call)

    def sync(self) -> None:
        """As Store, by WAITAOF. CommandError when the server does not know that."""
        self._server.call("WAITAOF", 1, 0, 0)


def _plain(value: Any) -> Any:
    return tuple(os.fsdecode(text) for text in value) if isinstance(value, list) else value


# --- Changes that are one command -----------------------------------------------------------------------------------


def _put(ask: Ask, key: bytes, value: bytes, expires: Expiry, condition: Condition) -> bool:
    words: list[Any] = ["SET", key, value]
    if expires.keep:
        words.append("KEEPTTL")
    elif expires.ttl_ms:
        words += ["PX", expires.ttl_ms]
    elif expires.at_ms:
        words += ["PXAT", expires.at_ms]
    if condition != "always":
        words.append("NX" if condition == "absent" else "XX")
    return bool(ask(*words))


def _put_all(ask: Ask, pairs: list[tuple[bytes, bytes]]) -> None:
    if pairs:
        ask("MSET", *(word for pair in pairs for word in pair))


def _add(ask: Ask, key: bytes, by: int, _read: object, write: Callable[[int], bytes]) -> Any:
    if write(by) != b"%d" % by:
        return NotImplemented  # the codec does not store an integer as its digits
    try:
        return ask("INCRBY", key, by)
    except CommandError as error:
        if error.prefix == "ERR":
            raise ValueRefused(error.text.removeprefix("ERR ")) from error
        raise


def _expire(ask: Ask, key: bytes, expires: Expiry) -> bool:
    if expires is NEVER:
        return bool(ask("PERSIST", key) or ask("EXISTS", key))
    if expires.ttl_ms:
        return bool(ask("PEXPIRE", key, expires.ttl_ms))
    return bool(ask("PEXPIREAT", key, expires.at_ms))


_DIRECT: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    changes.put: _put,
    changes.put_all: _put_all,
    changes.add: _add,
    changes.expire: _expire,
    changes.delete: lambda ask, key: bool(ask("DEL", key)),
    changes.delete_all: lambda ask, keys: ask("DEL", *keys) if keys else 0,
    changes.put_if_absent: lambda ask, key, value: ask("SET", key, value, "NX", "GET"),
    changes.clear: lambda ask: ask("FLUSHDB"),
}


# --- Transactions: what they read and where they write --------------------------------------------------------------


class WatchedBase:
    """What the server has, as one connection reads it; everything read is watched before."""

    def __init__(self, server: Server, pipeline: Any) -> None:
        self._server = server
        self._pipeline = pipeline

    def _ask(self, *words: Any) -> Any:
        return self._server.translated(lambda: self._pipeline.immediate_execute_command(*words))

    def _watch(self, *keys: bytes) -> None:
        self._server.translated(lambda: self._pipeline.watch(*keys))

    def now_ms(self) -> int:
        """The server's time."""
        seconds, microseconds = self._server.call("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    def read(self, key: bytes) -> tuple[bytes | None, int]:
        """As Base."""
        self._watch(key)
        value: bytes | None = self._ask("GET", key)
        return value, 0 if value is None else max(0, self._ask("PEXPIRETIME", key))

    def pages(self, prefix: bytes | None) -> Iterator[list[tuple[bytes, bytes]]]:
        """As Base. A key that somebody adds meanwhile is not noticed; one that was seen is."""
        for keys in _key_pages(self._server.call, prefix):
            self._watch(*keys)
            values = self._ask("MGET", *keys)
            yield [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]


class Queue:
    """What MULTI has queued: the target of an overlay."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def now_ms(self) -> int:
        """Never: the server itself drops what has expired."""
        return 0

    def put(self, key: bytes, value: bytes, expires_at_ms: int = 0) -> None:
        """As State."""
        self._pipeline.execute_command("SET", key, value, *(("PXAT", expires_at_ms) if expires_at_ms else ()))

    def delete(self, key: bytes) -> None:
        """As State."""
        self._pipeline.execute_command("DEL", key)

    def set_expiry(self, key: bytes, expires_at_ms: int) -> None:
        """As State."""
        words = ("PEXPIREAT", key, expires_at_ms) if expires_at_ms else ("PERSIST", key)
        self._pipeline.execute_command(*words)

    def clear(self) -> None:
        """As State."""
        self._pipeline.execute_command("FLUSHDB")


def _key_pages(ask: Ask, prefix: bytes | None) -> Iterator[list[bytes]]:
    """All keys of strings, each once. Those of a prefix are collected first, since a server has no order to offer."""
    if prefix is not None:
        keys = sorted(key for page in _scan(ask, prefix) for key in page)
        yield from (keys[at : at + PAGE_KEYS] for at in range(0, len(keys), PAGE_KEYS))
        return
    yield from _scan(ask, b"")


def _scan(ask: Ask, prefix: bytes) -> Iterator[list[bytes]]:
    pattern = (
        b"".join(b"\\" + byte if byte in b"*?[]^-\\" else byte for byte in (bytes([one]) for one in prefix)) + b"*"
    )
    seen: set[bytes] = set()
    cursor: Any = 0
    while True:
        # SCAN may name a key twice, when the server resizes its table.
        cursor, keys = ask("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE_KEYS, "TYPE", "string")
        new = [key for key in dict.fromkeys(keys) if key not in seen]
        seen.update(new)
        if new:
            yield new
        if int(cursor) == 0:
            return
