"""A server, or a cluster, that keys are moved from: its keys are asked for, its changes come by a feed.

Owns: which commands ask a server, and how its writers are told to wait. Must not know: how a feed comes by changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keystead.engine.clock import wall_clock_ms
from keystead.migration.server_keys import DROP_CLIENTS, ServerKeys, Servers, answered
from keystead.migration.source import Batch, Feed, Record

NOTHING_NEW_S = 0.1


class ServerSource:
    """One database of a server, or a cluster."""

    def __init__(
        self, servers: Servers, name: str, database: int, feed: Feed | None, close: Callable[[], None]
    ) -> None:
        """Without a feed its changes are not followed: keys are read by SCAN only."""
        self._servers = servers
        self._name = name
        self._keys = ServerKeys(servers, database)
        self._feed: Feed = feed or ScannedOnce(self._keys)
        self._close = close
        self.follows = feed is not None
        self.unit = self._feed.unit
        self.parts_done = 0

    def describe(self) -> str:
        """As Source."""
        return self._name

    def identity(self) -> str:
        """As Source: the address, for a server's own id ends with its process."""
        return self._name

    def databases(self) -> dict[int, int]:
        """As Source."""
        counts: dict[int, int] = {}
        for place in self._servers.places():
            (reply,) = place.run([(b"INFO", b"keyspace")])
            for database, keys in _keyspaces(answered(reply)):
                counts[database] = counts.get(database, 0) + keys
        return counts

    def kinds(self) -> dict[str, int]:
        """As Source."""
        return self._keys.kinds()

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        """As Source."""
        return self._keys.look(keys)

    def scan(self) -> Iterator[list[Record]]:
        """As Source."""
        return self._keys.scan()

    def contents(self, key: bytes, kind: str) -> Any:
        """As ServerKeys."""
        return self._keys.contents(key, kind)

    def pause_writes(self, timeout_ms: int) -> bool:
        """As Source."""
        for place in self._servers.places():
            answered(place.run([(b"CLIENT", b"PAUSE", b"%d" % timeout_ms, b"WRITE")])[0])
        return True

    def resume_writes(self) -> None:
        """As Source."""
        for place in self._servers.places():
            answered(place.run([(b"CLIENT", b"UNPAUSE")])[0])

    def drop_writers(self) -> None:
        """As Source."""
        for place in self._servers.places():
            answered(place.run([DROP_CLIENTS])[0])

    # --- The feed ---------------------------------------------------------------------------------------------------

    def snapshot(self, parts_done: int = 0) -> Iterator[Record]:
        """As Source: always from the beginning."""
        assert not parts_done, "the snapshot of a server has no parts"
        return self._feed.snapshot()

    def resume(self, position: str) -> None:
        """As Feed."""
        self._feed.resume(position)

    def changes(self) -> Iterator[Batch]:
        """As Feed."""
        return self._feed.changes()

    @property
    def position(self) -> str:
        """As Feed."""
        return self._feed.position

    @property
    def total_keys(self) -> int:
        """As Feed."""
        return self._feed.total_keys

    def behind(self, position: str) -> int:
        """As Feed."""
        return self._feed.behind(position)

    def close(self) -> None:
        """As Feed."""
        self._feed.close()
        self._close()


class ScannedOnce:
    """A feed of a server that does not let itself be followed: all keys by SCAN, and no changes."""

    unit = "changes"
    position = "copied"

    def __init__(self, keys: ServerKeys) -> None:
        self._keys = keys
        self.total_keys = 0

    def snapshot(self) -> Iterator[Record]:
        """As Feed; what changes meanwhile may be as it was."""
        self.total_keys = self._keys.count()
        for records in self._keys.scan():
            yield from records

    def resume(self, position: str) -> None:
        """As Feed: comparing finds what changed since."""

    def changes(self) -> Iterator[Batch]:
        """As Feed: none."""
        while True:
            time.sleep(NOTHING_NEW_S)
            yield Batch((), self.position, wall_clock_ms())

    def behind(self, position: str) -> int:
        """As Feed: nobody knows; comparing does."""
        del position
        return 0

    def close(self) -> None:
        """As Feed."""


def _keyspaces(info: bytes) -> Iterator[tuple[int, int]]:
    """Number and keys of each database, of INFO's `db0:keys=3,expires=0,avg_ttl=0`."""
    for line in info.splitlines():
        name, separator, fields = line.partition(b":")
        if separator and name.startswith(b"db") and name[2:].isdigit():
            yield int(name[2:]), int(fields.partition(b",")[0].partition(b"=")[2])
