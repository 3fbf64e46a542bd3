"""One migration from its beginning to the cut-over: copy, follow, verify, follow until told, cut over.

Owns: the order of these, and when the state is written. Must not know: kinds of stores, how anything is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple, Protocol

from keystead.engine.clock import wall_clock_ms
from keystead.errors import KeysteadError
from keystead.migration.applying import Applying, CopyAgain
from keystead.migration.source import Batch, Delete, PositionLost, Source, SourceFailed
from keystead.migration.state import Phase, State, StateFile
from keystead.migration.target import Target
from keystead.migration.verification import Difference, Verdict, Verification

SAVE_EVERY_S = 1.0
FOLLOW_EVERY_S = 1.0
"""While both sides are read for a comparison."""
CHANGED_MOST = 1_000_000
"""So many keys are remembered as changed since they were compared; beyond that all are compared again."""
COPIES = 3
"""So often in a row all keys are copied before it is given up: changes are dropped before they can be read."""
QUIET_S = 2.0
"""So long nothing must have changed in a source that cannot be told to pause."""
RECONNECT_S = 60.0
SHARE_OF_PAUSE = 3
"""Everything is compared once more in the pause if it took less than this part of it before."""


class Refused(KeysteadError):
    """It was not begun, or not gone on with; nothing was changed."""


class NotTheSame(KeysteadError):
    """Keys differ between source and target. The source is served on as before."""

    def __init__(self, differences: list[Difference]) -> None:
        super().__init__(differences)
        self.differences = differences

    def __str__(self) -> str:
        count = len(self.differences)
        return f"{count:,} {'key differs' if count == 1 else 'keys differ'} between source and target"


class Lag(NamedTuple):
    """How far the target is behind."""

    behind: int
    """In the source's unit."""
    lag_ms: int
    """All that was acknowledged longer ago is there."""
    facts: int
    """Applied so far."""


class Report(Protocol):
    """Whoever shows it."""

    def copying(self, done: int, total: int) -> None: ...
    def following(self, lag: Lag) -> None: ...
    def comparing(self, done: int, total: int) -> None: ...
    def say(self, text: str) -> None: ...


class Choices(NamedTuple):
    """What was chosen."""

    database: int
    into_non_empty: bool
    pause_ms: int


class CutOver(NamedTuple):
    """It is done: the target has everything."""

    compared: Verdict
    """Of all keys."""
    changed: int
    """How many keys were compared once more, because they had changed since. All were at last compared while nobody
    wrote to them."""
    paused_until_ms: int
    """The source's writers wait until then; 0: they were not told."""


