"""The engine against a plain dictionary: changes, syncs, readers, restarts and crashes in any order.

Rule 4: a stranger is shown what was durable; a writer sees its own writes and then has to wait. Rule 10: the view
rebuilt from disk is the view in memory, after every step.
"""

from __future__ import annotations

import copy
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from simulated_disk import SimulatedDisk
from stores import PATH, SMALL, START_MS, HandClock, Reader, opened, state_of
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.files import Directory
from keystead.engine.keyspace import Keyspace, apply_patch
from keystead.engine.log import SyncTicket
from keystead.engine.savepoint import Savepoint

DATABASES = 3
KEYS = [b"", b"a", b"b", b"long key \xff\0"]

SYSTEM = DATABASES
"""Where the model keeps what is the system's."""

databases = st.integers(0, DATABASES - 1)
places = st.integers(0, SYSTEM)
keys = st.sampled_from(KEYS)
values = st.one_of(st.binary(max_size=6), st.binary(min_size=150, max_size=300))
ahead_ms = st.sampled_from([1, 50, 3_000])
changes = st.one_of(
    [
        st.fixed_dictionaries({"rule": st.just(name), "number": databases, "key": keys, **arguments})
        for name, arguments in {
            "put": {"value": values},
            "put_expiring": {"value": values, "in_ms": ahead_ms},
            "patch": {"offset": st.integers(0, 9), "data": values},
            "delete": {},
            "set_expiry": {"in_ms": st.one_of(st.none(), ahead_ms)},
        }.items()
    ]
)
"""Names of rules below with their arguments."""


class Entry(NamedTuple):
    """What a key holds."""

    value: bytes
    expires_at_ms: int


Model = list[dict[bytes, Entry]]
"""Of each database and the system; a key whose time is up is as good as absent."""


