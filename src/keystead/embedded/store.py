"""The public type: a durable mapping. `open()` and `connect()` return one each of a kind.

Owns: what a store has beyond the mapping's methods: transactions, the end, the methods for asyncio.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from keystead.embedded import changes, past
from keystead.embedded.calls import MISSING, Call, SupportsKeysAndGetItem
from keystead.embedded.methods import Methods
from keystead.embedded.past import PastView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

    from keystead.embedded.changes import Moment, Seconds
    from keystead.embedded.past import Ask, Change, Deleted, Difference, When
    from keystead.embedded.transaction import Transaction
    from keystead.engine.undone import Conflicts, Undone
    from keystead.execution.forgetting import Forgotten

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
T = TypeVar("T")


class Store(Methods[K, V]):
    """A durable mapping, safe to use from several threads and tasks. A context manager that closes it.

    Reads show what is durable. A method that changes something returns when the change is durable.
    """

    __slots__ = ("__weakref__",)

    # --- The handle -------------------------------------------------------------------------------------------------

    @abstractmethod
    def close(self) -> None:
        """Let the store go; harmless when that was done. Any other use raises StoreClosed then."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether close() was called."""

    @abstractmethod
    def sync(self) -> None:
        """Return when every change so far is on disk, also with `fsync` "interval" and "never"."""

    @abstractmethod
    def forget(self, *keys: K) -> Forgotten:
        """Delete keys and erase them and their past from every file; returns when they are gone.

        KeysteadError when that cannot be done; the keys are deleted all the same. What it returns tells what may still
        have them: backups, and files that were put aside.
        """

    # --- The past ---------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def _past(self) -> Ask:
        """Who answers questions about the past."""

    def history(self, key: K, *, count: int = 100, before: int | None = None) -> list[Change[V]]:
        """The latest *count* changes of the key, newest first; before transaction *before* when it is given."""
        return past.history(self._past, self._coding, self._coding.key(key), count, before)

    def at(self, when: When) -> PastView[K, V]:
        """The store as it was: "yesterday 18:00", "-10m", a datetime, a timedelta (so long ago), the number of a
        transaction. HistoryGone beyond what is kept, MomentRefused."""
        return PastView(self._past, self._coding, past.moment_of(when))

    def diff(self, earlier: When, later: When = "now", *, prefix: K | None = None) -> Iterator[Difference[K, V]]:
        """The keys that are not the same at two moments, in order of their bytes. HistoryGone, MomentRefused."""
        moments = past.moment_of(earlier), past.moment_of(later)
        return past.differences(self._past, self._coding, *moments, self._prefix(prefix) or b"")

    def deleted(self, prefix: K | None = None) -> Iterator[Deleted[K, V]]:
        """Keys that were there within what is kept and are not there now, the last removed first."""
        return past.deleted(self._past, self._coding, self._prefix(prefix) or b"")

    # --- Undo -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def undo(self, sequence: int, *, conflicts: Conflicts = "refuse") -> Undone:
        """Put back what that transaction changed, as one transaction of its own, durable when this returns.

        Keys that were changed since are conflicts: "refuse" raises UndoConflict, "skip" leaves them as they are,
        "force" puts them back too. UndoRefused when there is nothing to undo; HistoryGone beyond what is kept,
        MomentRefused for a transaction that has not happened.
        """

    @abstractmethod
    def restore(self, key: K, *, at: When | None = None) -> Undone:
        """Give the key the value and the expiry that it had at a moment; without one, those that it had last before it
        was removed. Never deletes.

        KeyError when there was no such key; UndoRefused without *at* when there is one now; HistoryGone, MomentRefused.
        """

    # --- The handle, as a context manager ---------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- Transactions -----------------------------------------------------------------------------------------------

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction[K, V]]:
        """All changes made through it happen at the end of the `with` block as one, or none if that raises.

        Other writers wait meanwhile; readers do not, and see nothing of it before its end.
        """

    @abstractmethod
    def atransaction(self) -> AbstractAsyncContextManager[Transaction[K, V]]:
        """The same for `async with`. The methods of the transaction itself are not awaited."""

    # --- For asyncio: as the methods without the a; waiting never stops the event loop ------------------------------

    @abstractmethod
    async def _arun(self, call: Call[T]) -> T:
        """Apply a call; its result."""

    @abstractmethod
    async def _aread(self, key: bytes) -> bytes | bytearray | None:
        """The value."""

    @abstractmethod
    def _apages(self, prefix: bytes | None) -> AsyncIterator[list[tuple[bytes, bytes | bytearray]]]:
        """As `_pages`."""

    @overload
    async def aget(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    async def aget(self, key: K, default: V, /) -> V: ...
    @overload
    async def aget(self, key: K, default: D, /) -> V | D: ...
    async def aget(self, key: K, default: Any = None, /) -> Any:
        """As `get`."""
        data = await self._aread(self._coding.key(key))
        return default if data is None else self._coding.decoded(data)

    async def aget_many(self, keys: Iterable[K]) -> dict[K, V]:
        """As `get_many`."""
        found = {}
        for key in keys:
            data = await self._aread(self._coding.key(key))
            if data is not None:
                found[key] = self._coding.decoded(data)
        return found

    async def aitems(self, prefix: K | None = None) -> AsyncIterator[tuple[K, V]]:
        """As going through `items`, with `async for`."""
        async for page in self._apages(self._prefix(prefix)):
            for key, value in page:
                yield self._coding.decoded_key(key), self._coding.decoded(value)

    @abstractmethod
    async def aclose(self) -> None:
        """As `close`."""

    async def aset(
        self,
        key: K,
        value: V,
        *,
        ttl: Seconds | None = None,
        expires_at: Moment | None = None,
        keep_ttl: bool = False,
        only_if_absent: bool = False,
        only_if_present: bool = False,
    ) -> bool:
        """As `set`."""
        expires = changes.expiry(ttl, expires_at, keep_ttl)
        return await self._arun(self._calls.set(key, value, expires, only_if_absent, only_if_present))

    async def adelete(self, key: K) -> None:
        """As `del`. KeyError."""
        await self._arun(self._calls.delete(key))

    async def adelete_many(self, keys: Iterable[K]) -> int:
        """As `delete_many`."""
        return await self._arun(self._calls.delete_many(keys))

    async def aupdate(
        self,
        other: Mapping[K, V] | SupportsKeysAndGetItem[K, V] | Iterable[tuple[K, V]] = (),
        /,
        **more: V,
    ) -> None:
        """As `update`."""
        await self._arun(self._calls.update(other, more))

    @overload
    async def apop(self, key: K, /) -> V: ...
    @overload
    async def apop(self, key: K, default: V, /) -> V: ...
    @overload
    async def apop(self, key: K, default: D, /) -> V | D: ...
    async def apop(self, key: K, default: Any = MISSING, /) -> Any:
        """As `pop`."""
        return await self._arun(self._calls.pop(key, default))

    async def asetdefault(self, key: K, default: V, /) -> V:
        """As `setdefault`."""
        return await self._arun(self._calls.setdefault(key, default))

    async def acompare_and_set(
        self,
        key: K,
        expected: V | None,
        value: V,
        *,
        ttl: Seconds | None = None,
        expires_at: Moment | None = None,
        keep_ttl: bool = False,
    ) -> bool:
        """As `compare_and_set`."""
        expires = changes.expiry(ttl, expires_at, keep_ttl)
        return await self._arun(self._calls.compare_and_set(key, expected, value, expires))

    async def aincrement(self, key: K, by: int = 1) -> int:
        """As `increment`."""
        return await self._arun(self._calls.increment(key, by))

    async def aclear(self) -> None:
        """As `clear`."""
        await self._arun(self._calls.clear())

    async def aforget(self, *keys: K) -> Forgotten:
        """As `forget`."""
        from asyncio import to_thread

        return await to_thread(self.forget, *keys)

    async def aundo(self, sequence: int, *, conflicts: Conflicts = "refuse") -> Undone:
        """As `undo`."""
        from asyncio import to_thread

        return await to_thread(lambda: self.undo(sequence, conflicts=conflicts))

    async def arestore(self, key: K, *, at: When | None = None) -> Undone:
        """As `restore`."""
        from asyncio import to_thread

        return await to_thread(lambda: self.restore(key, at=at))
