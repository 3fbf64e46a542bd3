"""The view: what the log says when it is replayed."""

from __future__ import annotations

import pytest
from xxhash import xxh3_64_intdigest

from keystead.engine import operations as op
from keystead.engine.expiries import expiry_of
from keystead.engine.keyspace import SHARD_SHIFT, SHARDS
from keystead.engine.operations import encode_entries
from keystead.engine.view import ReplayError, View

SEED = 9


def found(view: View, number: int = 0) -> dict[bytes, tuple[bytes, int]]:
    """The keys of a keyspace with value and expiry."""
    keyspace = view.keyspace(number)
    return {
        key: (bytes(value), expiry_of(expires, key))
        for shard, expires in zip(keyspace.shards, keyspace.expires, strict=True)
        for key, value in shard.items()
    }


def committed(*entries: op.Entry) -> View:
    """A view of one commit."""
    view = View(SEED)
    view.commit(entries, 1, 1, 1000)
    return view


def test_each_operation_does_what_the_format_says() -> None:
    """docs/format.md, "Commit frame"."""
    view = View(SEED)
    view.commit([op.Author("a", "b"), op.Put(0, b"k", b"v")], 1, 1, 1000)
    assert found(view) == {b"k": (b"v", 0)}
    view.commit([op.PutExpiring(0, b"k", b"w", 50)], 2, 1, 1001)
    assert found(view) == {b"k": (b"w", 50)}
    view.commit([op.Patch(0, b"k", 3, b"x"), op.SetExpiry(0, b"k", 60)], 3, 2, 1002)
    assert found(view) == {b"k": (b"w\0\0x", 60)}
    view.commit([op.Group(2), op.SetExpiry(0, b"k", 0), op.Patch(0, b"new", 1, b"y")], 5, 1, 1003)
    assert found(view) == {b"k": (b"w\0\0x", 0), b"new": (b"\0y", 0)}
    view.commit([op.PutExpiring(0, b"e", b"", 70), op.Put(0, b"e", b"again")], 6, 2, 1004)
    view.commit([op.Delete(0, b"k"), op.Expired(0, b"new")], 8, 2, 1005)
    assert found(view) == {b"e": (b"again", 0)}
    assert (view.next_sequence, view.time_ms) == (10, 1005)


@pytest.mark.parametrize(
    ("entries", "payload_bytes"),
    [
        ([op.Put(0, b"k", b"v")], 2),
        ([op.Put(0, b"k", b"v"), op.Put(0, b"k", b"v"), op.Put(0, b"k", b"")], 1),
        ([op.Put(0, b"key", b"value"), op.Put(1, b"other", b"1"), op.Put(0, b"2", b"3")], 10),
        ([op.Put(0, b"k", b"v"), op.PutExpiring(0, b"k", b"longer", 9), op.PutExpiring(0, b"new", b"4", 9)], 11),
        ([op.Put(0, b"k", b"v"), op.Patch(0, b"k", 3, b"x"), op.Patch(0, b"new", 1, b"y")], 10),
        ([op.Patch(0, b"k", 3, b"x"), op.Put(0, b"k", b"v")], 2),
        ([op.Put(0, b"k", b"v"), op.SetExpiry(0, b"k", 9), op.SetExpiry(0, b"k", 0)], 2),
        ([op.Put(0, b"k", b"v"), op.Delete(0, b"k"), op.PutExpiring(0, b"e", b"v", 9), op.Expired(0, b"e")], 0),
    ],
)
def test_the_bytes_of_keys_and_values_are_counted_as_they_change(entries: list[op.Entry], payload_bytes: int) -> None:
    """`maxmemory` goes by them from the start; counting afterwards took a third of a start's time."""
    assert committed(*entries).keyspace(0).payload_bytes == payload_bytes


def test_a_shard_that_is_let_go_is_empty_in_every_keyspace() -> None:
    """A checkpoint needs each only once."""
    view = committed(*(op.PutExpiring(i % 2, b"%d" % i, b"v", 50) for i in range(100)))
    for i in range(SHARDS):
        view.let_go(i)
    assert found(view, 0) == found(view, 1) == {}


