"""The mapping's methods, written once: a store and a transaction on it have the same.

Owns: signatures and documentation. Must not know: how a change is applied, threads, servers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from keystead.embedded import changes
from keystead.embedded.calls import MISSING, Call, Calls, SupportsKeysAndGetItem, new_expiry
from keystead.embedded.views import Items, Keys, Values

if TYPE_CHECKING:
    from keystead.embedded.changes import Moment, Seconds
    from keystead.embedded.codecs import Coding

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
T = TypeVar("T")


class Methods(MutableMapping[K, V]):
    """A mapping whose keys may expire. Keys and values of another kind than the store's raise ValueRefused.

    Each method that changes something is one transaction: all of it or nothing, also across a crash.
    """

    __slots__ = ("_calls", "_coding")

    def __init__(self, coding: Coding[K, V]) -> None:
        self._coding = coding
        self._calls = Calls(coding)

    # --- What a store, a connected store and a transaction do differently -------------------------------------------

    @abstractmethod
    def _read(self, key: bytes) -> bytes | bytearray | None:
        """The value."""

    @abstractmethod
    def _read_with_expiry(self, key: bytes) -> tuple[bytes | bytearray | None, int]:
        """The value and the milliseconds until it expires (0: it does not)."""

    @abstractmethod
    def _run(self, call: Call[T]) -> T:
        """Apply a call; its result."""

    @abstractmethod
    def _pages(self, prefix: bytes | None) -> Iterator[list[tuple[bytes, bytes | bytearray]]]:
        """Every key and value in pages; in order when there is a prefix."""

    @abstractmethod
    def _count(self, prefix: bytes | None) -> int:
        """How many keys there are."""

    # --- Reading ----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        data = self._read(self._coding.key(key))
        if data is None:
            raise KeyError(key)
        return self._coding.decoded(data)

    @overload
    def get(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V, /) -> V: ...
    @overload
    def get(self, key: K, default: D, /) -> V | D: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """The value, or *default*."""
        data = self._read(self._coding.key(key))
        return default if data is None else self._coding.decoded(data)

    def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of those *keys* that exist."""
        found = {}
        for key in keys:
            data = self._read(self._coding.key(key))
            if data is not None:
                found[key] = self._coding.decoded(data)
        return found

    def __contains__(self, key: object) -> bool:
        return self._read(self._coding.key(cast(K, key))) is not None

    def ttl(self, key: K) -> float | None:
        """Seconds until the key expires, None when it does not. KeyError."""
        data, left_ms = self._read_with_expiry(self._coding.key(key))
        if data is None:
            raise KeyError(key)
        return left_ms / 1000 if left_ms else None

    def __len__(self) -> int:
        return self._count(None)

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def keys(self, prefix: K | None = None) -> KeysView[K]:
        """The keys: all, in no particular order, or in order of their bytes those that begin with *prefix* ("": all).

        Whoever goes through them sees each key that is there all the while exactly once; of keys that come or go
        meanwhile some. Changes never make it fail, and it holds one page of keys at a time.
        """
        return Keys(self, self._prefix(prefix))

    def values(self, prefix: K | None = None) -> ValuesView[V]:
        """The values of `keys(prefix)`, in that order."""
        return Values(Items(self, self._prefix(prefix)))

    def items(self, prefix: K | None = None) -> ItemsView[K, V]:
        """The pairs of `keys(prefix)` and their values, in that order."""
        return Items(self, self._prefix(prefix))

    def _prefix(self, prefix: K | None) -> bytes | None:
        return None if prefix is None else self._coding.key(prefix)

    def _has_prefix(self, key: object, prefix: bytes | None) -> bool:
        return prefix is None or self._coding.key(cast(K, key)).startswith(prefix)

    # --- Changing ---------------------------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V) -> None:
        self._run(self._calls.set(key, value, changes.NEVER, False, False))

    def set(
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
        """Set the key; False when a condition was given that did not hold.

        It expires after *ttl* (seconds or timedelta) or at *expires_at* (Unix time or datetime), else never;
        *keep_ttl* leaves the expiry as it is.
        """
        expires = changes.expiry(ttl, expires_at, keep_ttl)
        return self._run(self._calls.set(key, value, expires, only_if_absent, only_if_present))

    def __delitem__(self, key: K) -> None:
        self._run(self._calls.delete(key))

    def delete_many(self, keys: Iterable[K]) -> int:
        """Remove all of *keys*; how many of them existed."""
        return self._run(self._calls.delete_many(keys))

    def update(
        self,
        other: Mapping[K, V] | SupportsKeysAndGetItem[K, V] | Iterable[tuple[K, V]] = (),
        /,
        **more: V,
    ) -> None:
        """Set every pair of *other*, and *more*."""
        self._run(self._calls.update(other, more))

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, default: V, /) -> V: ...
    @overload
    def pop(self, key: K, default: D, /) -> V | D: ...
    def pop(self, key: K, default: Any = MISSING, /) -> Any:
        """Remove the key and return its value, or *default*. KeyError without one."""
        return self._run(self._calls.pop(key, default))

    def popitem(self) -> tuple[K, V]:
        """Remove some key; it and its value. KeyError when there is none."""
        return self._run(self._calls.popitem())

    def setdefault(self, key: K, default: V, /) -> V:
        """The value; *default*, and the key set to it, when it is absent."""
        return self._run(self._calls.setdefault(key, default))

    def compare_and_set(
        self,
        key: K,
        expected: V | None,
        value: V,
        *,
        ttl: Seconds | None = None,
        expires_at: Moment | None = None,
        keep_ttl: bool = False,
    ) -> bool:
        """Set the key if its value equals *expected* (None: if it is absent); whether it was set."""
        return self._run(self._calls.compare_and_set(key, expected, value, changes.expiry(ttl, expires_at, keep_ttl)))

    def increment(self, key: K, by: int = 1) -> int:
        """Add *by* to the integer at the key, 0 when it is absent; the sum. ValueRefused when it is no integer.

        The expiry stays as it is. bytes, text and JSON hold the integer as its digits.
        """
        return self._run(self._calls.increment(key, by))

    def expire(self, key: K, ttl: Seconds | None = None, *, expires_at: Moment | None = None) -> bool:
        """Let the key expire after *ttl* (seconds or timedelta) or at *expires_at*; False when it does not exist."""
        return self._run(self._calls.expire(key, new_expiry(ttl, expires_at)))

    def persist(self, key: K) -> bool:
        """Let the key never expire; False when it does not exist."""
        return self._run(self._calls.expire(key, changes.NEVER))

    def clear(self) -> None:
        """Remove every key."""
        self._run(self._calls.clear())
