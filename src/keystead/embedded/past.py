"""The past of a store, for programs: a key's changes, a mapping as it was, what changed, what is gone.

Owns: the types that programs see, and how they are read page by page. Must not know: where answers come from (`Ask`).
"""

from __future__ import annotations

import time
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, cast, overload

from keystead.embedded.views import Items, Keys, Values
from keystead.errors import MomentRefused

if TYPE_CHECKING:
    from keystead.embedded.codecs import Coding
    from keystead.embedded.methods import Methods
    from keystead.engine.history.questions import At, Question
    from keystead.engine.undone import Conflicts

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

When: TypeAlias = str | int | float | datetime | timedelta
"""A moment: as people write it ("yesterday 18:00", "-10m", ISO 8601); the number of a transaction (int); Unix time
(float); a datetime, in local time unless it is aware; or how long ago (timedelta)."""

PAGE_KEYS: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Ask(Protocol):
    """Answers questions about the past of one database."""

    database: int

    def ask(self, question: Question) -> Any:
        """The answer to the question, about all that was changed before. HistoryGone, MomentRefused."""

    def own(self) -> Ask:
        """One that is asked for pages of one thing, and keeps what it needs for the next until it is closed."""

    def close(self) -> None:
        """Let go what was kept. It may be asked again."""


class Change(NamedTuple, Generic[V]):
    """What one transaction did to a key."""

    sequence: int | None
    """The number of the transaction; None: the key's time was up, which nobody had met yet."""
    time: datetime
    """When it was committed; of an expiry, when it took effect."""
    operation: str
    """put · patch · expire · persist · delete · expired; bind, flush, swap: of the whole database."""
    user: str
    client: str
    value: V | None
    """The value after it; None: no such key."""
    expires_at: datetime | None


class Difference(NamedTuple, Generic[K, V]):
    """A key that is not the same at two moments. A value of None: no such key."""

    key: K
    before: V | None
    before_expires_at: datetime | None
    after: V | None
    after_expires_at: datetime | None


class Deleted(NamedTuple, Generic[K, V]):
    """A key that was there and is not, with the value and the expiry that it had; how, when and by whom it went."""

    key: K
    value: V
    expires_at: datetime | None
    sequence: int | None
    time: datetime
    operation: str
    user: str
    client: str


class PastView(Mapping[K, V]):
    """A store as it was at a moment. Cannot be changed; shows the same however long it is kept.

    Single keys are found by an index. What goes through all of them puts the keys of that moment together first, and
    keeps them as long as the view lives.
    """

    __slots__ = ("_ask", "_at", "_coding", "_pager", "sequence", "time")

    sequence: int
    """The last transaction that is in it."""
    time: datetime
    """When that was committed. What had expired by then is not in it."""

    def __init__(self, ask: Ask, coding: Coding[K, V], at: At) -> None:
        from keystead.engine.history.questions import At, MomentOf

        self._ask = ask
        self._coding = coding
        self._pager: Ask | None = None
        moment = ask.ask(MomentOf(at)).moment
        self.sequence, self.time = moment.sequence, _time(moment.time_ms)
        self._at = At(moment.sequence)

    def __repr__(self) -> str:
        return f"<keystead.PastView behind transaction {self.sequence}, {self.time.isoformat()}>"

    def __getitem__(self, key: K) -> V:
        value = self._value(self._coding.key(key))
        if value is None:
            raise KeyError(key)
        return self._coding.decoded(value)

    @overload
    def get(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D, /) -> V | D: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """The value, or *default*."""
        value = self._value(self._coding.key(key))
        return default if value is None else self._coding.decoded(value)

    def __contains__(self, key: object) -> bool:
        return self._value(self._coding.key(cast(K, key))) is not None

    def _value(self, key: bytes) -> bytes | None:
        from keystead.engine.history.questions import ValueAt

        value: bytes | None = self._ask.ask(ValueAt(self._ask.database, key, self._at)).value
        return value

    def __len__(self) -> int:
        return self._count(None)

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def keys(self, prefix: K | None = None) -> KeysView[K]:
        """The keys, all or those that begin with *prefix*, in order of their bytes."""
        return Keys(self._as_methods(), self._prefix(prefix))

    def values(self, prefix: K | None = None) -> ValuesView[V]:
        """The values of `keys(prefix)`, in that order."""
        return Values(Items(self._as_methods(), self._prefix(prefix)))

    def items(self, prefix: K | None = None) -> ItemsView[K, V]:
        """The pairs of `keys(prefix)` and their values, in that order."""
        return Items(self._as_methods(), self._prefix(prefix))

    # --- For the views ----------------------------------------------------------------------------------------------

    def _as_methods(self) -> Methods[K, V]:
        return cast("Methods[K, V]", self)  # all that a view asks for is below

    def _prefix(self, prefix: K | None) -> bytes | None:
        return None if prefix is None else self._coding.key(prefix)

    def _has_prefix(self, key: object, prefix: bytes | None) -> bool:
        return prefix is None or self._coding.key(cast(K, key)).startswith(prefix)

    def _count(self, prefix: bytes | None) -> int:
        return sum(map(len, self._key_pages(prefix, values=False)))

    def _pages(self, prefix: bytes | None) -> Iterator[list[tuple[bytes, bytes]]]:
        for items in self._key_pages(prefix, values=True):
            yield [(key, value) for key, value, _ in items]

    def _key_pages(self, prefix: bytes | None, *, values: bool) -> Iterator[list[tuple[bytes, bytes, int]]]:
        from keystead.engine.history.questions import KeysAt

        if self._pager is None:
            self._pager = self._ask.own()
        after = None
        while True:
            page = self._pager.ask(KeysAt(self._ask.database, self._at, prefix or b"", after, PAGE_KEYS, values))
            yield page.items
            after = page.following
            if after is None:
                return


