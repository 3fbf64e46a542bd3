"""The keys of one keyspace in order: pages of a prefix, exact counts, folders.

Owns: the order. Must not know: values, shards, expiry; the keyspace tells it of every key that comes and goes.

Sorted blocks of about a thousand keys, so that an insertion moves eight kilobytes at most, whatever the number of keys.
A change on the write path goes into a dictionary of pending changes only (0.1 µs); they are merged by housekeeping, or
by the next question. Answering from blocks and pending changes together was rejected: exact counts would have to look
each pending key up in the blocks, which is the work of merging it, every time again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK_KEYS = 1_000
"""Blocks have between a quarter of this and twice as many keys."""

PENDING_KEYS = 2_000
"""Beyond so many pending changes the write path merges a slice itself. At 1 M keys, merging all takes about 4 ms."""

FEW_CHANGES = 8
"""Up to so many changes of a block are made one by one."""

SLICE_KEYS = 500
"""How much one step of merging or building takes on: about a millisecond."""


class Folder(NamedTuple):
    """What a page of folders shows: a folder with its delimiter and all keys under it, or a single key."""

    name: bytes
    keys: int


class KeyIndex:
    """Ordered keys. Questions may be asked when `ready`: after `build` has run to its end, be it without any key."""

    __slots__ = ("_blocks", "_built", "_lows", "_many", "_pending", "_ranks")

    def __init__(self) -> None:
        self._built = False
        self._pending: dict[bytes, bool] = {}
        """Keys whose presence may differ from what the blocks say, and whether they are present."""
        self._many: deque[dict[bytes, bool]] = deque()
        """Keys that came and went, many at once, in that order, each older than what is pending of the same key. So
        nothing pending may be merged before them: what happened last would not have the last word."""
        self._blocks: list[list[bytes]] = [[]]
        self._lows: list[bytes] = [b""]
        """Block i has the keys from lows[i] up to lows[i + 1], not included."""
        self._ranks: list[int] | None = None
        """How many keys lie before each block; None when it has to be summed up again."""

    # --- Changes ----------------------------------------------------------------------------------------------------

    def add(self, key: bytes) -> None:
        """The key exists now."""
        self._pending[key] = True
        if len(self._pending) >= PENDING_KEYS and self.ready:
            self.merge()

    def discard(self, key: bytes) -> None:
        """The key does not exist any more."""
        self._pending[key] = False
        if len(self._pending) >= PENDING_KEYS and self.ready:
            self.merge()

    def change_many(self, changes: dict[bytes, bool]) -> None:
        """Of each of these keys, whether it exists now. The dictionary is the index's own from now on, so this takes no
        longer for a million of them than for a thousand.

        When they are very many, questions wait until `merge`, called for slice after slice, has taken them in.
        """
        if not self._many and len(self._pending) + len(changes) < PENDING_KEYS:
            self._pending.update(changes)
            return
        for key in self._pending.keys() & changes.keys():  # (which looks each key of the smaller one up)
            del self._pending[key]
        self._many.append(changes)

    @property
    def ready(self) -> bool:
        """Whether questions may be asked."""
        return self._built and not self._many

    @property
    def is_behind(self) -> bool:
        """Whether so many changes wait that a question would take long, or cannot be asked: then `merge` is due."""
        return self._built and (bool(self._many) or len(self._pending) >= PENDING_KEYS)

    def merge(self, limit: int = SLICE_KEYS) -> bool:
        """Merge up to *limit* changes (2 µs each at 1 M keys); whether some are left."""
        if not self._built:
            return False  # until the last list of keys is in, the pending changes have the last word
        self._merge(limit)
        return bool(self._pending or self._many)

    def build(self, key_lists: Iterable[list[bytes]]) -> Iterator[None]:
        """Take in all keys, in steps of about a millisecond; changes may go on between the steps.

        Each list is fetched when its turn comes; together they must name every key that exists then, once.
        """
        for keys in key_lists:
            for start in range(0, len(keys), SLICE_KEYS):
                self._take_in(keys[start : start + SLICE_KEYS])
                yield
        for block in self._blocks:
            block.sort()
            yield
        while self._many or len(self._pending) >= SLICE_KEYS:
            self._merge(SLICE_KEYS)
            yield
        self._built = True

    def _take_in(self, keys: list[bytes]) -> None:
        """Put keys into their blocks, in no order yet; a block that has to be cut is sorted for that."""
        for key in keys:
            i = bisect_right(self._lows, key) - 1
            block = self._blocks[i]
            block.append(key)
            if len(block) > 2 * BLOCK_KEYS:
                block.sort()
                self._halve(i)

    def _merge(self, limit: int) -> None:
        changes = self._taken_from_many(limit) if self._many else self._taken_from_pending(limit)
        changes.sort()  # neighbours find their way through the same cache lines
        self._ranks = None
        at = 0
        while at < len(changes):
            i = bisect_right(self._lows, changes[at][0]) - 1
            end = bisect_left(changes, (self._lows[i + 1],), at) if i + 1 < len(self._lows) else len(changes)
            if end - at > FEW_CHANGES:
                self._merge_several(i, changes[at:end])
            else:
                self._merge_one(i, *changes[at])
                end = at + 1
            at = end

    def _taken_from_pending(self, limit: int) -> list[tuple[bytes, bool]]:
        pending = self._pending
        return [pending.popitem() for _ in range(min(limit, len(pending)))]

    def _taken_from_many(self, limit: int) -> list[tuple[bytes, bool]]:
        """In their order, no key twice: of a key that came and went the last word is taken."""
        taken: dict[bytes, bool] = {}
        while self._many and len(taken) < limit:
            changes = self._many[0]
            for _ in range(min(limit - len(taken), len(changes))):
                key, present = changes.popitem()
                taken[key] = present
            if not changes:
                self._many.popleft()
        return list(taken.items())

    def _merge_one(self, i: int, key: bytes, present: bool) -> None:
        block = self._blocks[i]
        at = bisect_left(block, key)
        found = at < len(block) and block[at] == key
        if present and not found:
            block.insert(at, key)
            if len(block) > 2 * BLOCK_KEYS:
                self._halve(i)
        elif found and not present:
            del block[at]
            if len(block) < BLOCK_KEYS // 4:
                self._join(i)

    def _merge_several(self, i: int, changes: list[tuple[bytes, bool]]) -> None:
        """Changes that all belong to block i: the block is put together anew, by sorting two runs into one."""
        block = self._blocks[i]
        absent = {key for key, present in changes if not present}
        merged = [key for key in block if key not in absent] if absent else block
        merged = merged + sorted({key for key, present in changes if present}.difference(block))
        merged.sort()
        if len(merged) <= 2 * BLOCK_KEYS:
            self._blocks[i] = merged
            if len(merged) < BLOCK_KEYS // 4:
                self._join(i)
            return
        pieces = [merged[at : at + BLOCK_KEYS] for at in range(0, len(merged), BLOCK_KEYS)]
        self._blocks[i : i + 1] = pieces
        self._lows[i + 1 : i + 1] = [piece[0] for piece in pieces[1:]]

    def _halve(self, i: int) -> None:
        block = self._blocks[i]
        middle = len(block) // 2
        self._blocks.insert(i + 1, block[middle:])
        self._lows.insert(i + 1, block[middle])
        del block[middle:]

    def _join(self, i: int) -> None:
        """Give the keys of a small block to the block before it (the first takes the second's)."""
        if len(self._blocks) == 1:
            return
        i = max(i, 1)
        self._blocks[i - 1] += self._blocks[i]
        del self._blocks[i], self._lows[i]
        if len(self._blocks[i - 1]) > 2 * BLOCK_KEYS:
            self._halve(i - 1)

    # --- Questions --------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.count(b"")

    def count(self, prefix: bytes) -> int:
        """How many keys begin with *prefix*."""
        ranks = self._settled_ranks()
        return self._rank(ranks, after_prefix(prefix)) - self._rank(ranks, prefix)

    def range(self, prefix: bytes = b"", after: bytes | None = None, limit: int = SLICE_KEYS) -> list[bytes]:
        """The first *limit* keys, in order, that begin with *prefix* and come after the key *after*."""
        self._settled_ranks()
        # The least key after a key is that key and a zero byte.
        start = prefix if after is None else max(prefix, after + b"\0")
        i, at = self._place(start)
        last, stop = self._place(after_prefix(prefix))
        found: list[bytes] = []
        while i <= last and len(found) < limit:
            block = self._blocks[i]
            end = stop if i == last else len(block)
            found += block[at : min(end, at + limit - len(found))]
            i, at = i + 1, 0
        return found

    def range_at(self, prefix: bytes, offset: int, limit: int) -> list[bytes]:
        """Of the keys that begin with *prefix*, in order, *limit* from the position *offset* on."""
        ranks = self._settled_ranks()
        start = self._rank(ranks, prefix) + offset
        left = min(limit, self._rank(ranks, after_prefix(prefix)) - start)
        found: list[bytes] = []
        i = bisect_right(ranks, start) - 1
        while left > len(found):
            at = start + len(found) - ranks[i]
            found += self._blocks[i][at : at + left - len(found)]
            i += 1
        return found

    def folders(
        self, prefix: bytes = b"", delimiter: bytes = b":", after: bytes | None = None, limit: int = SLICE_KEYS
    ) -> list[Folder]:
        """The first *limit* folders and keys directly under *prefix*, in order, that come after the name *after*.

        A folder's name runs from *prefix* to the next *delimiter*, that included; `keys` counts all keys under it,
        at any depth. A key without a further delimiter stands for itself.
        """
        ranks = self._settled_ranks()
        start: bytes | None = prefix
        if after is not None and after >= prefix:
            start = self._behind(after, prefix, delimiter)
        found: list[Folder] = []
        while start is not None and len(found) < limit:
            i, at = self._place(start)
            if at == len(self._blocks[i]):
                i, at = i + 1, 0
            if i == len(self._blocks) or not (key := self._blocks[i][at]).startswith(prefix):
                break
            cut = key.find(delimiter, len(prefix))
            name = key if cut < 0 else key[: cut + len(delimiter)]
            start = self._behind(name, prefix, delimiter)
            found.append(Folder(name, 1 if cut < 0 else self._rank(ranks, start) - ranks[i] - at))
        return found

    def _behind(self, name: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
        """The least key that a page continued after *name* may show; None when there can be none."""
        is_folder = name.find(delimiter, len(prefix)) >= 0
        return after_prefix(name) if is_folder else name + b"\0"

    def _settled_ranks(self) -> list[int]:
        """Merge everything pending, and sum up again what lies before each block if that changed it."""
        if not self.ready:
            raise RuntimeError("the key index is still being built")
        if self._pending:
            self._merge(len(self._pending))
        if self._ranks is None:
            self._ranks = list(accumulate(map(len, self._blocks), initial=0))
        return self._ranks

    def _rank(self, ranks: list[int], key: bytes | None) -> int:
        """How many keys are less than *key*; None is greater than all."""
        if key is None:
            return ranks[-1]
        i, at = self._place(key)
        return ranks[i] + at

    def _place(self, key: bytes | None) -> tuple[int, int]:
        """Block and position of the first key not less than *key*; the position may be the end of the block."""
        if key is None:
            return len(self._blocks) - 1, len(self._blocks[-1])
        i = bisect_right(self._lows, key) - 1
        return i, bisect_left(self._blocks[i], key)


def after_prefix(prefix: bytes) -> bytes | None:
    """The least key greater than every key that begins with *prefix*; None when there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None
