"""Many keys of one keyspace put into given states at once: a hundred thousand in a few milliseconds.

Gathered by slices, applied within one turn, shard by shard, by operations on whole dictionaries. Nothing is recorded:
a staged transaction says the same in the log. Must not know: where the states come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from keystead.engine.expiries import set_expiry
from keystead.engine.operations import DELETE, PUT, PUT_EXPIRING

if TYPE_CHECKING:
    from keystead.engine.before_images import Image
    from keystead.engine.keyspace import Keyspace

State: TypeAlias = tuple[bytes, int] | None
"""Value and expiry (0: none); None: no such key."""

_ABSENT: Final[Image] = (None, 0)


class _Shard:
    """What is to become of some keys of one shard."""

    __slots__ = ("delete", "expected", "expiries", "finds_nothing", "put")

    def __init__(self) -> None:
        self.expected: dict[bytes, State] = {}
        self.put: dict[bytes, bytes] = {}
        self.expiries: dict[bytes, int] = {}
        self.delete: list[bytes] = []
        self.finds_nothing = False
        """None of the keys is there, as the last look for conflicts has shown."""


class Restoration:
    """Keys, the state that each is expected to have, and the one that it is to have."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspace = keyspace
        self._shards: dict[int, _Shard] = {}
        self._keys = 0

    def __len__(self) -> int:
        return self._keys

    def add(self, key: bytes, expected: State, wanted: State) -> None:
        """One more key, given once."""
        i = self.keyspace.shard_of(key)
        shard = self._shards.get(i)
        if shard is None:
            shard = self._shards[i] = _Shard()
        shard.expected[key] = expected
        if wanted is None:
            shard.delete.append(key)
        else:
            shard.put[key], expires_at_ms = wanted
            if expires_at_ms:
                shard.expiries[key] = expires_at_ms
        self._keys += 1

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
        """Let what is due in these shards expire, recorded as ever: so that a change never meets an expired key."""
        keyspace = self.keyspace
        for i in self._shards:
            expires = keyspace.expires[i]
            if expires is not None:
                keyspace.expire_due(i, len(expires.slots))

    def conflicts(self) -> Iterator[bytes]:
        """The keys whose state is not what is expected. Nothing may be due."""
        keyspace = self.keyspace
        for i, shard in self._shards.items():
            shard.finds_nothing = keyspace.shards[i].keys().isdisjoint(shard.expected)
            if shard.finds_nothing and not any(shard.expected.values()):
                continue  # quick, for this is what undoing a delete looks like
            for key, state in shard.expected.items():
                value, expires_at_ms = keyspace.get_with_expiry(key)
                now = None if value is None else (bytes(value), expires_at_ms)
                if now != state:
                    yield key

    def apply(self) -> None:
        """Change memory, watches told, nothing recorded. To be called after `conflicts` has run to its end, within the
        same turn."""
        keyspace = self.keyspace
        before = bool(keyspace.open_before)
        with keyspace.unrecorded():
            for i, shard in self._shards.items():
                if shard.finds_nothing:
                    _add(keyspace, i, shard, mind_images=before)
                else:
                    _change(keyspace, shard)


def _change(keyspace: Keyspace, shard: _Shard) -> None:
    for key, value in shard.put.items():
        keyspace.put(key, value, shard.expiries.get(key, 0))
    for key in shard.delete:
        keyspace.delete(key)


def _add(keyspace: Keyspace, i: int, shard: _Shard, *, mind_images: bool) -> None:
    """None of the keys is there: no value is replaced, no expiry dropped, nothing deleted."""
    put = shard.put
    images: dict[bytes, Image] = dict.fromkeys(put, _ABSENT)
    if mind_images:
        for key in keyspace.open_before.keys() & images.keys():
            del images[key]  # the older image of a key wins
    keyspace.open_before.update(images)
    keyspace.shards[i].update(put)
    for key, at_ms in shard.expiries.items():
        set_expiry(keyspace.expires, i, key, at_ms)
    keyspace.payload_bytes += sum(map(len, put)) + sum(map(len, put.values()))
    keyspace.key_changes += len(put)
    if keyspace.index is not None:
        keyspace.index.add_all(put)
    if keyspace.watched:
        for key in keyspace.watched.keys() & put.keys():
            keyspace.touch(key)


def fill(keyspace: Keyspace, key: bytes, value: bytes, expires_at_ms: int) -> None:
    """Put a key into a keyspace that nobody is shown yet, and that does not have it."""
    i = keyspace.shard_of(key)
    keyspace.shards[i][key] = value
    if expires_at_ms:
        set_expiry(keyspace.expires, i, key, expires_at_ms)
    keyspace.payload_bytes += len(key) + len(value)
