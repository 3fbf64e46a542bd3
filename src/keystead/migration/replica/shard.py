"""One primary, followed: its keys, then its changes, and the place behind those that were told.

Owns: what the place is after each command; how far the primary itself is. Must not know: other primaries.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Condition
from typing import Final, NamedTuple

from keystead.engine.clock import wall_clock_ms
from keystead.errors import CommandError, ServerUnreachable
from keystead.migration.addresses import ServerAddress
from keystead.migration.replica.command_stream import CommandStream
from keystead.migration.replica.failures import DamagedSnapshot
from keystead.migration.replica.handshake import NotReady
from keystead.migration.replica.incoming import Incoming
from keystead.migration.replica.key_positions import KeyPositions
from keystead.migration.replica.primaries import Asking, Nodes, is_moving_slots, primaries_of
from keystead.migration.replica.rdb import Snapshot
from keystead.migration.replica.receiving import Receiver
from keystead.migration.replica.translating import Translator
from keystead.migration.source import Change, FollowingRefused, PositionLost, Record, SourceFailed

BATCH_CHANGES: Final = 2000
NODES_EVERY_S: Final = 1.0
"""A large cluster has much to tell of its nodes."""
_DATABASES: Final = 16
"""What a server has that does not say."""


class Place(NamedTuple):
    """Behind some byte of a primary's stream."""

    history: str
    """Its replication id."""
    offset: int
    database: int
    """The one that is selected there."""

    def __str__(self) -> str:
        return f"{self.history}:{self.offset}:{self.database}"


def place_of(text: str) -> Place:
    """The place that was written so. ValueError."""
    history, offset, database = text.split(":")
    return Place(history, int(offset), int(database))


class Shard:
    """One primary. Close it."""

    def __init__(
        self,
        address: ServerAddress,
        nodes: Nodes,
        slots: str,
        arrived: Condition,
        directory: str | None,
        place: Place | None = None,
    ) -> None:
        """Connect, to go on behind *place*; None: to begin with all keys. PositionLost, FollowingRefused,
        SourceFailed."""
        self.slots = slots
        self._address = address
        self._nodes = nodes
        self._asking: Asking | None = None
        began_ms = wall_clock_ms()
        self.total_keys = 0
        try:
            self._refuse_moving_slots()
            self._translator = Translator(KeyPositions(self._ask).keys, self._databases(), alone=not slots)
            if place is None:
                self.total_keys = _keys_in(self._ask(b"INFO", b"keyspace"))
                before = ("?", -2)
            else:
                self._translator.database = place.database
                before = (place.history, place.offset)
            self._receiver = Receiver(
                address,
                lambda: nodes.where(slots),
                history=before[0],
                offset=before[1],
                arrived=arrived,
                directory=directory,
            )
        except BaseException:
            self._hang_up()
            raise
        self._stream = CommandStream()
        self._offset = self._receiver.applied
        self.place = Place(self._receiver.history, self._offset, self._translator.database)
        """Behind the last change that was told."""
        self.known_until_ms = 0 if place else began_ms
        """All that was acknowledged up to then has been told."""
        self._nodes_seen_s = 0.0
        self._seen = (0, -1)  # when the primary was asked where its stream ends, and where; -1: not yet

    def records(self) -> Iterator[Record]:
        """All keys, of a shard that began with them. SourceFailed."""
        incoming = Incoming(self._receiver.snapshot_bytes)
        yield from Snapshot(incoming).records()
        if incoming.rest() or self._receiver.snapshot_bytes():
            raise DamagedSnapshot("the snapshot goes on behind its end")

    def take(self) -> list[Change]:
        """What has come and was not told, some at a time. PositionLost, SourceFailed."""
        changes: list[Change] = []
        translator = self._translator
        while len(changes) < BATCH_CHANGES and (data := self._receiver.stream_bytes()):
            history = self._receiver.history
            for command, length in self._stream.feed(data):
                changes += translator.changes(command)
                self._offset += length
                if not translator.in_transaction:
                    self.place = Place(history, self._offset, translator.database)
        return changes

    def applied(self) -> None:
        """All that was told has been applied: let the primary know."""
        self._receiver.applied = self.place.offset
        if self._translator.ack_wanted:
            self._translator.ack_wanted = False
            self._receiver.acknowledge_now()
        asked_ms, end = self._seen
        if 0 <= end <= self.place.offset:
            self.known_until_ms, self._seen = asked_ms, (0, -1)

    def look_ahead(self) -> None:
        """Ask the primary where its stream ends, unless what it said last is still to come; and whether it still has
        the slots that it had. PositionLost; a primary that is away is asked another time."""
        if self._seen[1] >= 0:
            return
        asked_ms = wall_clock_ms()
        try:
            self._seen = (asked_ms, self.end())
            if self.slots and time.monotonic() - self._nodes_seen_s > NODES_EVERY_S:
                self._nodes_seen_s = time.monotonic()
                self._refuse_moved_slots()
        except (ServerUnreachable, SourceFailed):
            return

    def end(self) -> int:
        """The offset that the primary has reached. ServerUnreachable, SourceFailed; NotReady while its history is not
        the one that is followed, as just after a failover: its offsets say nothing then. PositionLost."""
        info = self._ask(b"INFO", b"replication")
        told = dict(line.partition(b":")[::2] for line in info.splitlines())
        if (offset := told.get(b"master_repl_offset")) is None:
            raise SourceFailed(f"{self._address} does not say how far it is")
        if told.get(b"master_replid") != self._receiver.history.encode():
            self._receiver.raise_failure()
            raise NotReady(f"{self._address} has another history now")
        return int(offset)

    def close(self) -> None:
        """Hang up."""
        self._receiver.close()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    # --- Questions --------------------------------------------------------------------------------------------------

    def _ask(self, *words: bytes) -> bytes:
        """The primary of these slots, wherever it is now."""
        if self._asking is None:
            self._asking = Asking(self._address, *self._nodes.where(self.slots))
        try:
            reply: bytes = self._asking(*words)
        except ServerUnreachable:
            self._hang_up()
            raise
        return reply

    def _databases(self) -> int:
        try:
            reply = self._ask(b"CONFIG", b"GET", b"databases")
        except (CommandError, FollowingRefused):
            return _DATABASES
        return int(reply[1]) if reply else _DATABASES

    def _refuse_moving_slots(self) -> None:
        if self.slots and is_moving_slots(self._ask(b"CLUSTER", b"NODES").decode()):
            raise SourceFailed(f"slots of {self._address} are being moved between nodes; wait until that is done")

    def _refuse_moved_slots(self) -> None:
        """Of a key that moves, one primary tells the deletion and another one what comes after: in no order."""
        nodes = self._ask(b"CLUSTER", b"NODES").decode()
        mine = [primary.slots for primary in primaries_of(nodes, "") if primary.slots == self.slots]
        if is_moving_slots(nodes) or not mine:
            raise PositionLost(
                f"slots of {self._address} were moved between nodes while their changes were followed; wait until that "
                "is done"
            )


def _keys_in(info: bytes) -> int:
    """All keys that INFO's keyspace section counts: `db0:keys=3,expires=0,avg_ttl=0`."""
    return sum(
        int(line.partition(b"keys=")[2].partition(b",")[0])
        for line in info.splitlines()
        if line.startswith(b"db") and b":keys=" in line
    )
