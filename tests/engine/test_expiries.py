"""Expiries of a shard: a dictionary of times in less memory."""

from __future__ import annotations

import gc
import random
import sys
import threading

import pytest

from keystead.engine.expiries import (
    EXPIRY_OVERHEAD_BYTES,
    SPARE_SLOTS,
    ShardExpiries,
    drop_expiry,
    expiry_of,
    set_expiry,
)

DAY_MS = 86_400_000


def named(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def test_any_changes_leave_what_a_dictionary_would_hold() -> None:
    """Slots of keys that lost their expiry are nobody's, and are given up when they are many."""
    chance = random.Random(5)
    by_shard: list[ShardExpiries | None] = [None, None]
    model: dict[bytes, int] = {}
    for _ in range(5_000):
        key = b"%d" % chance.randrange(60)
        if chance.random() < 0.5:
            model[key] = chance.randrange(1, 1 << 64)
            set_expiry(by_shard, 1, key, model[key])
        else:
            model.pop(key, None)
            drop_expiry(by_shard, 1, key)
        held = by_shard[1]
        assert {key: expiry_of(held, key) for key in named(*range(60)) if expiry_of(held, key)} == model
        assert dict(held.items() if held is not None else ()) == model
        assert held is None or len(held.times) <= 2 * 60 + SPARE_SLOTS + 1
    assert by_shard[0] is None


def test_a_shard_whose_last_expiry_is_gone_is_as_quick_as_one_that_never_had_any() -> None:
    """None is what a read of a key in such a shard finds."""
    by_shard: list[ShardExpiries | None] = [None]
    set_expiry(by_shard, 0, b"k", 5)
    drop_expiry(by_shard, 0, b"other")
    assert expiry_of(by_shard[0], b"k") == 5
    drop_expiry(by_shard, 0, b"k")
    drop_expiry(by_shard, 0, b"k")
    assert by_shard == [None]


def test_the_first_keys_of_a_checkpoint_have_its_times() -> None:
    """Keys with an expiry stand first (docs/format.md, "Checkpoint")."""
    expires = ShardExpiries(named(1, 2, 3), [10, 20])
    assert list(expires.items()) == [(b"1", 10), (b"2", 20)]
    assert expires.in_order() == [10, 20]


@pytest.mark.parametrize("at_ms", [-1, 1 << 64])
def test_a_time_that_no_store_writes_is_refused(at_ms: int) -> None:
    """As damage, by whoever reads it from a file."""
    with pytest.raises(OverflowError):
        ShardExpiries([b"k"], [at_ms])
    with pytest.raises(OverflowError):
        set_expiry([None], 0, b"k", at_ms)


def test_two_are_equal_when_their_keys_expire_at_the_same_times() -> None:
    """Whatever slots they came to: a replay is compared with memory."""
    one, other = ShardExpiries(named(1, 2), [10, 20]), ShardExpiries(named(2), [20])
    assert one != other
    other.set(b"1", 11)
    assert one != other
    other.set(b"1", 10)
    assert one == other
    assert one.slots != other.slots
    assert one != {b"1": 10, b"2": 20}


def test_due_keys_are_those_whose_time_is_up() -> None:
    """At their very millisecond."""
    expires = ShardExpiries(named(1, 2, 3), [10, 20, 30])
    assert sorted(expires.due(20)) == named(1, 2)
    assert list(expires.due(9)) == []


def test_an_expiry_takes_the_memory_that_maxmemory_counts() -> None:
    """Times all differ, and the shards share the numbers of slots; without that it was 88 bytes, not 51."""
    keys = [[b"%d:%d" % (shard, number) for number in range(977)] for shard in range(50)]
    by_shard = [ShardExpiries() for _ in keys]
    for shard, expires in enumerate(by_shard):
        for number, key in enumerate(keys[shard]):
            expires.set(key, 1_700_000_000_000 + DAY_MS * number + shard)
    shared = {id(slot) for expires in by_shard for slot in expires.slots.values()}
    assert len(shared) == 977
    size = sum(sys.getsizeof(part) for expires in by_shard for part in (expires.slots, expires.times))
    assert 0.85 * EXPIRY_OVERHEAD_BYTES < size / (50 * 977) < 1.1 * EXPIRY_OVERHEAD_BYTES


def test_the_garbage_collector_does_not_look_at_the_keys() -> None:
    """A collection that visits a million keys stops the loop for a tenth of a second (rule 11)."""
    expires = ShardExpiries(named(*range(100)), range(1, 101))
    assert not gc.is_tracked(expires.slots)


def test_threads_may_share_the_numbers_of_slots() -> None:
    """Several stores of one process give out new slots at the same time."""
    ready = threading.Barrier(8)
    shards = [ShardExpiries() for _ in range(8)]

    def fill(expires: ShardExpiries) -> None:
        ready.wait()
        for number in range(1, 3_000):
            expires.set(b"%d" % number, number)

    threads = [threading.Thread(target=fill, args=(expires,)) for expires in shards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expires in shards:
        assert all(expires.at_ms(b"%d" % number) == number for number in range(1, 3_000))
