"""Staged transactions: written in pieces between other people's frames, and committed by one frame or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from simulated_disk import SimulatedDisk
from stores import SMALL, opened, state_of
from workload import EMPTY_DISK

from keystead.engine import turns
from keystead.engine.format import FILE_HEADER, PART, frames
from keystead.engine.history.transactions import History
from keystead.engine.operations import PUT, Author, encode_entries
from keystead.engine.restoring import Restoration
from keystead.engine.tail import CommittedTurn
from keystead.errors import WriteRefused

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.engine.staging import Staged

pytestmark = pytest.mark.usefixtures("small_sizes")
ADA = Author("ada", "laptop")
KEYS = [b"key:%d" % number for number in range(20)]


def begun(engine: Engine, value: bytes = b"back") -> tuple[Staged, Restoration, list[bytes]]:
    staged = engine.stage()
    restoration = Restoration(engine.databases[0].keyspace, staged)
    for key in KEYS:
        restoration.add(key, None, (value, 0))
    payload = encode_entries(list(restoration.operations()))
    return staged, restoration, [payload[at : at + 50] for at in range(0, len(payload), 50)]


def turn(engine: Engine, key: bytes) -> None:
    engine.databases[1].keyspace.put(key, b"somebody else's")
    engine.end_turn()
    engine.sync()


def commit(engine: Engine, staged: Staged, restoration: Restoration) -> None:
    engine.author = ADA
    restoration.apply()
    staged.commit()


def test_other_turns_go_between_its_parts_and_it_is_one_transaction() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    staged, restoration, pieces = begun(engine)
    for number, piece in enumerate(pieces):
        staged.add(piece)
        turn(engine, b"other:%d" % number)
    sequence = engine.log.next_sequence
    assert len(engine.databases[0].keyspace) == 0
    commit(engine, staged, restoration)
    engine.sync()
    assert engine.log.next_sequence == sequence + 1
    with History(engine.directory, sequence) as history:
        (transaction,) = history.read(sequence + 1)
    assert (transaction.sequence, transaction.author) == (sequence, ADA)
    assert len(transaction.operations) == len(KEYS)
    left = state_of(engine)
    engine.close()
    assert state_of(opened(disk)) == left


def test_the_segment_is_not_changed_before_its_end() -> None:
    engine = opened(SimulatedDisk(EMPTY_DISK))
    staged, restoration, pieces = begun(engine)
    number = engine.log.segment.number
    staged.add(pieces[0])
    for other in range(40):
        turn(engine, b"other:%d" % other)
        engine.housekeep(1)
    assert engine.log.segment.end > SMALL.segment_bytes
    assert engine.log.segment.number == number
    for piece in pieces[1:]:
        staged.add(piece)
    commit(engine, staged, restoration)
    engine.sync()
    engine.housekeep(1)
    assert engine.log.segment.number == number + 1


@pytest.mark.parametrize("parts", [1, 3, None])
def test_given_up_it_leaves_nothing_and_holds_nobody_up(parts: int | None) -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    turn(engine, b"other")
    left, sequence = state_of(engine), engine.log.next_sequence
    staged, _, pieces = begun(engine)
    for piece in pieces[:parts]:
        staged.add(piece)
    staged.give_up()
    staged.give_up()
    assert not engine.log.staged
    engine.close()
    engine = opened(disk)
    assert (state_of(engine), engine.log.next_sequence) == (left, sequence)


def test_parts_that_were_proven_durable_long_before_their_commit_are_found_by_a_start() -> None:
    """A start writes again what stands above the last proven position: the parts stand below it, and belong to it."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    staged, restoration, pieces = begun(engine)
    for piece in pieces:
        staged.add(piece)
    turn(engine, b"proves them")
    turn(engine, b"says so")
    commit(engine, staged, restoration)
    engine.sync()
    left = state_of(engine)
    disk.kill()
    for _ in range(2):
        engine = opened(disk)
        assert state_of(engine) == left
        disk.kill()


def test_two_at_a_time_do_not_mix() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    one, other = begun(engine, b"one"), begun(engine, b"other")
    for piece, another in zip(one[2], other[2], strict=False):
        one[0].add(piece)
        other[0].add(another)
    for another in other[2][len(one[2]) :]:
        other[0].add(another)
    one[0].give_up()
    assert engine.log.staged == 1
    commit(engine, other[0], other[1])
    engine.close()
    engine = opened(disk)
    assert {bytes(engine.databases[0].keyspace.get(key) or b"") for key in KEYS} == {b"other"}


def test_a_long_piece_is_cut_into_part_frames_of_the_usual_length() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    staged = engine.stage()
    staged.add(encode_entries([(PUT, 0, b"key", b"v" * 500)]))
    segment = engine.log.segment
    data = memoryview(segment.file.read_at(0, segment.end))
    lengths = [len(frame.payload) for frame in frames(segment.salt, data, FILE_HEADER.size) if frame.kind == PART]
    assert len(lengths) > 5
    assert max(lengths) == turns.PART_BYTES


def test_a_full_disk_refuses_it_before_anything_has_changed() -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    turn(engine, b"other")
    left = state_of(engine)
    staged, _, pieces = begun(engine)
    disk.fill(0)
    with pytest.raises(WriteRefused):
        staged.add(b"".join(pieces * 20))
    assert not engine.log.staged
    assert state_of(engine) == left
    disk.capacity = None
    engine.close()
    assert state_of(opened(disk)) == left


def test_who_follows_is_told_that_its_parts_stand_in_the_log() -> None:
    engine = opened(SimulatedDisk(EMPTY_DISK))
    told: list[CommittedTurn] = []
    engine.follow(told.extend)
    staged, restoration, pieces = begun(engine)
    for piece in pieces:
        staged.add(piece)
    turn(engine, b"other")
    commit(engine, staged, restoration)
    turn(engine, b"another")
    assert [each.staged for each in told] == [False, True, False]


def test_it_knows_which_keys_were_changed_while_it_was_open() -> None:
    engine = opened(SimulatedDisk(EMPTY_DISK))
    turn(engine, b"before")
    staged = engine.stage()
    turn(engine, b"in a turn")
    engine.databases[0].keyspace.put(b"in the open turn", b"")
    changed = {key for key in staged.changed_keys() if isinstance(key, bytes)}
    assert changed == {b"in a turn", b"in the open turn"}
