"""Many keys of one keyspace put into given states at once: a hundred thousand in a few milliseconds.

Gathered by slices, applied within one turn, shard by shard, by operations on whole lists and dictionaries: whatever can
be reckoned while gathering is. Nothing is recorded: a staged transaction says the same in the log. Must not know: where
the states come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from keystead.engine.expiries import drop_expiries, set_expiries, set_expiry
from keystead.engine.operations import DELETE, PUT, PUT_EXPIRING

if TYPE_CHECKING:
    from keystead.engine.before_images import BeforeImages, Image
    from keystead.engine.keyspace import Keyspace
    from keystead.engine.staging import Staged

State: TypeAlias = tuple[bytes, int] | None
"""Value and expiry (0: none); None: no such key."""

_ABSENT: Final[Image] = (None, 0)
_NEVER: Final = 1 << 64
_SHARDS_A_SLICE: Final = 64


class _Shard:
    """What is to become of some keys of one shard."""

    __slots__ = ("change", "delete", "expiries", "growth", "has_patched", "put", "without_expiry")

    def __init__(self) -> None:
        self.put: dict[bytes, bytes] = {}
        self.expiries: dict[bytes, int] = {}
        """Of those put; the others have none."""
        self.without_expiry: list[bytes] = []
        """Those that have an expiry, and will have none."""
        self.delete: list[bytes] = []
        self.change = 0
        """How many keys come, and go."""
        self.growth = 0
        """Of all keys and values, in bytes."""
        self.has_patched = False
        """One of the strings was patched in place."""

    def add(self, key: bytes, expected: Image, wanted: State) -> None:
        value, had_until_ms = expected
        if value is not None:
            self.growth -= len(key) + len(value)
        expires_at_ms = 0
        if wanted is None:
            self.delete.append(key)
        else:
            self.put[key], expires_at_ms = wanted
            self.growth += len(key) + len(wanted[0])
        self.change += (value is None) != (wanted is None)
        if expires_at_ms:
            self.expiries[key] = expires_at_ms
        elif had_until_ms:
            self.without_expiry.append(key)


class Restoration:
    """Keys, the state that each is expected to have, which is the one it has when it is added, and the one that it is
    to have."""

    def __init__(self, keyspace: Keyspace, staged: Staged) -> None:
        """*staged* is the transaction that says the same; what is changed while it is open is known to it."""
        self.keyspace = keyspace
        self._staged = staged
        self._shards: dict[int, _Shard] = {}
        self._images: BeforeImages = {}
        """What each key is expected to have: so what the change will replace."""
        self._presence: dict[bytes, bool] = {}
        """Of the keys that come and go: whether they will be there."""
        self._expiring: list[bytes] = []
        """Those expected to have an expiry, and those whose time was up already."""
        self._next_expiry_ms = _NEVER

    def __len__(self) -> int:
        return len(self._images)

    def add(self, key: bytes, expected: State, wanted: State) -> None:
        """One more key, given once; the two states differ."""
        assert expected != wanted, "nothing is to be done to it, so the log must not say that it was"
        i = self.keyspace.shard_of(key)
        shard = self._shards.get(i)
        if shard is None:
            shard = self._shards[i] = _Shard()
        image = self._images[key] = expected or _ABSENT
        shard.add(key, image, wanted)
        if (expected is None) != (wanted is None):
            self._presence[key] = wanted is not None
        # (A database that was flushed meanwhile has left a keyspace without shards behind: no commit will follow.)
        there = self.keyspace.shards[i].get(key) if self.keyspace.shards else None
        if type(there) is bytearray:
            shard.has_patched = True
        if image[1] or (expected is None and there is not None):
            self._expiring.append(key)
            self._next_expiry_ms = min(self._next_expiry_ms, image[1] or 1)

    def operations(self) -> Iterator[tuple[object, ...]]:
        """What it does, as the log says it."""
        keyspace = self.keyspace.id
        for shard in self._shards.values():
            for key, value in shard.put.items():
                expires_at_ms = shard.expiries.get(key)
                yield (
                    (PUT_EXPIRING, keyspace, key, value, expires_at_ms)
                    if expires_at_ms
                    else (PUT, keyspace, key, value)
                )
            for key in shard.delete:
                yield (DELETE, keyspace, key)

    def expire_due(self) -> None:
        """Let those of the keys expire whose time is up, recorded as ever: so that no change meets an expired key."""
        keyspace = self.keyspace
        if keyspace.is_due(self._next_expiry_ms):
            self._expire(self._expiring)
        self._expire(self._images.keys() & self._staged.changed_keys())

    def _expire(self, keys: Iterable[bytes]) -> None:
        keyspace = self.keyspace
        for key in keys:
            if keyspace.get(key) is None:
                keyspace.delete(key)  # which says that it has expired, if it is there

    def conflicts(self) -> Iterator[bytes]:
        """The keys whose state is not what is expected. To be called after `expire_due`, within the same turn."""
        # Nobody has touched the others: to look at every key would stop the loop for longer than to change them.
        for key in self._images.keys() & self._staged.changed_keys():
            if self.keyspace.get_with_expiry(key) != self._images[key]:
                yield key

    def apply(self) -> None:
        """Change memory, watchers told, nothing recorded. To be called when `conflicts` has found none, within the same
        turn; once."""
        keyspace = self.keyspace
        self._staged.tell_others(self._images)
        if keyspace.watched:
            for key in keyspace.watched.keys() & self._images.keys():
                keyspace.touch(key)
        # The images first, then the values, then the expiries: `Keyspace.peek` relies on it.
        self._keep_images()
        with keyspace.unrecorded():
            for i, shard in self._shards.items():
                if shard.has_patched:
                    _change_one_by_one(keyspace, shard)  # for the way back to their images is walked with care
                else:
                    _change_at_once(keyspace, i, shard)
        if keyspace.index is not None:
            keyspace.index.change_many(self._presence)

    def slices(self) -> Iterator[None]:
        """It has been applied: let go of it, bit by bit."""
        while self._shards:
            for i in list(self._shards)[:_SHARDS_A_SLICE]:
                del self._shards[i]
            yield

    def _keep_images(self) -> None:
        # The older image of a key wins. There are many images here, and few that were kept before: those join these.
        kept = self.keyspace.open_before
        if type(kept) is dict:
            self._images.update(kept)
            self.keyspace.open_before = self._images
        else:  # a generation in which the database was bound anew: its kind says so
            self._images.update(kept.items())
            kept.update(self._images)


def _change_one_by_one(keyspace: Keyspace, shard: _Shard) -> None:
    for key, value in shard.put.items():
        keyspace.put(key, value, shard.expiries.get(key, 0))
    for key in shard.delete:
        keyspace.delete(key)


def _change_at_once(keyspace: Keyspace, i: int, shard: _Shard) -> None:
    values = keyspace.shards[i]
    values.update(shard.put)
    for key in shard.delete:
        del values[key]
    if shard.without_expiry:
        drop_expiries(keyspace.expires, i, shard.without_expiry)
    if shard.expiries:
        set_expiries(keyspace.expires, i, shard.expiries)
    keyspace.payload_bytes += shard.growth
    keyspace.key_changes += shard.change


def fill(keyspace: Keyspace, key: bytes, value: bytes, expires_at_ms: int) -> None:
    """Put a key into a keyspace that nobody is shown yet, and that does not have it."""
    i = keyspace.shard_of(key)
    keyspace.shards[i][key] = value
    if expires_at_ms:
        set_expiry(keyspace.expires, i, key, expires_at_ms)
    keyspace.payload_bytes += len(key) + len(value)
