"""Append, then sync, then reply: what waits for which turn, and where the sync is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Client, Stage

from executors import choose_fsync
from keystead.engine.engine import Fsync
from keystead.errors import DiskFailure
from keystead.server.turns import QUICK_SYNC_S, RECENT_READ_S


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "data", helper=True)
    yield stage
    if stage.engine.failed is None:
        stage.engine.close()


def use_helper(stage: Stage) -> None:
    """Make the next syncs go to the helper: someone has just had a reply without waiting."""
    stage.turns.plain_reads = True


def test_a_write_is_in_the_log_and_on_disk_before_its_reply(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    client = Client(stage)
    for owner, name in ((stage.engine, "end_turn"), (stage.engine.log, "sync"), (client.connection, "_write")):
        original = getattr(owner, name)

        def noted(*args: object, name: str = name, original: object = original) -> object:
            happened.append(name)
            return original(*args)  # type: ignore[operator]

        if name == "_write":
            client.connection._write = noted  # the transport's method, kept by the connection
        else:
            monkeypatch.setattr(owner, name, noted)
    assert client.asks("PUT k v") == b"+OK\r\n"
    assert happened == ["end_turn", "sync", "_write"]


def test_writes_of_one_pass_of_the_loop_share_one_frame_and_one_sync(stage: Stage) -> None:
    clients = [Client(stage) for _ in range(5)]
    for number, client in enumerate(clients):
        client.sends(f"PUT k{number} v")
    syncs = stage.engine.log.syncs
    assert [client.pipe.replies() for client in clients] == [b""] * 5
    stage.loop.run()
    assert [client.pipe.replies() for client in clients] == [b"+OK\r\n"] * 5
    assert stage.engine.log.syncs == syncs + 1
    assert stage.engine.durable_turn == 1


def test_a_turn_appended_during_a_sync_is_not_acknowledged_by_it(stage: Stage) -> None:
    first, second = Client(stage), Client(stage)
    use_helper(stage)
    assert first.asks("PUT a 1") == b""
    assert second.asks("PUT b 2") == b""
    assert stage.engine.appended_turn == 2
    stage.turns.synced(0.0001)  # covers the first alone
    assert first.pipe.replies() == b"+OK\r\n"
    assert second.pipe.replies() == b""
    stage.loop.run()
    assert len(stage.helper.requests) == 2
    stage.sync()
    assert second.pipe.replies() == b"+OK\r\n"


def test_a_plain_read_is_answered_from_what_is_durable_while_a_sync_is_under_way(stage: Stage) -> None:
    writer, reader = Client(stage), Client(stage)
    writer.asks("PUT k old")
    use_helper(stage)
    writer.sends("PUT k new")
    assert reader.asks("READ k") == b"$3\r\nold\r\n"
    stage.sync()
    assert reader.asks("READ k") == b"$3\r\nnew\r\n"


def test_a_client_sees_its_own_writes_and_waits_for_them(stage: Stage) -> None:
    client = Client(stage)
    use_helper(stage)
    assert client.asks("PUT k new") == b""
    assert client.asks("READ k") == b""
    stage.sync()
    assert client.pipe.replies() == b"+OK\r\n$3\r\nnew\r\n"


def test_a_reply_that_depends_on_an_unsynced_write_of_another_waits_for_it(stage: Stage) -> None:
    writer, reader = Client(stage), Client(stage)
    use_helper(stage)
    writer.asks("PUT k v")
    assert reader.asks("SIZE") == b""
    stage.sync()
    assert reader.pipe.replies() == b":1\r\n"
    assert reader.asks("SIZE") == b":1\r\n", "and it does not wait where there is nothing to wait for"


def test_a_reply_that_depends_on_nothing_stays_behind_one_that_waits(stage: Stage) -> None:
    client = Client(stage)
    use_helper(stage)
    assert client.asks("PUT k v") == b""
    assert client.asks("PING", "ECHO a") == b""
    stage.sync()
    assert client.pipe.replies() == b"+OK\r\n+PONG\r\n$1\r\na\r\n"
    assert client.asks("PING") == b"+PONG\r\n"


def test_the_loop_syncs_itself_only_while_everybody_waits(stage: Stage) -> None:
    writer, reader = Client(stage), Client(stage)
    syncs = stage.engine.log.syncs
    writer.asks("PUT k 1")
    assert (stage.engine.log.syncs, stage.helper.requests) == (syncs + 1, [])
    writer.sends("PUT k 2")
    reader.sends("READ k")  # does not wait, so nobody may be held up
    stage.loop.run()
    assert len(stage.helper.requests) == 1
    stage.sync()
    stage.now_s += RECENT_READ_S / 2
    writer.asks("PUT k 3")
    assert len(stage.helper.requests) == 2, "it may ask again"
    stage.sync()
    stage.now_s += RECENT_READ_S
    assert writer.asks("PUT k 4") == b"+OK\r\n" * 2
    assert len(stage.helper.requests) == 2


def test_while_a_checkpoint_keeps_the_disk_busy_the_loop_does_not_sync(stage: Stage) -> None:
    writer, syncs = Client(stage), stage.engine.log.syncs
    stage.engine.maintenance.checkpoint_running = True
    assert writer.asks("PUT k 1") == b""
    assert (stage.engine.log.syncs, len(stage.helper.requests)) == (syncs, 1)
    stage.sync()
    stage.engine.maintenance.checkpoint_running = False
    assert writer.asks("PUT k 2") == b"+OK\r\n" * 2
    assert len(stage.helper.requests) == 1


def test_a_slow_disk_is_left_to_the_helper_until_it_is_quick_again(stage: Stage) -> None:
    client = Client(stage)
    use_helper(stage)
    client.asks("PUT k 0")
    stage.helper.sync_s = 0.1
    stage.sync()
    stage.now_s += 1
    syncs, replies = 0, b""
    while True:
        replies += client.asks("PUT k 1")
        if len(stage.helper.requests) == syncs + 1:
            break
        stage.helper.sync_s = 0.0001
        stage.sync()
        syncs += 1
    assert syncs > 5
    assert stage.turns.average_sync_s < QUICK_SYNC_S
    assert replies == b"+OK\r\n" * (syncs + 2)


def test_a_quick_disk_is_not_called_slow_because_its_answer_was_heard_late(stage: Stage) -> None:
    """The machine was busy: each answer lay there for 10 ms, and the helper stayed in use as long as that lasted."""
    client = Client(stage)
    use_helper(stage)
    stage.helper.sync_s = QUICK_SYNC_S / 10
    for number in range(20):
        client.asks(f"PUT k {number}")
        stage.now_s += 0.01
        if len(stage.helper.requests) > number:
            stage.sync()
    assert len(stage.helper.requests) < 10


def test_after_a_failed_sync_nothing_is_acknowledged_and_nothing_is_synced_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    waiting, writer = Client(stage), Client(stage)
    monkeypatch.setattr(stage.engine.directory.system, "sync", fail)
    assert writer.asks("PUT k v") == b""
    monkeypatch.undo()
    assert len(stage.failures) == 1
    assert writer.asks("PUT k w") == b""
    assert waiting.asks("SIZE") == b""
    stage.turns.synced(0.0001)
    stage.turns.end_now()
    stage.loop.run()
    assert (writer.pipe.written, waiting.pipe.written) == (b"", b"")
    assert (stage.engine.durable_turn, len(stage.failures)) == (0, 1)


def test_after_the_helper_failed_nothing_is_acknowledged(stage: Stage) -> None:
    client = Client(stage)
    use_helper(stage)
    client.asks("PUT k v")
    stage.turns.fail(DiskFailure("the helper says so"))
    stage.turns.synced(0.0001)
    assert client.asks("SIZE", "PUT k w") == b""
    assert client.pipe.written == b""
    assert stage.engine.durable_turn == 0
    assert len(stage.failures) == 1
    stage.engine.failed = stage.failures[0]


def test_a_full_disk_holds_replies_back_until_there_is_room(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(stage)
    original = stage.engine.directory.system.pwrite

    def full(_fd: int, _data: bytes | memoryview, _offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stage.engine.directory.system, "pwrite", full)
    assert client.asks("PUT k v") == b""
    assert stage.engine.durable_turn == 0
    monkeypatch.setattr(stage.engine.directory.system, "pwrite", original)
    stage.engine.housekeep(5)
    stage.turns.schedule_if_needed()
    stage.loop.run()
    assert client.pipe.replies() == b"+OK\r\n"
    assert stage.failures == []


@pytest.mark.parametrize("fsync", ["interval", "never"])
def test_without_fsync_always_a_reply_waits_only_for_the_append(stage: Stage, fsync: Fsync) -> None:
    choose_fsync(stage.engine, fsync)
    client = Client(stage)
    syncs = stage.engine.log.syncs
    client.sends("PUT k v")
    assert client.pipe.replies() == b""
    stage.loop.run()
    assert client.pipe.replies() == b"+OK\r\n"
    assert (stage.engine.log.syncs, stage.helper.requests) == (syncs, [])
    stage.turns.sync_in_helper()
    assert len(stage.helper.requests) == 1
    assert client.asks("PUT k w") == b"+OK\r\n", "nobody waits for that sync"
    stage.sync()


def test_what_the_store_records_by_itself_is_made_durable_too(stage: Stage) -> None:
    stage.engine.databases[0].keyspace.put(b"k", b"v")
    stage.turns.schedule_if_needed()
    stage.loop.run()
    assert stage.engine.durable_turn == stage.engine.open_turn - 1 == 1


def test_a_disk_that_may_answer_later_lets_go_of_those_who_wait(stage: Stage) -> None:
    client = Client(stage)
    use_helper(stage)
    assert client.asks("PUT k v") == b""
    choose_fsync(stage.engine, "never")
    stage.turns.schedule()
    stage.sync()
    assert client.pipe.replies() == b"+OK\r\n"


def test_the_mark_of_an_idle_log_is_made_durable_too(stage: Stage) -> None:
    Client(stage).asks("PUT k v")
    log = stage.engine.log
    for _ in range(20):
        stage.engine.housekeep(1)
        stage.turns.schedule_if_needed()
        stage.loop.run()
    assert log.marked_position > 0
    assert log.durable_position == log.position


def test_a_turn_with_nothing_to_sync_is_no_measure_of_the_disk(stage: Stage) -> None:
    stage.turns._average_s = 0.0005
    stage.turns.schedule()
    stage.loop.run()
    assert stage.turns.average_sync_s == 0.0005
