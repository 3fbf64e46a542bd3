"""Commands that run together: all or none, or one after the other as one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases.case import split
from executors import Stage, stage
from keystead.commands.debug import replays_to_memory
from keystead.errors import DiskFailure
from keystead.execution.batches import Batch, Condition, Failure, Step
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from executors import Client
    from keystead.engine.engine import Engine
    from keystead.engine.keyspace import Keyspace


def steps(*lines: str) -> list[Step]:
    return [Step(split(line)) for line in lines]


def run(client: Client, *lines: str, **how: Any) -> Batch:
    """Run the lines as one batch that nothing holds up."""
    batch = Batch(client.session, steps(*lines), **how)
    assert batch.start() is None
    return batch


def if_it_holds(key: bytes, value: bytes) -> Condition:
    return Condition(key, lambda found: None if found == value else f"{key!r} holds {found!r}")


def commit(engine: Engine) -> None:
    engine.end_turn()
    engine.sync()


def test_replies_come_in_order_and_the_commands_are_one_transaction(executor_stage: Stage) -> None:
    client = executor_stage.client()
    engine = executor_stage.executor.engine
    batch = run(client, "SET k 1", "INCR k", "MSET a 1 b 2", "GET k")
    assert (batch.replies, batch.failure) == ([b"+OK\r\n", b":2\r\n", b"+OK\r\n", b"$1\r\n2\r\n"], None)
    assert engine.turn.encode().transactions == 1


def test_a_command_that_fails_undoes_those_before_it(executor_stage: Stage) -> None:
    client = executor_stage.client()
    engine = executor_stage.executor.engine
    client.pipeline("SET text hello", "SET k 1")
    commit(engine)
    batch = run(client, "SET k 2", "DEL text", "SET new 1", "INCRBY new x", "SET never 1")
    assert batch.replies == []
    assert batch.failure == Failure(3, "ERR value is not an integer or out of range", unmet=False)
    assert engine.ops == []
    assert client("MGET k text new") == b"*3\r\n$1\r\n1\r\n$5\r\nhello\r\n$-1\r\n"
    assert replays_to_memory(engine)


def test_a_condition_that_does_not_hold_undoes_what_was_before_it(executor_stage: Stage) -> None:
    client = executor_stage.client()
    batch = Batch(client.session, [Step([b"SET", b"k", b"1"]), Step([b"SET", b"j", b"1"], if_it_holds(b"k", b"2"))])
    assert batch.start() is None
    assert batch.failure == Failure(1, "b'k' holds b'1'", unmet=True)
    assert client("EXISTS k j") == b":0\r\n"


def test_a_condition_sees_what_the_batch_has_changed(executor_stage: Stage) -> None:
    client = executor_stage.client()
    batch = Batch(client.session, [Step([b"SET", b"k", b"1"]), Step([b"DEL", b"k"], if_it_holds(b"k", b"1"))])
    batch.start()
    assert batch.replies == [b"+OK\r\n", b":1\r\n"]


def test_a_batch_reads_present_memory_and_its_answer_waits_for_the_disk(executor_stage: Stage) -> None:
    writer, reader = executor_stage.client(), executor_stage.client()
    writer("SET k 1")
    assert reader("GET k") == b"$-1\r\n"
    assert not reader.session.must_wait
    assert run(reader, "GET k").replies == [b"$1\r\n1\r\n"]
    assert reader.session.must_wait


def test_a_failed_batch_waits_too_for_it_tells_of_present_memory(executor_stage: Stage) -> None:
    client = executor_stage.client()
    run(client, "GET k", "INCRBY k x")
    assert client.session.must_wait


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("FLUSHALL", "ERR 'flushall' cannot be undone, so it cannot be part of an all-or-nothing batch"),
        ("SWAPDB 0 1", "ERR 'swapdb' cannot be undone, so it cannot be part of an all-or-nothing batch"),
        ("DBSIZE", "ERR 'dbsize' cannot be undone, so it cannot be part of an all-or-nothing batch"),
        (
            "CONFIG SET maxmemory 1",
            "ERR 'config|set' cannot be undone, so it cannot be part of an all-or-nothing batch",
        ),
        ("WATCH k", "ERR 'watch' cannot be part of a transaction"),
        ("MULTI", "ERR 'multi' cannot be part of a transaction"),
        ("SELECT 1", "ERR 'select' cannot be part of a transaction"),
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("NOSUCH a", "ERR unknown command 'NOSUCH', with args beginning with: 'a' "),
        ("OBJECT NOSUCH a", "ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP."),
        ("POST /", "ERR unknown command 'POST', with args beginning with: '/' "),
    ],
)
def test_what_cannot_take_part_is_refused_before_anything_runs(executor_stage: Stage, line: str, reason: str) -> None:
    client = executor_stage.client()
    batch = run(client, "SET k 1", line)
    assert batch.failure == Failure(1, reason, unmet=False)
    assert client.session.statistics.commands_processed == 0
    assert not client.peer.killed


def test_commands_that_reach_into_another_database_are_undone_there(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client("SET k 1")
    assert run(client, "MOVE k 3", "COPY k j DB 4").replies == [b":1\r\n", b":0\r\n"]
    assert run(client, "SET k 2", "COPY k j DB 4", "INCRBY k x").failure is not None
    client("SELECT 4")
    assert client("EXISTS j") == b":0\r\n"


def test_while_growth_is_refused_a_batch_that_grows_is_too(executor_stage: Stage) -> None:
    client = executor_stage.client()
    engine = executor_stage.executor.engine
    client("SET k 1")
    engine.refusal = "OOM no room"
    assert run(client, "DEL k", "SET j 1").failure == Failure(1, "OOM no room", unmet=False)
    assert run(client, "DEL k").replies == [b":1\r\n"]


def test_watchers_never_hear_of_what_was_undone(executor_stage: Stage) -> None:
    client, watcher = executor_stage.client(), executor_stage.client()
    watcher("WATCH k")
    run(client, "SET k 1", "INCRBY k x")
    watcher.pipeline("MULTI", "PING")
    assert watcher("EXEC") == b"*1\r\n+PONG\r\n"


def test_a_failure_of_ours_undoes_the_batch_and_goes_on_to_whoever_ends_the_process(executor_stage: Stage) -> None:
    client = executor_stage.client()

    def fail(*_: Any) -> bytes:
        raise DiskFailure("no disk")

    executor_stage.executor.tables.unrestricted.in_transaction[b"GET"] = fail
    with pytest.raises(DiskFailure):
        run(client, "SET k 1", "GET k")
    assert executor_stage.executor.engine.ops == []
    assert not client.session.runs_transaction


def test_without_undoing_every_command_runs_and_failures_are_replies(executor_stage: Stage) -> None:
    client = executor_stage.client()
    batch = run(client, "SET k 1", "INCRBY k x", "FLUSHALL", "WAIT 1 0", "SET j 1", all_or_nothing=False)
    assert batch.failure is None
    assert [reply[:1] for reply in batch.replies] == [b"+", b"-", b"+", b":", b"+"]
    assert client("MGET k j") == b"*2\r\n$-1\r\n$1\r\n1\r\n"


def test_what_is_recorded_with_a_batch_belongs_to_its_transaction(executor_stage: Stage) -> None:
    client = executor_stage.client()
    engine = executor_stage.executor.engine
    told: list[tuple[list[bytes], bool]] = []

    def record(replies: list[bytes], changed: bool) -> None:
        told.append((replies, changed))
        engine.databases[9].keyspace.put(b"record", b"1")

    run(client, "SET k 1", record=record)
    assert engine.turn.encode().transactions == 1
    run(client, "SET k 1", "INCRBY k x", record=record)
    assert (told, engine.ops) == ([([b"+OK\r\n"], True)], [])
    run(client, "GET k", record=record)
    assert told[1:] == [([b"$1\r\n1\r\n"], False)]


def test_a_batch_that_writes_waits_for_the_end_of_a_pause(executor_stage: Stage) -> None:
    client, other = executor_stage.client(), executor_stage.client()
    other("CLIENT PAUSE 100 WRITE")
    assert run(client, "GET k").replies == [b"$-1\r\n"]
    first = other("INCR k")
    batch = Batch(client.session, steps("INCR k", "GET k"))
    promise = batch.start()
    assert isinstance(promise, Promise)
    assert (client.session.waiting_for, batch.replies) == (promise, [])
    executor_stage.timers.pass_time(0.2)
    assert (first.reply, promise.is_resolved) == (b":1\r\n", True)
    assert batch.replies == [b":2\r\n", b"$1\r\n2\r\n"]


def test_a_batch_of_somebody_who_leaves_during_a_pause_never_runs(executor_stage: Stage) -> None:
    client, other = executor_stage.client(), executor_stage.client()
    other("CLIENT PAUSE 100")
    assert Batch(client.session, steps("INCR k")).start() is not None
    executor_stage.executor.close_session(client.session)
    executor_stage.timers.pass_time(0.2)
    assert other("GET k") == b"$-1\r\n"


def test_a_batch_is_seen_by_monitors_and_counted(executor_stage: Stage) -> None:
    client, monitor = executor_stage.client(), executor_stage.client()
    monitor("MONITOR")
    before = executor_stage.executor.statistics.commands_processed
    run(client, "SET k 1", "GET k")
    assert b'"SET" "k" "1"' in monitor.peer.pushed
    assert executor_stage.executor.statistics.commands_processed == before + 2
    assert client.session.last_command == [b"GET", b"k"]


# --- Against real executions ------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c", "d"])
LINES = st.one_of(
    st.builds("SET {} {}".format, KEYS, st.sampled_from(["1", "text", "9223372036854775807"])),
    st.builds("SET {} 1 PX {}".format, KEYS, st.sampled_from(["1", "100000"])),
    st.builds("SETBIT {} {} 1".format, KEYS, st.integers(0, 99)),
    st.builds("SETRANGE {} {} xyz".format, KEYS, st.integers(0, 20)),
    st.builds("APPEND {} x".format, KEYS),
    st.builds("INCR {}".format, KEYS),
    st.builds("DEL {} {}".format, KEYS, KEYS),
    st.builds("RENAME {} {}".format, KEYS, KEYS),
    st.builds("COPY {} {} DB 1 REPLACE".format, KEYS, KEYS),
    st.builds("MOVE {} 1".format, KEYS),
    st.builds("PEXPIRE {} {}".format, KEYS, st.sampled_from(["1", "100000", "-1"])),
    st.builds("PERSIST {}".format, KEYS),
    st.builds("GETDEL {}".format, KEYS),
    st.builds("BITOP NOT {} {}".format, KEYS, KEYS),
)
BATCHES = st.tuples(st.lists(LINES, min_size=1, max_size=6), st.sampled_from(["go on", "end the turn", "sync"]))


def memory(engine: Engine) -> list[dict[bytes, tuple[bytes, int]]]:
    """Keys, values and expiries as a client would find them; the databases that the lines reach."""

    def live(keyspace: Keyspace) -> dict[bytes, tuple[bytes, int]]:
        return {key: (bytes(keyspace.get(key) or b""), keyspace.expires_at_ms(key)) for key in list(keyspace.keys())}

    return [live(database.keyspace) for database in engine.databases[:2]]


def durable(engine: Engine) -> list[tuple[bytes | None, int]]:
    keyspaces = [database.keyspace for database in engine.databases[:2]]
    found = [keyspace.durable(key) for keyspace in keyspaces for key in (b"a", b"b", b"c", b"d")]
    return [(None if value is None else bytes(value), expires_at_ms) for value, expires_at_ms in found]


class HandClock:
    """A wall clock that both executors see, turned by hand."""

    at_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.at_ms


CLOCK = HandClock()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Any:
    names = ("batched", "one by one")
    stages = [stage(tmp_path_factory.mktemp(name) / "data", wall_ms=CLOCK) for name in names]
    yield stages
    for built in stages:
        built.executor.engine.close()


@settings(max_examples=200, deadline=None)
@given(st.lists(BATCHES, min_size=1, max_size=10))
def test_a_batch_does_what_its_commands_do_one_by_one_or_nothing(
    two: list[Stage], script: list[tuple[list[str], str]]
) -> None:
    """One executor is given batches, the other only the commands of those that succeed, one by one."""
    batched, single = (built.client() for built in two)
    engine, other = batched.executor.engine, single.executor.engine
    for client in (batched, single):
        client("FLUSHALL")
        commit(client.executor.engine)
    for lines, then in script:
        before = memory(engine), durable(engine), list(engine.ops), engine.used_bytes()
        batch = run(batched, *lines)
        if batch.failure is None:
            assert batch.replies == [single(line) for line in lines]
        else:
            assert (memory(engine), durable(engine), list(engine.ops), engine.used_bytes()) == before
        assert memory(engine) == memory(other)
        assert engine.used_bytes() == other.used_bytes()
        CLOCK.at_ms += 2  # what expires in a millisecond has
        for each in (engine, other):
            each.clock.refresh()
            if then != "go on":
                each.end_turn()
            if then == "sync":
                each.sync()
        assert durable(engine) == durable(other)
    commit(engine)
    commit(other)
    assert replays_to_memory(engine)


# --- permissions


def restricted(executor_stage: Stage, *words: bytes) -> Client:
    """A client who may do what the words say."""
    client = executor_stage.client()
    access = executor_stage.executor.access
    access.set_user(b"ada", [b"on", b"nopass", *words], lambda _: None)
    user = access.user(b"ada")
    assert user is not None
    client.session.log_in(user)
    return client


def test_a_step_that_the_user_may_not_take_is_refused_before_anything_runs(executor_stage: Stage) -> None:
    client = restricted(executor_stage, b"+set", b"~app:*")
    batch = run(client, "SET app:k 1", "SET other 1")
    assert batch.failure == Failure(
        1, "NOPERM this user has no permissions to access one of the keys used as arguments", unmet=False
    )
    assert executor_stage.client()("EXISTS app:k") == b":0\r\n"
    (entry,) = executor_stage.executor.acl_log.entries
    assert (entry.reason, entry.object) == ("key", b"other")


@pytest.mark.parametrize("all_or_nothing", [True, False])
def test_a_forbidden_command_is_refused(executor_stage: Stage, *, all_or_nothing: bool) -> None:
    client = restricted(executor_stage, b"+set", b"~*")
    batch = run(client, "SET k 1", "GET k", all_or_nothing=all_or_nothing)
    assert batch.failure == Failure(1, "NOPERM this user has no permissions to run the 'get' command", unmet=False)


@pytest.mark.parametrize("words", [(b"+@all", b"%W~*"), (b"+set", b"~*")])
@pytest.mark.parametrize("value", [b"secret", b"wrong"])
def test_a_condition_tells_nothing_of_a_value_that_the_user_may_not_read(
    executor_stage: Stage, words: tuple[bytes, ...], value: bytes
) -> None:
    executor_stage.client()("SET k secret")
    client = restricted(executor_stage, *words)
    batch = Batch(client.session, [Step([b"SET", b"k", b"1"], if_it_holds(b"k", value))])
    assert batch.start() is None
    assert batch.failure is not None
    assert (batch.failure.reason.split()[0], batch.failure.unmet) == ("NOPERM", False)
