"""All keys and values of a local store, or those of a prefix in order, a page at a time.

A page is taken under the lock and shown when all of it is durable. Between pages the store changes freely: unordered
pages follow the shards, ordered ones the last key, so a key that stays is seen once. Copying all keys at the start was
rejected: it would hold the lock for 20 ms and 8 MB at a million keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keystead.engine.keyspace import SHARDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from keystead.embedded.shared_engine import SharedEngine
    from keystead.engine.keyspace import Keyspace
    from keystead.engine.values import Value

PAGE_KEYS: Final = 500
"""About 0.2 ms under the lock."""

Page = list[tuple[bytes, "Value"]]


class LocalPages:
    """Iterable, also with `async for`, once."""

    def __init__(self, shared: SharedEngine, prefix: bytes | None) -> None:
        self._shared = shared
        self._prefix = prefix
        self._now_ms = 0
        self._next_shard = 0
        self._after: bytes | None = None
        self._ended = False

    def __iter__(self) -> Iterator[Page]:
        while not self._ended:
            page = self._shared.settled(self._look)
            if page is None:
                self._shared.build_index()
            elif page:
                yield page

    async def __aiter__(self) -> AsyncIterator[Page]:
        while not self._ended:
            page = await self._shared.asettled(self._look)
            if page is None:
                await self._shared.abuild_index()
            elif page:
                yield page

    def _look(self, keyspace: Keyspace, now_ms: int) -> Page | None:
        """The next page; None when the keys have to be brought into order first."""
        self._now_ms = now_ms
        if self._prefix is None:
            return self._shards(keyspace)
        if keyspace.index is None or not keyspace.index.ready:
            return None
        return self._range(keyspace, self._prefix)

    def _shards(self, keyspace: Keyspace) -> Page:
        page: Page = []
        now_ms = self._now_ms
        for i in range(self._next_shard, SHARDS):
            shard, expires = keyspace.shards[i], keyspace.expires[i]
            if expires is not None:
                due = set(expires.due(now_ms))
                page += [pair for pair in shard.items() if pair[0] not in due]
            elif shard:
                page += shard.items()
            if len(page) >= PAGE_KEYS:
                self._next_shard = i + 1
                return page
        self._ended = True
        return page

    def _range(self, keyspace: Keyspace, prefix: bytes) -> Page:
        assert keyspace.index is not None
        keys = keyspace.index.range(prefix, self._after, PAGE_KEYS)
        if len(keys) < PAGE_KEYS:
            self._ended = True
        else:
            self._after = keys[-1]
        found = [(key, keyspace.get(key)) for key in keys]
        return [(key, value) for key, value in found if value is not None]

    def count(self) -> int:
        """How many keys there are; keys whose time is up are not counted."""
        while (count := self._shared.settled(self._count)) is None:
            self._shared.build_index()
        return count if count >= 0 else sum(map(len, self))

    def _count(self, keyspace: Keyspace, now_ms: int) -> int | None:
        if self._prefix is None:
            due = sum(1 for expires in keyspace.expires if expires is not None for _ in expires.due(now_ms))
            return len(keyspace) - due
        if keyspace.index is None or not keyspace.index.ready:
            return None
        if keyspace.expiring_count():
            return -1  # the index counts keys whose time is up: go through them
        return keyspace.index.count(self._prefix)
