"""Comparing a source and a target key by key, also while keys change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keystead.migration.source import Delete, Put
from keystead.migration.verification import Verdict, Verification
from migration.ends import NOW_MS, MemorySource, MemoryTarget


def ends(count: int = 100) -> tuple[MemorySource, MemoryTarget]:
    source, target = MemorySource(), MemoryTarget()
    source.keys = {b"k%d" % i: (b"v%d" % i, NOW_MS + 60_000 if i % 3 else 0) for i in range(count)}
    target.keys = dict(source.keys)
    return source, target


def verdict(
    source: MemorySource,
    target: MemoryTarget,
    catch_up: Callable[[], None] = lambda: None,
    between: Callable[[], None] = lambda: None,
    *,
    others_in_target: bool = False,
) -> Verdict:
    verification = Verification(
        source,
        target,
        catch_up,
        others_in_target=others_in_target,
        now_ms=lambda: NOW_MS,
        sleep=lambda _: between(),
    )
    for _ in verification.run():
        between()
    return verification.verdict


def test_equal_sides_have_equal_digests_whatever_their_order() -> None:
    source, target = ends()
    target.keys = dict(reversed(target.keys.items()))
    same = verdict(source, target)
    assert (same.keys, same.differences, same.unsettled) == (100, [], set())
    assert len(same.digest) == 32


@pytest.mark.parametrize(
    ("plant", "described"),
    [
        (lambda keys: keys.pop(b"k7"), "missing in the target"),
        (lambda keys: keys.update({b"more": (b"v", 0)}), "only in the target"),
        (lambda keys: keys.update({b"k7": (b"other", NOW_MS + 60_000)}), "another value"),
        (lambda keys: keys.update({b"k7": (b"v7", NOW_MS + 60_001)}), "expires at 1060001 instead of 1060000"),
        (lambda keys: keys.update({b"k7": (b"v7", 0)}), "expires at 0 instead of 1060000"),
    ],
)
def test_one_planted_difference_is_found_and_described(
    plant: Callable[[dict[bytes, tuple[bytes, int]]], object], described: str
) -> None:
    source, target = ends()
    plant(target.keys)
    (difference,) = verdict(source, target).differences
    assert difference.key in (b"k7", b"more")
    assert difference.describe() == described


def test_values_that_changed_places_are_found() -> None:
    source, target = ends()
    target.keys[b"k3"], target.keys[b"k6"] = target.keys[b"k6"], target.keys[b"k3"]
    assert {difference.key for difference in verdict(source, target).differences} == {b"k3", b"k6"}


def test_keys_whose_time_is_up_on_one_side_only_are_the_same() -> None:
    source, target = ends()
    source.keys[b"over"] = b"v", NOW_MS
    target.keys[b"long over"] = b"v", NOW_MS - 1
    assert verdict(source, target).differences == []


def test_a_change_that_comes_during_the_comparison_is_no_difference() -> None:
    source, target = ends()
    at = 0

    def catch_up() -> None:
        target.keys = dict(source.keys)

    def between() -> None:
        nonlocal at
        at += 1
        source.happen(Put(0, b"k%d" % at, b"new %d" % at, 0), Delete(0, b"k%d" % (at + 50)))

    found = verdict(source, target, catch_up, between)
    assert found.differences == []


def test_a_key_that_never_stands_still_is_named_as_such() -> None:
    source, target = ends()
    target.keys[b"k1"] = b"old", 0

    def between() -> None:
        source.happen(Put(0, b"k1", b"%d" % len(source.log), 0))

    found = verdict(source, target, between, between)
    assert found.differences == []
    assert found.unsettled == {b"k1"}


def test_keys_that_only_the_target_has_are_nobodys_business_where_it_was_not_empty() -> None:
    source, target = ends()
    target.keys[b"theirs"] = b"v", 0
    target.keys.pop(b"k7")
    found = verdict(source, target, others_in_target=True)
    assert [difference.key for difference in found.differences] == [b"k7"]
