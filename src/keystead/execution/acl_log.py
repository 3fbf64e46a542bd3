"""ACL LOG: who was refused what, newest first. What happens again within a minute is counted, not repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Reason: TypeAlias = Literal["command", "key", "channel", "auth"]
Context: TypeAlias = Literal["toplevel", "multi"]

GROUPED_MS = 60_000
LOOKED_AT = 10
"""Of so many of the newest entries one may be the same."""


@dataclass(slots=True)
class Entry:
    """One refusal, or several alike."""

    id: int
    reason: Reason
    context: Context
    object: bytes
    """The command, key or channel; for "auth" the command by which the login was tried."""
    username: bytes
    client: bytes
    """The line of CLIENT LIST, at the last time."""
    created_ms: int
    updated_ms: int
    count: int = 1


class AclLog:
    """The entries."""

    def __init__(self, max_entries: int, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.entries: list[Entry] = []
        self.clock_ms = clock_ms
        self._max_entries = max_entries
        self._next_id = 0

    def configure(self, max_entries: int) -> None:
        """Keep so many; the oldest go."""
        self._max_entries = max_entries
        del self.entries[max_entries:]

    def add(self, reason: Reason, context: Context, object_: bytes, username: bytes, client: bytes) -> None:
        """Note a refusal."""
        now_ms = self.clock_ms()
        for at, entry in enumerate(self.entries[:LOOKED_AT]):
            same = (entry.reason, entry.context, entry.object, entry.username) == (reason, context, object_, username)
            if same and abs(now_ms - entry.updated_ms) <= GROUPED_MS:
                del self.entries[at]
                entry.count += 1
                entry.client, entry.updated_ms = client, now_ms
                self.entries.insert(0, entry)
                return
        new = Entry(self._next_id, reason, context, object_, username, client, now_ms, now_ms)
        self._next_id += 1
        self.entries.insert(0, new)
        del self.entries[self._max_entries :]
