"""The slot of a key is what every node of a cluster says it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystead.cluster import slot_of

if TYPE_CHECKING:
    from clusters import Cluster


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"123456789", 12739),  # the specification's own example, 0x31C3
        (b"foo", 12182),
        (b"bar", 5061),
        (b"", 0),
        (b"{user1000}.following", 3443),
        (b"{user1000}.followers", 3443),
    ],
)
def test_known_keys_have_their_known_slots(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


def test_only_what_is_between_the_first_braces_counts() -> None:
    assert slot_of(b"a{tag}b") == slot_of(b"tag")
    assert slot_of(b"foo{{bar}}zap") == slot_of(b"{bar")
    assert slot_of(b"foo{bar}{zap}") == slot_of(b"bar")


def test_braces_with_nothing_between_or_without_an_end_are_like_other_characters() -> None:
    tagged = {slot_of(key) for key in (b"foo{}{bar}", b"foo{bar", b"}foo{", b"{}")}
    assert tagged.isdisjoint({slot_of(b"bar"), slot_of(b""), slot_of(b"foo")})


@settings(deadline=None)
@given(st.lists(st.text("{}ab").map(str.encode), min_size=1, max_size=20))
def test_a_real_node_says_the_same(cluster: Cluster, keys: list[bytes]) -> None:
    said = cluster.nodes[0].call_each([("CLUSTER", "KEYSLOT", key) for key in keys])
    assert list(map(slot_of, keys)) == said
