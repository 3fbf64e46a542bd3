"""Power is lost at every write, sync, rename and removal of random lives of a store, in every way the medium allows.

Rules 2, 3, 7 and 12: what a start then finds is the state after some turn, none before the last acknowledged one; it is
no error; and the store can be written to, stopped and started again, also when the power is lost during the start.

`KEYSTEAD_POWER_LOSS_STATES` says how many states are tried (default 50,000), `KEYSTEAD_SEED` where random starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import SMALL, opened
from workload import (
    EMPTY_DISK,
    STEPS,
    STEPS_ON_A_FULL_DISK,
    STEPS_WITH_CHOICES,
    STEPS_WITH_FORGETTING,
    STEPS_WITH_RESTORING,
    STEPS_WITH_RESTORING_ON_A_FULL_DISK,
    Moment,
    Workload,
    moment_of,
)

if TYPE_CHECKING:
    from keystead.engine.engine import Engine, Fsync

STATES = int(os.environ.get("KEYSTEAD_POWER_LOSS_STATES", "50000"))
FIRST_SEED = int(os.environ.get("KEYSTEAD_SEED", "0"))
CHUNKS = 10
STEPS_OF_A_LIFE = 40
STATES_AT_A_CALL = 3
"""Beside the two in which all un-synced changes or none of them are there."""
CALLS_OF_A_START = 25
"""About how many calls of a start change the disk."""


Seed = Callable[[int], Random]
Steps = list[Callable[[Workload], None]]

# Each test gets as long as its share of the states may take on a slow machine.
pytestmark = pytest.mark.timeout(120 + STATES // CHUNKS // 50)


class Caught(NamedTuple):
    """A state of the medium, and the moments that a start from it may find."""

    image: Image
    first: int
    last: int
    call: str
    history: str
    told: int
    """Where the history is the same, no moment before this one may be found."""


class Found(NamedTuple):
    """What a start came to."""

    moment: Moment
    history: str


def found_by(engine: Engine) -> Found:
    """After a start."""
    return Found(moment_of(engine), engine.history_id)


class PowerLoss:
    """Collects crash states while a workload runs, and recovers each after every step."""

    def __init__(self, workload: Workload, seed: int) -> None:
        self._workload = workload
        self._seed = seed
        self._random = Random(f"power loss {seed}")
        self._caught: list[Caught] = []
        self._found: dict[int, list[Found]] = {}
        """What starts from the image of that hash found: the same image is tried once."""
        self.states = 0
        workload.disk.after = self.catch
        workload.after_step = self.check_caught

    def catch(self, call: str) -> None:
        """A call changed the disk: this is where power may be lost."""
        workload = self._workload
        first, last = workload.durable, len(workload.moments) - 1 + workload.in_flight
        for image in workload.disk.crash_states(self._random, STATES_AT_A_CALL):
            self._caught.append(Caught(image, first, last, call, workload.history, workload.told))

    def check_caught(self) -> None:
        """Recover what was caught in this step."""
        for caught in self._caught:
            try:
                self._check(caught)
            except Exception as error:
                where = f"seed {self._seed}, after {self.states} states, power lost after a {caught.call}"
                raise AssertionError(f"{where}: {error!r}") from error
        self._caught.clear()

    def _check(self, caught: Caught) -> None:
        key = hash(caught.image)
        if key not in self._found:
            self._found[key] = self._recover(caught.image)
        for found, history in self._found[key]:
            first = max(caught.first, caught.told) if history == caught.history else caught.first
            allowed = self._workload.moments[first : caught.last + 1]
            assert found in allowed, f"found {found}, which is none of {allowed}"

    def _recover(self, image: Image) -> list[Found]:
        """What a start from this state finds, and what a start finds after a crash during that one."""
        disk = SimulatedDisk(image)
        at_call = self._random.randrange(2 * CALLS_OF_A_START)
        in_start: list[Image] = []

        def catch_in_start(_: str) -> None:
            nonlocal at_call
            at_call -= 1
            if at_call == 0:
                in_start.append(disk.crash_state(self._random))

        disk.after = catch_in_start
        engine = opened(disk)
        disk.after = lambda _: None
        found = [found_by(engine)]
        self.states += 2
        if in_start:
            return [*found, found_by(opened(SimulatedDisk(in_start[0])))]
        # Nobody would see that a start left less than a whole store if nothing was written to it.
        engine.databases[0].keyspace.put(b"after", b"the crash")
        engine.end_turn()
        engine.sync()
        again = opened(SimulatedDisk(disk.crash_state(self._random)))
        assert moment_of(again) == moment_of(engine)
        again.close()
        return found


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_power_loss_anywhere_leaves_what_was_acknowledged(chunk: int, seeded: Seed) -> None:
    """Whatever the medium did with what was not synced, a start finds a moment that was not older than durable."""
    lose_power_everywhere("always", STATES * 7 // 10 // CHUNKS, FIRST_SEED + chunk * 1_000_000, seeded)


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("fsync", ["interval", "never"])
def test_without_syncs_a_prefix_of_the_log_survives(fsync: Fsync, seeded: Seed) -> None:
    """With fsync interval and never a power loss may cost turns, but never one before a turn that survives."""
    lose_power_everywhere(fsync, STATES // 10, FIRST_SEED + 500_000_000, seeded)


@pytest.mark.usefixtures("small_sizes")
def test_a_change_of_mind_about_syncs_never_reuses_a_number_that_was_told(seeded: Seed) -> None:
    """Or the history has another id afterwards, whenever the power was lost."""
    lose_power_everywhere("always", STATES // 10, FIRST_SEED + 600_000_000, seeded, STEPS_WITH_CHOICES)


@pytest.mark.usefixtures("small_sizes")
def test_a_power_loss_on_a_full_disk_is_no_worse(seeded: Seed) -> None:
    """Frames that met a full disk, were cut back, held and written again; reserves that were given up."""
    lose_power_everywhere("always", STATES // 10, FIRST_SEED + 700_000_000, seeded, STEPS_ON_A_FULL_DISK)


@pytest.mark.usefixtures("small_sizes")
def test_a_power_loss_while_keys_are_forgotten_is_no_worse(seeded: Seed) -> None:
    """Files that are rewritten, and others in their place."""
    lose_power_everywhere("always", STATES // 10, FIRST_SEED + 800_000_000, seeded, STEPS_WITH_FORGETTING)


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("steps", [STEPS_WITH_RESTORING, STEPS_WITH_RESTORING_ON_A_FULL_DISK], ids=["room", "full"])
def test_a_power_loss_leaves_all_of_a_staged_transaction_or_nothing(steps: Steps, seeded: Seed) -> None:
    """Its parts are written over many turns, some of them proven durable, before one frame commits them."""
    lose_power_everywhere("always", STATES // 10, FIRST_SEED + 900_000_000, seeded, steps)


def lose_power_everywhere(fsync: Fsync, states: int, seed: int, seeded: Seed, steps: Steps = STEPS) -> None:
    """Run workloads of growing seeds until so many states were recovered."""
    while states > 0:
        workload = Workload(seeded(seed), SimulatedDisk(EMPTY_DISK), SMALL._replace(fsync=fsync))
        workload.steps = steps
        losses = PowerLoss(workload, seed)
        workload.run(STEPS_OF_A_LIFE)
        states -= losses.states
        seed += 1
