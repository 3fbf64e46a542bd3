"""What undoing a transaction means: for each key that it touched, the state before it and the state after it.

Owns: that. Must not know: what the keys are now, and so what stands in the way; who undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec.structs import astuple

from keystead.engine.history.differences import differences
from keystead.engine.history.retained_log import State, changed
from keystead.engine.history.transactions import Databases, Transaction, after
from keystead.engine.operations import Bind, Expired, Filler, Keyed

if TYPE_CHECKING:
    from keystead.engine.history.past import Past

MANY_KEYS: Final = 2_000
"""Beyond so many keys their states are looked up in a view of the moment rather than one by one in the index."""


class UndoStep(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One key: its state before the transaction and after it, by value (None: no such key) and expiry (0: none).

    Unknown to the garbage collector: a server holds a hundred thousand of them while it undoes, and would stand still
    whenever it went through them.
    """

    database: int
    key: bytes
    before: bytes | None
    before_expires_at_ms: int
    after: bytes | None
    after_expires_at_ms: int


class UndoOutline(NamedTuple):
    """What undoing a transaction means, but for the keys."""

    swapped: tuple[int, int] | None
    """It did nothing but let these databases show each other's keyspace."""
    emptied: list[int]
    """Databases that it left without a key: what they had is put into keyspaces of their own, and these are shown."""
    shown: list[int]
    """The keyspaces that the databases showed after it."""


def undo_outline(past: Past, sequence: int) -> UndoOutline:
    """Of that transaction. HistoryDropped, NotCommitted."""
    transaction = _transaction(past, sequence)
    bound = sorted({each.database for each in transaction.operations if isinstance(each, Bind)})
    shown = after(transaction.databases, transaction.operations)
    swapped = _swap(transaction.databases, shown, bound, transaction)
    emptied: list[int] = []
    if bound and swapped is None:
        view = past.kept_view(past.moment(sequence))
        emptied = [number for number in bound if not any(view.keyspace(shown[number]).shards)]
    return UndoOutline(swapped, emptied, list(shown))


def _transaction(past: Past, sequence: int) -> Transaction:
    return next(iter(past.transactions(sequence, sequence + 1)))


def _swap(before: Databases, shown: Databases, bound: list[int], transaction: Transaction) -> tuple[int, int] | None:
    if len(bound) == 2 and len(transaction.operations) == 2:
        one, other = bound
        if (shown[one], shown[other]) == (before[other], before[one]):
            return one, other
    return None


def undo_steps(past: Past, sequence: int) -> Iterator[UndoStep]:
    """The keys that the transaction touched, by database and in order; of databases that were flushed or bound, every
    key that is not the same before and after. HistoryDropped, NotCommitted."""
    transaction = _transaction(past, sequence)
    earlier, later = past.moment(sequence - 1), past.moment(sequence)
    bound = {each.database for each in transaction.operations if isinstance(each, Bind)}
    # Whoever meets a key whose time is up logs its removal first: to him there was no such key. But where removals are
    # all that was done, they are what is to be undone.
    only_expired = all(isinstance(each, Expired) for each in transaction.operations)
    touched = _touched(transaction)
    for database in sorted(bound | touched.keys()):
        if database in bound:
            views = past.kept_view(earlier), past.kept_view(later)
            # Keys whose time was up when it was committed were not there for it to take away.
            moments = earlier._replace(time_ms=later.time_ms), later
            for key, before, before_ms, now, now_ms in map(astuple, differences(views, moments, database, b"")):
                yield UndoStep(database, key, before, before_ms, now, now_ms)
        else:
            keys = touched[database]
            find = _finder(past, database, keys, sequence - 1)
            for key in sorted(keys):
                before = find(key)
                now = changed(before, keys[key])
                if isinstance(keys[key][0], Expired) and not only_expired:
                    before = None
                if before != now:
                    yield UndoStep(database, key, *(before or (None, 0)), *(now or (None, 0)))


def _touched(transaction: Transaction) -> dict[int, dict[bytes, list[Keyed]]]:
    """What was done to each key of each database."""
    databases = transaction.databases
    numbers = {keyspace: number for number, keyspace in enumerate(databases)}
    touched: dict[int, dict[bytes, list[Keyed]]] = {}
    for operation in transaction.operations:
        if isinstance(operation, (Bind, Filler)) or operation.keyspace not in numbers:
            continue
        keys = touched.setdefault(numbers[operation.keyspace], {})
        keys.setdefault(operation.key, []).append(operation)
    return touched


def _finder(past: Past, database: int, keys: dict[bytes, list[Keyed]], sequence: int) -> Callable[[bytes], State]:
    """What a key had after that transaction, expired or not."""
    if len(keys) > MANY_KEYS:
        view = past.kept_view(past.moment(sequence))
        return lambda key: view.find(database, key)
    return past.raw_states(database, keys, sequence).get
