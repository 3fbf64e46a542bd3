"""A store in this process: the mapping over an engine.

Owns: the quick ways of the hottest methods, and what joins a transaction to the engine. Must not know: files, frames,
who leads a commit.
"""

from __future__ import annotations

import warnings
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from keystead.embedded.calls import Call
from keystead.embedded.overlay import Overlay
from keystead.embedded.pages import LocalPages
from keystead.embedded.past import checked_conflicts, checked_sequence, moment_of
from keystead.embedded.shared_engine import LARGE_BYTES
from keystead.embedded.store import Store
from keystead.embedded.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from keystead.embedded.codecs import Coding
    from keystead.embedded.local_past import LocalPast
    from keystead.embedded.past import When
    from keystead.embedded.shared_engine import SharedEngine
    from keystead.engine.undone import Conflicts, Undone
    from keystead.execution.forgetting import Forgotten

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class LocalStore(Store[K, V]):
    """What `open()` returns."""

    __slots__ = ("_decode", "_encode", "_encode_key", "_historian", "_shared")

    def __init__(self, shared: SharedEngine, coding: Coding[K, V]) -> None:
        super().__init__(coding)
        self._shared = shared
        self._historian: LocalPast | None = None
        self._encode_key = coding.keys.encode
        self._encode = coding.values.encode
        self._decode = coding.values.decode

    def __repr__(self) -> str:
        return f"<keystead.Store {self._shared.path!r} ({'closed' if self._shared.closed else 'open'})>"

    # --- The quick ways: what Methods does, without the layers between ----------------------------------------------

    def __getitem__(self, key: K) -> V:
        try:
            raw = self._encode_key(key)
        except Exception as error:
            raise self._coding.refused_key(key, error) from error
        shared = self._shared
        data = shared.database.keyspace.peek(raw, shared.read)
        if data is None:
            raise KeyError(key)
        try:
            return self._decode(data)  # type: ignore[arg-type]  # a bytearray, when a server has patched it
        except Exception:
            return self._coding.decoded(data)

    def get(self, key: K, default: Any = None, /) -> Any:
        """The value, or *default*."""
        try:
            raw = self._encode_key(key)
        except Exception as error:
            raise self._coding.refused_key(key, error) from error
        shared = self._shared
        data = shared.database.keyspace.peek(raw, shared.read)
        if data is None:
            return default
        try:
            return self._decode(data)  # type: ignore[arg-type]
        except Exception:
            return self._coding.decoded(data)

    def __setitem__(self, key: K, value: V) -> None:
        try:
            raw = self._encode_key(key)
            data = self._encode(value)
        except Exception as error:
            raise self._coding.refusal(key, value, error) from error
        if len(data) > LARGE_BYTES:
            super().__setitem__(key, value)
            return
        shared = self._shared
        with shared.lock:
            if shared.obstacle is not None:
                shared.pass_obstacle(True)
            shared.database.keyspace.put(raw, data)
            turn = shared.record()
        if turn:
            shared.commits.wait(turn)

    # --- How a mapping's method is done here ------------------------------------------------------------------------

    def _read(self, key: bytes) -> bytes | bytearray | None:
        shared = self._shared
        return shared.database.keyspace.peek(key, shared.read)

    def _read_with_expiry(self, key: bytes) -> tuple[bytes | bytearray | None, int]:
        return self._shared.read_with_time_left(key)

    def _run(self, call: Call[T]) -> T:
        result: T = call.finish(self._shared.change(call.change, call.arguments, call.growth))
        return result

    def _pages(self, prefix: bytes | None) -> Iterator[list[tuple[bytes, bytes | bytearray]]]:
        return iter(LocalPages(self._shared, prefix))

    def _count(self, prefix: bytes | None) -> int:
        return LocalPages(self._shared, prefix).count()

    # --- asyncio ----------------------------------------------------------------------------------------------------

    async def _arun(self, call: Call[T]) -> T:
        result: T = call.finish(await self._shared.achange(call.change, call.arguments, call.growth))
        return result

    async def _aread(self, key: bytes) -> bytes | bytearray | None:
        return self._read(key)

    async def _apages(self, prefix: bytes | None) -> AsyncIterator[list[tuple[bytes, bytes | bytearray]]]:
        async for page in LocalPages(self._shared, prefix):
            yield page

    # --- Transactions -----------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Transaction[K, V]]:
        """As Store."""
        shared = self._shared
        shared.exclude()
        overlay = Overlay(EngineBase(shared, settled=False))
        transaction = Transaction(self._coding, overlay)
        try:
            yield transaction
        except BaseException:
            shared.admit()
            raise
        finally:
            transaction._end()
        turn = self._commit(overlay)
        shared.commits.wait(turn)

    @asynccontextmanager
    async def atransaction(self) -> AsyncIterator[Transaction[K, V]]:
        """As Store."""
        shared = self._shared
        await shared.aexclude()
        overlay = Overlay(EngineBase(shared, settled=True))
        transaction = Transaction(self._coding, overlay)
        try:
            yield transaction
        except BaseException:
            shared.admit()
            raise
        finally:
            transaction._end()
        await shared.await_turn(self._commit(overlay))

    def _commit(self, overlay: Overlay) -> int:
        shared = self._shared
        if not overlay.changed:
            shared.admit()
            return 0
        return shared.apply_and_admit(overlay.apply_to, (), overlay.growth())

    # --- The end ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """As Store. DiskFailure when what was written cannot be made durable."""
        try:
            self._shared.close()
        finally:
            if self._historian is not None:
                self._historian.close()

    async def aclose(self) -> None:
        """As Store."""
        from asyncio import to_thread

        await to_thread(self.close)

    @property
    def closed(self) -> bool:
        """As Store."""
        return self._shared.closed

    def forget(self, *keys: K) -> Forgotten:
        """As Store. DiskFailure, DiskFull."""
        forgotten = self._shared.forget([self._coding.key(key) for key in keys])
        if self._historian is not None:
            self._historian.close()  # what it keeps may have them
        return forgotten

    def undo(self, sequence: int, *, conflicts: Conflicts = "refuse") -> Undone:
        """As Store. DiskFull, OutOfMemory, DiskFailure; TransactionError within a transaction of this thread."""
        from keystead.embedded.local_undo import undo_in

        return undo_in(self._shared, self._past, checked_sequence(sequence), checked_conflicts(conflicts))

    def restore(self, key: K, *, at: When | None = None) -> Undone:
        """As Store. DiskFull, OutOfMemory, DiskFailure; TransactionError within a transaction of this thread."""
        from keystead.embedded.local_undo import restore_in
        from keystead.engine.bringing_back import WasAbsent

        moment = None if at is None else moment_of(at)
        try:
            return restore_in(self._shared, self._past, self._coding.key(key), moment)
        except WasAbsent:
            raise KeyError(key) from None

    @property
    def _past(self) -> LocalPast:
        if self._historian is None:
            from keystead.embedded.local_past import LocalPast

            self._historian = LocalPast(self._shared)
        return self._historian

    def sync(self) -> None:
        """As Store. DiskFailure."""
        self._shared.sync()

    def __del__(self) -> None:
        shared = getattr(self, "_shared", None)
        if shared is None or shared.closed:
            return
        warnings.warn(f"unclosed store {shared.path!r}", ResourceWarning, source=self, stacklevel=2)
        shared.close_when_collected()


class EngineBase:
    """What a transaction of a local store lies on: the engine, to which nobody else writes meanwhile."""

    def __init__(self, shared: SharedEngine, *, settled: bool) -> None:
        self._shared = shared
        self._settled = settled

    def _settle(self) -> None:
        # What others wrote before this began must be durable before it is shown; a transaction that reads nothing
        # need not wait for that.
        if not self._settled:
            self._shared.settle()
            self._settled = True

    def now_ms(self) -> int:
        """As Base."""
        return self._shared.engine.clock.ahead()

    def read(self, key: bytes) -> tuple[bytes | None, int]:
        """As Base."""
        self._settle()
        value, expires_at_ms = self._shared.read_with_expiry(key)
        return None if value is None else bytes(value), expires_at_ms

    def pages(self, prefix: bytes | None) -> Iterator[list[tuple[bytes, bytes]]]:
        """As Base."""
        self._settle()
        for page in LocalPages(self._shared, prefix):
            yield cast("list[tuple[bytes, bytes]]", page)
