"""The keys and changes of a server, or of all primaries of a cluster, in the manner of a replica.

Each primary is followed on its own; a key's changes all come from one, so no order between them is needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Condition
from typing import Final

from keystead.errors import CommandError, ServerUnreachable
from keystead.migration.addresses import ServerAddress
from keystead.migration.connection import AGAIN_S, PATIENCE_S
from keystead.migration.replica.handshake import NotReady
from keystead.migration.replica.primaries import Nodes
from keystead.migration.replica.shard import Place, Shard, place_of
from keystead.migration.source import Batch, Change, FollowingRefused, PositionLost, Record, SourceFailed

NOTHING_NEW_S: Final = 0.1
LOOK_AHEAD_EVERY_S: Final = 0.5


class ReplicaFeed:
    """A Feed. Close it."""

    unit = "bytes"

    def __init__(self, address: ServerAddress, spool_directory: str | None = None) -> None:
        """What is received and not read yet waits in files of *spool_directory*; None: where temporary files are."""
        self._address = address
        self._directory = spool_directory
        self._nodes = Nodes(address)
        self._shards: list[Shard] = []
        self._arrived = Condition()

    def snapshot(self) -> Iterator[Record]:
        """As Feed."""
        self._follow({})
        for shard in self._shards:
            yield from shard.records()

    def resume(self, position: str) -> None:
        """As Feed."""
        try:
            places = {slots: place_of(text) for slots, text in _parts(position)}
        except ValueError:
            raise PositionLost(f"{position!r} is no place in the changes of {self._address}") from None
        self._follow(places)

    def changes(self) -> Iterator[Batch]:
        """As Feed."""
        looked_s = 0.0
        while True:
            told = False
            for shard in self._shards:
                if changes := shard.take():
                    told = True
                    yield self._batch(changes)
                shard.applied()  # whoever asks for more has applied what it got
            if not told:
                with self._arrived:
                    self._arrived.wait(NOTHING_NEW_S)
                yield self._batch([])
            if not told or time.monotonic() - looked_s > LOOK_AHEAD_EVERY_S:
                looked_s = time.monotonic()
                for shard in self._shards:
                    shard.look_ahead()

    @property
    def position(self) -> str:
        """As Feed."""
        return ";".join(f"{shard.slots}={shard.place}" for shard in self._shards)

    @property
    def total_keys(self) -> int:
        """As Feed."""
        return sum(shard.total_keys for shard in self._shards)

    def behind(self, position: str) -> int:
        """As Feed."""
        places = {slots: place_of(text) for slots, text in _parts(position)}
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return sum(max(0, shard.end() - places[shard.slots].offset) for shard in self._shards)
            except (ServerUnreachable, NotReady) as error:
                if time.monotonic() > deadline_s:
                    raise SourceFailed(str(error)) from error
            time.sleep(AGAIN_S)

    def close(self) -> None:
        """As Feed."""
        while self._shards:
            self._shards.pop().close()

    def _follow(self, places: dict[str, Place]) -> None:
        """All primaries from these places; none: from the beginning. PositionLost, FollowingRefused, SourceFailed."""
        self.close()
        try:
            primaries = self._nodes.primaries()
            if places and {primary.slots for primary in primaries} != set(places):
                raise PositionLost(f"other nodes of {self._address} have its slots than when it was followed before")
            for primary in primaries:
                place = places.get(primary.slots)
                self._shards.append(
                    Shard(self._address, self._nodes, primary.slots, self._arrived, self._directory, place)
                )
        except ServerUnreachable as error:
            self.close()
            raise SourceFailed(str(error)) from error
        except CommandError as error:
            self.close()
            raise FollowingRefused(f"{self._address} does not let itself be followed: {error}") from error
        except BaseException:
            self.close()
            raise

    def _batch(self, changes: list[Change]) -> Batch:
        return Batch(changes, self.position, min(shard.known_until_ms for shard in self._shards))


def _parts(position: str) -> Iterator[tuple[str, str]]:
    for part in position.split(";"):
        slots, _, place = part.partition("=")
        yield slots, place
