"""Undoing a transaction: what it changed is put back, by a transaction of its own.

The past says what each key was before (`history.undo_steps`); what each key is now says whether somebody has changed it
since. All is gathered, encoded and written to the log by slices, and takes effect at once, when conflicts have been
looked for again.

Owns: that order. A generator, driven by whoever has a loop or a lock: it yields a question about the past and is sent
the outcome, or yields None where others may go on. Must not know: commands, who drives it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from keystead.engine.history.questions import Failure, UndoOutlined, UndoOutlineOf, UndoStepsFound, UndoStepsOf
from keystead.engine.history.undo_steps import UndoStep
from keystead.engine.operations import BIND, PUT, PUT_EXPIRING
from keystead.engine.restoring import Restoration, fill
from keystead.engine.undone import Undone
from keystead.errors import OutOfMemory, UndoConflict, UndoRefused

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.engine.history.questions import Outcome, Question
    from keystead.engine.keyspace import Keyspace
    from keystead.engine.operations import Author
    from keystead.engine.restoring import State
    from keystead.engine.undone import Conflicts, Place

Undoing: TypeAlias = "Generator[Question | None, Outcome | None, Undone]"

SLICE_KEYS: Final = 1_000
"""Looked at in one go: about a millisecond."""
ATTEMPTS: Final = 5
"""How often it is prepared anew when keys are changed meanwhile."""
CONFLICTS_NAMED: Final = 100


class Unanswered(Exception):
    """The past could not say. *outcome*: what it said instead; None when it ended without a word."""

    def __init__(self, outcome: Failure | None) -> None:
        super().__init__("the past cannot be read")
        self.outcome = outcome


def undo(
    engine: Engine,
    sequence: int,
    conflicts: Conflicts,
    author: Author,
    check: Callable[[int, bytes | None], None] = lambda _database, _key: None,
) -> Undoing:
    """Undo that transaction, on behalf of *author*. *check* raises when he may not change that key, or, with None, any
    key of that database.

    UndoRefused, UndoConflict; Unanswered; WriteRefused when there is no room; DiskFailure.
    """
    forgets = engine.forgets
    outline = yield from ask(UndoOutlineOf(sequence), UndoOutlined)
    if outline.swapped is not None:
        return _swap_back(engine, outline, author, check)
    steps = yield from _steps(sequence, check)
    for _ in range(ATTEMPTS):
        plan = _Plan(engine, steps, set(outline.emptied), conflicts)
        try:  # from here on: as long as it is not given up, the log stays in its segment
            yield from plan.gather()
            if plan.conflicts and conflicts == "refuse":
                raise UndoConflict(plan.conflicts[:CONFLICTS_NAMED], len(plan.conflicts))
            if not plan.restored and not plan.hidden:
                others = ", or were changed since" if plan.conflicts else ""
                raise UndoRefused(f"there is nothing to undo: all its keys are as they were before it{others}")
            yield from plan.stage()
            if engine.forgets != forgets:
                raise UndoRefused("a key was forgotten meanwhile: try again")
            if plan.commit(author):
                return Undone(engine.log.next_sequence - 1, plan.restored, plan.conflicts, plan.without_expiry)
        finally:
            plan.give_up()
    raise UndoRefused("its keys are being changed all the time: try again")


def drive(undoing: Undoing, answer: Callable[[Question], Outcome | None]) -> Undone:
    """Undo here and now, for those who have nothing else to do."""
    outcome: Outcome | None = None
    while True:
        try:
            question = undoing.send(outcome)
        except StopIteration as end:
            undone: Undone = end.value
            return undone
        outcome = answer(question) if question is not None else None


def ask(question: Question, kind: type[Any]) -> Generator[Question | None, Outcome | None, Any]:
    """The answer to the question, which is of that kind. Unanswered."""
    outcome = yield question
    if not isinstance(outcome, kind):
        assert outcome is None or isinstance(outcome, Failure)
        raise Unanswered(outcome)
    return outcome


def _steps(
    sequence: int, check: Callable[[int, bytes | None], None]
) -> Generator[Question | None, Outcome | None, list[UndoStep]]:
    steps: list[UndoStep] = []
    after: Place | None = None
    while True:
        found = yield from ask(UndoStepsOf(sequence, after, SLICE_KEYS), UndoStepsFound)
        for step in found.steps:
            check(step.database, step.key)
        steps += found.steps
        after = found.following
        if after is None:
            return steps


def _swap_back(
    engine: Engine, outline: UndoOutlined, author: Author, check: Callable[[int, bytes | None], None]
) -> Undone:
    one, other = (engine.databases[number] for number in outline.swapped or ())
    if [one.keyspace.id, other.keyspace.id] != [outline.shown[one.number], outline.shown[other.number]]:
        raise UndoRefused("the databases were flushed, swapped or restored since")
    for database in one, other:
        check(database.number, None)
    engine.author = author
    engine.swap(one, other)
    engine.end_turn()
    return Undone(engine.log.next_sequence - 1, 0, [], [])


class _Plan:
    """One try at undoing, by what the keys are now."""

    def __init__(self, engine: Engine, steps: list[UndoStep], emptied: set[int], conflicts: Conflicts) -> None:
        self._engine = engine
        self._steps = steps
        self._mode = conflicts
        # A database that was emptied shows another keyspace again, at once; unless there are keys in it by now.
        databases = [engine.databases[number] for number in sorted(emptied)]
        self._replaced = [database for database in databases if not len(database.keyspace)]
        self.hidden: dict[int, Keyspace] = {}
        self._changed: dict[int, Restoration] = {}
        self._staged = engine.stage()
        self.restored = 0
        self.conflicts: list[Place] = []
        self.without_expiry: list[Place] = []
        self._growth = 0

    def give_up(self) -> None:
        """It is over, in whichever way."""
        self._staged.give_up()

    def gather(self) -> Iterator[None]:
        """Look at what each key is now."""
        engine = self._engine
        for database in self._replaced:
            self.hidden[database.number] = engine.hidden_keyspace()
        for start in range(0, len(self._steps), SLICE_KEYS):
            now_ms = engine.clock.refresh()
            for step in self._steps[start : start + SLICE_KEYS]:
                self._look_at(step, now_ms)
            yield
        used = engine.used_bytes()
        if engine.options.maxmemory and self._growth and used + self._growth > engine.options.maxmemory:
            raise OutOfMemory("command not allowed when used memory > 'maxmemory'.")

    def _look_at(self, step: UndoStep, now_ms: int) -> None:
        place = (step.database, step.key)
        wanted: State = None
        if step.before is not None:
            wanted = step.before, step.before_expires_at_ms
            if 0 < step.before_expires_at_ms <= now_ms:
                wanted = step.before, 0
        hidden = self.hidden.get(step.database)
        if hidden is not None:
            if wanted is None:
                return
            fill(hidden, step.key, *wanted)
        else:
            database = self._engine.databases[step.database]
            value, expires_at_ms = database.keyspace.get_with_expiry(step.key)
            now: State = None if value is None else (bytes(value), expires_at_ms)
            if now == wanted:
                return
            expected: State = None if step.after is None else (step.after, step.after_expires_at_ms)
            if expected is not None and 0 < expected[1] <= now_ms:
                expected = None
            if now != expected and self._mode != "force":
                self.conflicts.append(place)
                return
            restoration = self._changed.get(step.database)
            if restoration is None:
                restoration = self._changed[step.database] = Restoration(database.keyspace, self._staged)
            restoration.add(step.key, now, wanted)
        self.restored += 1
        self._growth += len(step.before or b"") - len(step.after or b"")
        if wanted is not None and wanted[1] != step.before_expires_at_ms:
            self.without_expiry.append(place)

    def stage(self) -> Iterator[None]:
        """Write the operations to the log, as parts of a transaction that is not committed yet."""
        count = len(self.hidden) + self.restored
        yield from self._staged.write(self._operations(), count)
        for hidden in self.hidden.values():
            yield from hidden.build_index()

    def _operations(self) -> Iterator[tuple[object, ...]]:
        for number, hidden in self.hidden.items():
            yield (BIND, number, hidden.id)  # first, so that who follows the log sees the keys come back
            for shard, expires in zip(hidden.shards, hidden.expires, strict=True):
                for key, value in shard.items():
                    expires_at_ms = expires.at_ms(key) if expires is not None else 0
                    if expires_at_ms:
                        yield (PUT_EXPIRING, hidden.id, key, value, expires_at_ms)
                    else:
                        yield (PUT, hidden.id, key, value)
        for restoration in self._changed.values():
            yield from restoration.operations()

    def commit(self, author: Author) -> bool:
        """Let it take effect, at once; False, and nothing has happened, when a key is not any more what it was."""
        engine = self._engine
        engine.clock.refresh()
        changed = self._changed.values()
        if any(engine.databases[number].keyspace is not each.keyspace for number, each in self._changed.items()):
            return False  # flushed or swapped meanwhile
        for restoration in changed:
            restoration.expire_due()
        if not self._still_holds():
            engine.end_turn()  # what has expired
            return False
        engine.author = author
        for restoration in changed:
            restoration.apply()
        for database in self._replaced:
            engine.show(database, self.hidden[database.number])
        self._staged.commit()
        return True

    def _still_holds(self) -> bool:
        if any(len(database.keyspace) for database in self._replaced):
            return False
        return all(next(restoration.conflicts(), None) is None for restoration in self._changed.values())
