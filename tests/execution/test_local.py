"""The executor's loop: order, errors, where it stops, what it leaves to the connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from keystead.commands.catalogue import REGISTRY
from keystead.errors import DiskFailure, DiskFull
from keystead.execution.local import LARGE_REPLY_BYTES
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from executors import Stage


def fail_with(stage: Stage, failure: Exception) -> None:
    """Make ECHO raise."""

    def run(*_: Any) -> bytes:
        raise failure

    stage.executor.tables.normal[b"ECHO"] = run


def test_replies_come_in_order_and_errors_stop_nothing(executor_stage: Stage) -> None:
    client = executor_stage.client()
    replies, stopped = client.pipeline("PING", "NOSUCH", "GET", "ECHO a", "INCR a b", "SET k v", "GET k")
    assert stopped is None
    assert [reply[:1] for reply in replies] == [b"+", b"-", b"-", b"$", b"-", b"+", b"$"]
    assert executor_stage.executor.statistics.commands_processed == 7


def test_the_loop_stops_after_a_large_reply_and_goes_on_with_the_same_iterator(executor_stage: Stage) -> None:
    client = executor_stage.client()
    large = b"x" * (LARGE_REPLY_BYTES + 1)
    commands = iter([[b"ECHO", large], [b"PING"]])
    replies: list[bytes] = []
    assert client.executor.run(client.session, commands, replies) == replies[0]
    assert client.executor.run(client.session, commands, replies) is None
    assert replies[1:] == [b"+PONG\r\n"]


def test_the_loop_stops_at_a_promise_which_is_not_among_the_replies(executor_stage: Stage) -> None:
    client = executor_stage.client()
    replies, stopped = client.pipeline("PING", "WAIT 1 50", "PING")
    assert replies == [b"+PONG\r\n"]
    assert isinstance(stopped, Promise)
    assert client.session.waiting_for is stopped
    executor_stage.timers.pass_time(0.05)
    assert (stopped.reply, client.session.waiting_for) == (b":0\r\n", None)


def test_nothing_is_executed_behind_quit(executor_stage: Stage) -> None:
    client = executor_stage.client()
    replies, stopped = client.pipeline("QUIT", "SET k v")
    assert isinstance(stopped, Promise)
    assert (replies, stopped.reply, client.session.closing) == ([], b"+OK\r\n", True)
    assert executor_stage.client()("EXISTS k") == b":0\r\n"


def test_replies_that_depend_on_memory_are_marked(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline("PING", "ECHO x", "GET k", "CLIENT ID", "MULTI", "DISCARD")
    assert not client.session.must_wait
    client("SETNX k v")
    assert client.session.must_wait


@pytest.mark.parametrize("reads_of", ["EXEC", "WATCH a", "DBSIZE", "DEL a", "SAVE"])
def test_absence_depends_on_memory_too(executor_stage: Stage, reads_of: str) -> None:
    client = executor_stage.client()
    if reads_of == "EXEC":
        client("MULTI")
    client(reads_of)
    assert client.session.must_wait is (reads_of != "SAVE")


def test_a_defect_is_an_error_reply_and_a_line_in_the_log(
    executor_stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    fail_with(executor_stage, ZeroDivisionError("secret"))
    with caplog.at_level(logging.ERROR):
        assert executor_stage.client()("ECHO x") == b"-ERR internal error\r\n"
    assert "ECHO" in caplog.text


def test_an_arity_error_of_a_raw_handler_is_not_mistaken_for_a_defect(
    executor_stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    assert REGISTRY[b"get"].raw
    executor_stage.executor.tables.normal[b"GET"] = lambda *_: int("x")  # type: ignore[assignment,return-value]
    with caplog.at_level(logging.ERROR):
        assert executor_stage.client()("GET k") == b"-ERR internal error\r\n"
        assert executor_stage.client()("GET") == b"-ERR wrong number of arguments for 'get' command\r\n"
    assert caplog.text.count("failed") == 1


def test_a_disk_failure_is_never_a_reply(executor_stage: Stage) -> None:
    fail_with(executor_stage, DiskFailure("gone"))
    with pytest.raises(DiskFailure):
        executor_stage.client()("ECHO x")


def test_a_refused_write_is_answered_with_the_reason(executor_stage: Stage) -> None:
    fail_with(executor_stage, DiskFull("no room"))
    assert executor_stage.client()("ECHO x") == b"-MISCONF no room\r\n"


def test_errors_are_counted_by_their_first_word(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline("NOSUCH", "GET", "HELLO 9", "MULTI", "NOSUCH", "EXEC", "CLIENT REPLY OFF", "NOSUCH")
    assert executor_stage.executor.statistics.errors == {"ERR": 4, "NOPROTO": 1, "EXECABORT": 1}


def test_transactions_are_signed_with_user_and_client(executor_stage: Stage) -> None:
    one, other = executor_stage.client(), executor_stage.client(addr="10.0.0.2:9")
    engine = executor_stage.executor.engine
    one("CLIENT SETNAME app")
    one("PING")
    assert (engine.author.user, engine.author.client) == ("default", "app")
    other("PING")
    assert engine.author.client == "10.0.0.2:9"
    one("PING")
    assert engine.author.client == "app"


def test_the_server_is_told_what_config_set_changed(executor_stage: Stage) -> None:
    client = executor_stage.client()
    assert client("CONFIG SET timeout 5") == b"+OK\r\n"
    assert [settings.idle_timeout_s for settings in executor_stage.applied] == [5]
    client("CONFIG SET timeout 6 nosuch 1")
    assert len(executor_stage.applied) == 1, "all or nothing"


def test_shutdown_stops_and_closes_without_an_answer_when_all_is_durable(executor_stage: Stage) -> None:
    client = executor_stage.client()
    promise = client("SHUTDOWN NOSAVE")
    assert isinstance(promise, Promise)
    assert (promise.reply, executor_stage.stopped) == (b"", [True])
    assert client.session.closing
    assert client.session.must_wait


def test_a_client_that_goes_takes_its_waiting_along(executor_stage: Stage) -> None:
    client = executor_stage.client()
    promise = client("WAIT 1 50")
    executor_stage.executor.close_session(client.session)
    executor_stage.timers.pass_time(1)
    assert not promise.is_resolved
    assert client.session.id not in executor_stage.executor.sessions


def test_a_waiting_client_can_be_unblocked(executor_stage: Stage) -> None:
    waiting, other = executor_stage.client(), executor_stage.client()
    promise = waiting("WAIT 1 0")
    assert other(f"CLIENT UNBLOCK {waiting.session.id}") == b":1\r\n"
    assert promise.reply == b":0\r\n"
    assert other(f"CLIENT UNBLOCK {waiting.session.id}") == b":0\r\n"
    promise = waiting("WAIT 1 0")
    assert other(f"CLIENT UNBLOCK {waiting.session.id} ERROR") == b":1\r\n"
    assert promise.reply.startswith(b"-UNBLOCKED ")
