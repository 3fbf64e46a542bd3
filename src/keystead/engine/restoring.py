"""Many keys of one keyspace put into given states at once: a hundred thousand in a few milliseconds.

Gathered by slices, applied within one turn, shard by shard, by operations on whole lists and dictionaries: whatever can
be reckoned while gathering is. Nothing is recorded: a staged transaction says the same in the log. Must not know: where
the states come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Final, TypeAlias

from keystead.engine.expiries import drop_expiries, set_expiries, set_expiry
from keystead.engine.operations import DELETE, PUT, PUT_EXPIRING

if TYPE_CHECKING:
    from keystead.engine.before_images import BeforeImages, Image
    from keystead.engine.keyspace import Keyspace
    from keystead.engine.values import Value

State: TypeAlias = tuple[bytes, int] | None
"""Value and expiry (0: none); None: no such key."""

_ABSENT: Final[Image] = (None, 0)


class _Shard:
    """What is to become of some keys of one shard. The first lists are parallel."""

    __slots__ = (
        "came",
        "delete",
        "expected",
        "expected_expiries",
        "expiries",
        "growth",
        "has_patched",
        "keys",
        "put",
        "without_expiry",
    )

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.expected: list[bytes | None] = []
        self.expected_expiries: list[int] = []
        self.put: dict[bytes, bytes] = {}
        self.expiries: dict[bytes, int] = {}
        """Of those put; the others have none."""
        self.without_expiry: list[bytes] = []
        """Those that have an expiry, and will have none."""
        self.delete: list[bytes] = []
        self.came: list[bytes] = []
        """Those put that are not expected to be there."""
        self.growth = 0
        """Of all keys and values, in bytes."""
        self.has_patched = False
        """One of the strings was patched in place, as the last look for conflicts has shown."""

    def add(self, key: bytes, expected: Image, wanted: State) -> None:
        value, had_until_ms = expected
        self.keys.append(key)
        self.expected.append(value)  # type: ignore[arg-type]  # a state's value is bytes
        self.expected_expiries.append(had_until_ms)
        if value is not None:
            self.growth -= len(key) + len(value)
        expires_at_ms = 0
        if wanted is None:
            self.delete.append(key)
        else:
            self.put[key], expires_at_ms = wanted
            self.growth += len(key) + len(wanted[0])
            if value is None:
                self.came.append(key)
        if expires_at_ms:
            self.expiries[key] = expires_at_ms
        elif had_until_ms:
            self.without_expiry.append(key)

    def expiries_in(self, keyspace: Keyspace, i: int) -> list[int] | None:
        """The expiries that the keys have now; None when they have none."""
        expires = keyspace.expires[i]
        if expires is None or expires.slots.keys().isdisjoint(self.keys):
            return None
        slot_of, times = expires.slots.get, expires.times
        return [0 if (slot := slot_of(key)) is None else times[slot] for key in self.keys]

    def is_as_expected(self, values: list[Value | None], expiries: list[int] | None) -> bool:
        # Quick, for mostly these are the very objects that were met while gathering.
        if values != self.expected:
            return False
        return expiries == self.expected_expiries if expiries else not any(self.expected_expiries)


class Restoration:
    """Keys, the state that each is expected to have, and the one that it is to have."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspace = keyspace
        self._shards: dict[int, _Shard] = {}
        self._images: BeforeImages = {}
        """What each key is expected to have: so what the change will replace."""

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
        for i, shard in self._shards.items():
            expiries = shard.expiries_in(keyspace, i)
            if expiries is None:
                continue
            by_time = sorted(((at_ms, key) for at_ms, key in zip(expiries, shard.keys, strict=True) if at_ms))
            for _, key in by_time:
                if keyspace.get(key) is not None:
                    break  # the others have longer still
                keyspace.delete(key)  # which says that it has expired

    def conflicts(self) -> Iterator[bytes]:
        """The keys whose state is not what is expected. To be called after `expire_due`, within the same turn."""
        keyspace = self.keyspace
        for i, shard in self._shards.items():
            values: list[Value | None] = list(map(keyspace.shards[i].get, shard.keys))
            expiries = shard.expiries_in(keyspace, i)
            shard.has_patched = bytearray in set(map(type, values))
            if not shard.is_as_expected(values, expiries):
                now = zip(values, expiries or repeat(0), strict=False)
                then = zip(shard.expected, shard.expected_expiries, strict=True)
                yield from (key for key, is_, was in zip(shard.keys, now, then, strict=False) if is_ != was)

    def apply(self) -> None:
        """Change memory, watchers told, nothing recorded. To be called when `conflicts` has found none, within the same
        turn; once."""
        keyspace = self.keyspace
        # The images first, then the values, then the expiries: `Keyspace.peek` relies on it.
        self._keep_images()
        with keyspace.unrecorded():
            for i, shard in self._shards.items():
                if shard.has_patched:
                    _change_one_by_one(keyspace, shard)  # for the way back to their images is walked with care
                else:
                    _change_at_once(keyspace, i, shard)
        if keyspace.watched:
            for shard in self._shards.values():
                for key in keyspace.watched.keys() & shard.keys:
                    keyspace.touch(key)

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
    keyspace.key_changes += len(shard.came) + len(shard.delete)
    index = keyspace.index
    if index is not None:
        if shard.came:
            index.change_many(shard.came, present=True)
        if shard.delete:
            index.change_many(shard.delete, present=False)


def fill(keyspace: Keyspace, key: bytes, value: bytes, expires_at_ms: int) -> None:
    """Put a key into a keyspace that nobody is shown yet, and that does not have it."""
    i = keyspace.shard_of(key)
    keyspace.shards[i][key] = value
    if expires_at_ms:
        set_expiry(keyspace.expires, i, key, expires_at_ms)
    keyspace.payload_bytes += len(key) + len(value)
