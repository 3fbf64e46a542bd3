"""The ordered index against a sorted set of keys, while it is built and while keys come and go."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from keystead.engine import key_index
from keystead.engine.key_index import BLOCK_KEYS, PENDING_KEYS, SLICE_KEYS, Folder, KeyIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = st.lists(st.sampled_from([b"a", b"b", b":", b"\x00", b"\xff"]), max_size=5).map(b"".join)
PREFIXES = st.sampled_from([b"", b"a", b"b:", b"a:", b"\xff", b"\xff\xff", b"a\xff", b"\x00", b":"]) | KEYS


def built(*lists: list[bytes]) -> KeyIndex:
    index = KeyIndex()
    for _ in index.build(iter(lists)):
        pass
    return index


def model_folders(keys: set[bytes], prefix: bytes, delimiter: bytes) -> list[Folder]:
    counts: Counter[bytes] = Counter()
    for key in keys:
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix))
            counts[key if cut < 0 else key[: cut + len(delimiter)]] += 1
    return [Folder(name, counts[name]) for name in sorted(counts)]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that a few keys split and join blocks."""
    shrink(monkeypatch)


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_index, "BLOCK_KEYS", 4)
    monkeypatch.setattr(key_index, "PENDING_KEYS", 6)
    monkeypatch.setattr(key_index, "SLICE_KEYS", 3)


def test_folders_of_a_level_have_exact_counts() -> None:
    index = built([b"user:1:name", b"user:2:name", b"user:1:mail", b"user:", b"user", b"zebra", b"users"])
    assert index.folders() == [Folder(b"user", 1), Folder(b"user:", 4), Folder(b"users", 1), Folder(b"zebra", 1)]
    assert index.folders(b"user:") == [Folder(b"user:", 1), Folder(b"user:1:", 2), Folder(b"user:2:", 1)]
    assert index.folders(b"user:", limit=1, after=b"user:1:") == [Folder(b"user:2:", 1)]
    assert index.folders(b"user:1:") == [Folder(b"user:1:mail", 1), Folder(b"user:1:name", 1)]
    assert index.folders(b"absent:") == []


def test_a_delimiter_may_be_longer_than_a_byte() -> None:
    index = built([b"a::b", b"a:c", b"a::d::e"])
    assert index.folders(b"", b"::") == [Folder(b"a::", 2), Folder(b"a:c", 1)]
    assert index.folders(b"a::", b"::") == [Folder(b"a::b", 1), Folder(b"a::d::", 1)]


def test_pages_continue_after_a_key_that_has_gone() -> None:
    index = built([b"a", b"b", b"c"])
    index.discard(b"b")
    assert index.range(after=b"b") == [b"c"]
    assert index.range(after=b"a", limit=1) == [b"c"]
    assert index.range(b"b", after=b"zzz") == []


def test_a_prefix_of_the_highest_bytes_has_no_end() -> None:
    index = built([b"\xfe", b"\xff", b"\xff\xff", b"\xff\xff\xff"])
    assert index.count(b"\xff") == 3
    assert index.range(b"\xff\xff") == [b"\xff\xff", b"\xff\xff\xff"]


def test_questions_wait_for_the_build() -> None:
    index = KeyIndex()
    index.add(b"a")
    assert not index.merge()
    with pytest.raises(RuntimeError, match="still being built"):
        index.count(b"")
    for _ in index.build(iter([[b"b"]])):
        assert not index.ready
    assert index.ready
    assert index.range() == [b"a", b"b"]


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=200)
@given(st.data())
def test_changes_between_the_steps_of_the_build_are_kept(data: st.DataObject) -> None:
    keys = data.draw(st.sets(KEYS, max_size=60))
    lists = data.draw(st.lists(st.just(None), min_size=1, max_size=6))
    shards: list[set[bytes]] = [set() for _ in lists]
    for key in keys:
        shards[sum(key) % len(shards)].add(key)

    def fetched() -> Iterator[list[bytes]]:
        for shard in shards:
            yield list(shard)

    index = KeyIndex()
    for _ in index.build(fetched()):
        for key in data.draw(st.lists(KEYS, max_size=3)):
            shard = shards[sum(key) % len(shards)]
            if key in shard:
                shard.remove(key)
                index.discard(key)
            else:
                shard.add(key)
                index.add(key)
    assert index.range(limit=1000) == sorted(set().union(*shards))


