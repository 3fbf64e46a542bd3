"""Which keys each flush and swap of one database took: the log does not say, so a view must be put together.

One view is moved on from flush to flush, so that many of them cost as much as one. What was found is kept: a bin is
emptied by pages.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from keystead.engine.history.view_at import Replay, in_order, raw_keys_of

if TYPE_CHECKING:
    from keystead.engine.history.retained_log import RetainedLog

MOST_KEYS: Final = 1 << 20
"""So many are kept, of the latest of the flushes that were looked for; of one there may be more."""
RUN_KEYS: Final = 1 << 12
"""So many are looked at between two rests."""


class Flushed:
    """Of one database, the keys that begin so."""

    def __init__(self, log: RetainedLog, database: int, prefix: bytes) -> None:
        self._log = log
        self._database = database
        self._prefix = prefix
        self._taken: dict[int, list[bytes]] = {}
        """By the transaction that took them."""

    def keys(self, sequence: int) -> list[bytes]:
        """Those that were there before the transaction, which bound the database, in order; whether or not their time
        was up."""
        if sequence not in self._taken:
            self._look(sequence)
        taken = self._taken[sequence]
        runs = [taken[start : start + RUN_KEYS] for start in range(0, len(taken), RUN_KEYS)]
        return in_order(runs, self._log.between_frames)

    def _look(self, last: int) -> None:
        """Find them of that transaction and of those before it in its generation, as many as are kept."""
        self._taken.clear()
        generation = self._log.generation_of(last - 1)
        replay = Replay(self._log, generation)
        latest: deque[tuple[int, list[bytes]]] = deque()
        count = 0
        for sequence in generation.binds_of(self._database, last):
            view = replay.move_to(sequence - 1)
            found = raw_keys_of(view, self._database, self._prefix, self._log.between_frames)
            latest.append((sequence, found))
            count += len(found)
            while count > MOST_KEYS and len(latest) > 1:
                count -= len(latest.popleft()[1])
        self._taken.update(latest)
