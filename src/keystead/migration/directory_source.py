"""A data directory that keys are moved from: its files are read, whether or not a server has it open, which goes on to
append, seal, make checkpoints and drop files meanwhile.

Owns: a view in bounded memory, then transactions as facts. Must not know: where they go. Only what is on disk is told:
what a power cut could take back must not be elsewhere.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from keystead.backup.digests import PASS_BYTES
from keystead.backup.looking import Look, Watch
from keystead.engine.checkpoint import read_checkpoint
from keystead.engine.clock import wall_clock_ms
from keystead.engine.expiries import expiry_of
from keystead.engine.files import Directory
from keystead.engine.history.events import events_of
from keystead.engine.history.past import HistoryDropped, Past
from keystead.engine.history.transactions import Transaction
from keystead.engine.keyspace import SHARDS
from keystead.engine.operations import Delete as LoggedDelete
from keystead.engine.operations import Expired, PutExpiring, SetExpiry
from keystead.engine.operations import Put as LoggedPut
from keystead.engine.recovery import Recovered, read_sealed
from keystead.engine.view import DATABASES, View
from keystead.migration.server_keys import DROP_CLIENTS, Place, answered
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

if TYPE_CHECKING:
    from keystead.engine.manifest import Manifest

LOOK_EVERY_S = 0.1
BATCH_CHANGES = 1000


class DirectorySource:
    """One data directory. Close it."""

    unit = "transactions"
    follows = True

    def __init__(
        self,
        path: str,
        database: int,
        server: Place | None = None,
    ) -> None:
        """DirectoryUnusable, DamagedData. *server* has the store open, if any has, and is told of pauses."""
        self._path = path
        self._database = database
        self._server = server
        self._directory = Directory(path)
        self._watch = Watch(self._directory)
        look = self._look()
        self._store = look.manifest.store
        self._history, self._sequence = look.manifest.history, look.sequence
        self._past: Past | None = None
        self._total_keys = 0
        self.parts_done = 0

    def describe(self) -> str:
        """As Source."""
        return self._path

    def identity(self) -> str:
        """As Source: the id that the store got when it was made."""
        return self._store

    # --- Keys as they are -------------------------------------------------------------------------------------------

    def databases(self) -> dict[int, int]:
        """As Source."""
        counts = dict.fromkeys(range(DATABASES), 0)
        with closing(_Moment(self._directory)) as moment:
            for view, shards in moment.views():
                for database, keyspace in enumerate(view.databases):
                    shown = view.keyspaces.get(keyspace)
                    counts[database] += sum(len(shown.shards[i]) for i in shards) if shown else 0
        self._total_keys = sum(counts.values())
        return {database: count for database, count in counts.items() if count}

    def kinds(self) -> dict[str, int]:
        """As Source."""
        return {STRING: self.databases().get(self._database, 0)}

    def scan(self) -> Iterator[list[Record]]:
        """As Source: all of one moment."""
        with closing(_Moment(self._directory)) as moment:
            for _, records in moment.records():
                yield [record for record in records if record.database == self._database]

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        """As Source."""
        look = self._same_history(self._look())
        past = self._refreshed(look.sequence)
        states = past.raw_states(self._database, keys, look.sequence)
        found = ((key, states[key]) for key in keys)
        return [None if state is None else Record(self._database, key, STRING, *state) for key, state in found]

    # --- As a feed --------------------------------------------------------------------------------------------------

    def snapshot(self, parts_done: int = 0) -> Iterator[Record]:
        """As Source: a part is a shard, which is the same for as long as the store lives."""
        self.parts_done = parts_done
        with closing(_Moment(self._directory)) as moment:
            self._history, self._sequence = moment.look.manifest.history, moment.look.sequence
            for shard, records in moment.records(parts_done):
                self.parts_done = shard
                yield from records
        self.parts_done = SHARDS

    def resume(self, position: str) -> None:
        """As Feed."""
        history, sequence = _parsed(position)
        look = self._look()
        if look.manifest.history != history:
            raise PositionLost(f"{self._path} has another history than when it was followed before")
        if sequence > look.sequence:
            raise PositionLost(f"{self._path} ends before transaction {sequence:,}, which was followed before")
        self._history, self._sequence = history, sequence

    @property
    def position(self) -> str:
        """As Feed."""
        return f"{self._history}:{self._sequence}"

    @property
    def total_keys(self) -> int:
        """As Feed."""
        return self._total_keys

    def changes(self) -> Iterator[Batch]:
        """As Feed."""
        looked_s = 0.0
        while True:
            time.sleep(max(0.0, looked_s + LOOK_EVERY_S - time.monotonic()))
            looked_s, asked_ms = time.monotonic(), wall_clock_ms()
            look = self._same_history(self._look())
            if look.sequence > self._sequence:
                yield from self._changes_up_to(look.sequence)
            yield Batch((), self.position, asked_ms)

    def _changes_up_to(self, sequence: int) -> Iterator[Batch]:
        changes: list[Change] = []
        try:
            past = self._refreshed(sequence)
            for transaction in past.transactions(self._sequence + 1, sequence + 1):
                changes += changes_of(transaction)
                self._sequence = transaction.sequence
                if len(changes) >= BATCH_CHANGES:
                    yield Batch(changes, self.position, transaction.time_ms - 1)
                    changes = []
        except HistoryDropped as error:
            raise PositionLost(
                f"{self._path} keeps transactions from {error.floor:,} on, and {self._sequence + 1:,} is needed; "
                "let it keep more history while its keys are moved (history-max-bytes)"
            ) from None
        if changes:
            yield Batch(changes, self.position, transaction.time_ms - 1)

    def behind(self, position: str) -> int:
        """As Source."""
        look = self._same_history(self._look())
        return max(0, look.sequence - _parsed(position)[1])

    def pause_writes(self, timeout_ms: int) -> bool:
        """As Source."""
        self._tell(b"CLIENT", b"PAUSE", b"%d" % timeout_ms, b"WRITE")
        return self._server is not None

    def resume_writes(self) -> None:
        """As Source."""
        self._tell(b"CLIENT", b"UNPAUSE")

    def drop_writers(self) -> None:
        """As Source."""
        self._tell(*DROP_CLIENTS)

    def _tell(self, *words: bytes) -> None:
        if self._server is not None:
            answered(self._server.run([words])[0])

    def close(self) -> None:
        """As Feed."""
        self._watch.close()
        if self._past is not None:
            self._past.close()

    # --- Files ------------------------------------------------------------------------------------------------------

    def _look(self) -> Look:
        look = self._watch.look(lambda _: False)
        self._watch.files.let_go(look.open_files)
        return look

    def _same_history(self, look: Look) -> Look:
        if look.manifest.history != self._history:
            raise PositionLost(f"{self._path} has another history now: it was ended without having synced its log")
        return look

    def _refreshed(self, sequence: int) -> Past:
        if self._past is None:
            self._past = Past(self._directory, sequence + 1)
        else:
            self._past.refresh(sequence + 1)
        return self._past


class _Moment:
    """All files of the newest generation, held open however long they are read, and what is in them."""

    def __init__(self, directory: Directory) -> None:
        self._watch = Watch(directory)
        self.look = self._watch.look(lambda _: False, whole_generation=True)

    def records(self, first_shard: int = 0) -> Iterator[tuple[int, list[Record]]]:
        """All keys, shard by shard, each time with the number of the shard; those whose time is up are among them."""
        for view, shards in self.views(first_shard):
            for i in shards:
                for database, number in enumerate(view.databases):
                    keyspace = view.keyspaces.get(number)
                    if keyspace is not None and keyspace.shards[i]:
                        expires = keyspace.expires[i]
                        yield (
                            i,
                            [
                                Record(database, key, STRING, bytes(value), expiry_of(expires, key))
                                for key, value in keyspace.shards[i].items()
                            ],
                        )
                view.let_go(i)

    def views(self, first_shard: int = 0) -> Iterator[tuple[View, range]]:
        """The view, some shards at a time, so that memory is bounded."""
        manifest = self.look.manifest
        passes = max(1, -(-manifest.current.stored_bytes() // PASS_BYTES))
        bounds = (max(first_shard, SHARDS * i // passes) for i in range(passes + 1))
        for low, high in itertools.pairwise(bounds):
            if low == high:
                continue
            yield _view(self._watch.files, manifest, range(low, high)), range(low, high)

    def close(self) -> None:
        """Let the files go."""
        self._watch.close()


def _view(files: Directory, manifest: Manifest, wanted: range) -> View:
    recovered = Recovered(View(manifest.seed, wanted))
    checkpoint = manifest.current.checkpoint
    if checkpoint is not None:
        for _ in read_checkpoint(files, manifest.store_id, checkpoint, recovered.view, wanted):
            pass
        recovered.position = checkpoint.position
    for record in manifest.current.segments:
        for _ in read_sealed(files, manifest.store_id, record, recovered):
            pass
    return recovered.view


def changes_of(transaction: Transaction) -> Iterator[Change]:
    """What the transaction changed, in order."""
    for event in events_of(transaction):
        change, database = event.change, event.db
        if isinstance(change, LoggedPut):
            yield Put(database, change.key, change.value, 0)
        elif isinstance(change, PutExpiring):
            yield Put(database, change.key, change.value, change.expires_at_ms)
        elif isinstance(change, (LoggedDelete, Expired)):
            yield Delete(database, change.key)
        elif isinstance(change, SetExpiry):
            yield Expire(database, change.key, change.expires_at_ms)
        elif event.key is not None:
            yield Touched(database, event.key)
        elif event.other_db is None:
            yield Flush(database)
        else:
            for swapped in (database, event.other_db):
                yield Gap(swapped, f"databases {database} and {event.other_db} were swapped")


def _parsed(position: str) -> tuple[str, int]:
    history, _, sequence = position.rpartition(":")
    return history, int(sequence)
