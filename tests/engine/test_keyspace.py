"""One keyspace: the durable view and its before-images, expiry, cursors, watches.

The state machine in test_engine_model.py takes them in any order; here each has its name.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores import START_MS, HandClock, Reader
from xxhash import xxh3_64_intdigest

from keystead.engine import operations as op
from keystead.engine.before_images import Unpatch
from keystead.engine.clock import Clock
from keystead.engine.expiries import EXPIRY_OVERHEAD_BYTES
from keystead.engine.key_index import KeyIndex
from keystead.engine.keyspace import SHARD_SHIFT, SHARDS, Keyspace
from keystead.engine.values import KEY_OVERHEAD_BYTES

SEED = 7


class Recorded:
    """A keyspace with its clock and what it recorded."""

    def __init__(self) -> None:
        self.wall = HandClock()
        self.clock = Clock(self.wall)
        self.ops: list[tuple[object, ...]] = []
        self.durable_turn = 0
        self.keyspace = self.another(0)

    def another(self, number: int) -> Keyspace:
        """A further keyspace of the same store."""
        return Keyspace(number, SEED, self.clock, self.ops.append, lambda: self.durable_turn)

    def pass_time(self, ms: int) -> None:
        """Store time goes on."""
        self.wall.at_ms += ms
        self.clock.refresh()

    def sync(self) -> None:
        """A sync that covers everything so far begins and succeeds."""
        self.keyspace.begin_sync()
        self.keyspace.finish_sync()


@pytest.fixture
def recorded() -> Recorded:
    """An empty keyspace."""
    return Recorded()


@pytest.fixture
def keyspace(recorded: Recorded) -> Keyspace:
    """The keyspace alone."""
    return recorded.keyspace


def shown(keyspace: Keyspace, key: bytes) -> object:
    """What a stranger reads; it never waits."""
    stranger = Reader()
    value = keyspace.read(key, stranger)
    assert not stranger.must_wait
    assert keyspace.read_with_expiry(key, stranger)[0] == value
    assert keyspace.peek(key, lambda key: keyspace.read(key, stranger)) == value
    return value


# --- Operations -----------------------------------------------------------------------------------------------------


def test_every_change_is_recorded_as_one_operation_of_absolute_facts(recorded: Recorded) -> None:
    """Rule 1."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"v")
    keyspace.put(b"k", b"w", START_MS + 10)
    keyspace.set_expiry(b"k", START_MS + 20)
    keyspace.patch(b"k", 3, b"xy")
    keyspace.set_expiry(b"k", 0)
    assert keyspace.delete(b"k")
    assert recorded.ops == [
        (op.PUT, 0, b"k", b"v"),
        (op.PUT_EXPIRING, 0, b"k", b"w", START_MS + 10),
        (op.SET_EXPIRY, 0, b"k", START_MS + 20),
        (op.PATCH, 0, b"k", 3, b"xy"),
        (op.SET_EXPIRY, 0, b"k", 0),
        (op.DELETE, 0, b"k"),
    ]


def test_a_patch_of_ten_megabytes_records_and_keeps_its_own_bytes_only(recorded: Recorded) -> None:
    """Rule 1: SETBIT on a large string must not log, nor copy, all of it."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", bytes(10 << 20))
    keyspace.patch(b"k", 0, b"a")
    recorded.sync()
    recorded.ops.clear()
    assert keyspace.patch(b"k", 1 << 20, b"x") == 10 << 20
    assert recorded.ops == [(op.PATCH, 0, b"k", 1 << 20, b"x")]
    assert isinstance(keyspace.open_before[b"k"], Unpatch)


@pytest.mark.parametrize(
    ("change", "recorded_after"),
    [
        (lambda k: k.put(b"k", b"w"), (op.PUT, 0, b"k", b"w")),
        (lambda k: k.put(b"k", b"w", START_MS + 999), (op.PUT_EXPIRING, 0, b"k", b"w", START_MS + 999)),
        (lambda k: k.patch(b"k", 1, b"w"), (op.PATCH, 0, b"k", 1, b"w")),
        (lambda k: k.delete(b"k"), None),
    ],
    ids=["put", "put expiring", "patch", "delete"],
)
def test_a_change_that_meets_an_expired_key_logs_its_removal_first(
    recorded: Recorded, change: Callable[[Keyspace], object], recorded_after: tuple[object, ...] | None
) -> None:
    """Rule 1: a replay has no clock, so it must be told that the key was gone."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"old", START_MS + 5)
    recorded.pass_time(5)
    recorded.ops.clear()
    change(keyspace)
    assert recorded.ops[0] == (op.EXPIRED, 0, b"k")
    assert recorded.ops[1:] == ([recorded_after] if recorded_after else [])


