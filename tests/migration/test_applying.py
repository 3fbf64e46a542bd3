"""From changes in order to facts in none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.migration.applying import Applying, CopyAgain
from keystead.migration.source import Change, Delete, Expire, Flush, Gap, Put, Record, Touched
from keystead.migration.target import TargetRefused
from migration.ends import NOW_MS, MemorySource, MemoryTarget

LATER_MS = NOW_MS + 60_000
KEYS = st.sampled_from([b"a", b"b", b"c"])
TIMES = st.sampled_from([0, LATER_MS, LATER_MS + 1])
CHANGES = st.one_of(
    st.builds(Put, st.just(0), KEYS, st.binary(max_size=2), TIMES),
    st.builds(Delete, st.just(0), KEYS),
    st.builds(Expire, st.just(0), KEYS, TIMES),
    st.just(Flush(0)),
)
EVENTS = st.lists(st.one_of(CHANGES, st.tuples(KEYS, st.binary(max_size=2))), max_size=30)


def happened(events: list[Change | tuple[bytes, bytes]]) -> MemorySource:
    source = MemorySource()
    for event in events:
        if isinstance(event, (Put, Delete, Expire, Flush)):
            source.happen(event)
        else:
            source.touch(*event)  # type: ignore[arg-type]  # key and value
    return source


@given(EVENTS, st.data())
def test_changes_taken_in_any_portions_and_again_from_an_earlier_place_have_the_same_end(
    events: list[Change | tuple[bytes, bytes]], data: st.DataObject
) -> None:
    source, target = happened(events), MemoryTarget()
    applying = Applying(source, target, 0)
    at = 0
    for _ in range(4):
        at = data.draw(st.integers(0, at))  # killed, and taken up where the state was last saved
        to = data.draw(st.integers(at, len(source.log)))
        applying.changes(source.log[at:to])
        at = to
    applying.changes(source.log[at:])
    assert target.keys == source.keys


@given(EVENTS, st.data())
def test_a_snapshot_and_the_changes_behind_it_come_to_what_the_source_has(
    events: list[Change | tuple[bytes, bytes]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(events)))
    before, source, target = happened(events[:at]), happened(events), MemoryTarget()
    applying = Applying(source, target, 0)
    for _ in applying.records(Record(0, key, "string", *state) for key, state in before.keys.items()):
        pass
    applying.changes(source.log[at:])
    assert target.keys == source.keys


def test_each_key_of_a_batch_gets_one_fact() -> None:
    source, target = happened([]), MemoryTarget()
    changed = Applying(source, target, 0).changes(
        [Put(0, b"k", b"1", 0), Put(0, b"k", b"2", 0), Expire(0, b"k", LATER_MS), Delete(0, b"other")]
    )
    assert changed == {b"k", b"other"}
    assert target.keys == {b"k": (b"2", LATER_MS)}
    assert sum(len(facts) for facts in target.applied) == 2


def test_a_key_that_expired_too_early_in_the_target_comes_back_with_its_value() -> None:
    source, target = MemorySource(), MemoryTarget()
    applying = Applying(source, target, 0)
    source.happen(Put(0, b"session", b"v", NOW_MS + 10))
    applying.changes(source.log)
    target.now_ms = NOW_MS + 20  # the target was quicker than the change that prolonged it
    target.expire()
    source.happen(Expire(0, b"session", LATER_MS))
    applying.changes(source.log[1:])
    assert target.keys == {b"session": (b"v", LATER_MS)}


def test_a_key_that_was_to_live_for_ever_but_expired_in_the_target_comes_back() -> None:
    source, target = MemorySource(), MemoryTarget()
    applying = Applying(source, target, 0)
    source.happen(Put(0, b"k", b"v", NOW_MS + 10))
    applying.changes(source.log)
    target.now_ms = NOW_MS + 20
    target.expire()
    source.happen(Expire(0, b"k", 0))
    applying.changes(source.log[1:])
    assert target.keys == {b"k": (b"v", 0)}


def test_changes_of_other_databases_are_left_out() -> None:
    source, target = MemorySource(), MemoryTarget()
    Applying(source, target, 0).changes([Put(1, b"k", b"v", 0), Flush(2), Touched(3, b"k"), Gap(4, "swapped")])
    assert target.applied == []


def test_what_cannot_be_told_key_by_key_is_copied_again() -> None:
    with pytest.raises(CopyAgain, match="swapped"):
        Applying(MemorySource(), MemoryTarget(), 0).changes([Gap(0, "databases 0 and 1 were swapped")])


def test_a_flush_is_refused_where_keys_are_that_are_not_of_the_source() -> None:
    target = MemoryTarget()
    target.keys[b"theirs"] = b"v", 0
    with pytest.raises(TargetRefused, match="was flushed"):
        Applying(MemorySource(), target, 0, others_in_target=True).changes([Flush(0)])
    assert target.keys == {b"theirs": (b"v", 0)}


def test_records_go_in_portions_of_bounded_size() -> None:
    target = MemoryTarget()
    records = [Record(0, b"%d" % i, "string", bytes(1000), 0) for i in range(3000)]
    taken = list(Applying(MemorySource(), target, 0).records(iter(records)))
    assert taken[-1] == 3000
    assert len(target.keys) == 3000
    assert max(len(facts) for facts in target.applied) <= 1000
    assert max(sum(len(fact.value) for fact in facts) for facts in target.applied) <= 1_050_000  # type: ignore[union-attr]
