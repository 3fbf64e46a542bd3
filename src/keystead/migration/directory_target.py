"""A data directory that keys are moved to: opened here, and nobody else may have it open.

Owns: facts as changes of an engine, durable when they are acknowledged. Must not know: where facts come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keystead.engine.engine import Engine, Options
from keystead.engine.operations import Author
from keystead.migration.source import STRING, Delete, Expire, Record
from keystead.migration.target import Fact, TargetRefused

HOUSEKEEPING_MS = 1.0
SCAN_KEYS = 500
AUTHOR = Author("", "keystead migrate")


class DirectoryTarget:
    """One database of a data directory. Close it."""

    strings_only = True

    def __init__(self, path: str, database: int, options: Options) -> None:
        """StoreLocked, DirectoryUnusable, DamagedData."""
        self._path = path
        self._database_number = database
        self._engine = Engine.open(path, options)
        self._engine.author = AUTHOR
        self._database = self._engine.databases[database]

    def describe(self) -> str:
        """As Target."""
        return self._path

    def count(self) -> int:
        """As Target."""
        return sum(len(database.keyspace) for database in self._engine.databases)

    def apply(self, facts: Sequence[Fact]) -> list[bytes]:
        """As Target: one turn, and synced."""
        engine, keyspace = self._engine, self._database.keyspace
        now_ms = engine.clock.refresh()
        missing = []
        if engine.refusal is not None:
            raise TargetRefused(f"{self._path}: {engine.refusal}")
        for fact in facts:
            key = fact.key
            if isinstance(fact, Delete) or (isinstance(fact, Record) and 0 < fact.expires_at_ms <= now_ms):
                keyspace.delete(key)
            elif isinstance(fact, Expire):
                if key in keyspace:
                    keyspace.set_expiry(key, fact.at_ms)
                else:
                    missing.append(key)
            elif fact.kind == STRING:
                keyspace.put(key, fact.value, fact.expires_at_ms)
            else:
                raise TargetRefused(f"{self._path}: a data directory holds strings only, and {key!r} is a {fact.kind}")
        self._make_durable()
        return missing

    def _make_durable(self) -> None:
        engine = self._engine
        turn = engine.end_turn()
        engine.sync()
        engine.housekeep(HOUSEKEEPING_MS)  # rotates the log, and looks whether there is room for more
        engine.end_turn()
        engine.sync()
        if engine.durable_turn < turn:
            raise TargetRefused(f"{self._path}: no space is left for the log")

    def flush(self) -> None:
        """As Target."""
        self._engine.flush(self._database)
        self._make_durable()

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        """As Target."""
        return [self._look(key) for key in keys]

    def _look(self, key: bytes) -> Record | None:
        value, expires_at_ms = self._database.keyspace.get_with_expiry(key)
        return None if value is None else Record(self._database_number, key, STRING, bytes(value), expires_at_ms)

    def scan(self) -> Iterator[list[Record]]:
        """As Target."""
        cursor = 0
        while True:
            self._engine.clock.refresh()
            cursor, keys = self._database.keyspace.scan(cursor, SCAN_KEYS)
            yield [record for record in self.look(keys) if record is not None]
            if not cursor:
                return

    def close(self) -> None:
        """End the store cleanly."""
        self._engine.close()
