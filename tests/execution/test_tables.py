"""States are tables: login, MULTI, MONITOR, CLIENT REPLY, and what is wrapped around all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from executors import Client, Stage

NO_AUTH = b"-NOAUTH Authentication required.\r\n"


@pytest.fixture
def stranger(executor_stage: Stage) -> Client:
    executor_stage.executor.access.set_password("sesame")
    return executor_stage.client()


def test_before_login_only_what_leads_to_it_works(stranger: Client) -> None:
    assert stranger("GET k") == NO_AUTH
    assert stranger("CLIENT ID") == NO_AUTH
    assert stranger("MULTI") == NO_AUTH
    assert stranger("GET") == b"-ERR wrong number of arguments for 'get' command\r\n"
    assert stranger("NOSUCH").startswith(b"-ERR unknown command")
    assert stranger("AUTH wrong") == b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    assert stranger("HELLO").startswith(b"-NOAUTH HELLO must be called")
    assert stranger("AUTH sesame") == b"+OK\r\n"
    assert stranger("GET k") == b"$-1\r\n"
    assert stranger("RESET") == b"+RESET\r\n"
    assert stranger("GET k") == NO_AUTH
    assert stranger("HELLO 3 AUTH default sesame SETNAME app").startswith(b"%7\r\n")
    assert stranger("CLIENT GETNAME") == b"$3\r\napp\r\n"


def test_who_was_in_before_there_was_a_password_stays(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client("CONFIG SET requirepass sesame")
    assert client("GET k") == b"$-1\r\n"
    assert executor_stage.client()("GET k") == NO_AUTH


@pytest.mark.parametrize(
    ("lines", "exec_reply"),
    [
        (["SET k 1", "GET k"], b"*2\r\n+OK\r\n$1\r\n1\r\n"),
        ([], b"*0\r\n"),
        (["MULTI", "WATCH k", "GET k"], b"*1\r\n$-1\r\n"),
        (["NOSUCH"], b"-EXECABORT Transaction discarded because of previous errors.\r\n"),
        (["GET"], b"-EXECABORT Transaction discarded because of previous errors.\r\n"),
        (["CLIENT NOSUCH"], b"-EXECABORT Transaction discarded because of previous errors.\r\n"),
        (["MULTI x"], b"-EXECABORT Transaction discarded because of previous errors.\r\n"),
        (["SAVE"], b"-EXECABORT Transaction discarded because of previous errors.\r\n"),
        (["DISCARD"], b"-ERR EXEC without MULTI\r\n"),
        (["RESET"], b"-ERR EXEC without MULTI\r\n"),
        (["WAIT 1 1000"], b"*1\r\n:0\r\n"),
    ],
)
def test_multi_queues_and_exec_answers(executor_stage: Stage, lines: list[str], exec_reply: bytes) -> None:
    client = executor_stage.client()
    replies, stopped = client.pipeline("MULTI", *lines, "EXEC")
    assert (replies[-1], stopped) == (exec_reply, None)
    assert client("PING") == b"+PONG\r\n", "the transaction is over"


def test_an_exec_is_one_transaction_of_the_log(executor_stage: Stage) -> None:
    client, engine = executor_stage.client(), executor_stage.executor.engine
    before = engine.info().next_sequence
    client.pipeline("MULTI", "SET a 1", "MSET b 1 c 2", "INCR nonumber", "SET d x", "INCR d", "EXEC")
    engine.end_turn()
    assert engine.info().next_sequence == before + 1


def test_what_holds_outside_of_exec_does_not_hold_within(executor_stage: Stage) -> None:
    """EXEC has been let through as a whole: nothing in it is refused or paused half way."""
    client, engine = executor_stage.client(), executor_stage.executor.engine
    client.pipeline("MULTI", "CLIENT PAUSE 1000 ALL", "SET a 1")
    assert client("EXEC") == b"*2\r\n+OK\r\n+OK\r\n"
    assert isinstance(client("GET a"), Promise)
    assert engine.refusal is None


WATCHED = [
    ("SET k 2", True),
    ("DEL k", True),
    ("EXPIRE k 100", True),
    ("FLUSHDB", True),
    ("FLUSHALL", True),
    ("SWAPDB 0 1", True),
    ("SET other 1", False),
    ("GET k", False),
    ("DEL nosuch", False),
    ("SWAPDB 1 2", False),
]


@pytest.mark.parametrize(("line", "aborts"), WATCHED)
def test_exec_answers_null_when_a_watched_key_was_changed(executor_stage: Stage, line: str, aborts: bool) -> None:
    client, other = executor_stage.client(), executor_stage.client()
    client.pipeline("SET k 1", "WATCH k")
    other(line)
    client.pipeline("MULTI", "PING")
    assert client("EXEC") == (b"*-1\r\n" if aborts else b"*1\r\n+PONG\r\n")
    client.pipeline("MULTI", "PING")
    assert client("EXEC") == b"*1\r\n+PONG\r\n", "EXEC has forgotten the watches"


def test_unwatch_discard_and_reset_forget_watches(executor_stage: Stage) -> None:
    client, other = executor_stage.client(), executor_stage.client()
    for forgetting in (["UNWATCH"], ["MULTI", "DISCARD"], ["RESET"]):
        client("WATCH k")
        client.pipeline(*forgetting)
        other("INCR k")
        client.pipeline("MULTI", "PING")
        assert client("EXEC") == b"*1\r\n+PONG\r\n"
    assert not executor_stage.executor.engine.databases[0].keyspace.watched


def test_a_watched_key_follows_its_database_through_swapdb(executor_stage: Stage) -> None:
    client, other = executor_stage.client(), executor_stage.client()
    client("WATCH k")
    other("SWAPDB 0 1")
    other("SET k 1")
    client.pipeline("MULTI", "PING")
    assert client("EXEC") == b"*-1\r\n"


def test_expiry_of_a_watched_key_is_a_change_unless_it_had_expired_before(executor_stage: Stage) -> None:
    client, clock = executor_stage.client(), executor_stage.executor.engine.clock
    client.pipeline("SET k 1 PX 50", "WATCH k", "MULTI", "PING")
    clock.advance_to(clock.now_ms + 100)
    assert client("EXEC") == b"*-1\r\n"
    client.pipeline("SET k 1 PX 50")
    clock.advance_to(clock.now_ms + 100)
    client.pipeline("WATCH k")
    executor_stage.client()("DEL k")  # meets the expired key and logs that it went
    client.pipeline("MULTI", "PING")
    assert client("EXEC") == b"*1\r\n+PONG\r\n"


def test_replies_can_be_switched_off_and_on(executor_stage: Stage) -> None:
    client = executor_stage.client()
    replies, _ = client.pipeline("CLIENT REPLY OFF", "SET k 1", "NOSUCH", "GET", "CLIENT REPLY SKIP", "CLIENT REPLY ON")
    assert b"".join(replies) == b"+OK\r\n"
    replies, _ = client.pipeline("CLIENT REPLY SKIP", "INCR k", "GET k")
    assert b"".join(replies) == b"$1\r\n2\r\n"
    replies, _ = client.pipeline("CLIENT REPLY SKIP", "NOSUCH", "GET k")
    assert b"".join(replies) == b"$1\r\n2\r\n"
    replies, _ = client.pipeline("CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING", "PING")
    assert b"".join(replies) == b"+PONG\r\n"
    replies, _ = client.pipeline("CLIENT REPLY OFF", "MULTI", "PING", "EXEC", "CLIENT REPLY ON", "PING")
    assert b"".join(replies) == b"+OK\r\n+PONG\r\n"


def test_a_silent_client_waits_all_the_same(executor_stage: Stage) -> None:
    client = executor_stage.client()
    _, promise = client.pipeline("CLIENT REPLY OFF", "WAIT 1 50")
    assert isinstance(promise, Promise)
    executor_stage.timers.pass_time(0.1)
    assert promise.reply == b""


def test_while_memory_is_short_only_what_grows_is_refused(executor_stage: Stage) -> None:
    client, engine = executor_stage.client(), executor_stage.executor.engine
    client.pipeline("SET k 1", "MULTI", "SET k 2")
    engine.refusal = "OOM command not allowed when used memory > 'maxmemory'."
    engine.on_refusal_change()
    refusal = f"-{engine.refusal}\r\n".encode()
    other = executor_stage.client()
    assert client("EXEC") == b"-EXECABORT Transaction discarded because of: " + refusal[1:]
    assert other("SET k 3") == refusal
    assert other("SET k") == b"-ERR wrong number of arguments for 'set' command\r\n"
    assert other("GET k") == b"$1\r\n1\r\n"
    assert other("DEL k") == b":1\r\n"
    assert other.pipeline("MULTI", "GET k", "EXEC")[0][1:] == [
        refusal,
        b"-EXECABORT Transaction discarded because of previous errors.\r\n",
    ]
    engine.refusal = None
    engine.on_refusal_change()
    assert other("SET k 3") == b"+OK\r\n"


def test_while_the_disk_is_full_reads_may_be_queued(executor_stage: Stage) -> None:
    client, engine = executor_stage.client(), executor_stage.executor.engine
    engine.refusal = "MISCONF no room"
    engine.on_refusal_change()
    assert client("SET k 1") == b"-MISCONF no room\r\n"
    assert client.pipeline("MULTI", "GET k", "DEL k", "EXEC")[0][-1] == b"*2\r\n$-1\r\n:0\r\n"
