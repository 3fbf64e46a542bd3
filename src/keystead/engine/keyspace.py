"""One keyspace: its values and expiries in memory, in about a thousand shards.

Owns: the view in memory, the before-images that make the durable view, cursors, watchers. Every change here also
records its operation into the open turn, so memory and log cannot drift apart. Must not know: files, frames, commands.

Why shards: a key's shard is the top ten bits of a stable seeded hash (XXH3), the same in every process of a store. A
checkpoint chunk *is* a shard, no dictionary ever grows large enough for its resize to stop the loop, and a SCAN cursor
is a position in hash order that survives restarts.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

from xxhash import xxh3_64_intdigest as digest

from keystead.engine import operations as op
from keystead.engine.before_images import BeforeImages, Image, Rebound, Unpatch
from keystead.engine.expiries import EXPIRY_OVERHEAD_BYTES, ShardExpiries, drop_expiry, expiry_of, set_expiry
from keystead.engine.operations import PUT
from keystead.engine.values import KEY_OVERHEAD_BYTES, Value, value_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from keystead.engine.clock import Clock
    from keystead.engine.key_index import KeyIndex

SHARDS = 1024
SHARD_SHIFT = 54
"""A 64-bit hash shifted right by this is a shard number."""

SYSTEM_KEYSPACE = 0xFFFF_FFFF
"""The id of the keyspace that no database shows: what the store keeps for itself."""


class Reader(Protocol):
    """Whoever reads; it always sees its own writes."""

    must_wait: bool
    """Set when a reply depends on what is not yet durable: the reply must wait for it."""
    pending_turn: int
    """The last turn this reader wrote in."""


class Watcher(Protocol):
    """Whoever wants to know whether a key changed (WATCH)."""

    dirty: bool


class Keyspace:
    """Keys, values and expiries of one keyspace; all keys and strings are bytes."""

    __slots__ = (
        "_clock",
        "_durable_turn",
        "_record",
        "_scan_order",
        "_seed",
        "expired_keys",
        "expires",
        "id",
        "index",
        "key_changes",
        "open_before",
        "payload_bytes",
        "shards",
        "syncing_before",
        "watched",
    )

    def __init__(
        self,
        number: int,
        seed: int,
        clock: Clock,
        record: Callable[[tuple[object, ...]], None],
        durable_turn: Callable[[], int],
    ) -> None:
        self.id = number
        self._seed = seed
        self._clock = clock
        self._record = record
        self._durable_turn = durable_turn
        self.shards: list[dict[bytes, Value]] = [{} for _ in range(SHARDS)]
        self.expires: list[ShardExpiries | None] = [None] * SHARDS
        self.open_before: BeforeImages = {}
        """What the changes since the running sync began replaced; the older image of a key wins."""
        self.syncing_before: BeforeImages = {}
        """What the changes that the running sync covers replaced."""
        self.watched: dict[bytes, set[Watcher]] = {}
        self.index: KeyIndex | None = None
        self.payload_bytes = 0
        self.expired_keys = 0
        """How many keys were removed because their time was up."""
        self.key_changes = 0
        self._scan_order: tuple[int, int, list[tuple[int, bytes]]] = (-1, -1, [])

    # --- Plain reads: the durable view ------------------------------------------------------------------------------

    def shard_of(self, key: bytes) -> int:
        """The number of the shard that has the key, if any has."""
        return digest(key, self._seed) >> SHARD_SHIFT

    def read(self, key: bytes, reader: Reader) -> Value | None:
        """The value as *reader* may be shown it: nothing that a power cut could take back, except its own writes.

        Never waits for others' writes. A reader with un-synced writes of its own gets current memory, and its
        `must_wait` is set: the reply then waits for the sync that its writes wait for.
        """
        if key in self.open_before or key in self.syncing_before:
            return self._read_unsynced(key, reader)[0]
        i = digest(key, self._seed) >> SHARD_SHIFT
        expires = self.expires[i]
        if expires is not None and key in expires.slots and expires.at_ms(key) <= self._clock.now_ms:
            return None
        return self.shards[i].get(key)

    def read_each(self, keys: Sequence[bytes], reader: Reader) -> list[Value | None]:
        """`read` of each key, in half the time."""
        if not (self._unchanged(keys, self.open_before) and self._unchanged(keys, self.syncing_before)):
            return [self.read(key, reader) for key in keys]
        shards, expires, seed, shift = self.shards, self.expires, self._seed, SHARD_SHIFT
        return [self._live(key)[0] if expires[i := digest(key, seed) >> shift] else shards[i].get(key) for key in keys]

    @staticmethod
    def _unchanged(keys: Sequence[bytes], before: BeforeImages) -> bool:
        """Whether no key has an image there, so that memory is what is durable."""
        return not before or (type(before) is dict and before.keys().isdisjoint(keys))

    def peek(self, key: bytes, otherwise: Callable[[bytes], Value | None]) -> Value | None:
        """The durable value, for a thread that reads while another one writes; no lock is needed.

        Where that cannot be told without a lock, the answer is `otherwise(key)`, which takes it and reads.
        """
        i = digest(key, self._seed) >> SHARD_SHIFT
        try:
            # The order is what makes this right. A writer keeps the before-image, then changes the value, then the
            # expiry; a sync hands the images on before it starts anew. So a value seen here that is not durable has
            # its image in one of the two generations looked at after it, the open one first; and the value belongs
            # to the expiry seen before it, or to a later one.
            expires = self.expires[i]
            expires_at_ms = expires.at_ms(key) if expires is not None and key in expires.slots else 0
            value = self.shards[i].get(key)
        except IndexError:  # the database shows another keyspace by now, and this one has been freed
            return otherwise(key)
        if key in self.open_before or key in self.syncing_before:
            return otherwise(key)
        if expires_at_ms and expires_at_ms <= self._clock.ahead():
            return otherwise(key)  # who sees it expired must move store time, or somebody could see it alive again
        return value

    def read_with_expiry(self, key: bytes, reader: Reader) -> tuple[Value | None, int]:
        """Like `read`, with the key's expiry in milliseconds of Unix time (0: none)."""
        if key in self.open_before or key in self.syncing_before:
            return self._read_unsynced(key, reader)
        return self._live(key)

    def _read_unsynced(self, key: bytes, reader: Reader) -> tuple[Value | None, int]:
        if reader.must_wait or reader.pending_turn > self._durable_turn():
            reader.must_wait = True
            return self._live(key)
        # Each generation that rebound the database shows the keyspace it replaced: the open one first, then the one
        # being synced, each exactly once (after SWAPDB the two keyspaces name each other).
        shown = self.open_before.shown if isinstance(self.open_before, Rebound) else self
        if isinstance(shown.syncing_before, Rebound):
            shown = shown.syncing_before.shown
        value, expires_at_ms = shown.durable(key)
        return (None, 0) if 0 < expires_at_ms <= self._clock.now_ms else (value, expires_at_ms)

    def durable(self, key: bytes) -> tuple[Value | None, int]:
        """The value and expiry that a power cut now would leave, expired or not."""
        i = digest(key, self._seed) >> SHARD_SHIFT
        image: Image = (self.shards[i].get(key), expiry_of(self.expires[i], key))
        for generation in (self.open_before, self.syncing_before):
            before = generation.get(key)
            if before is not None:
                image = before.undo(image) if isinstance(before, Unpatch) else before
        return image

    # --- Current memory ---------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Value | None:
        """The current value, durable or not; None when absent or expired. A reply built on it must wait."""
        i = digest(key, self._seed) >> SHARD_SHIFT
        expires = self.expires[i]
        if expires is not None and key in expires.slots and expires.at_ms(key) <= self._clock.now_ms:
            return None
        return self.shards[i].get(key)

    def expires_at_ms(self, key: bytes) -> int:
        """The key's expiry in milliseconds of Unix time; 0 without one, or without a key."""
        return self._live(key)[1]

    def _live(self, key: bytes) -> tuple[Value | None, int]:
        i = digest(key, self._seed) >> SHARD_SHIFT
        expires_at_ms = expiry_of(self.expires[i], key)
        if 0 < expires_at_ms <= self._clock.now_ms:
            return None, 0
        return self.shards[i].get(key), expires_at_ms

    get_with_expiry = _live
    """Like `get`, with the key's expiry in milliseconds of Unix time (0: none)."""

    def is_due(self, expires_at_ms: int) -> bool:
        """Whether that moment has come."""
        return expires_at_ms <= self._clock.now_ms

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def __len__(self) -> int:
        """Number of keys, those included whose time is up but which have not been removed yet (as Redis' DBSIZE)."""
        return sum(map(len, self.shards))

    def expiring_count(self) -> int:
        """Number of keys that have an expiry."""
        return sum(len(expires.slots) for expires in self.expires if expires is not None)

    def used_bytes(self) -> int:
        """Estimated memory of all keys, values and their overhead."""
        if not self.payload_bytes:
            return 0  # as most databases are, most of the time
        overhead = len(self) * KEY_OVERHEAD_BYTES + self.expiring_count() * EXPIRY_OVERHEAD_BYTES
        return self.payload_bytes + overhead

    def used_bytes_each(self, keys: Sequence[bytes]) -> list[int]:
        """The share of each key in `used_bytes`; 0 for one that is not there."""
        shards, expires, seed, found = self.shards, self.expires, self._seed, []
        for key in keys:
            i = digest(key, seed) >> SHARD_SHIFT
            value = shards[i].get(key)
            if value is None:
                found.append(0)
                continue
            used = KEY_OVERHEAD_BYTES + len(key) + value_bytes(value)
            expiring = expires[i]
            found.append(used if expiring is None or key not in expiring.slots else used + EXPIRY_OVERHEAD_BYTES)
        return found

    def keys(self) -> Iterator[bytes]:
        """Every live key, in no order that means anything. The keyspace must not change meanwhile."""
        now_ms = self._clock.now_ms
        for shard, expires in zip(self.shards, self.expires, strict=True):
            if expires is None:
                yield from shard
            else:
                due = set(expires.due(now_ms))
                yield from (key for key in shard if key not in due)

    def random_key(self) -> bytes | None:
        """A live key chosen at random, each about as likely as any other; None when there is none."""
        for _ in range(100):
            shard = random.choice(self.shards)
            if shard:
                key = next(islice(shard, random.randrange(len(shard)), None))
                if self.get(key) is not None:
                    return key
        live = list(self.keys())  # few keys, or nearly all expired: 100 misses say that this is affordable
        return random.choice(live) if live else None

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """About *count* live keys from *cursor* on, in hash order, and the cursor that goes on from there (0: the end).

        A key present from the first call to the last is returned; cursors stay good over changes and restarts.
        """
        found: list[bytes] = []
        for i in range(cursor >> SHARD_SHIFT, SHARDS):
            if not self.shards[i]:
                continue
            if len(found) >= count:
                return i << SHARD_SHIFT, found
            order = self._hash_order(i)
            start = bisect_left(order, (cursor, b""))
            end = start + count - len(found)
            while start < end < len(order) and order[end][0] == order[end - 1][0]:
                end += 1  # keys of one hash cannot be told apart by a cursor: they go together
            expires, now_ms = self.expires[i], self._clock.now_ms
            found += [key for _, key in order[start:end] if not 0 < expiry_of(expires, key) <= now_ms]
            if end < len(order):
                return order[end][0], found
        return 0, found

    def _hash_order(self, i: int) -> list[tuple[int, bytes]]:
        # Kept for the next call: a scan in small steps would sort the same shard a hundred times.
        if self._scan_order[:2] != (i, self.key_changes):
            seed = self._seed
            self._scan_order = (i, self.key_changes, sorted((digest(key, seed), key) for key in self.shards[i]))
        return self._scan_order[2]

    # --- Changes: memory and the open turn together -----------------------------------------------------------------

    def put(self, key: bytes, value: bytes, expires_at_ms: int = 0) -> None:
        """Set the key to *value*; any former expiry is replaced by *expires_at_ms* (0: none)."""
        i = digest(key, self._seed) >> SHARD_SHIFT
        if expires_at_ms or self.expires[i]:
            self._put_expiring(i, key, value, expires_at_ms)
            return
        shard = self.shards[i]
        old = shard.get(key)
        self.open_before.setdefault(key, (old, 0))
        shard[key] = value
        self._record((PUT, self.id, key, value))
        if old is None:
            self._added(key, value)
        elif type(old) is bytearray:
            self._replaced_patched(key, old, value)
        elif len(old) != len(value):
            self.payload_bytes += len(value) - value_bytes(old)
        if self.watched:
            self.touch(key)

    def put_each(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """`put` of each key and value, in order, in three quarters of the time."""
        shards, expires, seed, shift, number = self.shards, self.expires, self._seed, SHARD_SHIFT, self.id
        keep, record, watched = self.open_before.setdefault, self._record, self.watched
        for key, value in zip(keys, values, strict=True):
            i = digest(key, seed) >> shift
            shard = shards[i]
            old = shard.get(key)
            if expires[i] or watched or not (old is None or type(old) is bytes):
                self.put(key, value)
                continue
            keep(key, (old, 0))
            shard[key] = value
            record((PUT, number, key, value))
            if old is None:
                self._added(key, value)
            elif len(old) != len(value):
                self.payload_bytes += len(value) - len(old)

    def _replaced_patched(self, key: bytes, old: bytearray, value: bytes) -> None:
        """A string that was patched in place left memory: the way back to its image is walked now, while it is here."""
        before = self.open_before[key]
        if isinstance(before, Unpatch):
            self.open_before[key] = before.undo((old, 0))
        self.payload_bytes += len(value) - value_bytes(old)

    def _put_expiring(self, i: int, key: bytes, value: bytes, expires_at_ms: int) -> None:
        old, _ = self._remember(i, key)
        self.shards[i][key] = value
        if expires_at_ms:
            set_expiry(self.expires, i, key, expires_at_ms)
            self._record((op.PUT_EXPIRING, self.id, key, value, expires_at_ms))
        else:
            drop_expiry(self.expires, i, key)
            self._record((PUT, self.id, key, value))
        if old is None:
            self._added(key, value)
        else:
            self.payload_bytes += len(value) - value_bytes(old)
        if self.watched:
            self.touch(key)

    def delete(self, key: bytes) -> bool:
        """Remove the key; False when it was absent or expired."""
        i = digest(key, self._seed) >> SHARD_SHIFT
        old, _ = self._remember(i, key)
        if old is None:
            return False
        self._remove(i, key, old)
        self._record((op.DELETE, self.id, key))
        return True

    def set_expiry(self, key: bytes, expires_at_ms: int) -> None:
        """Make the key expire at *expires_at_ms* (0: never). KeyError when there is no such key."""
        i = digest(key, self._seed) >> SHARD_SHIFT
        old, _ = self._remember(i, key, value_stays=True)
        if old is None:
            raise KeyError(key)
        if expires_at_ms:
            set_expiry(self.expires, i, key, expires_at_ms)
        else:
            drop_expiry(self.expires, i, key)
        self._record((op.SET_EXPIRY, self.id, key, expires_at_ms))
        if self.watched:
            self.touch(key)

    def patch(self, key: bytes, offset: int, data: bytes) -> int:
        """Overwrite a string from *offset* on (created or zero-padded as needed), keep its expiry; the new length.

        Logs *data* alone, however long the string is.
        """
        i = digest(key, self._seed) >> SHARD_SHIFT
        old, expires_at_ms = self._live(key)
        before = self.open_before.get(key)
        if isinstance(old, bytearray) and (before is None or isinstance(before, Unpatch)):
            if before is None:
                before = self.open_before[key] = Unpatch(len(old), expires_at_ms)
            before.add(offset, bytes(old[offset : offset + len(data)]))
        else:
            old, _ = self._remember(i, key)
        value = self._own_bytearray(i, key, old)
        length = len(value)
        apply_patch(value, offset, data)
        self._record((op.PATCH, self.id, key, offset, data))
        if old is None:
            self._added(key, value)
        else:
            self.payload_bytes += len(value) - length
        if self.watched:
            self.touch(key)
        return len(value)

    def _own_bytearray(self, i: int, key: bytes, old: Value | None) -> bytearray:
        if isinstance(old, bytearray):
            return old
        value = bytearray(old or b"")
        self.shards[i][key] = value
        return value

    def expire_due(self, i: int, limit: int) -> int:
        """Remove and log up to *limit* keys of shard *i* whose time is up; how many there were."""
        expires = self.expires[i]
        if expires is None:
            return 0
        due = list(islice(expires.due(self._clock.now_ms), limit))
        for key in due:
            self._remember(i, key)
        return len(due)

    def _remember(self, i: int, key: bytes, *, value_stays: bool = False) -> Image:
        """Keep what a change is about to replace, log the removal of an expired key first, and return what is left.

        *value_stays*: only the expiry changes, so a string patched in place earlier may be patched again later, which
        must not reach back into the image.
        """
        value = self.shards[i].get(key)
        image: Image = (value, expiry_of(self.expires[i], key))
        is_due = 0 < image[1] <= self._clock.now_ms
        before = self.open_before.get(key)
        if before is None:
            patchable = value_stays and isinstance(value, bytearray) and not is_due
            self.open_before[key] = Unpatch(len(value), image[1]) if patchable and value is not None else image
        elif isinstance(before, Unpatch):
            self.open_before[key] = before.undo(image)
        if is_due and image[0] is not None:
            self._remove(i, key, image[0])
            self._record((op.EXPIRED, self.id, key))
            self.expired_keys += 1
            return None, 0
        return image

    def restore(self, key: bytes, image: Image | Unpatch, *, patched: bool) -> None:
        """Put back what a change of the open turn replaced, for a savepoint, which sees to the rest: nothing is
        recorded, counted, or kept as an image.

        *patched*: an earlier change of the turn has patched the string in place and counts on its being a bytearray.
        """
        i = digest(key, self._seed) >> SHARD_SHIFT
        now = self.shards[i].get(key)
        value, expires_at_ms = image.undo((now, 0)) if isinstance(image, Unpatch) else image
        if expires_at_ms:
            set_expiry(self.expires, i, key, expires_at_ms)
        else:
            drop_expiry(self.expires, i, key)
        if value is not None:
            self.shards[i][key] = bytearray(value) if patched and isinstance(value, bytes) else value
        elif now is not None:
            del self.shards[i][key]
        if (value is None) != (now is None):
            self.key_changes += 1
            if self.index is not None:
                (self.index.discard if value is None else self.index.add)(key)

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """What is changed meanwhile is said in the log by other means: see `staging`."""
        record, self._record = self._record, _nowhere
        try:
            yield
        finally:
            self._record = record

    def _added(self, key: bytes, value: Value) -> None:
        self.payload_bytes += len(key) + value_bytes(value)
        self.key_changes += 1
        if self.index is not None:
            self.index.add(key)

    def _remove(self, i: int, key: bytes, old: Value) -> None:
        del self.shards[i][key]
        drop_expiry(self.expires, i, key)
        self.payload_bytes -= len(key) + value_bytes(old)
        self.key_changes += 1
        if self.index is not None:
            self.index.discard(key)
        if self.watched:
            self.touch(key)

    # --- WATCH ------------------------------------------------------------------------------------------------------

    def watch(self, key: bytes, watcher: Watcher) -> None:
        """Set `watcher.dirty` when the key changes, expires, or its database shows another keyspace."""
        self.watched.setdefault(key, set()).add(watcher)

    def unwatch(self, key: bytes, watcher: Watcher) -> None:
        """Forget one watch; harmless when there is none."""
        watchers = self.watched.get(key)
        if watchers is not None:
            watchers.discard(watcher)
            if not watchers:
                del self.watched[key]

    def touch(self, key: bytes) -> None:
        """Tell the key's watchers that it changed."""
        for watcher in self.watched.get(key, ()):
            watcher.dirty = True

    def touch_all(self, other: Keyspace) -> None:
        """This database will show *other*: tell the watchers of every key that exists on either side."""
        for key in self.watched:
            if self.get(key) is not None or other.get(key) is not None:
                self.touch(key)

    # --- Generations of before-images -------------------------------------------------------------------------------

    def begin_sync(self) -> None:
        """A sync starts that covers every change so far."""
        if self.open_before:
            self.syncing_before, self.open_before = self.open_before, {}

    def finish_sync(self) -> None:
        """That sync succeeded: what it covered is durable now."""
        if self.syncing_before:
            self.syncing_before = {}

    def shown_durably(self) -> Keyspace:
        """What the database that shows this keyspace showed when the open generation began."""
        return self.open_before.shown if isinstance(self.open_before, Rebound) else self

    def take_place_of(self, shown: Keyspace) -> None:
        """A database that showed *shown* now shows this one; until that is durable, others are shown *shown*."""
        images = Rebound(shown)
        images.update(self.open_before)
        self.open_before = images

    def build_index(self) -> Iterator[None]:
        """Fill the key index, in slices; changes may go on between them."""
        if self.index is not None:
            yield from self.index.build(map(list, self.shards))

    def all_keys(self) -> Iterator[bytes]:
        """Every stored key, expired or not."""
        return chain.from_iterable(self.shards)


def _nowhere(_operation: tuple[object, ...]) -> None:
    pass


def apply_patch(value: bytearray, offset: int, data: bytes) -> None:
    """Overwrite *value* from *offset* on, padded with zeros up to it."""
    if offset > len(value):
        value.extend(bytes(offset - len(value)))
    value[offset : offset + len(data)] = data
