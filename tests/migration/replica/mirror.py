"""A second server that is given what a feed tells of the first one, with as little code as that takes; and both asked
whether they are the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keystead.migration.addresses import ServerAddress
from keystead.migration.replica.feed import ReplicaFeed
from keystead.migration.source import Batch, Change, Delete, Expire, Flush, Put, Record, Touched

if TYPE_CHECKING:
    from servers import Server
    from wire import SocketConnection

PATIENCE_SECONDS = 60.0


def address(server: Server, **more: object) -> ServerAddress:
    return ServerAddress((server.address,), **more)  # type: ignore[arg-type]


class Mirror:
    """What a feed of *source* tells, put into *target*."""

    def __init__(self, source: Server, target: Server, feed: ReplicaFeed | None = None) -> None:
        self.feed = feed or ReplicaFeed(address(source))
        self.source, self.target = source.connect(), target.connect()
        self.told: list[Change] = []
        """Every change that was applied."""
        self._batches: Iterator[Batch] | None = None

    def copy(self) -> int:
        """All keys; how many."""
        count = 0
        for record in self.feed.snapshot():
            self._put(record)
            count += 1
        return count

    def follow(self) -> None:
        """Everything that the source has done up to now."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        if self._batches is None:
            self._batches = self.feed.changes()
        asked_ms, known_ms = time.time() * 1000, 0
        while known_ms < asked_ms:
            assert time.monotonic() < deadline, self.feed.position
            known_ms = self.step().known_until_ms

    def step(self) -> Batch:
        """One batch."""
        self._batches = self._batches or self.feed.changes()
        batch = next(self._batches)
        for change in batch.changes:
            self._apply(change)
            self.told.append(change)
        return batch

    def resume(self, position: str) -> None:
        self.feed.resume(position)
        self._batches = None

    def digests(self) -> tuple[object, object]:
        """All of both, as the servers themselves sum it up."""
        return tuple(connection.call("DEBUG", "DIGEST").value for connection in (self.source, self.target))  # type: ignore[return-value]

    def close(self) -> None:
        self.feed.close()
        self.source.close()
        self.target.close()

    def _apply(self, change: Change) -> None:
        if isinstance(change, Put):
            self._put(Record(change.database, change.key, "string", change.value, change.expires_at_ms))
        elif isinstance(change, Delete):
            self._do(change.database, "DEL", change.key)
        elif isinstance(change, Expire):
            words = ("PEXPIREAT", change.key, change.at_ms) if change.at_ms else ("PERSIST", change.key)
            self._do(change.database, *words)
        elif isinstance(change, Touched):
            self._look(change.database, change.key)
        elif isinstance(change, Flush):
            self._do(change.database, "FLUSHDB")
        else:
            raise AssertionError(change)

    def _look(self, database: int, key: bytes) -> None:
        _ok(self.source, "SELECT", database)
        kind = _ok(self.source, "TYPE", key)
        value = _ok(self.source, *(("GET", key) if kind == b"string" else ("DUMP", key)))
        expires_at_ms = _ok(self.source, "PEXPIRETIME", key)
        if value is None or expires_at_ms == -2:
            self._do(database, "DEL", key)
        else:
            self._put(Record(database, key, kind.decode(), value, max(0, expires_at_ms)))  # type: ignore[attr-defined,call-overload,arg-type]

    def _put(self, record: Record) -> None:
        if record.kind == "string":
            times = ("PXAT", record.expires_at_ms) if record.expires_at_ms else ()
            self._do(record.database, "SET", record.key, record.value, *times)
        else:
            words = (record.key, record.expires_at_ms, record.value, "REPLACE", "ABSTTL")
            self._do(record.database, "RESTORE", *words)

    def _do(self, database: int, *words: bytes | str | int) -> None:
        _ok(self.target, "SELECT", database)
        _ok(self.target, *words)


def _ok(connection: SocketConnection, *words: bytes | str | int) -> object:
    reply = connection.call(*words)
    assert reply.kind != "-", (words[:3], reply)
    return reply.value
