"""The recycle bin: keys that were there and are not there now, the last removed first."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from keystead.engine.history.answers import Behind, Moment, Removed
from keystead.engine.history.key_changes import key_changes, steps_of
from keystead.engine.history.log_segment import of_kinds
from keystead.engine.history.view_at import keys_of
from keystead.engine.operations import REMOVING, Bind, Change

if TYPE_CHECKING:
    from keystead.engine.history.log_segment import Touch
    from keystead.engine.history.retained_log import RetainedGeneration, RetainedLog
    from keystead.engine.view import View


class RecycleBin:
    """Looks for removed keys that begin so. *view_at* rebuilds a moment: the log does not say what a flush takes."""

    def __init__(self, log: RetainedLog, view_at: Callable[[Moment], View], database: int, prefix: bytes) -> None:
        self._log = log
        self._view_at = view_at
        self._database = database
        self._prefix = prefix

    def page(
        self, before: int | Behind | None, limit: int, deadline_s: float
    ) -> tuple[list[Removed], int | Behind | None]:
        """See `Past.removed`."""
        found: list[Removed] = []
        last, behind = self._log.newest.sequence, b""
        if isinstance(before, Behind):
            last, behind = min(last, before.sequence), before.key
        elif before is not None:
            last = min(last, before - 1)
        for touch, shown in self._touches(last):
            if len(found) >= limit or time.monotonic() > deadline_s:
                return found, touch.sequence + 1
            keys = self._keys(touch, shown)
            if behind and touch.sequence == last:
                keys = keys[bisect_right(keys, behind) :]
            for at, key in enumerate(keys):
                removed = self._removed(touch, shown, key)
                if removed is not None:
                    found.append(removed)
                if at + 1 < len(keys) and (len(found) >= limit or time.monotonic() > deadline_s):
                    return found, Behind(touch.sequence, key)
        return found, None

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
                    if any(isinstance(each, Bind) for each in touch.operations):
                        shown = generation.databases_at(touch.sequence - 1)[self._database]
                    yield touch, shown

    def _may_remove(self, change: Change) -> bool:
        if isinstance(change, Bind):
            return change.database == self._database
        return change.key.startswith(self._prefix)

    def _keys(self, touch: Touch, shown: int) -> list[bytes]:
        keys = {each.key for each in touch.operations if not isinstance(each, Bind) and each.keyspace == shown}
        if any(isinstance(each, Bind) for each in touch.operations):
            view = self._view_at(self._log.moment(touch.sequence - 1))
            keys |= set(keys_of(view, self._database, self._prefix, 0, self._log.between_frames))
        return sorted(keys)

    def _removed(self, touch: Touch, shown: int, key: bytes) -> Removed | None:
        """The key, when this is what removed it for good."""
        log, database = self._log, self._database
        newest = log.newest.sequence
        was = log.find(shown, key, touch.sequence - 1)
        if was is None or log.find(log.databases_at(newest)[database], key, newest) is not None:
            return None
        for step in steps_of(log, database, key):
            if step.touch.sequence <= touch.sequence:
                break
            if log.find(step.keyspace, key, step.touch.sequence - 1) is not None:
                return None  # it came back, and was removed later
        changes = key_changes(log, database, key, 1, touch.sequence + 1)
        told = next((change for change in changes if change.sequence == touch.sequence), None)
        if told is None:  # its time was up, and nobody removed it before another keyspace was shown
            return Removed(key, database, touch.sequence, was[1], "expired", "", "", *was)
        return Removed(key, database, touch.sequence, told.time_ms, told.operation, told.user, told.client, *was)
