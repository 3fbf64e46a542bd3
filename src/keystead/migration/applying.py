"""From changes as they happened to facts about keys, of which each key gets one at a time.

Owns: what several changes of one key come to, and looking at keys whose change says too little. Must not know: where
changes come from, how facts are made so. One fact a key makes their order meaningless: they may travel to several
servers, and again after a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from keystead.migration.source import (
    STRING,
    Change,
    Delete,
    Expire,
    Flush,
    Gap,
    Put,
    Record,
    Source,
    Touched,
)
from keystead.migration.target import Fact, Target, TargetRefused

CHUNK_FACTS = 1000
CHUNK_BYTES = 1 << 20


class CopyAgain(Exception):
    """What happened cannot be told key by key. The text says what it was."""


class Applying:
    """Applies what happened in one database of a source."""

    def __init__(self, source: Source, target: Target, database: int, *, others_in_target: bool = False) -> None:
        self._source = source
        self._target = target
        self._database = database
        self._others_in_target = others_in_target
        self.facts = 0
        """How many were applied."""

    def records(self, records: Iterable[Record]) -> Iterator[int]:
        """Put those that are of the database, of which no two are of the same key; how many were taken, again and
        again."""
        taken, size, chunk = 0, 0, []
        for record in records:
            taken += 1
            if record.database != self._database:
                continue
            chunk.append(record)
            size += len(record.key) + len(record.value)
            if len(chunk) >= CHUNK_FACTS or size >= CHUNK_BYTES:
                self._apply(chunk)
                yield taken
                size, chunk = 0, []
        self._apply(chunk)
        yield taken

    def changes(self, changes: Sequence[Change]) -> set[bytes] | None:
        """Let what happened be so; the keys that changed; None: all of them. CopyAgain."""
        last, flushed = self._last_of_each(changes)
        if flushed:
            self._flush()
        facts = [change for change in last.values() if not isinstance(change, Touched)]
        self.keys([change.key for change in last.values() if isinstance(change, Touched)])
        self._apply(facts)
        return None if flushed else set(last)

    def keys(self, keys: Sequence[bytes]) -> None:
        """Make these keys what they are in the source."""
        if not keys:
            return
        found = self._source.look(keys)
        self._apply([Delete(self._database, key) if record is None else record
                     for key, record in zip(keys, found, strict=True)])  # fmt: skip

    def _last_of_each(self, changes: Sequence[Change]) -> tuple[dict[bytes, Fact | Touched], bool]:
        last: dict[bytes, Fact | Touched] = {}
        flushed = False
        for change in changes:
            if change.database != self._database:
                continue
            if isinstance(change, Flush):
                last.clear()
                flushed = True
            elif isinstance(change, Gap):
                raise CopyAgain(change.reason)
            elif isinstance(change, Put):
                last[change.key] = Record(change.database, change.key, STRING, change.value, change.expires_at_ms)
            elif isinstance(change, Expire):
                last[change.key] = _with_expiry(last.get(change.key), change)
            else:
                last[change.key] = change
        return last, flushed

    def _flush(self) -> None:
        if self._others_in_target:
            raise TargetRefused(
                f"the source was flushed, and {self._target.describe()} was not empty when this began: "
                "which of its keys are to go cannot be told. Begin anew with an empty target"
            )
        self._target.flush()

    def _apply(self, facts: Sequence[Fact]) -> None:
        for chunk in _chunks(facts):
            missing = self._target.apply(chunk)
            self.facts += len(chunk)
            # Its time was up there before we came to tell that it has another one: its value has to come again.
            self.keys(missing)


def _with_expiry(before: Fact | Touched | None, change: Expire) -> Fact | Touched:
    """What a key's last fact comes to when it is given an expiry behind it."""
    if isinstance(before, Record):
        return before._replace(expires_at_ms=change.at_ms)
    if isinstance(before, (Delete, Touched)):
        return before
    # A server's PERSIST does not tell a key without expiry from one that is not there.
    return change if change.at_ms else Touched(change.database, change.key)


def _chunks(facts: Sequence[Fact]) -> Iterator[Sequence[Fact]]:
    chunk: list[Fact] = []
    size = 0
    for fact in facts:
        chunk.append(fact)
        size += len(fact.key) + (len(fact.value) if isinstance(fact, Record) else 0)
        if len(chunk) >= CHUNK_FACTS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
