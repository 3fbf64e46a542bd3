"""Which keyspace each database shows: flushes, swaps, and what becomes of the keyspaces that they leave behind.

Owns: the numbered databases and the system's, ids of keyspaces, and what is done to all of them by slices: expiry,
building the key indexes, giving memory back. Must not know: the log, syncs, files; it is told which turns are durable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from keystead.engine.history.transactions import Databases, after
from keystead.engine.key_index import KeyIndex
from keystead.engine.keyspace import SHARDS, SYSTEM_KEYSPACE, Keyspace
from keystead.engine.operations import BIND, SYSTEM, Bind
from keystead.engine.view import DATABASES

if TYPE_CHECKING:
    from keystead.engine.clock import Clock
    from keystead.engine.turns import OpenTurn
    from keystead.engine.view import View

SYSTEM_NUMBER: Final = -1
EXPIRE_AT_ONCE: Final = 200


class Database:
    """A numbered database: a name for a keyspace. Always use `.keyspace` afresh; FLUSHDB and SWAPDB replace it.

    The system's has the number -1, and its keyspace is always the same.
    """

    __slots__ = ("keyspace", "number")

    def __init__(self, number: int, keyspace: Keyspace) -> None:
        self.number = number
        self.keyspace = keyspace


class Bindings:
    """All databases of one engine."""

    def __init__(
        self, clock: Clock, turn: OpenTurn, open_turn: Callable[[], int], durable_turn: Callable[[], int]
    ) -> None:
        """*turn* is recorded into; *open_turn* is its number, *durable_turn* that of the last one that is durable."""
        self._clock = clock
        self._turn = turn
        self._open_turn = open_turn
        self._durable_turn = durable_turn
        self.databases: list[Database] = []
        """The numbered ones."""
        self.system: Database
        """What the store keeps for itself: durable as all else, shown by no number, left alone by every flush."""
        self._all: list[Database] = []
        self.shown: Databases = ()
        """The keyspaces that the numbered databases show."""
        self._seed = 0
        self._next_keyspace = DATABASES
        self._replaced: list[tuple[int, Keyspace]] = []
        """Keyspaces that no database shows any more, and the turns that saw to that."""
        self._keyspaces: list[Keyspace] = []
        """Those that are shown, and those that were until now."""
        self._expired_in_replaced = 0
        self._freeing: list[object] = []
        self._indexing: Iterator[None] | None = None
        self._expire_at = 0

    def adopt(self, view: View, seed: int) -> None:
        """Begin with what was read from the directory."""
        self._seed = seed
        self._next_keyspace = view.next_keyspace
        self.databases += [Database(number, self._adopted(id_, view)) for number, id_ in enumerate(view.databases)]
        self.system = Database(SYSTEM_NUMBER, self._adopted(SYSTEM_KEYSPACE, view))
        self._all += [*self.databases, self.system]
        self.shown = tuple(view.databases)
        self._list_keyspaces()

    def _list_keyspaces(self) -> None:
        self._keyspaces = [database.keyspace for database in self._all] + [keyspace for _, keyspace in self._replaced]

    def _adopted(self, keyspace_id: int, view: View) -> Keyspace:
        keyspace = self._new_keyspace(keyspace_id)
        found = view.keyspaces.get(keyspace_id)
        if found is not None:
            keyspace.shards = found.shards
            keyspace.expires = found.expires
            keyspace.payload_bytes = found.payload_bytes
        return keyspace

    def _new_keyspace(self, number: int) -> Keyspace:
        return Keyspace(number, self._seed, self._clock, self._turn.record, self._durable_turn)

    # --- Changes ----------------------------------------------------------------------------------------------------

    def flush(self, database: Database) -> None:
        """Empty a database by binding a new keyspace to it: at once, however many keys there are."""
        old = database.keyspace
        if not len(old):
            return
        new = self._new_keyspace(self._new_keyspace_id())
        if old.index is not None:
            new.index = KeyIndex()
            for _ in new.build_index():  # of no keys, at once
                pass
        self.show(database, new)
        self._turn.record((BIND, database.number, new.id))

    def _new_keyspace_id(self) -> int:
        number = self._next_keyspace
        if number == SYSTEM_KEYSPACE:
            number += 1
        self._next_keyspace = number + 1
        return number

    def flush_all(self) -> None:
        """Empty every numbered database, as one transaction."""
        start = len(self._turn.ops)
        for database in self.databases:
            self.flush(database)
        self._turn.end_group(start)

    def swap(self, one: Database, other: Database) -> None:
        """Let two databases show each other's keyspace, as one transaction."""
        if one is other:
            return
        start = len(self._turn.ops)
        first, second = one.keyspace, other.keyspace
        shown_first, shown_second = first.shown_durably(), second.shown_durably()
        first.touch_all(second)
        second.touch_all(first)
        first.watched, second.watched = second.watched, first.watched  # watches belong to the database
        self._show(one, second, shown_first)
        self._show(other, first, shown_second)
        self._turn.end_group(start)

    def hidden(self) -> Keyspace:
        """A keyspace that no database shows yet, to be filled and then shown by `show`, or let go."""
        keyspace = self._new_keyspace(self._new_keyspace_id())
        if any(database.keyspace.index is not None for database in self.databases):
            keyspace.index = KeyIndex()
        return keyspace

    def show(self, database: Database, hidden: Keyspace) -> None:
        """Let a database show a hidden keyspace. Nothing is recorded: a staged transaction says so in the log."""
        old = database.keyspace
        self._expired_in_replaced += old.expired_keys
        old.touch_all(hidden)
        hidden.watched, old.watched = old.watched, {}
        self._replaced.append((self._open_turn(), old))
        self._present(database, hidden, old.shown_durably())

    def _show(self, database: Database, keyspace: Keyspace, instead_of: Keyspace) -> None:
        self._present(database, keyspace, instead_of)
        self._turn.record((BIND, database.number, keyspace.id))

    def _present(self, database: Database, keyspace: Keyspace, instead_of: Keyspace) -> None:
        keyspace.take_place_of(instead_of)
        database.keyspace = keyspace
        self._list_keyspaces()
        self.shown = after(self.shown, [Bind(database.number, keyspace.id)])

    # --- What is durable --------------------------------------------------------------------------------------------

    def keyspaces_with_images(self) -> list[Keyspace]:
        """Every keyspace that keeps before-images. Asked for twice a sync, and mostly one of seventeen does."""
        return [keyspace for keyspace in self._keyspaces if keyspace.open_before or keyspace.syncing_before]

    def forget_before_images(self) -> None:
        """Everything so far is as durable as it will be told to be."""
        for keyspace in self._keyspaces:
            if keyspace.open_before:
                keyspace.open_before = {}

    def let_replaced_go(self) -> None:
        """Keyspaces whose replacement is durable are wanted no more: their memory is given back by slices."""
        if not self._replaced:
            return
        durable_turn = self._durable_turn()
        durable = [keyspace for turn, keyspace in self._replaced if turn <= durable_turn]
        self._replaced = [(turn, keyspace) for turn, keyspace in self._replaced if turn > durable_turn]
        self._list_keyspaces()
        for keyspace in durable:
            self._freeing += [shard for shard in (*keyspace.shards, *keyspace.expires) if shard]
            keyspace.shards, keyspace.expires = [], []

    # --- By slices --------------------------------------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """Whether nothing waits to be done by slices; keys that will expire are not counted."""
        return not (self._freeing or self._replaced or self._indexing is not None or self._index_behind() is not None)

    def expire_slice(self, keys: int) -> None:
        """Look at up to *keys* expiries, shard by shard, so that each shard is visited about every five seconds."""
        author = self._turn.author
        self._turn.sign(SYSTEM)
        looked_at = 0
        for _ in range(SHARDS // 50 + 1):
            self._expire_at = (self._expire_at + 1) % SHARDS
            for database in self._all:
                expires = database.keyspace.expires[self._expire_at]
                if expires is not None:
                    looked_at += len(expires.slots)
                    database.keyspace.expire_due(self._expire_at, EXPIRE_AT_ONCE)
            if looked_at > keys:
                break
        self._turn.sign(author)

    def free_until(self, deadline_s: float) -> None:
        """Give memory of replaced keyspaces back, until that moment of `time.perf_counter`."""
        while self._freeing and time.perf_counter() < deadline_s:
            self._freeing.pop()

    def build_index(self) -> None:
        """Build the ordered key indexes by slices, unless they exist."""
        keyspaces = [database.keyspace for database in self.databases if database.keyspace.index is None]
        for keyspace in keyspaces:
            keyspace.index = KeyIndex()
        if keyspaces:
            self._indexing = (step for keyspace in keyspaces for step in keyspace.build_index())

    def index_until(self, deadline_s: float) -> bool:
        """Go on building the key indexes until that moment of `time.perf_counter`; whether there is more to do."""
        while self._indexing is not None and time.perf_counter() < deadline_s:
            if next(self._indexing, self) is self:
                self._indexing = None
        while (behind := self._index_behind()) is not None and time.perf_counter() < deadline_s:
            behind.merge()
        return self._indexing is not None or self._index_behind() is not None

    def _index_behind(self) -> KeyIndex | None:
        indexes = (database.keyspace.index for database in self.databases)
        return next((index for index in indexes if index is not None and index.is_behind), None)

    # --- Facts ------------------------------------------------------------------------------------------------------

    @property
    def expired_keys(self) -> int:
        """How many keys of users were removed because their time was up, by themselves or when a change met them."""
        return self._expired_in_replaced + sum(database.keyspace.expired_keys for database in self.databases)

    @property
    def pending_frees(self) -> int:
        """Pieces of flushed keyspaces whose memory is still to be given back."""
        return len(self._freeing)

    def used_bytes(self) -> int:
        """Estimated memory of all data, the system's included."""
        return sum(database.keyspace.used_bytes() for database in self._all)
