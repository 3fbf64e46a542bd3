"""The recycle bin: keys that were there and are not there now, the last removed first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keystead.engine.history.answers import Behind, Removed
from keystead.engine.history.flushed import Flushed
from keystead.engine.history.key_changes import key_changes, steps_of
from keystead.engine.history.log_segment import of_kinds
from keystead.engine.history.retained_log import binds_in
from keystead.engine.operations import REMOVING, Bind, Change

if TYPE_CHECKING:
    from keystead.engine.history.log_segment import Touch
    from keystead.engine.history.retained_log import RetainedGeneration, RetainedLog


class RecycleBin:
    """Looks for the removed keys of one database that begin so, page by page."""

    def __init__(self, log: RetainedLog, database: int, prefix: bytes) -> None:
        self._log = log
        self._database = database
        self._prefix = prefix
        self._flushed = Flushed(log, database, prefix)
        self._settled: set[bytes] = set()
        """Keys that were there, or are, behind what has been looked at: what removed them before that does not count,
        whatever becomes of them. Pages go back, so it holds for the following ones too."""

    def page(
        self, before: int | Behind | None, limit: int, deadline_s: float
    ) -> tuple[list[Removed], int | Behind | None]:
        """See `Past.removed`. *before* is where the last page ended, if there was one."""
        found: list[Removed] = []
        last, behind = self._log.newest.sequence, 0
        if isinstance(before, Behind):
            last, behind = min(last, before.sequence), before.number
        elif before is not None:
            last = min(last, before - 1)
        looked_at = 0
        for touch, shown in self._touches(last):
            # One key at least is looked at, however long that takes: else whoever goes on there would come no further.
            if looked_at and self._is_over(found, limit, deadline_s):
                return found, touch.sequence + 1
            keys = self._keys(touch, shown)
            for number in range(behind if touch.sequence == last else 0, len(keys)):
                if looked_at and self._is_over(found, limit, deadline_s):
                    return found, Behind(touch.sequence, number)
                removed = self._removed(touch, shown, keys[number], number + 1)
                if removed is not None:
                    found.append(removed)
                looked_at += 1
            looked_at += 1
        return found, None

    @staticmethod
    def _is_over(found: list[Removed], limit: int, deadline_s: float) -> bool:
        return len(found) >= limit or time.monotonic() > deadline_s

    def _touches(self, last: int) -> Iterator[tuple[Touch, int]]:
        """What may have removed keys, newest first; and which keyspace the database showed before it."""
        for generation in reversed(self._log.generations):
            if generation.start.sequence < last:
                yield from self._touches_in(generation, last)

    def _touches_in(self, generation: RetainedGeneration, last: int) -> Iterator[tuple[Touch, int]]:
        shown = generation.databases_at(last)[self._database]
        wanted = of_kinds(REMOVING | {Bind}, self._may_remove)
        for segment in reversed(generation.segments):
            if segment.header.first_sequence > last:
                continue
            for place in segment.index.removed(segment.end_of(last)):
                for touch in reversed(segment.touches(place, wanted)):
                    if touch.sequence > last:
                        continue
                    if binds_in(touch):
                        shown = generation.databases_at(touch.sequence - 1)[self._database]
                    yield touch, shown

    def _may_remove(self, change: Change) -> bool:
        if isinstance(change, Bind):
            return change.database == self._database
        return change.key.startswith(self._prefix)

    def _keys(self, touch: Touch, shown: int) -> list[bytes]:
        """What the transaction may have removed, in order. It is the same whenever it is asked, so that places hold."""
        named = {each.key for each in touch.operations if not isinstance(each, Bind) and each.keyspace == shown}
        if not binds_in(touch):
            return sorted(named)
        taken = self._flushed.keys(touch.sequence)
        return sorted(named.union(taken)) if named else taken

    def _removed(self, touch: Touch, shown: int, key: bytes, number: int) -> Removed | None:
        """The key, when this is what removed it for good."""
        if key in self._settled:
            return None
        log, database = self._log, self._database
        newest = log.newest.sequence
        was = log.find(shown, key, touch.sequence - 1)
        if was is None:
            return None
        self._settled.add(key)
        if log.find(log.databases_at(newest)[database], key, newest) is not None:
            return None
        for step in steps_of(log, database, key):
            if step.touch.sequence <= touch.sequence:
                break
            if log.find(step.keyspace, key, step.touch.sequence - 1) is not None:
                return None  # it came back, and was removed later
        changes = key_changes(log, database, key, 1, touch.sequence + 1)
        told = next((change for change in changes if change.sequence == touch.sequence), None)
        if told is None:  # its time was up, and nobody removed it before another keyspace was shown
            return Removed(key, database, touch.sequence, was[1], "expired", "", "", *was, number)
        author = told.user, told.client
        return Removed(key, database, touch.sequence, told.time_ms, told.operation, *author, *was, number)
