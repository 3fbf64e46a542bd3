"""CLIENT PAUSE: what waits, for how long, in which order it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from executors import Stage


def test_what_was_paused_runs_in_order_when_the_pause_ends(executor_stage: Stage) -> None:
    client, other = executor_stage.client(), executor_stage.client()
    client("CLIENT PAUSE 100")
    first, second = client("SET k 1"), other("INCR k")
    assert isinstance(first, Promise)
    assert isinstance(second, Promise)
    executor_stage.timers.pass_time(0.05)
    assert not first.is_resolved
    executor_stage.timers.pass_time(0.1)
    assert (first.reply, second.reply) == (b"+OK\r\n", b":2\r\n")
    assert client("GET k") == b"$1\r\n2\r\n"


@pytest.mark.parametrize(
    ("line", "waits"),
    [("SET k 1", True), ("DEL k", True), ("GET k", False), ("PING", False), ("SET k", False), ("CLIENT ID", False)],
)
def test_a_pause_of_writes_lets_reads_through(executor_stage: Stage, line: str, waits: bool) -> None:
    executor_stage.client()("CLIENT PAUSE 100 WRITE")
    assert isinstance(executor_stage.client()(line), Promise) is waits


def test_exec_waits_when_it_would_write(executor_stage: Stage) -> None:
    reader, writer = executor_stage.client(), executor_stage.client()
    reader.pipeline("MULTI", "GET k")
    writer.pipeline("MULTI", "SET k 1")
    executor_stage.client()("CLIENT PAUSE 100 WRITE")
    assert reader("EXEC") == b"*1\r\n$-1\r\n"
    promise = writer("EXEC")
    assert isinstance(promise, Promise)
    executor_stage.timers.pass_time(0.2)
    assert promise.reply == b"*1\r\n+OK\r\n"


def test_a_command_queued_after_a_pause_is_queued(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline("MULTI")
    executor_stage.client()("CLIENT PAUSE 100 WRITE")
    promise = client("SET k 1")
    assert executor_stage.client()("CLIENT UNPAUSE") == b"+OK\r\n"
    assert promise.reply == b"+QUEUED\r\n"
    assert client("EXEC") == b"*1\r\n+OK\r\n"


def test_a_second_pause_is_never_shorter_or_looser(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline("CLIENT PAUSE 1000 WRITE", "CLIENT PAUSE 100 WRITE")
    promise = client("SET k 1")
    executor_stage.timers.pass_time(0.5)
    assert not promise.is_resolved
    executor_stage.timers.pass_time(1)
    assert promise.is_resolved


def test_who_leaves_during_a_pause_runs_nothing(executor_stage: Stage) -> None:
    client = executor_stage.client()
    executor_stage.client()("CLIENT PAUSE 100 WRITE")
    client("SET k 1")
    executor_stage.executor.close_session(client.session)
    executor_stage.timers.pass_time(1)
    assert executor_stage.client()("GET k") == b"$-1\r\n"


def test_the_reply_of_a_paused_write_is_marked_as_depending_on_it(executor_stage: Stage) -> None:
    client = executor_stage.client()
    executor_stage.client()("CLIENT PAUSE 100")
    client("SET k 1")
    client.session.must_wait = False
    executor_stage.timers.pass_time(1)
    assert client.session.must_wait


def test_a_paused_quit_closes_when_it_runs(executor_stage: Stage) -> None:
    client = executor_stage.client()
    executor_stage.client()("CLIENT PAUSE 100")
    promise = client("QUIT")
    assert not client.session.closing
    executor_stage.timers.pass_time(1)
    assert (promise.reply, client.session.closing) == (b"+OK\r\n", True)
