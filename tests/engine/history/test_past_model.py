"""The past at every sequence number equals what a reader saw then, whatever became of the files since.

Random lives of a store: expiry, patches, flushes and swaps, transactions in parts, restarts, crashes, lost power,
checkpoints and retention. `KEYSTEAD_PAST_LIVES` says how many (default 40), `KEYSTEAD_SEED` where seeds start.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from random import Random

import msgspec
import pytest
from recorded_life import NUMBERED, Model, RecordedLife
from simulated_disk import SimulatedDisk
from stores import PATH, SMALL, state_of_view
from workload import EMPTY_DISK, KEYS

from keystead.engine.files import Directory
from keystead.engine.history.past import Behind, Difference, HistoryDropped, NotCommitted, Past, Removed
from keystead.engine.history.transactions import Transaction

LIVES = int(os.environ.get("KEYSTEAD_PAST_LIVES", "40"))
FIRST_SEED = int(os.environ.get("KEYSTEAD_SEED", "0"))
CHUNKS = 5
pytestmark = [pytest.mark.usefixtures("small_sizes"), pytest.mark.timeout(120 + LIVES)]
OPTIONS = [
    SMALL,
    SMALL._replace(history_max_bytes=6000),
    SMALL._replace(history_max_age_ms=20_000),
    SMALL._replace(fsync="never"),
]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_past_is_what_was_seen(seeded: Callable[[int], Random], chunk: int) -> None:
    for seed in range(FIRST_SEED + chunk, FIRST_SEED + LIVES, CHUNKS):
        random = seeded(seed)
        life = RecordedLife(random, SimulatedDisk(EMPTY_DISK), OPTIONS[seed % len(OPTIONS)])
        life.open()
        for _ in range(4):
            life.run(random.choice((5, 15, 30)))
            if life.engine is None:
                life.open()
            assert life.engine is not None
            for past in (life.past(), Past(Directory(PATH, life.disk))):
                assert past.newest.sequence == life.engine.log.next_sequence - 1, seed
                compare(past, Model(past, life.notes, life.disk), random, seed)


def compare(past: Past, model: Model, random: Random, seed: int) -> None:
    """Everything that can be asked, of every moment."""
    if past.floor.sequence:
        with pytest.raises(HistoryDropped) as dropped:
            past.moment(past.floor.sequence - 1)
        assert dropped.value.floor == past.floor.sequence + 1
        with pytest.raises(HistoryDropped):
            past.moment_at(past.floor.time_ms - 1)
    with pytest.raises(NotCommitted):
        past.moment(past.newest.sequence + 1)
    for sequence in range(past.floor.sequence, past.newest.sequence + 1):
        view = state_of_view(past.view_at(past.moment(sequence)))
        assert model.states.setdefault(sequence, view) == view, (seed, sequence)
        compare_moment(past, model, sequence, (seed, sequence))
    for time_ms in {at_ms + more for at_ms in model.times.values() for more in (0, 1)}:
        assert past.moment_at(time_ms).sequence == model.moment_at(time_ms), (seed, time_ms)
    for database in NUMBERED:
        for key in KEYS:
            compare_changes(past, model, database, key, (seed, database, key))
        compare_removed(past, model, database, (seed, database))
    first, second = sorted(random.choices(range(past.floor.sequence, past.newest.sequence + 1), k=2))
    compare_differences(past, model, first, second, (seed, first, second))
    assert list(past.transactions(first + 1, second + 1)) == [
        each for each in model.transactions if first < each.sequence <= second
    ], (seed, first, second)
    compare_back(past, model, random, (seed, first, second))


def compare_back(past: Past, model: Model, random: Random, where: object) -> None:
    """The log read backwards is the log: whole, from anywhere, to anywhere, and by pages."""
    newest_first = model.transactions[::-1]
    assert list(past.transactions_back(past.newest.sequence + 1)) == newest_first, where
    first, before = sorted(random.choices(range(past.floor.sequence + 1, past.newest.sequence + 2), k=2))
    expected = [each for each in newest_first if first <= each.sequence < before]
    assert list(past.transactions_back(before, first)) == expected, (where, first, before)
    paged: list[Transaction] = []
    following = past.newest.sequence + 1
    while page := list(islice(past.transactions_back(following), 3)):
        paged += page
        following = page[-1].sequence
    assert paged == newest_first, where
    if past.floor.sequence:
        with pytest.raises(HistoryDropped):
            past.transactions_back(past.floor.sequence)
    with pytest.raises(NotCommitted):
        past.transactions_back(past.newest.sequence + 2)


def compare_moment(past: Past, model: Model, sequence: int, where: object) -> None:
    moment = past.moment(sequence)
    assert moment == model.moment(sequence), where
    for database in NUMBERED:
        seen = model.seen(sequence, database)
        assert past.values_at(database, [*KEYS, b"never"], moment) == seen, where
        in_order = [(key, *state) for key, state in sorted(seen.items())]
        assert past.page_at(database, moment, b"", None, 100) == in_order, where
        assert past.page_at(database, moment, b"b", b"b", 1) == [each for each in in_order if each[0] == b"bb"], where


def compare_changes(past: Past, model: Model, database: int, key: bytes, where: object) -> None:
    expected = model.changes(database, key)
    found = past.key_changes(database, key, 1 << 20)
    assert [
        (each.sequence, each.time_ms, each.operation, (each.user, each.client), each.value, each.expires_at_ms)
        for each in found
    ] == [
        (
            each.sequence,
            each.time_ms,
            each.operation,
            (each.author.user, each.author.client),
            *(each.state or (None, 0)),
        )
        for each in expected
    ], where
    paged, before = [], None
    while page := past.key_changes(database, key, 3, before):
        paged += page
        sequences = [each.sequence for each in page if each.sequence is not None]
        if len(sequences) < 3:
            break
        before = sequences[-1]
    assert paged == found, where


def compare_removed(past: Past, model: Model, database: int, where: object) -> None:
    expected = model.removed(database)
    found, following = past.removed(database, b"", None, 1 << 20, 1e18)
    assert (bare(found), following) == (expected, None), where
    for limit, deadline_s in ((1, 1e18), (1 << 20, -1.0)):  # as many as are wanted; as many as there is time for
        paged: list[Removed] = []
        before: int | Behind | None = None
        while True:
            page, before = past.removed(database, b"", before, limit, deadline_s)
            assert len(page) <= 1
            paged += page
            if before is None:
                break
        assert paged == found, where
    for each, rest in ((each, found[at + 1 :]) for at, each in enumerate(found)):
        behind = Behind(each.sequence, each.number)
        assert past.removed(database, b"", behind, 1 << 20, 1e18) == (rest, None), where
    begun_with_b, _ = past.removed(database, b"b", None, 9, 1e18)
    assert bare(begun_with_b) == [each for each in expected if each.key[:1] == b"b"], where


def bare(removed: list[Removed]) -> list[Removed]:
    """Without their places among the keys of their transactions, which the model does not know."""
    return [msgspec.structs.replace(each, number=0) for each in removed]


def compare_differences(past: Past, model: Model, first: int, second: int, where: object) -> None:
    for database in NUMBERED:
        before, after = model.seen(first, database), model.seen(second, database)
        expected = [
            Difference(key, *before.get(key, (None, 0)), *after.get(key, (None, 0)))
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
        ]
        assert list(past.differences(database, past.moment(first), past.moment(second))) == expected, where
