"""A migration from its beginning to the cut-over, with interruptions at every place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from keystead.migration import applying, moving, verification
from keystead.migration.moving import Choices, CutOver, Lag, Moving, NotTheSame, Refused
from keystead.migration.source import Delete, Expire, Flush, Gap, PositionLost, Put, SourceFailed
from keystead.migration.state import Phase, State, StateFile
from keystead.migration.target import TargetRefused
from migration.ends import KilledHere, MemorySource, MemoryTarget

FAR_MS = 1 << 42


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes here but the tests themselves, so nobody has to be waited for."""
    monkeypatch.setattr(moving, "QUIET_S", 0.0)
    monkeypatch.setattr(verification, "ROUND_S", 0.0)


class Shown:
    """A Report that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.copied = (0, 0)

    def copying(self, done: int, total: int) -> None:
        self.copied = done, total

    def following(self, lag: Lag) -> None:
        assert lag.behind >= 0

    def comparing(self, done: int, total: int) -> None:
        assert done <= total

    def say(self, text: str) -> None:
        self.said.append(text)


class Stage:
    """A source with some keys, a target without, and runs of a migration between them."""

    def __init__(self, path: Path, count: int = 20) -> None:
        self.source = MemorySource()
        self.source.happen(*(Put(0, b"k%d" % i, b"v%d" % i, FAR_MS if i % 2 else 0) for i in range(count)))
        self.target = MemoryTarget()
        self.target.now_ms = 0
        self.file = StateFile(path / "state.json")
        self.shown = Shown()

    def run(
        self,
        told: Callable[[], bool] = lambda: True,
        *,
        into_non_empty: bool = False,
    ) -> CutOver:
        choices = Choices(0, into_non_empty, 60_000)
        self.last = Moving(self.source, self.target, self.file, choices, self.shown, told)
        return self.last.run()

    def save(self, phase: Phase, position: str = "") -> None:
        self.file.save(State(1, "the source", "the target", 0, False, phase, position))

    def state(self) -> State:
        state = self.file.load()
        assert state is not None
        return state


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_everything_is_copied_compared_and_cut_over(stage: Stage) -> None:
    done = stage.run()
    assert stage.target.keys == stage.source.keys
    assert (done.compared.keys, len(done.compared.digest)) == (20, 32)
    assert stage.source.paused
    assert stage.state().phase == Phase.CUT_OVER


def test_changes_are_followed_until_it_is_told_to_cut_over(stage: Stage) -> None:
    changes = iter(
        [
            [Put(0, b"new", b"v", FAR_MS), Delete(0, b"k1")],
            [Expire(0, b"k2", FAR_MS + 1)],
            [Flush(0), Put(0, b"after", b"flush", 0)],
            [Put(0, b"k3", b"again", 0)],
        ]
    )

    def told() -> bool:
        happening = next(changes, None)
        if happening is not None:
            stage.source.happen(*happening)
        return happening is None

    stage.run(told)
    assert stage.target.keys == stage.source.keys == {b"after": (b"flush", 0), b"k3": (b"again", 0)}


@pytest.mark.parametrize("killed_after", range(12))
def test_a_migration_that_is_killed_anywhere_loses_and_duplicates_nothing(stage: Stage, killed_after: int) -> None:
    pending = [Put(0, b"k%d" % i, b"changed", FAR_MS) for i in range(0, 20, 3)]
    pending += [Delete(0, b"k%d" % i) for i in range(0, 20, 4)]

    def told() -> bool:
        if pending:
            stage.source.happen(pending.pop())
        return not pending

    stage.target.fails_after = killed_after
    with pytest.raises(KilledHere):
        stage.run(told)
    stage.source.happen(Delete(0, b"k11"), Put(0, b"while it was away", b"v", 0))
    stage.target.fails_after = -1
    stage.run(told)
    assert stage.target.keys == stage.source.keys


@pytest.mark.parametrize("killed_after", range(8))
@pytest.mark.parametrize("into_non_empty", [False, True])
def test_a_copy_of_a_source_with_parts_goes_on_where_it_was_killed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, killed_after: int, into_non_empty: bool
) -> None:
    monkeypatch.setattr(moving, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(applying, "CHUNK_FACTS", 2)
    stage.source.has_parts = True
    stage.target.fails_after = killed_after
    with pytest.raises(KilledHere):
        stage.run(into_non_empty=into_non_empty)
    copied = stage.state().parts_done
    assert killed_after < 3 or copied > 0
    first = {key for facts in stage.target.applied for key in (fact.key for fact in facts) if key[-1] < copied}
    stage.target.applied.clear()
    stage.source.happen(Delete(0, b"k0"), Delete(0, b"k18"), Put(0, b"k11", b"changed", 0), Put(0, b"new9", b"v", 0))
    stage.target.fails_after = -1
    if into_non_empty and not copied:
        return  # nothing says which keys were copied
    stage.run(into_non_empty=into_non_empty)
    assert stage.target.keys == stage.source.keys
    again = {fact.key for facts in stage.target.applied for fact in facts} & first
    assert again <= {b"k0", b"k18", b"k11"}


def test_keys_of_an_interrupted_copy_that_are_gone_since_are_removed(stage: Stage) -> None:
    stage.save(Phase.COPYING)
    stage.target.keys = {b"k1": (b"v1", FAR_MS), b"deleted meanwhile": (b"v", 0)}
    stage.run()
    assert stage.target.keys == stage.source.keys


def test_what_was_followed_goes_on_at_its_place_without_copying(stage: Stage) -> None:
    stage.save(Phase.FOLLOWING, stage.source.position)
    stage.source.at = len(stage.source.log)
    stage.save(Phase.FOLLOWING, stage.source.position)
    stage.target.keys = dict(stage.source.keys)
    stage.source.happen(Put(0, b"later", b"v", 0))
    stage.run()
    assert stage.target.keys == stage.source.keys
    assert stage.shown.copied == (0, 0)


def test_when_the_changes_since_are_dropped_all_keys_are_copied_again(stage: Stage) -> None:
    stage.save(Phase.FOLLOWING, "3")
    stage.target.keys = {b"gone since": (b"v", 0)}
    stage.source.first_kept = 5
    stage.run()
    assert stage.target.keys == stage.source.keys
    assert "it was dropped: all keys are copied again" in stage.shown.said


def test_what_cannot_be_told_key_by_key_is_copied_again(stage: Stage) -> None:
    happenings = iter([True])

    def told() -> bool:
        if next(happenings, False):
            stage.source.keys = {b"of the other database": (b"v", 0)}
            stage.source.log.append(Gap(0, "databases 0 and 1 were swapped"))
            return False
        return True

    stage.run(told)
    assert stage.target.keys == {b"of the other database": (b"v", 0)}


def test_changes_that_are_always_dropped_before_they_can_be_read_end_it(stage: Stage) -> None:
    stage.source.on_batch = lambda: setattr(stage.source, "first_kept", 1 << 30)
    with pytest.raises(SourceFailed, match="drops its changes sooner than its keys can be copied"):
        stage.run()


def test_a_target_that_is_not_empty_is_left_alone(stage: Stage) -> None:
    stage.target.keys = {b"theirs": (b"v", 0)}
    with pytest.raises(Refused, match="not empty: it has 1 keys"):
        stage.run()
    assert stage.target.keys == {b"theirs": (b"v", 0)}
    assert not stage.file.path.exists()


def test_keys_are_moved_beside_those_of_a_target_on_demand(stage: Stage) -> None:
    stage.target.keys = {b"theirs": (b"v", 0), b"k1": (b"theirs too", 0)}
    stage.run(into_non_empty=True)
    assert stage.target.keys == {**stage.source.keys, b"theirs": (b"v", 0)}


def test_an_interrupted_copy_beside_other_keys_is_not_guessed_about(stage: Stage) -> None:
    stage.target.keys = {b"theirs": (b"v", 0)}
    stage.target.fails_after = 0
    with pytest.raises(KilledHere):
        stage.run(into_non_empty=True)
    with pytest.raises(Refused, match="cannot be told"):
        stage.run(into_non_empty=True)


def test_a_flush_of_the_source_stops_it_where_the_target_had_keys(stage: Stage) -> None:
    stage.target.keys = {b"theirs": (b"v", 0)}

    def told() -> bool:
        stage.source.happen(Flush(0))
        return False

    with pytest.raises(TargetRefused, match="was flushed"):
        stage.run(told, into_non_empty=True)
    assert b"theirs" in stage.target.keys


def test_after_the_cut_over_nothing_is_applied_any_more(stage: Stage) -> None:
    stage.run()
    stage.source.paused = False
    stage.source.happen(Put(0, b"k1", b"late", 0))
    stage.target.keys[b"k1"] = b"newer", 0
    with pytest.raises(Refused, match="was cut over"):
        stage.run()
    assert stage.target.keys[b"k1"] == (b"newer", 0)


def test_what_comes_to_the_source_after_the_cut_over_is_counted(stage: Stage) -> None:
    stage.run()
    stage.source.paused = False
    stage.source.happen(Put(0, b"late", b"v", 0), Put(1, b"elsewhere", b"v", 0), Delete(0, b"k1"))
    assert sum(stage.last.stray() for _ in range(5)) == 1


def test_the_state_of_another_migration_is_refused(stage: Stage) -> None:
    stage.file.save(State(1, "another source", "the target", 0))
    with pytest.raises(Refused, match="another migration, of another source"):
        stage.run()
    assert stage.target.keys == {}


def test_a_difference_at_the_cut_over_lets_the_writers_go_on(stage: Stage) -> None:
    def told() -> bool:
        stage.target.keys[b"k4"] = b"planted", 0
        return True

    with pytest.raises(NotTheSame) as found:
        stage.run(told)
    assert [(each.key, each.describe()) for each in found.value.differences] == [(b"k4", "another value")]
    assert not stage.source.paused
    assert stage.state().phase == Phase.FOLLOWING


def test_keys_that_changed_since_all_were_compared_are_compared_in_a_short_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "SHARE_OF_PAUSE", 1e12)  # to compare all takes longer than the pause
    happenings = iter([True])

    def told() -> bool:
        if next(happenings, False):
            stage.source.happen(Put(0, b"k1", b"new", 0), Put(0, b"k2", b"new", 0))
            return False
        return stage.source.behind(stage.last._state.position) == 0

    done = stage.run(told)
    assert (done.compared.keys, done.changed) == (20, 2)


def test_a_difference_among_the_keys_that_changed_since_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "SHARE_OF_PAUSE", 1e12)
    happenings = iter([True])

    def told() -> bool:
        if next(happenings, False):
            stage.source.happen(Put(0, b"k1", b"new", 0))
            return False
        if stage.source.behind(stage.last._state.position):
            return False
        stage.target.keys[b"k1"] = b"planted", 0
        return True

    with pytest.raises(NotTheSame):
        stage.run(told)
    assert not stage.source.paused


def test_a_source_that_cannot_be_paused_is_cut_over_when_nothing_comes_any_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "QUIET_S", 0.2)
    stage.source.can_pause = False
    pending = [Put(0, b"k%d" % i, b"last words", 0) for i in range(10)]

    def write() -> None:
        if pending and any("end all writers" in text for text in stage.shown.said):
            stage.source.happen(pending.pop())

    stage.source.on_batch = write
    done = stage.run()
    assert pending == []
    assert done.paused_until_ms == 0
    assert stage.target.keys == stage.source.keys


def test_changes_that_are_dropped_just_before_the_end_are_not_taken_for_none(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "SHARE_OF_PAUSE", 1 << 60)  # only keys that are known to have changed are compared
    source, losing = stage.source, []
    compare_again = Moving._compare_again

    def then_lose(self: Moving, pause_ms: int) -> int:
        changed = compare_again(self, pause_ms)
        losing.append(True)
        return changed

    def behind(position: str) -> int:
        if losing:
            losing.clear()
            source.keys[b"k3"] = b"a last word", 0
            source.log.append(Put(0, b"k3", b"a last word", 0))
            source.first_kept = len(source.log)
            raise PositionLost("it was dropped")
        return len(source.log) - int(position)

    monkeypatch.setattr(Moving, "_compare_again", then_lose)
    monkeypatch.setattr(source, "behind", behind)
    stage.run()
    assert stage.target.keys == source.keys


def test_a_source_whose_changes_cannot_be_followed_is_repaired_in_the_pause(stage: Stage) -> None:
    stage.source = MemorySource(follows=False)
    stage.source.keys = {b"k%d" % i: (b"v", 0) for i in range(10)}

    def told() -> bool:
        stage.source.keys[b"k1"] = b"changed untold", 0
        stage.source.keys[b"added untold"] = b"v", 0
        del stage.source.keys[b"k2"]
        return True

    stage.run(told)
    assert stage.target.keys == stage.source.keys


def test_a_source_that_broke_off_is_connected_to_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    failures = [SourceFailed("the connection was lost")]

    def on_batch() -> None:
        if failures:
            stage.source.happen(Put(0, b"meanwhile", b"v", 0))
            raise failures.pop()

    def told() -> bool:
        stage.source.on_batch = on_batch
        return not failures

    stage.run(told)
    assert "the connection was lost; connecting again" in stage.shown.said
    assert stage.target.keys == stage.source.keys
