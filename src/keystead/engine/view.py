"""The view: what the log says when it is replayed. Plain data, the same for start-up, compaction and history.

Owns: applying operations. Must not know: files, frames, before-images, clocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xxhash import xxh3_64_intdigest as digest

from keystead.engine.expiries import ShardExpiries, drop_expiry, expiry_of, set_expiry
from keystead.engine.keyspace import SHARD_SHIFT, SHARDS, SYSTEM_KEYSPACE, apply_patch
from keystead.engine.operations import (
    Author,
    Bind,
    Delete,
    Entry,
    Expired,
    Filler,
    Group,
    Parts,
    Patch,
    Put,
    PutExpiring,
    SetExpiry,
    decode_entries,
)
from keystead.engine.values import value_bytes

if TYPE_CHECKING:
    from keystead.engine.values import Value

DATABASES = 16


class ReplayError(Exception):
    """Good bytes that make no sense: an operation on what is not there, or a part group that is not whole."""


class KeyspaceView:
    """Values and expiries of one keyspace, by shard."""

    __slots__ = ("expires", "payload_bytes", "shards")

    def __init__(self) -> None:
        self.payload_bytes = 0
        """Of all keys and values that are there."""
        self.shards: list[dict[bytes, Value]] = [{} for _ in range(SHARDS)]
        self.expires: list[ShardExpiries | None] = [None] * SHARDS


_NOWHERE = KeyspaceView()


class View:
    """All keyspaces, which database shows which, and where the log goes on.

    *wanted* restricts it to some shards: compaction works through a large store in passes.
    """

    def __init__(self, hash_seed: int, wanted: range = range(SHARDS)) -> None:
        self._seed = hash_seed
        self._wanted = wanted
        self.keyspaces: dict[int, KeyspaceView] = {}
        self.databases = list(range(DATABASES))
        self.next_keyspace = DATABASES
        self.next_sequence = 1
        self.time_ms = 0
        self.next_part = 1
        """The number of the next part group: above those in the segment that is being read."""
        self._parts: dict[int, list[bytes]] = {}
        self._parts_seen = False
        """Whether there was a part frame in the segment that is being read."""

    def keyspace(self, number: int) -> KeyspaceView:
        """The keyspace of that id, empty when nothing was ever put there."""
        found = self.keyspaces.get(number)
        if found is None:
            found = self.keyspaces[number] = KeyspaceView()
        return found

    def let_go(self, i: int) -> None:
        """Forget that shard of every keyspace: memory is given back bit by bit by whoever needs each shard once."""
        for keyspace in self.keyspaces.values():
            keyspace.shards[i], keyspace.expires[i] = {}, None

    def find(self, database: int, key: bytes) -> tuple[bytes, int] | None:
        """Value and expiry of a key that the database shows, whether or not its time is up; None: no such key."""
        keyspace = self.keyspaces.get(self.databases[database])
        i = digest(key, self._seed) >> SHARD_SHIFT
        if keyspace is None or key not in keyspace.shards[i]:
            return None
        return bytes(keyspace.shards[i][key]), expiry_of(keyspace.expires[i], key)

    def add_part(self, group: int, payload: bytes) -> None:
        """A part frame went by."""
        self._parts.setdefault(group, []).append(payload)
        # Groups are written side by side: the last part is not of the last group. Numbers start over at their end.
        if not self._parts_seen or (group - self.next_part) % 0xFFFF_FFFF < 0x7FFF_FFFF:
            self.next_part = group % 0xFFFF_FFFF + 1
        self._parts_seen = True

    def forget_parts(self) -> set[int]:
        """A segment ended: part groups that were not closed in it mean nothing. Their numbers."""
        unclosed = set(self._parts)
        self._parts.clear()
        self._parts_seen = False
        return unclosed

    def commit(self, entries: Iterable[Entry], first_sequence: int, transactions: int, time_ms: int) -> None:
        """Apply one commit frame. ReplayError."""
        rebound = self._apply(entries)
        if rebound:
            # Only now: between the two binds of a swap one of its keyspaces is shown by no database.
            kept = {*self.databases, SYSTEM_KEYSPACE}
            self.keyspaces = {number: view for number, view in self.keyspaces.items() if number in kept}
        self.next_sequence = first_sequence + transactions
        self.time_ms = max(self.time_ms, time_ms)

    def _apply(self, entries: Iterable[Entry]) -> bool:
        rebound = False
        seed, wanted, everything = self._seed, self._wanted, len(self._wanted) == SHARDS
        number, keyspace, grown = -1, _NOWHERE, 0
        for entry in entries:
            # First, without a call of our own, and with the keyspace at hand: a start replays millions of these. What
            # they add is counted here, where they are in the processor's cache: later it costs half of this again.
            if isinstance(entry, Put):
                key, value = entry.key, entry.value
                i = digest(key, seed) >> SHARD_SHIFT
                if everything or i in wanted:
                    if entry.keyspace != number:
                        keyspace.payload_bytes += grown
                        number, grown = entry.keyspace, 0
                        keyspace = self.keyspace(number)
                        shards, expires = keyspace.shards, keyspace.expires
                    shard = shards[i]
                    if key in shard:
                        grown += len(value) - value_bytes(shard[key])
                        if expires[i] is not None:
                            drop_expiry(expires, i, key)
                    else:
                        grown += len(key) + len(value)
                    shard[key] = value
            elif isinstance(entry, Bind):
                self._bind(entry)
                rebound = True
            elif isinstance(entry, Parts):
                rebound |= self._apply(self._joined(entry))
            elif not isinstance(entry, (Author, Group, Filler)):
                i = digest(entry.key, seed) >> SHARD_SHIFT
                if everything or i in wanted:
                    _change(self.keyspace(entry.keyspace), i, entry)
        keyspace.payload_bytes += grown
        return rebound

    def _bind(self, bind: Bind) -> None:
        if not 0 <= bind.database < DATABASES or bind.keyspace == SYSTEM_KEYSPACE:
            raise ReplayError(f"a bind of database {bind.database} to keyspace {bind.keyspace}")
        self.databases[bind.database] = bind.keyspace
        self.next_keyspace = max(self.next_keyspace, bind.keyspace + 1)

    def _joined(self, parts: Parts) -> list[Entry]:
        payload = b"".join(self._parts.pop(parts.part, ()))
        if len(payload) != parts.length:
            raise ReplayError(f"part group {parts.part} has {len(payload)} bytes instead of {parts.length}")
        return decode_entries(payload)


def _change(keyspace: KeyspaceView, i: int, entry: PutExpiring | Delete | Expired | SetExpiry | Patch) -> None:
    shard, key = keyspace.shards[i], entry.key
    old = shard.get(key)
    before = after = 0 if old is None else len(key) + value_bytes(old)
    if type(entry) is PutExpiring:
        shard[key] = entry.value
        set_expiry(keyspace.expires, i, key, entry.expires_at_ms)
        after = len(key) + len(entry.value)
    elif type(entry) is Patch:
        value = old if isinstance(old, bytearray) else bytearray(old or b"")
        apply_patch(value, entry.offset, entry.data)
        shard[key] = value
        after = len(key) + len(value)
    elif old is None:
        raise ReplayError(f"a {type(entry).__name__} of the key {key[:64]!r}, which does not exist")
    elif type(entry) is SetExpiry:
        if entry.expires_at_ms:
            set_expiry(keyspace.expires, i, key, entry.expires_at_ms)
        else:
            drop_expiry(keyspace.expires, i, key)
    else:
        del shard[key]
        drop_expiry(keyspace.expires, i, key)
        after = 0
    keyspace.payload_bytes += after - before
