"""The past of one store: what a key was, what all keys were, what changed, what is gone. Changes nothing on disk.

Owns: how far the past reaches, and the questions that can be asked of it. Must not know: who asks, how it is shown. The
store may be open in another process, which appends, seals, makes checkpoints and drops files meanwhile. Meant for a
process of its own: decoding takes the interpreter.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from keystead.engine import manifest as manifests
from keystead.engine.checkpoint import read_checkpoint
from keystead.engine.history.answers import Difference, KeyChange, Moment, NotCommitted, Removed
from keystead.engine.history.transactions import History, HistoryDropped, Transaction
from keystead.engine.operations import Bind, Delete, Expired, Patch, SetExpiry
from keystead.engine.view import View
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from keystead.engine.files import Directory

__all__ = ["Difference", "HistoryDropped", "KeyChange", "Moment", "NotCommitted", "Past", "Removed", "alive"]

State = tuple[bytes, int] | None
"""A key's value and expiry; None: no such key."""


def alive(state: State, time_ms: int) -> State:
    """The same, as somebody saw it who read at that time: None when its time was up."""
    return None if state is not None and 0 < state[1] <= time_ms else state


class Past:
    """Answers questions about one directory. Close it, or use it in a `with` statement.

    Every question may raise HistoryDropped, whose *floor* is the first transaction that is still kept, for what
    retention has let go; NotCommitted for what has not happened yet; DamagedData.
    """

    floor: Moment
    """The oldest moment that can be rebuilt: the state before the first transaction that is kept."""
    newest: Moment
    """The last transaction that was taken in."""
    history_id: str
    seed: int
    """Of the hash that says which shard a key is in."""

    def __init__(self, directory: Directory) -> None:
        """DamagedData when there is no store, or none that can be read."""
        self._directory = directory
        self.refresh()

    def refresh(self, until: int | None = None) -> None:
        """Take in what was committed before transaction *until*; None: every whole frame there is.

        In a store that is open in another process, what is behind the last sync may be taken back by a power cut: who
        must not tell of it says *until*.
        """
        manifest = manifests.load(self._directory)
        if manifest is None:
            raise DamagedData(f"{self._directory.path}/{manifests.MANIFEST_NAME}", 0, "the file is missing")
        self.history_id, self.seed = manifest.history, manifest.seed
        oldest = manifest.generations[0].checkpoint
        self.floor = Moment(oldest.sequence - 1, oldest.time_ms) if oldest else Moment(0, 0)
        self._moments = [self.floor]
        with History(self._directory, self.floor.sequence + 1) as history:
            for transaction in history.read(until):
                self._moments.append(Moment(transaction.sequence, transaction.time_ms))
        self.newest = self._moments[-1]

    # --- Moments ----------------------------------------------------------------------------------------------------

    def moment(self, sequence: int) -> Moment:
        """The moment after that transaction. HistoryDropped, NotCommitted."""
        if sequence < self.floor.sequence:
            raise HistoryDropped(self.floor.sequence + 1)
        if sequence > self.newest.sequence:
            raise NotCommitted(self.newest)
        return self._moments[sequence - self.floor.sequence]

    def moment_at(self, time_ms: int) -> Moment:
        """The last moment of that time or before it. HistoryDropped."""
        found = bisect_right(self._moments, time_ms, key=lambda moment: moment.time_ms)
        if not found:
            raise HistoryDropped(self.floor.sequence + 1)
        return self._moments[found - 1]

    # --- Questions --------------------------------------------------------------------------------------------------

    def key_changes(self, database: int, key: bytes, count: int, before: int | None = None) -> list[KeyChange]:
        """The latest *count* changes of a key, before transaction *before*, newest first.

        Expiries without a sequence number are not counted: they come with the change that they end.
        """
        changes: list[KeyChange] = []
        previous = Moment(0, 0)
        view = self.view_at(self.floor)
        was = view.find(database, key)
        for transaction in self.transactions(self.floor.sequence + 1, self.newest.sequence + 1):
            shown = view.databases[database]
            name = ""
            for operation in transaction.operations:
                if isinstance(operation, Bind):
                    if operation.database == database:
                        name = "swap" if _swaps(transaction, operation) else "flush"
                        if any(
                            not isinstance(op, Bind) and op.keyspace == operation.keyspace
                            for op in transaction.operations
                        ):
                            name = "bind"
                        shown = operation.keyspace
                elif operation.keyspace == shown and operation.key == key:
                    name = _name_of(operation)
            view.commit(transaction.operations, transaction.sequence, 1, transaction.time_ms)
            state = view.find(database, key)
            if name and was and 0 < was[1] <= transaction.time_ms:
                sequence = transaction.sequence if name == "expired" else None
                changes.append(KeyChange(sequence, was[1], "expired", "", "", None, 0))
                was = None
            if name not in ("", "expired") and (name not in ("bind", "flush", "swap") or was != state):
                author = transaction.author
                value, expires_at_ms = state or (None, 0)
                changes.append(
                    KeyChange(
                        transaction.sequence,
                        transaction.time_ms,
                        name,
                        author.user,
                        author.client,
                        value,
                        expires_at_ms,
                    )
                )
            was = state
            previous = Moment(transaction.sequence, transaction.time_ms)
        if was and 0 < was[1] <= previous.time_ms:
            changes.append(KeyChange(None, was[1], "expired", "", "", None, 0))
        changes.reverse()
        if before is not None:
            start = next((i for i, change in enumerate(changes) if (change.sequence or before) < before), len(changes))
            while start and changes[start - 1].sequence is None:
                start -= 1
            changes = changes[start:]
        counted = 0
        for i, change in enumerate(changes):
            counted += change.sequence is not None
            if counted == count:
                return changes[: i + 1]
        return changes

    def values_at(self, database: int, keys: Sequence[bytes], moment: Moment) -> dict[bytes, tuple[bytes, int]]:
        """Value and expiry of those of the keys that were there at that moment."""
        view = self.view_at(moment)
        found = {key: alive(view.find(database, key), moment.time_ms) for key in keys}
        return {key: state for key, state in found.items() if state is not None}

    def view_at(self, moment: Moment) -> View:
        """All keys at that moment; those whose time was up but that nobody had removed are in it: see `alive`."""
        if moment.sequence < self.floor.sequence:
            raise HistoryDropped(self.floor.sequence + 1)
        manifest = manifests.load(self._directory)
        assert manifest is not None
        checkpoint = None
        for generation in manifest.generations:
            if generation.checkpoint and generation.checkpoint.sequence - 1 <= moment.sequence:
                checkpoint = generation.checkpoint
        view = View(self.seed)
        if checkpoint is not None:
            for _ in read_checkpoint(self._directory, manifest.store_id, checkpoint, view):
                pass
        for transaction in self.transactions(view.next_sequence, moment.sequence + 1):
            view.commit(transaction.operations, transaction.sequence, 1, transaction.time_ms)
        return view

    def page_at(
        self, database: int, moment: Moment, prefix: bytes, after: bytes | None, limit: int
    ) -> list[tuple[bytes, bytes, int]]:
        """Key, value and expiry of the first *limit* keys at that moment that begin so and come behind *after*."""
        view = self.view_at(moment)
        found = []
        for key in self._keys(view, database, prefix):
            state = alive(view.find(database, key), moment.time_ms)
            if state is not None and (after is None or key > after):
                found.append((key, *state))
        return found[:limit]

    def differences(self, database: int, earlier: Moment, later: Moment, prefix: bytes = b"") -> Iterator[Difference]:
        """The keys that begin so and are not the same at the two moments, in order."""
        views = self.view_at(earlier), self.view_at(later)
        for key in sorted({*self._keys(views[0], database, prefix), *self._keys(views[1], database, prefix)}):
            before = alive(views[0].find(database, key), earlier.time_ms)
            after = alive(views[1].find(database, key), later.time_ms)
            if before != after:
                yield Difference(key, *(before or (None, 0)), *(after or (None, 0)))

    @staticmethod
    def _keys(view: View, database: int, prefix: bytes) -> list[bytes]:
        shards = view.keyspace(view.databases[database]).shards
        return sorted(key for shard in shards for key in shard if key.startswith(prefix))

    def removed(
        self, database: int, prefix: bytes, before: int | None, limit: int, deadline_s: float
    ) -> tuple[list[Removed], int | None]:
        """The recycle bin: keys that begin so, were there within what is kept, and are not there now.

        Newest first; at most *limit*, and no more than are found before that moment of `time.monotonic`. The second
        value is the *before* to go on with; None: that was all.
        """
        names: set[bytes] = set()
        for transaction in self.transactions(self.floor.sequence + 1, self.newest.sequence + 1):
            names |= {op.key for op in transaction.operations if not isinstance(op, Bind) and op.key.startswith(prefix)}
        names |= set(self._keys(self.view_at(self.floor), database, prefix))
        found = []
        for name in names:
            changes = self.key_changes(database, name, 1 << 30)
            if changes and changes[0].value is None:
                was = next((change for change in changes[1:] if change.value is not None), None)
                state = (was.value or b"", was.expires_at_ms) if was else None
                if len(changes) == 1:
                    state = self.view_at(self.floor).find(database, name)
                if state is not None:
                    last = changes[0]
                    found.append(
                        Removed(
                            name, database, last.sequence, last.time_ms, last.operation, last.user, last.client, *state
                        )
                    )
            if time.monotonic() > deadline_s:
                break
        found.sort(key=lambda each: (each.sequence or 1 << 62, each.key), reverse=True)
        return [each for each in found if before is None or (each.sequence or 1 << 62) < before][:limit], None

    def transactions(self, first: int, until: int) -> Iterator[Transaction]:
        """The transactions from *first* on and before *until*, in order. HistoryDropped, NotCommitted."""
        if until > self.newest.sequence + 1:
            raise NotCommitted(self.newest)
        with History(self._directory, first) as history:
            yield from history.read(until)

    # --- Life -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let all files go."""

    def __enter__(self) -> Past:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _swaps(transaction: Transaction, bind: Bind) -> bool:
    """Whether the database and another one show each other's keyspace after it."""
    return any(
        isinstance(op, Bind) and op.database != bind.database and op.keyspace == transaction.databases[bind.database]
        for op in transaction.operations
    )


def _name_of(operation: object) -> str:
    if isinstance(operation, Patch):
        return "patch"
    if isinstance(operation, SetExpiry):
        return "expire" if operation.expires_at_ms else "persist"
    if isinstance(operation, Delete):
        return "delete"
    return "expired" if isinstance(operation, Expired) else "put"