def test_an_expired_key_is_absent_before_anybody_has_removed_it(recorded: Recorded) -> None:
    """From the millisecond of its expiry on."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"v", START_MS + 5)
    keyspace.put(b"other", b"v")
    recorded.sync()
    recorded.pass_time(4)
    assert keyspace.get(b"k") == shown(keyspace, b"k") == b"v"
    recorded.pass_time(1)
    assert keyspace.get(b"k") is None
    assert shown(keyspace, b"k") is None
    assert b"k" not in keyspace
    assert keyspace.expires_at_ms(b"k") == 0
    assert list(keyspace.keys()) == [b"other"]
    assert keyspace.scan(0, 10) == (0, [b"other"])
    assert {keyspace.random_key() for _ in range(50)} == {b"other"}
    assert not keyspace.delete(b"k")
    keyspace.put(b"k", b"v", START_MS + 5)
    with pytest.raises(KeyError):
        keyspace.set_expiry(b"k", 0)


def test_expiry_in_slices_removes_what_is_due_and_no_more(recorded: Recorded) -> None:
    """Up to a limit, so that a million keys that expire at once do not stop the loop (rule 11)."""
    keyspace = recorded.keyspace
    for i in range(3000):
        keyspace.put(b"%d" % i, b"", START_MS + 5 + i % 2)
    recorded.pass_time(5)
    due_in = [0 if expires is None else len(list(expires.due(recorded.clock.now_ms))) for expires in keyspace.expires]
    due = max(due_in)
    fullest = due_in.index(due)
    assert due > 1
    recorded.ops.clear()
    assert keyspace.expire_due(fullest, 1) == 1
    assert keyspace.expire_due(fullest, 1000) == due - 1
    assert [operation[0] for operation in recorded.ops] == [op.EXPIRED] * due
    assert keyspace.expire_due(fullest, 1000) == 0
    assert len(keyspace) == 3000 - due


def test_patching_pads_with_zeros_and_keeps_the_expiry(keyspace: Keyspace) -> None:
    """An absent key is created."""
    assert keyspace.patch(b"k", 2, b"ab") == 4
    assert keyspace.get(b"k") == b"\0\0ab"
    keyspace.set_expiry(b"k", START_MS + 10)
    assert keyspace.patch(b"k", 3, b"xyz") == 6
    assert keyspace.get(b"k") == b"\0\0axyz"
    assert keyspace.expires_at_ms(b"k") == START_MS + 10


# --- The durable view -----------------------------------------------------------------------------------------------


def test_strangers_are_shown_the_durable_value_and_writers_their_own(recorded: Recorded) -> None:
    """Rule 4, in its smallest form."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"1")
    recorded.sync()
    keyspace.put(b"k", b"2")
    assert shown(keyspace, b"k") == b"1"
    writer = Reader()
    writer.pending_turn = 1
    assert keyspace.read(b"k", writer) == b"2"
    assert writer.must_wait
    recorded.durable_turn = 1
    later = Reader()
    later.pending_turn = 1
    assert keyspace.read(b"k", later) == b"1"
    assert not later.must_wait


def test_a_reader_that_waits_anyway_is_shown_memory(keyspace: Keyspace) -> None:
    """Within one EXEC all replies are of one state."""
    keyspace.put(b"k", b"1")
    waiting = Reader()
    waiting.must_wait = True
    assert keyspace.read(b"k", waiting) == b"1"


def test_keys_without_unsynced_changes_never_make_anybody_wait(keyspace: Keyspace) -> None:
    """Not even a writer."""
    keyspace.put(b"other", b"1")
    writer = Reader()
    writer.pending_turn = 1
    assert keyspace.read(b"k", writer) is None
    assert not writer.must_wait