class Moving:
    """One run."""

    def __init__(
        self, source: Source, target: Target, file: StateFile, choices: Choices, report: Report,
        told: Callable[[], bool],
    ) -> None:  # fmt: skip
        """*told* is asked again and again whether to cut over now."""
        self._source = source
        self._target = target
        self._file = file
        self._choices = choices
        self._report = report
        self._told = told
        self._applying = Applying(source, target, choices.database, others_in_target=choices.into_non_empty)
        self._state = State(1, source.identity(), target.describe(), choices.database, choices.into_non_empty)
        self._saved_s = self._shown_s = 0.0
        self._known_until_ms = 0
        self._batches: Iterator[Batch] = iter(())
        self._changed: set[bytes] | None = set()
        """Keys that may have changed since all were compared; None: too many."""
        self._compared_s = 0.0
        self._compared = Verdict(0, "", [], set())

    def run(self) -> CutOver:
        """Everything. Refused, NotTheSame, and whatever source and target raise; all but Refused can be resumed."""
        self._begin()
        try:
            self._follow_up_to(wall_clock_ms())
            self._remove_extra()
            self._compare()
            does = "follows" if self._source.follows else "has what was copied of"
            self._report.say(
                f"{self._target.describe()} {does} {self._source.describe()}; cut over when the time has come"
            )
            while not self._told():
                self._step()
            return self._cut_over()
        finally:
            if self._state.phase == Phase.FOLLOWING:
                self._file.save(self._state)

    # --- Beginning, or going on -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        known = self._file.load()
        if known is None:
            self._refuse_keys_there()
            self._copy()
            return
        self._take_up(known)
        if known.phase == Phase.FOLLOWING or known.parts_done:
            try:
                self._source.resume(known.position)
            except PositionLost as error:
                self._report.say(f"{error}: all keys are copied again")
            else:
                self._report.say(f"going on where it ended, at {known.position}")
                if known.phase == Phase.FOLLOWING:
                    self._batches = self._source.changes()
                else:
                    self._copy(known.parts_done, known.position)
                return
        self._copy_over_leftovers()

    def _take_up(self, known: State) -> None:
        mine = self._state
        same = (known.source, known.target, known.database) == (mine.source, mine.target, mine.database)
        if not same:
            raise Refused(
                f"{self._file.path} is the state of another migration, of {known.source} to {known.target}; "
                "name another file by --state"
            )
        if known.phase == Phase.CUT_OVER:
            raise Refused(
                f"{self._file.path} says that this migration was cut over: the target may have changes of its own, "
                "which going on would undo. To begin anew, empty the target and remove that file"
            )
        if known.into_non_empty and not self._choices.into_non_empty:
            raise Refused("this was begun with --into-non-empty; it has to be gone on with so")
        self._state = known

    def _refuse_keys_there(self) -> None:
        count = self._target.count()
        if count and not self._choices.into_non_empty:
            raise Refused(
                f"{self._target.describe()} is not empty: it has {count:,} keys. Nothing was changed "
                "(--into-non-empty moves keys into it all the same, and replaces those of the same name)"
            )

    def _copy_over_leftovers(self) -> None:
        """Copy all keys to where others were copied before, of which some may be gone in the source by now."""
        if self._choices.into_non_empty:
            raise Refused(
                "which keys of the target are of the copy that was not ended cannot be told, because it was not empty "
                "before. Empty it, remove the state file, and begin anew"
            )
        self._state.may_have_extra = True
        self._copy()

    def _copy(self, parts_done: int = 0, position: str = "") -> None:
        """All keys, but for some parts that were copied before. What changed in these since is among the changes behind
        *position*, the place of the first of them."""
        state = self._state
        for _ in range(COPIES):
            records = self._source.snapshot(parts_done)
            first = next(records, None)  # a source that refuses to be followed does so here, where nothing was changed
            state.phase, state.position, state.parts_done = Phase.COPYING, position or self._source.position, parts_done
            self._file.save(state)
            for done in self._applying.records(records if first is None else chain((first,), records)):
                self._report.copying(done, self._source.total_keys)
                self._save_parts()
            try:
                if position:
                    self._source.resume(position)
                self._batches = self._source.changes()
                self._known_until_ms, self._changed = 0, None
                self._take(next(self._batches))
            except PositionLost as error:
                self._report.say(f"{error}: all keys are copied again")
                if self._choices.into_non_empty:
                    break
                state.may_have_extra = True
                parts_done, position = 0, ""
                continue
            state.phase = Phase.FOLLOWING
            self._file.save(state)
            return
        raise SourceFailed(f"{self._source.describe()} drops its changes sooner than its keys can be copied")

    def _save_parts(self) -> None:
        now_s = time.monotonic()
        if now_s - self._saved_s > SAVE_EVERY_S:
            # Only parts that are in the target as a whole: the one under way is not among them.
            self._saved_s, self._state.parts_done = now_s, self._source.parts_done
            self._file.save(self._state)

    # --- Following --------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Take in the next changes, or learn that there are none."""
        try:
            self._take(self._next_batch())
        except (CopyAgain, PositionLost) as error:
            self._report.say(f"{error}: all keys are copied again")
            self._copy_over_leftovers()
            self._follow_up_to(wall_clock_ms())
            self._remove_extra()
            self._compare()
        now_s = time.monotonic()
        if now_s - self._saved_s > SAVE_EVERY_S:
            self._saved_s = now_s
            self._file.save(self._state)
            lag_ms = wall_clock_ms() - self._known_until_ms
            self._report.following(Lag(self._behind(), lag_ms, self._applying.facts))

    def _behind(self) -> int:
        try:
            return self._source.behind(self._state.position)
        except PositionLost:
            return 1  # nobody knows; never 0, which would be the end of draining. The next step copies again

    def _next_batch(self) -> Batch:
        deadline_s = time.monotonic() + RECONNECT_S
        while True:
            try:
                return next(self._batches)
            except SourceFailed as error:
                if time.monotonic() > deadline_s:
                    raise
                self._report.say(f"{error}; connecting again")
            time.sleep(1.0)
            try:
                self._source.resume(self._state.position)
                self._batches = self._source.changes()
            except SourceFailed:
                continue

    def _take(self, batch: Batch) -> None:
        if batch.changes:
            changed = self._applying.changes(batch.changes)
            if changed is None or self._changed is None or len(self._changed) > CHANGED_MOST:
                self._changed = None
            else:
                self._changed |= changed
        # Only now, when they are in the target.
        self._state.position = batch.position
        self._known_until_ms = batch.known_until_ms

    def _follow_up_to(self, asked_ms: int) -> None:
        while self._known_until_ms < asked_ms:
            self._step()

    def _catch_up(self) -> None:
        self._follow_up_to(wall_clock_ms())

    def _remove_extra(self) -> None:
        """What an earlier copy left in the target, and the source does not have any more."""
        if not self._state.may_have_extra:
            return
        for records in self._target.scan():
            keys = [record.key for record in records]
            found = self._source.look(keys)
            self._target.apply(
                [Delete(self._choices.database, key) for key, record in zip(keys, found, strict=True) if record is None]
            )
            if time.monotonic() - self._saved_s > SAVE_EVERY_S:
                self._step()
        self._state.may_have_extra = False
        self._file.save(self._state)

    # --- Comparing --------------------------------------------------------------------------------------------------

    def _compare(self) -> None:
        """All keys, while changes are followed. NotTheSame."""
        began_s = followed_s = time.monotonic()
        self._changed = set()
        verification = self._verification()
        total = 2 * self._target.count()
        for _ in verification.run():
            self._report.comparing(verification.done, max(total, verification.done))
            if time.monotonic() - followed_s > FOLLOW_EVERY_S:
                self._step()
                followed_s = time.monotonic()
        self._compared_s = time.monotonic() - began_s
        self._compared = verdict = verification.verdict
        if verdict.differences:
            raise NotTheSame(verdict.differences)
        if self._changed is not None:
            self._changed |= verdict.unsettled
        self._report.say(f"{verdict.keys:,} keys compared, none differs")

    def _verification(self) -> Verification:
        return Verification(
            self._source,
            self._target,
            self._catch_up,
            others_in_target=self._choices.into_non_empty,
            repair=None if self._source.follows else self._applying.keys,
        )

    # --- Cutting over -----------------------------------------------------------------------------------------------

    def _cut_over(self) -> CutOver:
        if self._changed is None:
            self._compare()  # before anybody has to wait
        pause_ms = self._choices.pause_ms
        until_ms = wall_clock_ms() + pause_ms
        paused = self._source.pause_writes(pause_ms)
        try:
            if not paused:
                self._report.say(
                    "end all writers of the source now; the target is cut over when nothing comes any more"
                )
            self._drain(until_ms if paused else None)
            changed = self._compare_again(pause_ms)
            self._drain(until_ms if paused else None)
            if paused and wall_clock_ms() > until_ms:
                raise SourceFailed("the pause was over before all was compared; allow a longer one by --pause")
        except BaseException:
            self._source.resume_writes()
            raise
        self._state.phase = Phase.CUT_OVER
        self._file.save(self._state)
        return CutOver(self._compared, changed, until_ms if paused else 0)

    def _drain(self, until_ms: int | None) -> None:
        """Take in all that there is; in a source that is not paused, wait until nothing came for a while."""
        quiet_s = time.monotonic()
        while True:
            position = self._state.position
            self._step()
            if self._state.position != position:
                quiet_s = time.monotonic()
            if until_ms is not None and wall_clock_ms() > until_ms:
                raise SourceFailed("the pause was over before all changes were taken in; allow a longer one by --pause")
            rested = until_ms is not None or time.monotonic() - quiet_s > QUIET_S
            if rested and self._behind() == 0:
                return

    def _compare_again(self, pause_ms: int) -> int:
        """While nobody writes: all keys if there is time for it, else those that changed since all were compared; how
        many these are. NotTheSame, SourceFailed."""
        quick = self._compared_s * 1000 * SHARE_OF_PAUSE < pause_ms
        if quick or self._changed is None or not self._source.follows:
            self._compare()
            if self._compared.unsettled:
                raise SourceFailed(f"{len(self._compared.unsettled):,} keys are still being written to in the source")
            return 0
        keys = sorted(self._changed)
        settling = self._verification().settle(keys)
        while True:
            try:
                next(settling)
            except StopIteration as ended:
                differences, unsettled = ended.value
                break
        if differences:
            raise NotTheSame(differences)
        if unsettled:
            raise SourceFailed(f"{len(unsettled):,} keys are still being written to in the source")
        return len(keys)

    def drop_writers(self) -> None:
        """Before the pause ends: nothing that waits in the source is to be executed there."""
        self._source.drop_writers()

    def stray(self) -> int:
        """After the cut-over: how many changes came to the source since this was last asked, that the target does not
        have. Keys whose time was up are not told from deletes, so neither is counted."""
        batch = next(self._batches)
        return sum(
            change.database == self._choices.database and not isinstance(change, Delete) for change in batch.changes
        )