class EngineAgainstModel(RuleBasedStateMachine):
    """Every rule does the same to both; the invariants compare what can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = SimulatedDisk(EMPTY_DISK)
        self.clock = HandClock()
        self.engine = opened(self.disk, SMALL, self.clock)
        self.model: Model = [{} for _ in range(SYSTEM + 1)]
        self.durable: Model = copy.deepcopy(self.model)
        self.ticket: SyncTicket | None = None
        self.synced: Model = []
        """What will be durable when the sync under way succeeds."""
        self.group_from: int | None = None

    def keyspace(self, number: int) -> Keyspace:
        """Where the engine keeps what the model keeps there."""
        return (self.engine.system if number == SYSTEM else self.engine.databases[number]).keyspace

    # --- The model --------------------------------------------------------------------------------------------------

    def live(self, model: Model, number: int, key: bytes) -> Entry | None:
        """What is there, as far as its time is not up."""
        entry = model[number].get(key)
        expired = entry is not None and 0 < entry.expires_at_ms <= self.engine.clock.now_ms
        return None if expired else entry

    # --- Changes ----------------------------------------------------------------------------------------------------

    @rule(number=places, key=keys, value=values)
    def put(self, number: int, key: bytes, value: bytes) -> None:
        self.keyspace(number).put(key, value)
        self.model[number][key] = Entry(value, 0)

    @rule(number=places, pairs=st.lists(st.tuples(keys, values), min_size=1, max_size=5))
    def put_each(self, number: int, pairs: list[tuple[bytes, bytes]]) -> None:
        self.keyspace(number).put_each([key for key, _ in pairs], [value for _, value in pairs])
        self.model[number] |= {key: Entry(value, 0) for key, value in pairs}

    @rule(number=places, key=keys, value=values, in_ms=ahead_ms)
    def put_expiring(self, number: int, key: bytes, value: bytes, in_ms: int) -> None:
        at_ms = self.engine.clock.now_ms + in_ms
        self.keyspace(number).put(key, value, at_ms)
        self.model[number][key] = Entry(value, at_ms)

    @rule(number=places, key=keys, offset=st.integers(0, 9), data=values)
    def patch(self, number: int, key: bytes, offset: int, data: bytes) -> None:
        entry = self.live(self.model, number, key) or Entry(b"", 0)
        patched = bytearray(entry.value)
        apply_patch(patched, offset, data)
        assert self.keyspace(number).patch(key, offset, data) == len(patched)
        self.model[number][key] = Entry(bytes(patched), entry.expires_at_ms)

    @rule(number=places, key=keys)
    def delete(self, number: int, key: bytes) -> None:
        existed = self.live(self.model, number, key) is not None
        assert self.keyspace(number).delete(key) == existed
        self.model[number].pop(key, None)

    @rule(number=places, key=keys, in_ms=st.one_of(st.none(), ahead_ms))
    def set_expiry(self, number: int, key: bytes, in_ms: int | None) -> None:
        entry = self.live(self.model, number, key)
        if entry is None:
            with pytest.raises(KeyError):
                self.keyspace(number).set_expiry(key, 0)
            self.model[number].pop(key, None)
            return
        at_ms = 0 if in_ms is None else self.engine.clock.now_ms + in_ms
        self.keyspace(number).set_expiry(key, at_ms)
        self.model[number][key] = Entry(entry.value, at_ms)

    @rule(number=databases)
    def flush(self, number: int) -> None:
        self.engine.flush(self.engine.databases[number])
        self.model[number] = {}

    @rule()
    def flush_all(self) -> None:
        self.engine.flush_all()
        self.model = [*({} for _ in range(DATABASES)), self.model[SYSTEM]]

    @rule(one=databases, other=databases)
    def swap(self, one: int, other: int) -> None:
        self.engine.swap(self.engine.databases[one], self.engine.databases[other])
        self.model[one], self.model[other] = self.model[other], self.model[one]

    @rule(changes=st.lists(changes, max_size=8), kept=st.booleans())
    def savepoint(self, changes: list[dict[str, Any]], kept: bool) -> None:
        before, ops = copy.deepcopy(self.model), list(self.engine.ops)
        savepoint = Savepoint(self.engine)
        for change in changes:
            change = dict(change)
            getattr(self, change.pop("rule"))(**change)
        if kept:
            savepoint.release()
        else:
            savepoint.roll_back()
            self.model = before
            assert self.engine.ops == ops

    @precondition(lambda self: self.group_from is None)
    @rule()
    def begin_group(self) -> None:
        self.group_from = len(self.engine.ops)

    def _end_group(self) -> None:
        if self.group_from is not None:
            self.engine.end_group(self.group_from)
            self.group_from = None

    # --- Time, turns and syncs --------------------------------------------------------------------------------------

    @rule(ms=st.sampled_from([-500, 1, 49, 2_000]))
    def time_passes(self, ms: int) -> None:
        self.clock.at_ms = max(START_MS, self.clock.at_ms + ms)
        before_ms = self.engine.clock.now_ms
        assert self.engine.clock.refresh() >= before_ms

    @rule()
    def end_turn(self) -> None:
        self._end_group()
        self.engine.end_turn()

    @rule()
    def sync(self) -> None:
        self.end_turn()
        if self.ticket is None:
            self.engine.sync()
            self.durable = copy.deepcopy(self.model)

    @precondition(lambda self: self.ticket is None)
    @rule()
    def begin_sync(self) -> None:
        self.end_turn()
        self.ticket = self.engine.begin_sync()
        self.synced = copy.deepcopy(self.model)

    @precondition(lambda self: self.ticket is not None)
    @rule()
    def finish_sync(self) -> None:
        assert self.ticket is not None
        for file in self.ticket.files:
            file.sync()
        self.engine.finish_sync(self.ticket)
        self.ticket, self.durable = None, self.synced

    @rule()
    def housekeep(self) -> None:
        self._end_group()
        for _ in range(4):
            self.engine.housekeep(1)
            self.engine.end_turn()

    @precondition(lambda self: self.ticket is None)
    @rule()
    def checkpoint(self) -> None:
        self.sync()
        self.engine.request_checkpoint()
        for _ in range(3):  # a mark or an expiry may come between
            self.engine.housekeep(1)
            self.engine.end_turn()
            self.sync()
        assert not self.engine.maintenance.busy
        assert not self.engine.maintenance.checkpoint_failed

    @rule()
    def check(self) -> None:
        """Whatever was sealed, by whom and when: every file is what the manifest says of it."""
        directory = Directory(PATH, SimulatedDisk(self.disk.everything()))
        manifest = manifests.load(directory)
        assert manifest is not None
        found: list[CheckedGeneration] = []
        for _ in check(directory, manifest, found):
            pass
        assert [error for generation in found for error in generation.damage] == []

    # --- Ends -------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.engine = opened(self.disk, SMALL, self.clock)
        self.ticket = self.group_from = None
        self.durable = copy.deepcopy(self.model)

    @precondition(lambda self: self.ticket is None)
    @rule()
    def restart(self) -> None:
        self._end_group()
        self.engine.close()
        logged_ms = self.engine.log.segment.last_ms
        assert not self.disk.open_descriptors
        self._open()
        assert self.engine.clock.now_ms >= logged_ms

    @rule(seed=st.integers(0, 1 << 32))
    def lose_power(self, seed: int) -> None:
        """All of the last turns, some or none of them are there; never less than what is durable."""
        self.disk = SimulatedDisk(self.disk.crash_state(Random(seed)))
        self._open()
        state = state_of(self.engine)
        found = (*state[:DATABASES], state[-1])
        self.model = [{key: Entry(*entry) for key, entry in database.items()} for database in found]
        self.durable = copy.deepcopy(self.model)

    @rule()
    def kill(self) -> None:
        """Turns that were ended are all there; what was recorded since is not."""
        self.end_turn()
        self.disk.kill()
        self._open()

    # --- What must always hold --------------------------------------------------------------------------------------

    @invariant()
    def memory_is_as_the_model_says(self) -> None:
        for number in range(SYSTEM + 1):
            keyspace = self.keyspace(number)
            for key in KEYS:
                entry = self.live(self.model, number, key)
                assert keyspace.get(key) == (entry.value if entry else None)
                assert keyspace.expires_at_ms(key) == (entry.expires_at_ms if entry else 0)
            live = {key for key in self.model[number] if self.live(self.model, number, key)}
            assert set(keyspace.keys()) == live
            assert set(keyspace.scan(0, 100)[1]) == live

    @invariant()
    def strangers_are_shown_what_is_durable(self) -> None:
        for number in range(SYSTEM + 1):
            keyspace = self.keyspace(number)
            stranger = Reader()
            for key in KEYS:
                entry = self.live(self.durable, number, key)
                assert keyspace.read_with_expiry(key, stranger) == (entry or (None, 0))
                assert keyspace.read(key, stranger) == (entry.value if entry else None)
                assert keyspace.read_each([key], stranger) == [entry.value if entry else None]
            assert keyspace.read_each(KEYS, stranger) == [keyspace.read(key, stranger) for key in KEYS]
            assert not stranger.must_wait

    @invariant()
    def a_writer_sees_its_own_writes(self) -> None:
        for number in range(SYSTEM + 1):
            keyspace = self.keyspace(number)
            for key in KEYS:
                writer = Reader()
                writer.pending_turn = self.engine.open_turn
                entry = self.live(self.model, number, key)
                assert keyspace.read(key, writer) == (entry.value if entry else None)
                if self.live(self.durable, number, key) != entry:
                    assert writer.must_wait
            at_once = Reader()
            at_once.pending_turn = self.engine.open_turn
            assert keyspace.read_each(KEYS, at_once) == [keyspace.get(key) for key in KEYS]
            if any(self.live(self.durable, number, key) != self.live(self.model, number, key) for key in KEYS):
                assert at_once.must_wait

    @invariant()
    def replay_equals_memory(self) -> None:
        if self.engine.ops:
            return
        again = opened(SimulatedDisk(self.disk.everything()), SMALL, HandClock(START_MS))
        assert state_of(again) == state_of(self.engine)
        assert again.log.next_sequence == self.engine.log.next_sequence

    @invariant()
    def memory_is_accounted_for(self) -> None:
        payload = sum(
            sum(len(key) + len(value) for key, (value, _) in database.items()) for database in state_of(self.engine)
        )
        places = (*self.engine.databases, self.engine.system)
        assert sum(place.keyspace.payload_bytes for place in places) == payload


@pytest.mark.usefixtures("small_sizes")
def test_the_engine_does_what_a_dictionary_does() -> None:
    """Any order of changes, syncs, restarts and crashes."""
    run_state_machine_as_test(
        EngineAgainstModel,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