class OrderedKeys(RuleBasedStateMachine):
    """Every question gets the answer that a sorted set would give, whatever is still pending."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.index = built([])
        self.model: set[bytes] = set()

    @rule(target=keys, key=KEYS)
    def add(self, key: bytes) -> bytes:
        self.index.add(key)
        self.model.add(key)
        return key

    @rule(key=keys | KEYS)
    def discard(self, key: bytes) -> None:
        self.index.discard(key)
        self.model.discard(key)

    @rule(keys=st.lists(KEYS, max_size=30))
    def add_many(self, keys: list[bytes]) -> None:
        for key in keys:
            self.add(key)

    @rule(prefix=PREFIXES, spared=st.integers(0, 3))
    def discard_many(self, prefix: bytes, spared: int) -> None:
        for key in sorted(key for key in self.model if key.startswith(prefix))[spared:]:
            self.discard(key)

    @rule(keys=st.sets(KEYS, max_size=30))
    def add_at_once(self, keys: set[bytes]) -> None:
        self.index.change_many(dict.fromkeys(keys, True))
        self.model |= keys

    @rule(prefix=PREFIXES)
    def discard_at_once(self, prefix: bytes) -> None:
        keys = {key for key in self.model if key.startswith(prefix)}
        self.index.change_many(dict.fromkeys(keys, False))
        self.model -= keys

    @precondition(lambda self: self.index.is_behind)
    @rule()
    def catch_up(self) -> None:
        while self.index.is_behind:
            self.index.merge()

    @rule(limit=st.integers(1, 5))
    def merge(self, limit: int) -> None:
        self.index.merge(limit)

    @precondition(lambda self: self.index.ready)
    @rule(prefix=PREFIXES)
    def count(self, prefix: bytes) -> None:
        assert self.index.count(prefix) == sum(key.startswith(prefix) for key in self.model)
        assert len(self.index) == len(self.model)

    @precondition(lambda self: self.index.ready)
    @rule(prefix=PREFIXES, after=st.none() | KEYS, limit=st.integers(1, 8))
    def range(self, prefix: bytes, after: bytes | None, limit: int) -> None:
        expected = sorted(key for key in self.model if key.startswith(prefix) and (after is None or key > after))
        assert self.index.range(prefix, after, limit) == expected[:limit]

    @precondition(lambda self: self.index.ready)
    @rule(prefix=PREFIXES, delimiter=st.sampled_from([b":", b"a", b"\xff", b"::"]), limit=st.integers(1, 4))
    def pages_of_folders(self, prefix: bytes, delimiter: bytes, limit: int) -> None:
        found: list[Folder] = []
        while page := self.index.folders(prefix, delimiter, found[-1].name if found else None, limit):
            assert len(page) <= limit
            found += page
        assert found == model_folders(self.model, prefix, delimiter)

    @precondition(lambda self: self.index.ready)
    @invariant()
    def blocks_are_in_order_and_of_bounded_size(self) -> None:
        blocks, lows = self.index._blocks, self.index._lows
        assert lows[0] == b""
        assert all(low <= key for low, block in zip(lows, blocks, strict=True) for key in block)
        assert all(block[-1] < low for block, low in zip(blocks, lows[1:], strict=False) if block)
        assert all(block == sorted(block) for block in blocks)
        least = key_index.BLOCK_KEYS // 4
        assert len(blocks) == 1 or all(least <= len(block) <= 2 * key_index.BLOCK_KEYS for block in blocks)


@pytest.mark.usefixtures("small_blocks")
class TestOrderedKeys(OrderedKeys.TestCase):  # type: ignore[misc]
    """Runs the machine with small blocks."""


TestOrderedKeys.settings = settings(max_examples=150, stateful_step_count=40)


def test_a_key_that_came_among_many_and_went_again_is_not_listed() -> None:
    """Its removal was merged before the list that it came in was, and the list then had the last word."""
    index = built([])
    index.change_many(dict.fromkeys([b"back"], True))
    for number in range(PENDING_KEYS - 1):
        index.add(b"key:%d" % number)
    index.discard(b"back")
    while index.is_behind:
        index.merge()
    assert index.range(b"back") == []
    assert len(index) == PENDING_KEYS - 1


def test_many_keys_at_once_are_taken_in_by_slices_while_questions_wait() -> None:
    index = built([b"key:%06d" % number for number in range(0, 20_000, 2)])
    index.change_many(dict.fromkeys([b"key:%06d" % number for number in range(20_000)], True))
    index.change_many(dict.fromkeys([b"key:%06d" % number for number in range(5_000)], False))
    assert not index.ready
    steps = 0
    while index.is_behind:
        index.merge()
        steps += 1
    assert steps == 25_000 // SLICE_KEYS
    assert index.range(limit=20_000) == [b"key:%06d" % number for number in range(5_000, 20_000)]


def test_many_keys_may_come_while_the_index_is_built() -> None:
    index = KeyIndex()
    steps = index.build(iter([[b"a", b"b"], [b"c"]]))
    next(steps)
    index.change_many(dict.fromkeys([b"b", b"d"], True))
    index.change_many(dict.fromkeys([b"a"], False))
    index.add(b"a")
    for _ in steps:
        pass
    assert index.ready
    assert index.range() == [b"a", b"b", b"c", b"d"]


def test_a_hundred_thousand_keys_stay_exact() -> None:
    draw = random.Random(2)
    keys = [b"user:%03d:%d" % (draw.randrange(200), number) for number in range(100_000)]
    index = built(*(keys[start : start + 997] for start in range(0, 60_000, 997)))
    present = set(keys[: 997 * 61])
    for key in keys[997 * 61 :]:
        index.add(key)
        present.add(key)
    for key in draw.sample(keys, 30_000):
        index.discard(key)
        present.discard(key)
    assert index.folders(b"user:", limit=300) == model_folders(present, b"user:", b":")
    assert len(index) == len(present)


def test_every_step_is_bounded_however_many_keys_there_are() -> None:
    """Rule 11: a list is taken in by slices, a merge takes a slice, and an insertion moves one block."""
    index = KeyIndex()
    steps = sum(1 for _ in index.build(iter([[b"%06d" % number for number in range(20_000)]])))
    assert steps >= 20_000 // SLICE_KEYS
    for number in range(PENDING_KEYS - 1):
        index.add(b"000000:%d" % number)
    assert index.merge()
    assert len(index._pending) == PENDING_KEYS - 1 - SLICE_KEYS
    while index.merge():
        pass
    assert max(map(len, index._blocks)) <= 2 * BLOCK_KEYS
    assert len(index) == 20_000 + PENDING_KEYS - 1


def test_the_write_path_keeps_the_pending_changes_few() -> None:
    """Rule 11: else the first question after a million writes would take seconds."""
    index = built([])
    for number in range(3 * PENDING_KEYS):
        (index.add if number % 3 else index.discard)(b"%d" % number)
        assert len(index._pending) <= PENDING_KEYS
