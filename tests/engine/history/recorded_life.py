"""A random life of a store in which a reader looks after every transaction; and what must be told of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from simulated_disk import SimulatedDisk
from stores import PATH, State, state_of
from workload import CHANGES, DATABASES, Workload

from keystead.engine.files import Directory
from keystead.engine.history.past import Moment, Past, Removed, alive
from keystead.engine.history.transactions import History, Transaction, after
from keystead.engine.operations import Author, Bind, Delete, Expired, Filler, Patch, SetExpiry

if TYPE_CHECKING:
    from random import Random

    from keystead.engine.engine import Options

NUMBERED = range(DATABASES)
AUTHORS = [Author("ada", "laptop"), Author("bob", "")]


class Told(NamedTuple):
    """A change of a key, as it must be told."""

    sequence: int | None
    time_ms: int
    operation: str
    author: Author
    state: tuple[bytes, int] | None


@dataclass
class Note:
    """What a reader saw after a transaction, and when that was committed."""

    state: State
    time_ms: int = -1


class RecordedLife(Workload):
    """Notes what there is after every transaction that can be told apart from outside."""

    def __init__(self, random: Random, disk: SimulatedDisk, options: Options) -> None:
        super().__init__(random, disk, options)
        self.notes: dict[int, Note] = {}
        self._past: Past | None = None

    def past(self) -> Past:
        """Of what is in the files now, by somebody who has followed them since the machine was started."""
        if self._past is None:
            self._past = Past(Directory(PATH, self.disk))
        self._past.refresh()
        return self._past

    def _die(self) -> None:
        super()._die()
        self._past = None  # what it had open died with the disk

    def open(self) -> None:
        """What the power cut has taken is no part of the past."""
        super().open()
        newest = self._engine().log.next_sequence - 1
        self.notes = {sequence: note for sequence, note in self.notes.items() if sequence <= newest}
        assert newest == 0 or self.notes[newest].state == state_of(self._engine())

    def change(self) -> None:
        """One turn, in which somebody reads after every change."""
        engine = self._engine()
        for _ in range(self.random.choice((1, 1, 2, 4))):
            engine.author = self.random.choice(AUTHORS)
            self.random.choice(CHANGES)(self, self._database())
            turn = engine.turn
            transactions = len(turn.ops) - sum(length - 1 for _, length in turn._groups)
            if transactions:
                self.notes[engine.log.next_sequence + transactions - 1] = Note(state_of(engine))
        self.end_turn()

    def end_turn(self) -> None:
        """All of a turn is committed at one time."""
        engine = self._engine()
        first = engine.log.next_sequence
        super().end_turn()
        last = engine.log.next_sequence - 1
        if last >= first:
            self.notes[last] = Note(state_of(engine))
        for sequence in range(first, last + 1):
            if sequence in self.notes:
                self.notes[sequence].time_ms = engine.clock.now_ms


class Model:
    """The past of a store, from a reader's notes and the log read from end to end, as simply as can be."""

    def __init__(self, past: Past, notes: dict[int, Note], disk: SimulatedDisk) -> None:
        self.floor, self.newest = past.floor, past.newest
        with History(Directory(PATH, disk), past.floor.sequence + 1) as history:
            self.transactions = list(history.read(past.newest.sequence + 1))
        self.times = {self.floor.sequence: self.floor.time_ms}
        self.times |= {each.sequence: each.time_ms for each in self.transactions}
        self.states: dict[int, State] = {}
        for sequence in range(self.floor.sequence, self.newest.sequence + 1):
            note = notes.get(sequence)
            if note is not None:
                self.states[sequence] = note.state
                assert sequence == self.floor.sequence or note.time_ms == self.times[sequence]

    def moment(self, sequence: int) -> Moment:
        return Moment(sequence, self.times[sequence])

    def moment_at(self, time_ms: int) -> int:
        return max(sequence for sequence, at_ms in self.times.items() if at_ms <= time_ms)

    def seen(self, sequence: int, database: int) -> dict[bytes, tuple[bytes, int]]:
        """What a reader saw, whose clock showed the time of that transaction."""
        there = self.states[sequence][database]
        return {key: state for key, state in there.items() if alive(state, self.times[sequence])}

    def changes(self, database: int, key: bytes) -> list[Told]:
        """Newest first."""
        told: list[Told] = []
        was = alive(self.states[self.floor.sequence][database].get(key), self.floor.time_ms)
        for transaction in self.transactions:
            state = self.states[transaction.sequence][database].get(key)
            name = operation_on(transaction, database, key)
            if name in ("flush", "swap"):
                state = alive(state, transaction.time_ms)  # or somebody would be told of a key that nobody could see
            if name and was and 0 < was[1] <= transaction.time_ms:
                sequence = transaction.sequence if name == "expired" else None
                told.append(Told(sequence, was[1], "expired", Author("", ""), None))
                was = None
            if name not in ("", "expired") and (name not in ("flush", "swap") or was != state):
                told.append(Told(transaction.sequence, transaction.time_ms, name, transaction.author, state))
            if name:
                was = state
            else:
                assert state in (was, self.states[transaction.sequence - 1][database].get(key))
        if was and 0 < was[1] <= self.newest.time_ms:
            told.append(Told(None, was[1], "expired", Author("", ""), None))
        return told[::-1]

    def removed(self, database: int) -> list[Removed]:
        """All of them, the last removed first."""
        names = {key for state in self.states.values() for key in state[database]}
        found = []
        for key in names - set(self.states[self.newest.sequence][database]):
            gone = max(n for n, state in self.states.items() if key in state[database]) + 1
            was = self.states[gone - 1][database][key]
            nobody = Told(gone, was[1], "expired", Author("", ""), None)
            last = next((each for each in self.changes(database, key) if each.sequence == gone), nobody)
            found.append(
                Removed(key, database, gone, last.time_ms, last.operation, last.author.user, last.author.client, *was)
            )
        return sorted(found, key=lambda each: (-each.sequence, each.key))


def operation_on(transaction: Transaction, database: int, key: bytes) -> str:
    """What the transaction did to the key, in a word."""
    shown = transaction.databases[database]
    name = ""
    for operation in transaction.operations:
        if isinstance(operation, Filler):
            continue
        if isinstance(operation, Bind):
            if operation.database == database:
                name, shown = "flush", operation.keyspace
                others = [each for each in transaction.operations if isinstance(each, Bind) and each is not operation]
                if any(each.keyspace == transaction.databases[database] for each in others):
                    name = "swap"
        elif operation.keyspace == shown and operation.key == key:
            name = {Delete: "delete", Expired: "expired", Patch: "patch"}.get(type(operation), "put")  # type: ignore[arg-type]
            if isinstance(operation, SetExpiry):
                name = "expire" if operation.expires_at_ms else "persist"
    assert after(transaction.databases, transaction.operations)[database] == shown
    return name
