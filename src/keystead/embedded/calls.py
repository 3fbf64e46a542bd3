"""From typed arguments to a call: a change, its arguments as bytes, and what its result means.

Each changing method exists once, here; the mapping's methods run the call and wait, their asyncio twins await it. Owns:
what arguments are refused. Must not know: how a change is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from keystead.embedded import changes
from keystead.embedded.changes import Condition, Expiry, Moment, Seconds
from keystead.errors import ValueRefused

if TYPE_CHECKING:
    from keystead.embedded.codecs import Coding

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
V_co = TypeVar("V_co", covariant=True)

MISSING: Final[Any] = object()
"""No default was given."""

LOGGED_BYTES: Final = 100
"""What a change logs beside keys and values, generously."""


@runtime_checkable
class SupportsKeysAndGetItem(Protocol[K, V_co]):
    """What dict.update takes beside pairs."""

    def keys(self) -> Iterable[K]:
        """The keys."""

    def __getitem__(self, key: K, /) -> V_co:
        """The value of one of them."""


Pairs: TypeAlias = "Mapping[K, V] | SupportsKeysAndGetItem[K, V] | Iterable[tuple[K, V]]"


class Call(Generic[T]):
    """A change to be applied. `growth` is about how many bytes it may add, 0 for one that cannot make the data grow."""

    __slots__ = ("arguments", "change", "finish", "growth")

    def __init__(
        self, change: Callable[..., Any], arguments: tuple[Any, ...], finish: Callable[[Any], T], growth: int = 0
    ) -> None:
        self.change = change
        self.arguments = arguments
        self.finish = finish
        self.growth = growth


class Calls(Generic[K, V]):
    """Makes calls for keys and values of one coding. Arguments that the store cannot take: ValueRefused."""

    __slots__ = ("_coding",)

    def __init__(self, coding: Coding[K, V]) -> None:
        self._coding = coding

    def set(self, key: K, value: V, expires: Expiry, only_if_absent: bool, only_if_present: bool) -> Call[bool]:
        """Set the key on a condition; whether it was set."""
        if only_if_absent and only_if_present:
            raise ValueRefused("give one of only_if_absent and only_if_present")
        condition: Condition = "absent" if only_if_absent else "present" if only_if_present else "always"
        data = self._coding.value(value)
        return Call(changes.put, (self._coding.key(key), data, expires, condition), bool, _growth(data))

    def delete(self, key: K) -> Call[None]:
        """Remove the key. KeyError."""

        def finish(existed: bool) -> None:
            if not existed:
                raise KeyError(key)

        return Call(changes.delete, (self._coding.key(key),), finish)

    def delete_many(self, keys: Iterable[K]) -> Call[int]:
        """Remove keys; how many existed."""
        return Call(changes.delete_all, ([self._coding.key(key) for key in keys],), int)

    def update(self, others: Pairs[K, V], more: Mapping[str, V]) -> Call[None]:
        """Set every pair."""
        key, value = self._coding.key, self._coding.value
        pairs = [(key(name), value(item)) for name, item in [*_pairs(others), *more.items()]]  # type: ignore[arg-type]
        growth = sum(len(name) + _growth(data) for name, data in pairs)
        return Call(changes.put_all, (pairs,), _nothing, growth)

    def pop(self, key: K, default: Any = MISSING) -> Call[Any]:
        """Remove the key; its value, else *default*, else KeyError."""

        def finish(found: tuple[V] | None) -> Any:
            if found is not None:
                return found[0]
            if default is MISSING:
                raise KeyError(key)
            return default

        return Call(changes.pop, (self._coding.key(key), self._coding.decoded), finish)

    def popitem(self) -> Call[tuple[K, V]]:
        """Remove some key; it and its value. KeyError."""

        def finish(found: tuple[K, V] | None) -> tuple[K, V]:
            if found is None:
                raise KeyError("the store is empty")
            return found

        return Call(changes.pop_any, (self._coding.decoded_key, self._coding.decoded), finish)

    def setdefault(self, key: K, default: V) -> Call[V]:
        """Set the key if it is absent; the value it has now."""

        def finish(former: bytes | None) -> V:
            return self._coding.decoded(data if former is None else former)

        data = self._coding.value(default)
        return Call(changes.put_if_absent, (self._coding.key(key), data), finish, _growth(data))

    def compare_and_set(self, key: K, expected: V | None, value: V, expires: Expiry) -> Call[bool]:
        """Set the key if its value equals *expected*, None for absent; whether it was set."""
        wanted = None if expected is None else self._coding.value(expected)

        def matches(former: bytes | None) -> bool:
            if former is None or wanted is None:
                return former is wanted
            # Equal values may be stored differently: a JSON object keeps the order of its keys.
            return former == wanted or self._coding.decoded(former) == expected

        data = self._coding.value(value)
        arguments = (self._coding.key(key), matches, data, expires)
        return Call(changes.compare_and_put, arguments, bool, _growth(data))

    def increment(self, key: K, by: int) -> Call[int]:
        """Add to an integer; the sum."""
        if type(by) is not int:
            raise ValueRefused(f"by is an integer, not {by!r}")
        codec = self._coding.values
        arguments = (self._coding.key(key), by, codec.read_integer, codec.write_integer)
        return Call(changes.add, arguments, int, LOGGED_BYTES)

    def expire(self, key: K, expires: Expiry) -> Call[bool]:
        """Give the key another expiry; whether it exists."""
        return Call(changes.expire, (self._coding.key(key), expires), bool)

    def clear(self) -> Call[None]:
        """Remove every key."""
        return Call(changes.clear, (), _nothing)


def new_expiry(ttl: Seconds | None, expires_at: Moment | None) -> Expiry:
    """What `expire` gives a key; one of the two is given. ValueRefused."""
    if ttl is None and expires_at is None:
        raise ValueRefused("give one of ttl and expires_at; persist() takes an expiry away")
    return changes.expiry(ttl, expires_at)


def _growth(data: bytes) -> int:
    return len(data) + LOGGED_BYTES


def _nothing(_: object) -> None:
    return None


def _pairs(others: Pairs[K, V]) -> Iterable[tuple[K, V]]:
    if isinstance(others, Mapping):
        return others.items()
    if isinstance(others, SupportsKeysAndGetItem):
        return ((key, others[key]) for key in others.keys())  # noqa: SIM118 - it need not be iterable itself
    return others
