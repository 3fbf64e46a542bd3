"""What a change reads and changes: current memory, or the overlay of a transaction.

Owns the interface that `changes` is written against, and the plain implementation of it. Must not know: threads, syncs.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from keystead.engine.bindings import Database
    from keystead.engine.engine import Engine


class State(Protocol):
    """Keys, values and expiries, as bytes and milliseconds of Unix time (0: no expiry)."""

    def now_ms(self) -> int:
        """Store time."""

    def read(self, key: bytes) -> tuple[bytes | None, int]:
        """The value, None when absent or expired, and the expiry."""

    def put(self, key: bytes, value: bytes, expires_at_ms: int = 0) -> None:
        """Set value and expiry."""

    def delete(self, key: bytes) -> None:
        """Remove the key; harmless when it is absent."""

    def set_expiry(self, key: bytes, expires_at_ms: int) -> None:
        """Change the expiry alone; harmless when the key is absent."""

    def clear(self) -> None:
        """Remove every key."""

    def any_key(self) -> bytes | None:
        """Some key; None when there is none."""


class Viewer:
    """A reader, as the engine knows it: *must_wait* is whether it is shown current memory or what is durable."""

    pending_turn = 0

    def __init__(self, must_wait: bool) -> None:
        self.must_wait = must_wait


NOBODY: Final = Viewer(must_wait=False)
"""Has no writes of its own."""

ITSELF: Final = Viewer(must_wait=True)
"""Sees current memory; its answer waits until that is durable."""


class CurrentState:
    """Current memory. Whoever uses it holds the engine's lock, and makes a turn of what was recorded."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._database = database

    def now_ms(self) -> int:
        """Store time, as refreshed when the lock was taken."""
        return self._engine.clock.now_ms

    def read(self, key: bytes) -> tuple[bytes | None, int]:
        """As State."""
        value, expires_at_ms = self._database.keyspace.read_with_expiry(key, ITSELF)
        return None if value is None else bytes(value), expires_at_ms

    def put(self, key: bytes, value: bytes, expires_at_ms: int = 0) -> None:
        """As State."""
        self._database.keyspace.put(key, value, expires_at_ms)

    def delete(self, key: bytes) -> None:
        """As State."""
        self._database.keyspace.delete(key)

    def set_expiry(self, key: bytes, expires_at_ms: int) -> None:
        """As State."""
        with suppress(KeyError):
            self._database.keyspace.set_expiry(key, expires_at_ms)

    def clear(self) -> None:
        """As State, at once however many keys there are."""
        self._engine.flush(self._database)

    def any_key(self) -> bytes | None:
        """As State."""
        return next(self._database.keyspace.keys(), None)
