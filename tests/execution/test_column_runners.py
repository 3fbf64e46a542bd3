"""Batches: many of one command at once do what they do one by one, in every state of client and server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import executors
from keystead.commands.strings import LARGEST_BATCH_BYTES
from keystead.execution.promise import Promise
from keystead.resp import OK, Run

GETS = Run(b"GET", ((b"a", b"b", b"absent", b"a", b"patched", b"long"),))
SETS = Run(b"SET", ((b"a", b"new", b"a", b"long"), (b"1", b"22", b"333", b"")))


def filled(directory: Path, **settings: Any) -> executors.Stage:
    """A stage with some keys, all of them durable."""
    stage = executors.stage(directory, **settings)
    client = stage.client()
    client.pipeline("SET a 1", "SET b 2", "SETRANGE patched 0 x", f"SET long {'y' * 9000}", "SET expired x PX 1")
    engine = stage.executor.engine
    engine.end_turn()
    engine.sync()
    engine.clock.advance_to(engine.clock.now_ms + 5)
    return stage


@pytest.fixture
def both(tmp_path: Path) -> list[executors.Stage]:
    """Two stages alike: one is asked one by one, one at once."""
    return [filled(tmp_path / name) for name in ("one by one", "at once")]


def outcome(client: executors.Client, commands: Any) -> dict[str, Any]:
    """What running these commands has done, as far as anybody can see."""
    replies: list[bytes] = []
    client.session.must_wait = False
    stopped = client.executor.run(client.session, commands, replies)
    executor, engine = client.executor, client.executor.engine
    facts = executor.statistics
    return {
        "replies": b"".join(replies),
        "stopped": type(stopped),
        "must wait": client.session.must_wait,
        "recorded": list(engine.ops),
        "counted": (facts.commands_processed, facts.keyspace_hits, facts.keyspace_misses, facts.errors),
        "last": client.session.last_command,
        "pushed": client.peer.pushed,
    }


def monitored(client: executors.Client) -> None:
    client.executor.open_session(client.peer)
    executors.Client(client.executor, client.peer, client.executor.open_session(client.peer))("MONITOR")


def out_of_memory(client: executors.Client) -> None:
    client.executor.engine.refusal = "OOM command not allowed when used memory > 'maxmemory'."
    client.executor.engine.on_refusal_change()


def another_wrote(client: executors.Client) -> None:
    executors.Client(client.executor, client.peer, client.executor.open_session(client.peer))("MSET a unsynced c 1")


STATES: dict[str, Callable[[executors.Client], Any]] = {
    "normal": lambda _: None,
    "RESP3": lambda client: client("HELLO 3"),
    "in MULTI": lambda client: client("MULTI"),
    "silent": lambda client: client("CLIENT REPLY OFF"),
    "the first is silent": lambda client: client("CLIENT REPLY SKIP"),
    "not logged in": lambda client: client.pipeline("CONFIG SET requirepass sesame", "RESET"),
    "a monitor": lambda client: client("MONITOR"),
    "another database": lambda client: client("SELECT 1"),
    "monitored": monitored,
    "slow log": lambda client: client("CONFIG SET slowlog-log-slower-than 0"),
    "times are kept": lambda client: client("CONFIG SET latency-tracking yes"),
    "out of memory": out_of_memory,
    "paused": lambda client: client("CLIENT PAUSE 1000 ALL"),
    "another wrote": another_wrote,
    "wrote itself": lambda client: client("SET a mine"),
    "watched": lambda client: client("WATCH a"),
}


@pytest.mark.parametrize("run", [GETS, SETS], ids=["GET", "SET"])
@pytest.mark.parametrize("state", STATES)
def test_a_run_does_what_its_commands_do_one_by_one(both: list[executors.Stage], state: str, run: Run) -> None:
    outcomes = []
    for stage, commands in zip(both, (iter(list(run[:])), run[:]), strict=True):
        client = stage.client()
        STATES[state](client)
        outcomes.append((outcome(client, commands), client.session.dirty, client.session.queued))
        if state in ("monitored", "a monitor"):
            outcomes[-1][0].pop("pushed")  # times
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("keys", "replies"),
    [
        ((b"a", b"b", b"a"), b"$1\r\n1\r\n$1\r\n2\r\n$1\r\n1\r\n"),
        ((b"a", b"absent"), b"$1\r\n1\r\n$-1\r\n"),
        ((b"absent", b"expired"), b"$-1\r\n$-1\r\n"),
        ((b"long", b"b"), b"$9000\r\n%b\r\n$1\r\n2\r\n" % (b"y" * 9000)),
        ((b"long", b"long"), b"$9000\r\n%b\r\n" % (b"y" * 9000) * 2),
    ],
)
def test_reads_of_a_run_are_answered_in_one_piece(both: list[executors.Stage], keys: Any, replies: bytes) -> None:
    client = both[0].client()
    found: list[bytes] = []
    assert client.executor.run(client.session, Run(b"GET", (keys,)), found) is None
    assert found == [replies]


def test_writes_of_a_run_are_transactions_each(both: list[executors.Stage]) -> None:
    client, engine = both[0].client(), both[0].executor.engine
    before = engine.info().next_sequence
    found: list[bytes] = []
    assert client.executor.run(client.session, SETS[:], found) is None
    assert found == [OK * 4]
    engine.end_turn()
    assert engine.info().next_sequence == before + 4


def test_long_replies_are_given_one_by_one(both: list[executors.Stage]) -> None:
    """So that the connection can look at its limits in between."""
    client = both[0].client()
    client(f"SET half {'x' * (LARGEST_BATCH_BYTES // 2 + 1)}")
    run = Run(b"GET", ((b"half", b"half"),))
    found: list[bytes] = []
    assert isinstance(client.executor.run(client.session, run, found), bytes)
    assert len(found) == 1
    assert isinstance(client.executor.run(client.session, run, found), bytes)
    assert client.executor.run(client.session, run, found) is None
    assert len(found) == 2


def test_a_run_that_has_begun_goes_on_where_it_stopped(both: list[executors.Stage]) -> None:
    """A pause has ended between two of its commands: what was executed is not executed again."""
    client = both[0].client()
    client("CLIENT PAUSE 50 WRITE")
    run = Run(b"SET", ((b"x", b"y"), (b"1", b"2")))
    found: list[bytes] = []
    promise = client.executor.run(client.session, run, found)
    assert isinstance(promise, Promise)
    both[0].timers.pass_time(0.1)
    assert promise.reply == OK
    client("SET x changed")
    assert client.executor.run(client.session, run, found) is None
    assert (found, client("GET x"), client("GET y")) == ([OK], b"$7\r\nchanged\r\n", b"$1\r\n2\r\n")


def test_only_what_nothing_is_wrapped_around_is_run_at_once(both: list[executors.Stage]) -> None:
    tables = both[0].executor.tables
    assert set(tables.normal.by_columns) == {b"get", b"GET", b"set", b"SET"}
    states = tables.unrestricted
    for table in (tables.new, states.multi, states.monitor):
        assert not table.by_columns
    restricted = both[0].client()
    restricted("ACL SETUSER u on nopass +get ~a*")
    restricted("AUTH u x")
    assert not restricted.session.table.by_columns
    both[0].client()("CONFIG SET slowlog-log-slower-than 0")
    assert not tables.normal.by_columns
    both[0].client()("CONFIG SET slowlog-log-slower-than 10000")
    assert set(tables.normal.by_columns) == {b"get", b"GET", b"set", b"SET"}
    out_of_memory(both[0].client())
    assert set(tables.normal.by_columns) == {b"get", b"GET"}
