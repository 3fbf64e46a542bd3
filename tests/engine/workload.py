"""A random life of a store: turns of changes, syncs, housekeeping, restarts; and what a recovery may find after each.

Every turn that was ended is a *moment*. A recovery must find one of them, never less than what was durable.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from simulated_disk import Image, SimulatedDisk
from stores import EMPTY, SMALL, HandClock, State, opened, state_of

from keystead.engine import operations as op
from keystead.engine.operations import encode_entries
from keystead.engine.restoring import Restoration, fill
from keystead.errors import DiskFailure, DiskFull, WriteRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from keystead.engine.bindings import Database
    from keystead.engine.engine import Engine, Options
    from keystead.engine.staging import Staged

KEYS = [b"a", b"b", b"bb", b"c", b"d\0\xff", b"e" * 20]
DATABASES = 3
EMPTY_DISK = Image.of({"/home": {}})


class Moment(NamedTuple):
    """What there is after a turn."""

    state: State
    next_sequence: int


NOTHING = Moment(EMPTY, 1)


def moment_of(engine: Engine) -> Moment:
    """What is in memory now, every turn ended."""
    return Moment(state_of(engine), engine.log.next_sequence)


class Workload:
    """Drives one store on one disk. `moments[durable:]` are what a recovery may find now."""

    def __init__(self, random: Random, disk: SimulatedDisk, options: Options = SMALL) -> None:
        self.random = random
        self.disk = disk
        self.options = options
        self.may_lose = options.fsync != "always"
        """Whether something is acknowledged before it is synced."""
        self.steps = STEPS
        self.clock = HandClock()
        self.moments = [NOTHING]
        self._before = 0
        """Index of the moment at which the engine was opened: its turn 0."""
        self._begun_with = 0
        """How much of what is there was proven durable before the engine was opened."""
        self._value = 0
        self.in_flight = False
        """Whether a turn is being appended that is not among the moments yet."""
        self.after_step: Callable[[], None] = lambda: None
        self.engine: Engine | None = None
        self.history = ""
        self._told_before = 0

    @property
    def told(self) -> int:
        """Index of the last moment whose sequence number somebody may have been told in this history."""
        return max(self._told_before, self._before + self.engine.durable_turn) if self.engine else self._told_before

    @property
    def durable(self) -> int:
        """Index of the last moment that was acknowledged."""
        engine = self.engine
        if engine is None or self.may_lose:
            return self._begun_with
        return max(self._begun_with, self._before + engine.durable_turn)

    # --- Life -------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the process; if the disk is so full that it cannot, make room first."""
        try:
            self.engine = opened(self.disk, self.options, self.clock)
        except DiskFailure:
            assert self.disk.capacity is not None
            self.disk.capacity = None
            self.engine = opened(self.disk, self.options, self.clock)
        found = moment_of(self.engine)
        self._before = self.find(found)
        if self.engine.history_id == self.history:
            assert self._before >= self._told_before, "a sequence number that was told would be used again"
        else:
            assert not self.history or self.may_lose, "nothing that was told can be lost"
        self.history, self._told_before = self.engine.history_id, self._before
        del self.moments[self._before + 1 :]
        self._begun_with = self._before  # all that a start has read is durable before it serves

    def find(self, found: Moment) -> int:
        """The index of that moment, which must be one that a recovery may find."""
        for index in range(len(self.moments) - 1, self.durable - 1, -1):
            if self.moments[index] == found:
                return index
        raise AssertionError(f"recovered {found}, which is none of {self.moments[self.durable :]}")

    def run(self, steps: int) -> None:
        """That many random steps."""
        for _ in range(steps):
            step = self.random.choice(self.steps) if self.engine else Workload.open
            step(self)
            self.after_step()

    def end_turn(self) -> None:
        """Commit what is recorded, if anything is."""
        engine = self._engine()
        if engine.ops:
            self.in_flight = True
            engine.end_turn()
            self.in_flight = False
            self.moments.append(moment_of(engine))

    # --- Steps ------------------------------------------------------------------------------------------------------

    def change(self) -> None:
        """One turn of one to four changes, by one or two authors."""
        for _ in range(self.random.choice((1, 1, 2, 4))):
            self.random.choice(CHANGES)(self, self._database())
        self.end_turn()

    def change_and_sync(self) -> None:
        """A turn that is acknowledged."""
        self.change()
        self._engine().sync()

    def sync_while_others_write(self) -> None:
        """A sync elsewhere, during which turns are appended."""
        engine = self._engine()
        ticket = engine.begin_sync()
        self.change()
        if ticket is not None:
            for file in ticket.files:
                file.sync()
            if self.random.random() < 0.5:
                self.change()
            engine.finish_sync(ticket)

    def housekeep(self) -> None:
        """Time passes, and what is due is done."""
        engine = self._engine()
        self.clock.at_ms += self.random.choice((0, 10, 400, 3000))
        for _ in range(self.random.choice((1, 1, 6))):
            engine.housekeep(1)
            self.end_turn()
        if engine.options.fsync == "always":
            engine.sync()

    def checkpoint(self) -> None:
        """SAVE."""
        engine = self._engine()
        engine.sync()
        engine.request_checkpoint()
        engine.housekeep(1)
        self.end_turn()

    def restart(self) -> None:
        """A clean stop and a start."""
        whole, history = not self._engine().log.holding, self.history
        self._close()
        self.open()
        assert not whole or self.history == history, "a clean stop loses nothing"

    def _close(self) -> None:
        engine = self._engine()
        self._told_before = self.told
        engine.close()
        # What a full disk held back to the last was never acknowledged.
        self._begun_with = self.durable if engine.log.holding else len(self.moments) - 1
        self.engine = None

    def kill(self) -> None:
        """The process dies, the machine goes on: whatever was written is still there."""
        held = self._engine().log.holding
        self._die()
        self.disk.kill()
        last = self.moments[-1]
        self.open()
        assert held or self.moments[-1] == last

    def lose_power(self) -> None:
        """The machine dies, and starts again."""
        self._die()
        after = self.disk.after
        self.disk = SimulatedDisk(self.disk.crash_state(self.random))
        self.disk.after = after
        self.open()

    def _die(self) -> None:
        self._begun_with, self._told_before = self.durable, self.told
        self.engine = None

    def choose_durability(self) -> None:
        """CONFIG SET appendfsync."""
        self.may_lose = True
        self._engine().configure(self.options._replace(fsync=self.random.choice(("always", "interval", "never"))))

    def forget(self) -> None:
        """KS.FORGET of a key, and a little of what must follow."""
        engine = self._engine()
        turn = engine.open_turn
        self.in_flight = True
        with contextlib.suppress(DiskFull):
            engine.forget(self._database(), [self._key()])
        self.in_flight = False
        if engine.open_turn > turn:
            self.moments.append(moment_of(engine))
        for _ in range(self.random.choice((1, 2, 8))):
            engine.sync()
            engine.housekeep(1)
            self.end_turn()

    def restore(self) -> None:
        """Many keys at once, by a transaction whose parts are written over several turns; or it is given up."""
        engine = self._engine()
        staged = engine.stage()
        with contextlib.suppress(WriteRefused):
            self._restore(staged)
        staged.give_up()

    def _restore(self, staged: Staged) -> None:
        engine, database = self._engine(), self._database()
        hidden = engine.hidden_keyspace() if self.random.random() < 0.3 else None
        restoration = Restoration(database.keyspace, staged)
        operations: list[tuple[object, ...]] = []
        now_ms = engine.clock.refresh()
        for key in self.random.sample(KEYS, self.random.randrange(1, len(KEYS) + 1)):
            value, at_ms = database.keyspace.get_with_expiry(key)
            now = None if value is None else (bytes(value), at_ms)
            wanted = (self._new_value(self.random.choice((0, 40))), self.random.choice((0, 0, now_ms + 5_000)))
            if hidden is not None:
                fill(hidden, key, *wanted)
                put = (op.PUT_EXPIRING, hidden.id, key, *wanted) if wanted[1] else (op.PUT, hidden.id, key, wanted[0])
                operations.append(put)
            elif now is None or self.random.random() < 0.6:
                restoration.add(key, now, wanted)
            else:
                restoration.add(key, now, None)
        if hidden is not None:
            operations.append((op.BIND, database.number, hidden.id))
        payload = encode_entries([*operations, *restoration.operations()])
        length = self.random.choice((20, 70, 200))
        for at in range(0, len(payload), length):
            staged.add(payload[at : at + length])
            self.random.choice((Workload.change, Workload.change_and_sync, Workload.housekeep, Workload._nothing))(self)
        engine.clock.refresh()
        if database.keyspace is not restoration.keyspace or self.random.random() < 0.2:
            return
        restoration.expire_due()
        if any(restoration.conflicts()):
            self.end_turn()
            return
        restoration.apply()
        if hidden is not None:
            engine.show(database, hidden)
        self.in_flight = True
        staged.commit()
        self.in_flight = False
        self.moments.append(moment_of(engine))

    def _nothing(self) -> None:
        pass

    def fill_disk(self) -> None:
        """Somebody else takes nearly all the room."""
        self.disk.fill(self.random.choice((0, 50, 300, 1000)))

    def make_room(self) -> None:
        """And gives it back."""
        self.disk.capacity = None
        self.clock.at_ms += 1_100
        self.housekeep()

    # --- Changes ----------------------------------------------------------------------------------------------------

    def _engine(self) -> Engine:
        assert self.engine is not None
        return self.engine

    def _database(self) -> Database:
        return self._engine().databases[self.random.randrange(DATABASES)]

    def _key(self) -> bytes:
        return self.random.choice(KEYS)

    def _new_value(self, length: int = 0) -> bytes:
        self._value += 1
        return b"%d:" % self._value + bytes(self.random.choices(b"\0xyz", k=length))

    def put(self, database: Database) -> None:
        database.keyspace.put(self._key(), self._new_value(self.random.choice((0, 3, 30))))

    def put_expiring(self, database: Database) -> None:
        self._engine().clock.refresh()
        at_ms = self._engine().clock.now_ms + self.random.choice((5, 300, 10_000))
        database.keyspace.put(self._key(), self._new_value(), at_ms)

    def put_big(self, database: Database) -> None:
        database.keyspace.put(self._key(), self._new_value(self.random.choice((150, 300, 700))))

    def patch(self, database: Database) -> None:
        database.keyspace.patch(self._key(), self.random.randrange(8), self._new_value())

    def set_expiry(self, database: Database) -> None:
        key = self._key()
        if key in database.keyspace:
            now_ms = self._engine().clock.now_ms
            database.keyspace.set_expiry(key, self.random.choice((0, now_ms + 200, now_ms + 5000)))

    def delete(self, database: Database) -> None:
        database.keyspace.delete(self._key())

    def transaction(self, database: Database) -> None:
        """Several changes that belong together; now and then so many that they travel in parts."""
        start = len(self._engine().ops)
        for _ in range(self.random.choice((2, 3, 8))):
            self.random.choice(CHANGES[:6])(self, database)
            database = self._engine().system if self.random.random() < 0.2 else self._database()
        self._engine().end_group(start)

    def change_of_the_system(self, _: Database) -> None:
        """What the store keeps for itself."""
        self.random.choice(CHANGES[:6])(self, self._engine().system)

    def flush(self, database: Database) -> None:
        self._engine().flush(database)

    def flush_all(self, _: Database) -> None:
        self._engine().flush_all()

    def swap(self, database: Database) -> None:
        self._engine().swap(database, self._database())


