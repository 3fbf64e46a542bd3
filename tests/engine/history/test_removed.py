"""The recycle bin of a database that was flushed many times."""

from __future__ import annotations

import pytest
from simulated_disk import SimulatedDisk
from stores import PATH, HandClock, opened
from workload import EMPTY_DISK

from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.history import flushed
from keystead.engine.history.answers import Behind, Removed
from keystead.engine.history.past import Past
from keystead.engine.history.view_at import Replay

pytestmark = pytest.mark.usefixtures("small_sizes")
FLUSHES = 150


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(EMPTY_DISK)


@pytest.fixture
def engine(disk: SimulatedDisk) -> Engine:
    return opened(disk, wall_ms=HandClock())


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[Replay]:
    """The views that were begun to be put together."""
    begun: list[Replay] = []
    original = Replay.__init__

    def counted(self: Replay, *args: object) -> None:
        begun.append(self)
        original(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Replay, "__init__", counted)
    return begun


def turn(engine: Engine) -> None:
    engine.end_turn()
    engine.sync()


def flush_often(engine: Engine) -> list[bytes]:
    """Each time with a key that is not put again, one that is, and one that another database has; the first of these,
    the last flushed first."""
    database = engine.databases[0]
    for number in range(FLUSHES):
        database.keyspace.put(b"once:%d" % number, b"v")
        database.keyspace.put(b"again", b"%d" % number)
        turn(engine)
        engine.flush(database)
        turn(engine)
    return [b"once:%d" % number for number in reversed(range(FLUSHES))]


def whole_bin(past: Past, limit: int, prefix: bytes = b"") -> list[Removed]:
    found: list[Removed] = []
    before: int | Behind | None = None
    while True:
        page, before = past.removed(0, prefix, before, limit, 1e18)
        found += page
        if before is None:
            return found


def test_one_view_is_put_together_for_all_flushes(disk: SimulatedDisk, engine: Engine, replays: list[Replay]) -> None:
    once = flush_often(engine)
    with Past(Directory(PATH, disk)) as past:
        found, following = past.removed(0, b"", None, 1_000, 1e18)
        assert following is None
        assert [each.key for each in found] == [b"again", *once]
        assert {each.operation for each in found} == {"flush"}
        assert len(replays) == len(past._log.generations)


def test_further_pages_need_no_further_view(disk: SimulatedDisk, engine: Engine, replays: list[Replay]) -> None:
    once = flush_often(engine)
    with Past(Directory(PATH, disk)) as past:
        assert [each.key for each in whole_bin(past, 1)] == [b"again", *once]
        assert [each.key for each in whole_bin(past, 7, b"once:")] == once
        assert len(replays) == 2 * len(past._log.generations)


def test_no_more_keys_are_kept_than_fit(
    disk: SimulatedDisk, engine: Engine, replays: list[Replay], monkeypatch: pytest.MonkeyPatch
) -> None:
    once = flush_often(engine)
    monkeypatch.setattr(flushed, "MOST_KEYS", FLUSHES)  # those of half of the flushes
    with Past(Directory(PATH, disk)) as past:
        assert [each.key for each in whole_bin(past, 10)] == [b"again", *once]
        assert 2 <= len(replays) <= 2 * len(past._log.generations) + 1


def test_a_flush_in_the_middle_of_a_turn_is_told_as_it_was(disk: SimulatedDisk, engine: Engine) -> None:
    database, other = engine.databases[0], engine.databases[1]
    for number in range(3):
        database.keyspace.put(b"k%d" % number, b"v")
        engine.flush(database)
        database.keyspace.put(b"l%d" % number, b"v")
        engine.swap(database, other)
        other.keyspace.put(b"m%d" % number, b"v")
    turn(engine)
    with Past(Directory(PATH, disk)) as past:
        for database_number in (0, 1):
            views = [past.view_at(past.moment(n)) for n in range(past.newest.sequence + 1)]
            keys = [set().union(*view.keyspace(view.databases[database_number]).shards) for view in views]
            expected = {
                (key, max(n for n in range(len(keys)) if key in keys[n]) + 1)
                for key in set().union(*keys)
                if key not in keys[-1]
            }
            found, _ = past.removed(database_number, b"", None, 100, 1e18)
            assert {(each.key, each.sequence) for each in found} == expected
            assert expected


def test_what_came_back_is_in_the_bin_once_it_is_gone_again(disk: SimulatedDisk, engine: Engine) -> None:
    """Also for somebody who turns pages meanwhile: he is behind it by then."""
    once = flush_often(engine)
    with Past(Directory(PATH, disk)) as past:
        first, before = past.removed(0, b"", None, 2, 1e18)
        database = engine.databases[0]
        for key in (b"again", once[3]):
            database.keyspace.put(key, b"new")
            turn(engine)
            database.keyspace.delete(key)
            turn(engine)
        past.refresh()
        rest, following = past.removed(0, b"", before, 1_000, 1e18)
        assert following is None
        assert [each.key for each in first + rest] == [b"again", *(key for key in once if key != once[3])]
        assert [each.key for each in whole_bin(past, 5)][:2] == [once[3], b"again"]
