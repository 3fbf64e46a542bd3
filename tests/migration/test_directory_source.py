"""A data directory as a source, while an engine of this process has it open and goes on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystead.engine.engine import Engine, Options
from keystead.migration.applying import Applying
from keystead.migration.directory_source import DirectorySource
from keystead.migration.source import Batch, Change, Delete, Expire, Flush, Gap, PositionLost, Put, Touched
from migration.ends import MemoryTarget

FAR_MS = 1 << 42
SMALL = Options(segment_bytes=1 << 16, history_max_bytes=1 << 16, reserve_bytes=1 << 14)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine.open(str(tmp_path / "data"), SMALL)
    yield engine
    engine.close()


@pytest.fixture
def source(engine: Engine) -> Iterator[DirectorySource]:
    source = DirectorySource(engine.path, 0)
    yield source
    source.close()


def commit(engine: Engine) -> None:
    engine.end_turn()
    engine.sync()


def put(engine: Engine, *keys: bytes, value: bytes = b"v") -> None:
    """One transaction each."""
    for key in keys:
        engine.databases[0].keyspace.put(key, value)
        commit(engine)


def checkpoint(engine: Engine) -> None:
    engine.request_checkpoint()
    while engine.maintenance.working:
        engine.housekeep(1)
        commit(engine)


def new_changes(batches: Iterator[Batch]) -> list[Change]:
    """All up to the first batch without any."""
    return [change for batch in itertools.takewhile(lambda batch: batch.changes, batches) for change in batch.changes]


def test_the_snapshot_has_every_key_of_every_database_once(engine: Engine, source: DirectorySource) -> None:
    put(engine, b"a", b"b")
    checkpoint(engine)
    engine.databases[0].keyspace.put(b"c", b"later", FAR_MS)
    engine.databases[3].keyspace.put(b"a", b"elsewhere")
    commit(engine)
    assert sorted((each.database, each.key, each.value, each.expires_at_ms) for each in source.snapshot()) == [
        (0, b"a", b"v", 0),
        (0, b"b", b"v", 0),
        (0, b"c", b"later", FAR_MS),
        (3, b"a", b"elsewhere", 0),
    ]
    assert source.databases() == {0: 3, 3: 1}
    assert source.kinds() == {"string": 3}
    assert sorted(record.key for page in source.scan() for record in page) == [b"a", b"b", b"c"]


def test_every_kind_of_operation_is_told_in_order(engine: Engine, source: DirectorySource) -> None:
    put(engine, b"before")
    engine.databases[1].keyspace.put(b"to be flushed", b"v")
    commit(engine)
    list(source.snapshot())
    batches = source.changes()
    keyspace = engine.databases[0].keyspace
    keyspace.put(b"a", b"1")
    keyspace.put(b"b", b"2", FAR_MS)
    keyspace.set_expiry(b"a", FAR_MS)
    keyspace.patch(b"b", 1, b"x")
    keyspace.delete(b"before")
    commit(engine)
    engine.flush(engine.databases[1])
    commit(engine)
    engine.swap(engine.databases[0], engine.databases[2])
    commit(engine)
    told = new_changes(batches)
    assert told[:6] == [
        Put(0, b"a", b"1", 0),
        Put(0, b"b", b"2", FAR_MS),
        Expire(0, b"a", FAR_MS),
        Touched(0, b"b"),
        Delete(0, b"before"),
        Flush(1),
    ]
    assert {(type(change), change.database) for change in told[6:]} == {(Gap, 0), (Gap, 2)}


def test_a_key_is_looked_at_as_it_is_now(engine: Engine, source: DirectorySource) -> None:
    put(engine, b"a", b"gone")
    checkpoint(engine)
    keyspace = engine.databases[0].keyspace
    keyspace.patch(b"a", 3, b"end")
    keyspace.set_expiry(b"a", FAR_MS)
    keyspace.delete(b"gone")
    commit(engine)
    a, gone, never = source.look([b"a", b"gone", b"never"])
    assert a is not None
    assert (a.value, a.expires_at_ms, gone, never) == (b"v\0\0end", FAR_MS, None, None)


def test_what_is_not_synced_yet_is_made_durable_before_it_is_told(engine: Engine, source: DirectorySource) -> None:
    list(source.snapshot())
    engine.databases[0].keyspace.put(b"a", b"in the page cache")
    engine.end_turn()
    assert new_changes(source.changes()) == [Put(0, b"a", b"in the page cache", 0)]


def test_another_run_goes_on_at_the_position_of_the_last_batch(engine: Engine, source: DirectorySource) -> None:
    list(source.snapshot())
    put(engine, b"a", b"b")
    assert len(new_changes(source.changes())) == 2
    position = source.position
    put(engine, b"c")
    again = DirectorySource(engine.path, 0)
    again.resume(position)
    assert again.behind(position) == 1
    assert new_changes(again.changes()) == [Put(0, b"c", b"v", 0)]
    assert again.behind(again.position) == 0
    assert again.identity() == source.identity()
    again.close()


def test_a_snapshot_is_whole_though_its_files_are_dropped_while_it_is_read(
    engine: Engine, source: DirectorySource
) -> None:
    put(engine, *(b"k%d" % i for i in range(200)))
    records = source.snapshot()
    first = next(records)
    for _ in range(4):
        put(engine, *(b"other%d" % i for i in range(40)), value=bytes(4000))
        checkpoint(engine)
    assert {record.key for record in (first, *records)} == {b"k%d" % i for i in range(200)}


def test_changes_that_retention_has_dropped_are_missed_loudly(engine: Engine, source: DirectorySource) -> None:
    put(engine, b"a")
    list(source.snapshot())
    for _ in range(4):
        put(engine, *(b"k%d" % i for i in range(40)), value=bytes(4000))
        checkpoint(engine)
    with pytest.raises(PositionLost, match="let it keep more history"):
        new_changes(source.changes())


def test_a_position_of_another_history_is_lost(engine: Engine, source: DirectorySource) -> None:
    put(engine, b"a")
    with pytest.raises(PositionLost, match="another history"):
        source.resume("0123456789abcdef:1")
    history, _, _ = source.position.partition(":")
    with pytest.raises(PositionLost, match="ends before transaction 99"):
        source.resume(f"{history}:99")


def test_transactions_of_many_parts_and_patches_come_to_the_same_end(engine: Engine, source: DirectorySource) -> None:
    put(engine, b"small")
    target = MemoryTarget()
    target.now_ms = 0
    applying = Applying(source, target, 0)
    for _ in applying.records(source.snapshot()):
        pass
    keyspace = engine.databases[0].keyspace
    start = len(engine.ops)
    keyspace.put(b"large", bytes(300_000))
    keyspace.put(b"large too", b"x" * 200_000, FAR_MS)
    keyspace.delete(b"small")
    engine.end_group(start)
    commit(engine)
    for i in range(50):
        keyspace.patch(b"large", i * 1000, b"%d" % i)
        commit(engine)
    for batch in itertools.takewhile(lambda batch: batch.changes, source.changes()):
        applying.changes(batch.changes)
    assert target.keys == {
        b"large": (bytes(keyspace.get(b"large") or b""), 0),
        b"large too": (b"x" * 200_000, FAR_MS),
    }


def test_a_snapshot_goes_on_with_the_parts_that_were_not_told(engine: Engine, source: DirectorySource) -> None:
    keys = {b"k%d" % i for i in range(3000)}
    for key in keys:
        engine.databases[0].keyspace.put(key, b"v")
    commit(engine)
    records = source.snapshot()
    told = [next(records).key for _ in range(1000)]
    done = source.parts_done
    put(engine, b"k0", value=b"changed meanwhile")  # the log is another one, the shards are the same
    again = DirectorySource(engine.path, 0)
    rest = [record.key for record in again.snapshot(done)]
    assert set(told) | set(rest) == keys
    assert len(rest) < 2100
    assert again.parts_done == 1024
    again.close()