# --- What a store is asked -------------------------------------------------------------------------------------------


def history(ask: Ask, coding: Coding[Any, V], key: bytes, count: int, before: int | None) -> list[Change[V]]:
    """The latest *count* changes of a key, newest first."""
    from keystead.engine.history.questions import HistoryOf

    found: list[Change[V]] = []
    while len(found) < count:
        # Long values come in several answers.
        changes = ask.ask(HistoryOf(ask.database, key, count - len(found), before)).changes
        found += [_change(change, coding) for change in changes]
        before = next((each.sequence for each in reversed(changes) if each.sequence is not None), None)
        if before is None:
            break
    return found


def _change(change: Any, coding: Coding[Any, V]) -> Change[V]:
    value = None if change.value is None else coding.decoded(change.value)
    return Change(
        change.sequence,
        _time(change.time_ms),
        change.operation,
        change.user,
        change.client,
        value,
        _expiry(change.expires_at_ms),
    )


def differences(ask: Ask, coding: Coding[K, V], earlier: At, later: At, prefix: bytes) -> Iterator[Difference[K, V]]:
    """The keys that are not the same at the two moments, in order."""
    from keystead.engine.history.questions import At, DifferencesBetween

    def shown(value: bytes | None) -> V | None:
        return None if value is None else coding.decoded(value)

    pager = ask.own()
    after = None
    try:
        while True:
            page = pager.ask(DifferencesBetween(ask.database, earlier, later, prefix, after, PAGE_KEYS))
            for found in page.items:
                yield Difference(
                    coding.decoded_key(found.key),
                    shown(found.before),
                    _expiry(found.before_expires_at_ms),
                    shown(found.after),
                    _expiry(found.after_expires_at_ms),
                )
            earlier, later, after = At(page.earlier.sequence), At(page.later.sequence), page.following
            if after is None:
                return
    finally:
        pager.close()


def deleted(ask: Ask, coding: Coding[K, V], prefix: bytes) -> Iterator[Deleted[K, V]]:
    """Keys that were there and are not, the last removed first."""
    from keystead.engine.history.questions import RemovedKeys

    pager = ask.own()
    before = None
    try:
        while True:
            page = pager.ask(RemovedKeys(ask.database, prefix, before, PAGE_KEYS))
            for each in page.items:
                yield Deleted(
                    coding.decoded_key(each.key),
                    coding.decoded(each.value),
                    _expiry(each.expires_at_ms),
                    each.sequence,
                    _time(each.time_ms),
                    each.operation,
                    each.user,
                    each.client,
                )
            before = page.following
            if before is None:
                return
    finally:
        pager.close()


# --- Undo ------------------------------------------------------------------------------------------------------------


def checked_conflicts(conflicts: Conflicts) -> Conflicts:
    """The same. ValueError for what is none of them: it must not be taken for another one."""
    if conflicts not in ("refuse", "skip", "force"):
        raise ValueError(f'conflicts must be "refuse", "skip" or "force", not {conflicts!r}')
    return conflicts


def checked_sequence(sequence: int) -> int:
    """The same. MomentRefused for what is the number of no transaction."""
    if sequence < 1:
        raise MomentRefused(f"there is no transaction {sequence}: the first one is 1")
    return sequence


# --- Moments ---------------------------------------------------------------------------------------------------------


def moment_of(when: When) -> At:
    """The moment that a program names. MomentRefused."""
    from keystead.commands.moments import MOST_AHEAD_MS, NotAMoment, read_moment
    from keystead.engine.history.questions import At

    now_ms = time.time_ns() // 1_000_000
    if isinstance(when, str):
        try:
            at = read_moment(when, now_ms)
        except NotAMoment as error:
            raise MomentRefused(str(error)) from None
        return At(at.sequence, at.time_ms or 0)
    if type(when) is int and when >= 0:
        return At(when)
    time_ms = _milliseconds(when, now_ms)
    if time_ms is None:
        raise MomentRefused(f"{when!r} is no moment")
    if time_ms > now_ms + MOST_AHEAD_MS:
        raise MomentRefused(f"{when!r} is yet to come")
    return At(None, time_ms)


def _milliseconds(when: object, now_ms: int) -> int | None:
    try:
        if isinstance(when, timedelta):
            return now_ms - when // timedelta(milliseconds=1)
        if isinstance(when, datetime):
            return int(when.timestamp() * 1000)
        return int(when * 1000) if isinstance(when, float) else None
    except (ValueError, OverflowError, OSError):
        return None


def _time(time_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=time_ms)


def _expiry(expires_at_ms: int) -> datetime | None:
    """None: none. One beyond all calendars is the last moment of them."""
    try:
        return _time(expires_at_ms) if expires_at_ms else None
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


__all__ = [
    "Ask",
    "Change",
    "Deleted",
    "Difference",
    "PastView",
    "When",
    "checked_conflicts",
    "checked_sequence",
    "deleted",
    "differences",
    "history",
    "moment_of",
]
