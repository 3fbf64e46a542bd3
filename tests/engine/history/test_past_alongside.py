"""Reading the past of a store that goes on meanwhile, and of one that is damaged."""

from __future__ import annotations

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH, SMALL, HandClock, opened
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.history import past as pasts
from keystead.engine.history.past import HistoryDropped, Past
from keystead.errors import DamagedData

pytestmark = pytest.mark.usefixtures("small_sizes")
KEEP_NOTHING = SMALL._replace(history_max_age_ms=0, history_max_bytes=0)


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(EMPTY_DISK)


def write(engine: Engine, *numbers: int) -> None:
    """A durable turn for each number."""
    for number in numbers:
        engine.databases[0].keyspace.put(b"k", b"%d" % number + bytes(100))
        engine.databases[0].keyspace.put(b"%d" % (number % 9), b"%d" % number)
        engine.end_turn()
        engine.sync()


def settle(engine: Engine) -> None:
    for _ in range(6):
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()


def checkpoint(engine: Engine) -> None:
    engine.request_checkpoint()
    settle(engine)


def test_what_is_committed_is_there_after_a_refresh_and_not_before(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    write(engine, 1)
    past = Past(Directory(PATH, disk))
    write(engine, 2)
    assert past.newest.sequence == 2
    past.refresh()
    assert past.newest.sequence == 4
    assert [change.sequence for change in past.key_changes(0, b"k", 9)] == [3, 1]


def test_nothing_is_told_of_what_may_not_be_looked_at(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    write(engine, 1)
    engine.databases[0].keyspace.put(b"k", b"not durable")
    engine.end_turn()
    past = Past(Directory(PATH, disk), until=3)
    assert past.newest.sequence == 2
    assert [change.sequence for change in past.key_changes(0, b"k", 9)] == [1]
    assert past.page_at(0, past.newest, b"k", None, 9)[0][1][:1] == b"1"
    past.refresh(4)
    assert past.key_changes(0, b"k", 1)[0].value == b"not durable"


def test_a_log_that_ends_before_what_was_promised_is_damage(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    write(engine, 1)
    with pytest.raises(DamagedData, match="ends before transaction 3"):
        Past(Directory(PATH, disk), until=9)


@pytest.mark.parametrize("until", [5, None])
def test_a_question_of_which_all_is_dropped_meanwhile_is_told_so(disk: SimulatedDisk, until: int | None) -> None:
    """Whatever it may look at was committed before what is kept now. (A checkpoint is not held open.)"""
    engine = opened(disk, KEEP_NOTHING)
    write(engine, 1)
    checkpoint(engine)
    write(engine, 2)
    past = Past(Directory(PATH, disk), until)
    moment = past.newest
    assert moment.sequence == 4
    for number in range(3, 40):
        write(engine, number)
        checkpoint(engine)
    for ask in (
        lambda: past.view_at(moment),
        lambda: past.values_at(0, [b"k"], moment),
        lambda: list(past.transactions(1, 3)),
        lambda: list(past.transactions_back(3)),
        lambda: past.moment(1),
    ):
        with pytest.raises(HistoryDropped):
            ask()
    past.refresh()
    assert past.newest.sequence == engine.log.next_sequence - 1


def test_it_follows_sealing_checkpoints_and_retention(disk: SimulatedDisk) -> None:
    engine = opened(disk, KEEP_NOTHING)
    past: Past | None = None
    for number in range(0, 60, 3):
        write(engine, number, number + 1, number + 2)
        past = past or Past(Directory(PATH, disk))
        past.refresh(engine.log.next_sequence)
        settle(engine)
        if number % 12 == 0:
            checkpoint(engine)
        changes = past.key_changes(0, b"k", 2)  # of files of which some are gone by now
        assert [change.value[:2].strip(b"\0") for change in changes if change.value] == [
            b"%d" % (number + 2),
            b"%d" % (number + 1),
        ][: len(changes)]
        past.refresh(engine.log.next_sequence)
        assert past.newest.sequence == engine.log.next_sequence - 1
        assert past.floor.sequence + 1 == engine.first_kept_sequence


def test_a_file_that_is_dropped_before_it_is_opened_makes_it_look_anew(disk: SimulatedDisk) -> None:
    clock = HandClock()
    engine = opened(disk, KEEP_NOTHING._replace(history_max_age_ms=50), clock)
    write(engine, *range(9))
    settle(engine)
    past = Past(Directory(PATH, disk))
    moment = past.newest
    clock.at_ms += 100
    checkpoint(engine)
    write(engine, 9)
    clock.at_ms += 100
    checkpoint(engine)
    assert engine.first_kept_sequence > moment.sequence
    past._log._kept.close()  # as if none of them had been opened yet
    with pytest.raises(HistoryDropped) as dropped:
        past.view_at(moment)
    assert dropped.value.floor == engine.first_kept_sequence
    assert past.floor.sequence + 1 == engine.first_kept_sequence


def test_what_is_dropped_while_transactions_are_read_is_read_to_its_end(disk: SimulatedDisk) -> None:
    engine = opened(disk, KEEP_NOTHING)
    write(engine, *range(9))
    past = Past(Directory(PATH, disk))
    end = past.newest.sequence + 1
    reading = past.transactions(1, end)
    assert next(reading).sequence == 1
    checkpoint(engine)
    past.refresh()
    assert past.floor.sequence >= end - 1
    assert [each.sequence for each in reading] == list(range(2, end))


def test_files_are_let_go(disk: SimulatedDisk) -> None:
    engine = opened(disk)
    write(engine, *range(20))
    settle(engine)
    open_before = disk.open_descriptors
    with Past(Directory(PATH, disk)) as past:
        past.key_changes(0, b"k", 99)
        list(past.transactions(1, past.newest.sequence + 1))
        assert len(disk.open_descriptors) > len(open_before)
    assert disk.open_descriptors == open_before


def test_what_retention_has_dropped_is_not_kept_open(disk: SimulatedDisk) -> None:
    engine = opened(disk, KEEP_NOTHING)
    write(engine, *range(3))
    past = Past(Directory(PATH, disk))
    past.key_changes(0, b"k", 9)
    checkpoint(engine)
    past.refresh()
    names = {path.rpartition("/")[2] for path in disk.open_descriptors}
    manifest = manifests.load(Directory(PATH, disk))
    assert manifest is not None
    assert {name for name in names if name.startswith("segment")} <= manifest.files()


def everything_asked(past: Past) -> None:
    keys = [b"k", *(b"%d" % number for number in range(9))]
    for sequence in range(past.floor.sequence, past.newest.sequence + 1):
        past.values_at(0, keys, past.moment(sequence))
        past.view_at(past.moment(sequence))
    for key in keys:
        past.key_changes(0, key, 999)
    list(past.transactions(past.floor.sequence + 1, past.newest.sequence + 1))


def test_damage_of_a_file_that_is_read_is_never_told_as_the_past(disk: SimulatedDisk) -> None:
    """Of segments and of checkpoints; with indexes, which say where to look, and so spare reading all of it."""
    engine = opened(disk)
    for number in range(0, 30, 3):
        write(engine, number, number + 1, number + 2)
        settle(engine)
        if number == 12:
            checkpoint(engine)
    engine.close()
    manifest = manifests.load(Directory(PATH, disk))
    assert manifest is not None
    files = disk.content(PATH)
    sealed = {record.file for record in manifest.segments() if record.length is not None}
    checkpoints = {each.checkpoint.file for each in manifest.generations if each.checkpoint}
    assert len(sealed) > 2
    assert checkpoints
    for name in [*sorted(sealed)[:2], *checkpoints]:
        for at in range(0, len(files[name]), 7):
            bad = bytearray(files[name])
            bad[at] ^= 1 << at % 8
            with pytest.raises(DamagedData) as damaged:
                everything_asked(Past(Directory(PATH, SimulatedDisk(Image.of({PATH: files | {name: bytes(bad)}})))))
            assert damaged.value.file.endswith(name), at


def test_a_log_of_many_files_is_read_with_few_of_them_open(
    disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year of a busy store is thousands of segments, and a process may have about a thousand files open."""
    engine = opened(disk)
    for start in range(0, 60, 10):
        write(engine, *range(start, start + 10))
        checkpoint(engine)
    with Past(Directory(PATH, disk)) as past:
        wanted = list(past.transactions(1, past.newest.sequence + 1))
        assert len({path for path in disk.open_descriptors if "segment" in path}) > 4
    monkeypatch.setattr(pasts, "SEGMENTS_HELD", 2)
    with Past(Directory(PATH, disk)) as past:
        list(past.transactions(1, past.newest.sequence + 1))
        before = len(disk.open_descriptors)  # what answers keep open, which has a bound of its own
        found, most = [], 0
        for transaction in past.transactions(1, past.newest.sequence + 1):
            found.append(transaction)
            most = max(most, len(disk.open_descriptors) - before)
        assert found == wanted
        assert 0 < most <= 2
        assert [each.sequence for each in past.transactions(7, 44)] == list(range(7, 44))


def test_who_reads_more_slowly_than_retention_drops_is_told(
    disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not told of a log with a gap."""
    monkeypatch.setattr(pasts, "SEGMENTS_HELD", 1)
    engine = opened(disk)
    for start in range(0, 30, 10):
        write(engine, *range(start, start + 10))
        checkpoint(engine)
    past = Past(Directory(PATH, disk))
    reading = past.transactions(1, past.newest.sequence + 1)
    found = [next(reading).sequence]
    engine.configure(KEEP_NOTHING)
    checkpoint(engine)
    with pytest.raises(HistoryDropped):
        found.extend(transaction.sequence for transaction in reading)
    assert found == list(range(1, len(found) + 1))
    past.close()