def test_binding_shows_a_keyspace_and_empties_what_nobody_shows() -> None:
    """FLUSHDB, and SWAPDB: between its two binds one keyspace is shown by no database, and survives."""
    view = committed(op.Put(0, b"k", b"0"), op.Put(1, b"k", b"1"))
    view.commit([op.Group(2), op.Bind(0, 1), op.Bind(1, 0)], 3, 1, 0)
    assert [found(view, view.databases[number]) for number in (0, 1)] == [{b"k": (b"1", 0)}, {b"k": (b"0", 0)}]
    view.commit([op.Bind(0, 16), op.Put(16, b"new", b"")], 4, 2, 0)
    assert found(view, view.databases[0]) == {b"new": (b"", 0)}
    assert 1 not in view.keyspaces
    assert view.next_keyspace == 17


@pytest.mark.parametrize("entry", [op.Delete(0, b"k"), op.Expired(0, b"k"), op.SetExpiry(0, b"k", 5)], ids=repr)
def test_an_operation_on_what_is_not_there_is_no_history_of_this_store(entry: op.Entry) -> None:
    """Memory would have known: the frames before it are not those it was written after."""
    with pytest.raises(ReplayError):
        committed(entry)


def test_a_bind_of_a_database_that_cannot_be_makes_no_sense() -> None:
    """There are sixteen."""
    for number in (-1, 16):
        with pytest.raises(ReplayError):
            committed(op.Bind(number, 20))


def test_parts_are_joined_by_the_entry_that_closes_them() -> None:
    """Also with parts of other transactions between them."""
    view = View(SEED)
    large, other = encode_entries([op.Put(0, b"a", b"1"), op.Bind(0, 16)]), encode_entries([op.Put(1, b"b", b"2")])
    view.add_part(1, large[:4])
    view.add_part(2, other)
    view.add_part(1, large[4:])
    view.commit([op.Parts(2, len(other)), op.Parts(1, len(large))], 1, 2, 0)
    assert found(view, 1) == {b"b": (b"2", 0)}
    assert view.databases[0] == 16
    assert 0 not in view.keyspaces
    assert view.next_part == 3
    assert view.forget_parts() == set()


def test_the_next_part_group_is_behind_all_of_the_segment_in_whatever_order_their_parts_are() -> None:
    # Two groups side by side: the later one was written to first. Its number was given to a third, in the same segment.
    view = View(SEED)
    for group in (7, 8, 7):
        view.add_part(group, b"x")
    assert view.next_part == 9
    view.forget_parts()
    for group, following in ((0xFFFF_FFFF, 1), (1, 2), (0xFFFF_FFFF, 2), (2, 3)):
        view.add_part(group, b"x")
        assert view.next_part == following


@pytest.mark.parametrize("length", [0, 5, 7])
def test_parts_that_are_not_whole_make_no_sense(length: int) -> None:
    """Too few, too many, none at all."""
    view = View(SEED)
    view.add_part(1, b"123456")
    with pytest.raises(ReplayError):
        view.commit([op.Parts(1, length)], 1, 1, 0)
    with pytest.raises(ReplayError):
        view.commit([op.Parts(2, 6)], 1, 1, 0)


def test_parts_without_their_commit_mean_nothing_in_the_next_segment() -> None:
    """They are named, so that a start does not write them again."""
    view = View(SEED)
    view.add_part(3, b"123456")
    assert view.forget_parts() == {3}
    with pytest.raises(ReplayError):
        view.commit([op.Parts(3, 6)], 1, 1, 0)


def test_a_view_of_some_shards_knows_their_keys_only() -> None:
    """Compaction goes through a large store in passes."""
    keys = [b"%d" % i for i in range(300)]
    entries = [op.Put(0, key, b"v") for key in keys]
    low, high = View(SEED, range(SHARDS // 3)), View(SEED, range(SHARDS // 3, SHARDS))
    for view in (low, high):
        view.commit(entries, 1, 300, 0)
        view.commit([op.Delete(0, keys[0]), op.Patch(0, keys[1], 0, b"x"), op.Bind(1, 17)], 301, 3, 0)
    in_low = {key for key in keys if xxh3_64_intdigest(key, SEED) >> SHARD_SHIFT < SHARDS // 3}
    assert found(low).keys() == in_low - {keys[0]}
    assert found(high).keys() == set(keys) - in_low - {keys[0]}
    assert low.databases == high.databases