def test_what_changes_while_a_sync_is_under_way_stays_hidden_when_it_ends(recorded: Recorded) -> None:
    """The two generations of before-images."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"1")
    recorded.sync()
    keyspace.put(b"k", b"2", START_MS + 100)
    keyspace.begin_sync()
    keyspace.delete(b"k")
    assert shown(keyspace, b"k") == b"1"
    keyspace.finish_sync()
    assert shown(keyspace, b"k") == b"2"
    assert keyspace.read_with_expiry(b"k", Reader()) == (b"2", START_MS + 100)
    recorded.sync()
    assert shown(keyspace, b"k") is None


def test_a_durable_value_expires_for_strangers_too(recorded: Recorded) -> None:
    """What is shown is what a restart now would show."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"1", START_MS + 5)
    recorded.sync()
    keyspace.set_expiry(b"k", 0)
    assert shown(keyspace, b"k") == b"1"
    recorded.pass_time(5)
    assert shown(keyspace, b"k") is None
    assert keyspace.get(b"k") == b"1"


def test_patches_in_place_are_undone_for_strangers(recorded: Recorded) -> None:
    """Overlapping, growing, and over several generations."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"abcdef")
    recorded.sync()
    keyspace.patch(b"k", 0, b"X")
    assert shown(keyspace, b"k") == b"abcdef"
    recorded.sync()
    keyspace.patch(b"k", 1, b"YYY")
    keyspace.patch(b"k", 2, b"ZZZZZZ")
    assert shown(keyspace, b"k") == b"Xbcdef"
    keyspace.begin_sync()
    keyspace.patch(b"k", 7, b"end")
    keyspace.set_expiry(b"k", START_MS + 5)
    assert shown(keyspace, b"k") == b"Xbcdef"
    keyspace.finish_sync()
    assert shown(keyspace, b"k") == b"XYZZZZZZ"
    recorded.sync()
    assert shown(keyspace, b"k") == b"XYZZZZZend"


def test_a_put_over_a_patched_string_keeps_its_before_image() -> None:
    """Found by reading: the way back to a patched string was walked from the value that had replaced it.

    So a plain read of a key that was patched and then put in one generation showed bytes that never existed.
    """
    recorded = Recorded()
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"abcdef")
    keyspace.patch(b"k", 0, b"X")
    recorded.sync()
    keyspace.patch(b"k", 1, b"Y")
    keyspace.put(b"k", b"zzzzzz")
    assert shown(keyspace, b"k") == b"Xbcdef"
    assert keyspace.payload_bytes == 7


def test_an_expiry_that_changes_keeps_the_way_back_of_a_patched_string(recorded: Recorded) -> None:
    """A later patch must not reach into an image taken for the sake of the expiry."""
    keyspace = recorded.keyspace
    keyspace.patch(b"k", 0, b"abc")
    recorded.sync()
    keyspace.set_expiry(b"k", START_MS + 9)
    keyspace.patch(b"k", 0, b"X")
    assert keyspace.read_with_expiry(b"k", Reader()) == (b"abc", 0)


def test_a_keyspace_that_takes_anothers_place_shows_the_other_until_that_is_durable(recorded: Recorded) -> None:
    """FLUSHDB and SWAPDB replace a keyspace at once, and strangers do not notice before the sync."""
    old, new = recorded.keyspace, recorded.another(16)
    old.put(b"k", b"old")
    old.put(b"only", b"old")
    recorded.sync()
    new.take_place_of(old.shown_durably())
    new.put(b"k", b"new")
    assert (shown(new, b"k"), shown(new, b"only"), shown(new, b"none")) == (b"old", b"old", None)
    writer = Reader()
    writer.pending_turn = 1
    assert new.read(b"only", writer) is None
    assert writer.must_wait
    new.begin_sync()
    assert shown(new, b"only") == b"old"
    new.finish_sync()
    assert (shown(new, b"k"), shown(new, b"only")) == (b"new", None)


def test_swapping_back_within_a_generation_shows_what_was_there(recorded: Recorded) -> None:
    """Each keyspace names the one whose place it took first."""
    one, other = recorded.keyspace, recorded.another(1)
    one.put(b"k", b"one")
    other.put(b"k", b"other")
    for keyspace in (one, other):
        keyspace.begin_sync()
        keyspace.finish_sync()
    shown_one, shown_other = one.shown_durably(), other.shown_durably()
    other.take_place_of(shown_one)
    one.take_place_of(shown_other)
    one.put(b"k", b"changed")
    assert (shown(other, b"k"), shown(one, b"k")) == (b"one", b"other")
    shown_one, shown_other = other.shown_durably(), one.shown_durably()
    one.take_place_of(shown_one)
    other.take_place_of(shown_other)
    assert (shown(one, b"k"), shown(other, b"k")) == (b"one", b"other")


def test_peeking_without_a_lock_asks_again_whenever_it_cannot_tell(recorded: Recorded) -> None:
    """Un-synced changes, expired keys and a keyspace that has been freed."""
    keyspace = recorded.keyspace
    asked: list[bytes] = []

    def otherwise(key: bytes) -> bytes:
        asked.append(key)
        return b"asked"

    keyspace.put(b"durable", b"v")
    keyspace.put(b"expiring", b"v", START_MS + 5)
    recorded.sync()
    keyspace.put(b"open", b"v")
    assert keyspace.peek(b"durable", otherwise) == b"v"
    assert keyspace.peek(b"expiring", otherwise) == b"v"
    assert asked == []
    assert keyspace.peek(b"open", otherwise) == b"asked"
    keyspace.begin_sync()
    assert keyspace.peek(b"open", otherwise) == b"asked"
    recorded.wall.at_ms += 5
    assert keyspace.peek(b"expiring", otherwise) == b"asked"
    keyspace.shards, keyspace.expires = [], []
    assert keyspace.peek(b"durable", otherwise) == b"asked"


# --- Cursors and counts ---------------------------------------------------------------------------------------------


@given(st.sets(st.binary(max_size=4), max_size=200), st.integers(1, 50))
def test_a_scan_returns_every_key_once_in_hash_order(keys: set[bytes], count: int) -> None:
    """Whatever the size of its steps."""
    keyspace = Recorded().keyspace
    for key in keys:
        keyspace.put(key, b"")
    found: list[bytes] = []
    cursor = 0
    for _ in range(1000):
        cursor, page = keyspace.scan(cursor, count)
        found += page
        if cursor == 0:
            break
    assert found == sorted(keys, key=lambda key: xxh3_64_intdigest(key, SEED))


@given(st.sets(st.binary(max_size=3), min_size=1, max_size=100), st.sets(st.binary(max_size=3), max_size=50))
def test_a_scan_returns_what_is_there_all_the_time_whatever_else_comes_and_goes(
    stay: set[bytes], come_and_go: set[bytes]
) -> None:
    """Its cursor is a place in hash order, not a place in a table."""
    keyspace = Recorded().keyspace
    for key in stay:
        keyspace.put(key, b"")
    found: set[bytes] = set()
    cursor, changing = 0, sorted(come_and_go - stay)
    for step in range(1000):
        cursor, page = keyspace.scan(cursor, 3)
        found |= set(page)
        if cursor == 0:
            break
        for key in changing[step % 3 :: 3]:
            if not keyspace.delete(key):
                keyspace.put(key, b"")
    assert stay <= found <= stay | come_and_go


def test_keys_of_one_hash_go_together(monkeypatch: pytest.MonkeyPatch, keyspace: Keyspace) -> None:
    """A cursor cannot stand between them."""
    monkeypatch.setattr("keystead.engine.keyspace.digest", lambda key, _: (5 << SHARD_SHIFT) + (key > b"c"))
    for key in (b"a", b"b", b"c", b"d"):
        keyspace.put(key, b"")
    cursor, found = keyspace.scan(0, 1)
    assert found == [b"a", b"b", b"c"]
    assert keyspace.scan(cursor, 1) == (0, [b"d"])


def test_any_number_is_a_cursor(keyspace: Keyspace) -> None:
    """Cursors come from clients."""
    keyspace.put(b"k", b"")
    for cursor in (0, 1, 1 << 53, (1 << 64) - 1):
        next_cursor, found = keyspace.scan(cursor, 10)
        assert next_cursor == 0
        assert found in ([], [b"k"])


def test_a_random_key_is_any_live_key(recorded: Recorded) -> None:
    """Also when all but one have expired."""
    keyspace = recorded.keyspace
    assert keyspace.random_key() is None
    for i in range(200):
        keyspace.put(b"%d" % i, b"", START_MS + 1)
    keyspace.put(b"live", b"")
    assert len({keyspace.random_key() for _ in range(300)}) > 20
    recorded.pass_time(1)
    assert keyspace.random_key() == b"live"
    keyspace.delete(b"live")
    assert keyspace.random_key() is None


def test_memory_is_estimated_by_keys_values_and_overheads(keyspace: Keyspace) -> None:
    """What `maxmemory` is compared with."""
    assert keyspace.used_bytes() == 0
    keyspace.put(b"abc", b"12345")
    keyspace.put(b"de", b"67", START_MS + 5)
    assert (len(keyspace), keyspace.expiring_count()) == (2, 1)
    assert keyspace.used_bytes() == 12 + 2 * KEY_OVERHEAD_BYTES + EXPIRY_OVERHEAD_BYTES
    keyspace.patch(b"abc", 5, b"6789")
    keyspace.put(b"de", b"")
    assert keyspace.used_bytes() == 14 + 2 * KEY_OVERHEAD_BYTES
    keyspace.delete(b"abc")
    keyspace.delete(b"de")
    assert keyspace.used_bytes() == 0


def test_putting_several_keys_does_what_putting_one_after_the_other_does() -> None:
    """Old and new keys, other lengths, keys with an expiry or expired, patched strings, a key twice."""

    def prepared() -> Recorded:
        recorded = Recorded()
        keyspace = recorded.keyspace
        keyspace.index = KeyIndex()
        for _ in keyspace.build_index():
            pass
        keyspace.put(b"old", b"value")
        keyspace.put(b"expiring", b"value", START_MS + 1000)
        keyspace.put(b"expired", b"value", START_MS + 1)
        keyspace.patch(b"patched", 0, b"before")
        recorded.sync()
        recorded.pass_time(1)
        keyspace.patch(b"patched", 2, b"xx")
        return recorded

    keys = [b"old", b"new", b"expiring", b"expired", b"patched", b"new", b"old"]
    values = [b"12345", b"2", b"3", b"4", b"5", b"66", b"7"]
    one_by_one, at_once = prepared(), prepared()
    for key, value in zip(keys, values, strict=True):
        one_by_one.keyspace.put(key, value)
    at_once.keyspace.put_each(keys, values)
    assert at_once.ops == one_by_one.ops
    for facts in ("shards", "expires", "open_before", "payload_bytes", "expired_keys", "key_changes"):
        assert getattr(at_once.keyspace, facts) == getattr(one_by_one.keyspace, facts), facts
    assert at_once.keyspace.index is not None
    assert one_by_one.keyspace.index is not None
    assert at_once.keyspace.index.range() == one_by_one.keyspace.index.range()


# --- WATCH and the key index ----------------------------------------------------------------------------------------


class Session:
    """Somebody who watches."""

    def __init__(self) -> None:
        self.dirty = False


@pytest.mark.parametrize(
    "change",
    [
        lambda k: k.put(b"k", b"same"),
        lambda k: k.put_each([b"other one", b"k"], [b"same", b"same"]),
        lambda k: k.put(b"k", b"x", START_MS + 100),
        lambda k: k.delete(b"k"),
        lambda k: k.set_expiry(b"k", START_MS + 100),
        lambda k: k.patch(b"k", 0, b"same"),
    ],
    ids=["put", "put each", "put expiring", "delete", "set expiry", "patch"],
)
def test_every_change_of_a_watched_key_tells_its_watchers(
    keyspace: Keyspace, change: Callable[[Keyspace], object]
) -> None:
    """And nobody else."""
    keyspace.put(b"k", b"same")
    watching, elsewhere, gone = Session(), Session(), Session()
    keyspace.watch(b"k", watching)
    keyspace.watch(b"other", elsewhere)
    keyspace.watch(b"k", gone)
    keyspace.unwatch(b"k", gone)
    keyspace.unwatch(b"never", gone)
    change(keyspace)
    assert (watching.dirty, elsewhere.dirty, gone.dirty) == (True, False, False)


def test_the_removal_of_an_expired_key_tells_its_watchers(recorded: Recorded) -> None:
    """Expiry is a change."""
    keyspace = recorded.keyspace
    keyspace.put(b"k", b"v", START_MS + 1)
    watching = Session()
    keyspace.watch(b"k", watching)
    recorded.pass_time(1)
    for i in range(SHARDS):
        keyspace.expire_due(i, 10)
    assert watching.dirty


def test_the_key_index_follows_every_change(recorded: Recorded) -> None:
    """Built while changes go on, and afterwards."""
    keyspace = recorded.keyspace
    for i in range(100):
        keyspace.put(b"%03d" % i, b"")
    keyspace.index = KeyIndex()
    for _ in keyspace.build_index():
        keyspace.delete(b"050")
        keyspace.put(b"new", b"", START_MS + 1)
    keyspace.patch(b"patched", 0, b"")
    recorded.pass_time(1)
    keyspace.put(b"010", b"again")
    for i in range(SHARDS):
        keyspace.expire_due(i, 10)
    assert keyspace.index.range(limit=1000) == sorted(keyspace.all_keys())
    assert b"new" not in keyspace.index.range(limit=1000)
