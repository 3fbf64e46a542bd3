"""A source and a target in memory, for tests of what stands between them: plain dictionaries with a log of changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from keystead.migration.source import (
    STRING,
    Batch,
    Change,
    Delete,
    Expire,
    Flush,
    Gap,
    PositionLost,
    Put,
    Record,
    Touched,
)
from keystead.migration.target import Fact

NOW_MS = 1_000_000
State = tuple[bytes, int]


class MemorySource:
    """A Source. What happens to it is a list of changes; each batch has one of them."""

    unit = "changes"

    def __init__(self, *, follows: bool = True) -> None:
        self.follows = follows
        self.keys: dict[bytes, State] = {}
        self.log: list[Change] = []
        self.at = 0
        self.first_kept = 0
        self.now_ms = NOW_MS
        self.paused = False
        self.can_pause = True
        self.other_databases: dict[int, int] = {}
        self.on_batch = lambda: None
        self.has_parts = False
        self.parts_done = 0

    def happen(self, *changes: Change) -> None:
        """The source changes."""
        assert not self.paused, "a write while writes are paused"
        for change in changes:
            self.log.append(change)
            apply_change(self.keys, change)

    def touch(self, key: bytes, value: bytes, expires_at_ms: int = 0) -> None:
        """A change that is not told in words."""
        self.keys[key] = value, expires_at_ms
        self.log.append(Touched(0, key))

    def describe(self) -> str:
        return "memory"

    def identity(self) -> str:
        return "the source"

    def databases(self) -> dict[int, int]:
        return {0: len(self.keys), **self.other_databases}

    def kinds(self) -> dict[str, int]:
        return {STRING: len(self.keys)}

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        return [record(key, self.keys.get(key)) for key in keys]

    def scan(self) -> Iterator[list[Record]]:
        yield [Record(0, key, STRING, *state) for key, state in self.keys.items()]

    def pause_writes(self, timeout_ms: int) -> bool:
        self.paused = self.can_pause and timeout_ms > 0
        return self.paused

    def resume_writes(self) -> None:
        self.paused = False

    def drop_writers(self) -> None:
        pass

    def snapshot(self, parts_done: int = 0) -> Iterator[Record]:
        """By the last byte of the key where it has parts."""
        self.at = len(self.log)
        keys = list(self.keys.items())
        for part in range(parts_done, 256) if self.has_parts else ():
            self.parts_done = part
            yield from (Record(0, key, STRING, *state) for key, state in keys if key[-1] == part)
        if not self.has_parts:
            yield from (Record(0, key, STRING, *state) for key, state in keys)

    def resume(self, position: str) -> None:
        if not self.first_kept <= int(position) <= len(self.log):
            raise PositionLost("it was dropped")
        self.at = int(position)

    def changes(self) -> Iterator[Batch]:
        while True:
            self.on_batch()
            if self.at < self.first_kept:
                raise PositionLost("it was dropped")
            changes = self.log[self.at : self.at + 1]
            self.at += len(changes)
            known = 1 << 60 if self.at == len(self.log) else 1
            yield Batch(changes, self.position, known)

    @property
    def position(self) -> str:
        return str(self.at)

    @property
    def total_keys(self) -> int:
        return len(self.keys)

    def behind(self, position: str) -> int:
        return len(self.log) - int(position)

    def close(self) -> None:
        pass


class MemoryTarget:
    """A Target. Keys expire in it by a clock that may be ahead."""

    strings_only = True

    def __init__(self) -> None:
        self.keys: dict[bytes, State] = {}
        self.now_ms = NOW_MS
        self.applied: list[Sequence[Fact]] = []
        self.fails_after = -1
        """So many times facts are taken; then the process is killed."""

    def describe(self) -> str:
        return "the target"

    def count(self) -> int:
        return len(self.keys)

    def apply(self, facts: Sequence[Fact]) -> list[bytes]:
        if self.fails_after == 0:
            raise KilledHere
        self.fails_after -= 1
        assert len({fact.key for fact in facts}) == len(facts), "two facts of one key"
        self.applied.append(facts)
        missing = []
        for fact in facts:
            self.expire()
            if isinstance(fact, Record):
                self.keys[fact.key] = fact.value, fact.expires_at_ms
            elif isinstance(fact, Delete):
                self.keys.pop(fact.key, None)
            elif fact.key not in self.keys:
                missing.append(fact.key)
            else:
                self.keys[fact.key] = self.keys[fact.key][0], fact.at_ms
        self.expire()
        return missing

    def expire(self) -> None:
        for key in [key for key, (_, at_ms) in self.keys.items() if 0 < at_ms <= self.now_ms]:
            del self.keys[key]

    def flush(self) -> None:
        self.keys.clear()

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        return [record(key, self.keys.get(key)) for key in keys]

    def scan(self) -> Iterator[list[Record]]:
        items = iter(list(self.keys.items()))
        while page := list(itertools.islice(items, 3)):
            yield [Record(0, key, STRING, *state) for key, state in page]

    def close(self) -> None:
        pass


class KilledHere(Exception):
    """The process is gone."""


def record(key: bytes, state: State | None) -> Record | None:
    return None if state is None else Record(0, key, STRING, *state)


def apply_change(keys: dict[bytes, State], change: Change) -> None:
    """What the change means for whoever has all keys."""
    if isinstance(change, Put):
        keys[change.key] = change.value, change.expires_at_ms
    elif isinstance(change, Delete):
        keys.pop(change.key, None)
    elif isinstance(change, Expire):
        if change.key in keys:
            keys[change.key] = keys[change.key][0], change.at_ms
    elif isinstance(change, Flush):
        keys.clear()
    else:
        assert isinstance(change, (Touched, Gap))