CHANGES: list[Callable[[Workload, Database], None]] = [
    Workload.put,
    Workload.put_expiring,
    Workload.patch,
    Workload.set_expiry,
    Workload.delete,
    Workload.put_big,
    Workload.put,
    Workload.transaction,
    Workload.transaction,
    Workload.flush,
    Workload.swap,
    Workload.flush_all,
    Workload.change_of_the_system,
]

STEPS: list[Callable[[Workload], None]] = [
    *[Workload.change] * 5,
    *[Workload.change_and_sync] * 5,
    *[Workload.sync_while_others_write] * 3,
    *[Workload.housekeep] * 4,
    Workload.checkpoint,
    Workload.restart,
    Workload.kill,
    Workload.lose_power,
]

STEPS_ON_A_FULL_DISK: list[Callable[[Workload], None]] = [
    *STEPS,
    *[Workload.fill_disk] * 3,
    *[Workload.make_room] * 2,
]

STEPS_WITH_FORGETTING: list[Callable[[Workload], None]] = [*STEPS, *[Workload.forget] * 3]

STEPS_WITH_RESTORING: list[Callable[[Workload], None]] = [*STEPS, *[Workload.restore] * 5]

STEPS_WITH_RESTORING_ON_A_FULL_DISK: list[Callable[[Workload], None]] = [
    *STEPS_ON_A_FULL_DISK,
    *[Workload.restore] * 5,
]

STEPS_WITH_CHOICES: list[Callable[[Workload], None]] = [*STEPS, *[Workload.choose_durability] * 3]
