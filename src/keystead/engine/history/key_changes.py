"""The past of one key: what each transaction did to it, newest first.

A key's past follows the number of the database: a flush or a swap shows another keyspace under it, so the walk goes
back through the binds.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from keystead.engine.history.answers import KeyChange
from keystead.engine.history.retained_log import State, alive, changed
from keystead.engine.operations import Bind, Delete, Expired, Keyed, Patch, SetExpiry

if TYPE_CHECKING:
    from keystead.engine.history.log_segment import Touch
    from keystead.engine.history.retained_log import RetainedGeneration, RetainedLog


class Step(NamedTuple):
    """A transaction that touched the key, or what is shown under its database's number."""

    touch: Touch
    keyspace: int
    """What the database showed before it."""
    bound: int | None
    """What it shows since, when it was bound."""


def key_changes(log: RetainedLog, database: int, key: bytes, count: int, before: int | None) -> list[KeyChange]:
    """The latest *count* changes of a key before that transaction; see `Past.key_changes`."""
    last = log.newest if before is None else log.moment(min(max(before, log.floor.sequence), log.newest.sequence))
    # The transaction *before* is walked through too: whether a time that was up is told with it, only it can say.
    steps = _steps(log, database, key, last.sequence)
    found: list[KeyChange] = []
    counted = 0
    batch: list[Step] = []
    while counted < count:
        more = list(islice(steps, count + 1))
        is_first, is_last = not batch, len(more) <= count
        batch = [*batch[-1:], *more]
        changes, state = _told(log, database, key, batch, reaches_back=is_last)
        if is_first and state is not None and 0 < state[1] <= last.time_ms:
            changes.append(_expiry(None, state))
        for change in reversed(changes):
            if before is None or change.sequence is None or change.sequence < before:
                found.append(change)
                counted += change.sequence is not None
                if counted == count:
                    return found
        if is_last:
            break
    return found


def steps_of(log: RetainedLog, database: int, key: bytes) -> Iterator[Step]:
    """What touched the key, or what its database shows; newest first."""
    return _steps(log, database, key, log.newest.sequence)


def _steps(log: RetainedLog, database: int, key: bytes, last: int) -> Iterator[Step]:
    """What touched the key, newest first."""
    for generation in reversed(log.generations):
        if generation.start.sequence >= last:
            continue
        yield from _steps_in(generation, database, key, last)


def _steps_in(generation: RetainedGeneration, database: int, key: bytes, last: int) -> Iterator[Step]:
    shown = generation.databases_at(last)[database]
    for touch in generation.changes_of(key, last, binds=True):
        binds = [operation for operation in touch.operations if isinstance(operation, Bind)]
        if any(bind.database == database for bind in binds):
            bound, shown = shown, generation.databases_at(touch.sequence - 1)[database]
            yield Step(touch, shown, bound)
        elif any(each.keyspace == shown for each in touch.operations if not isinstance(each, Bind)):
            yield Step(touch, shown, None)


def _told(
    log: RetainedLog, database: int, key: bytes, batch: list[Step], *, reaches_back: bool
) -> tuple[list[KeyChange], State]:
    """The changes of some steps, oldest first, and the state after them. Newest first, the steps are.

    Of a batch that does not reach back to the floor the oldest step is only begun with: it is told with the next ones.
    """
    floor = log.floor
    if not batch:
        return [], alive(log.find(log.databases_at(floor.sequence)[database], key, floor.sequence), floor.time_ms)
    oldest = batch[-1]
    state = alive(log.find(oldest.keyspace, key, oldest.touch.sequence - 1), floor.time_ms)
    changes: list[KeyChange] = []
    for step in reversed(batch):
        was, touch = state, step.touch
        operations = [
            each for each in touch.operations if not isinstance(each, Bind) and each.keyspace == step.keyspace
        ]
        if step.bound is not None:
            # A key whose time is up already was not there for anybody who read.
            state = alive(log.find(step.bound, key, touch.sequence), touch.time_ms)
            name = _name_of_bind(touch, step, database)
        else:
            state = changed(state, operations)
            name = _name_of(operations[-1])
        if step is oldest and not reaches_back:
            continue
        time_was_up = was is not None and 0 < was[1] <= touch.time_ms
        if time_was_up:
            assert was is not None
            changes.append(_expiry(touch.sequence if name == "expired" else None, was))
            was = None
        if name != "expired" and (step.bound is None or was != state):
            value, expires_at_ms = state or (None, 0)
            author = touch.author
            changes.append(
                KeyChange(touch.sequence, touch.time_ms, name, author.user, author.client, value, expires_at_ms)
            )
    return changes, state


def _expiry(sequence: int | None, was: State) -> KeyChange:
    assert was is not None
    return KeyChange(sequence, was[1], "expired", "", "", None, 0)


def _name_of(operation: Keyed) -> str:
    if isinstance(operation, Patch):
        return "patch"
    if isinstance(operation, SetExpiry):
        return "expire" if operation.expires_at_ms else "persist"
    if isinstance(operation, Delete):
        return "delete"
    return "expired" if isinstance(operation, Expired) else "put"


def _name_of_bind(touch: Touch, step: Step, database: int) -> str:
    for operation in touch.operations:
        if isinstance(operation, Bind):
            if operation.database != database and operation.keyspace == step.keyspace:
                return "swap"
        elif operation.keyspace == step.bound:
            return "bind"
    return "flush"
