"""The operation log's records: one for each command, refused ones too, with its keys and never a value."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from executors import Client, Stage, stage
from keystead.execution.operation_log import MOST_KEY_BYTES, MOST_KEYS, Operation


@pytest.fixture
def log(executor_stage: Stage) -> list[Operation]:
    """What is logged from now on."""
    records: list[Operation] = []
    executor_stage.executor.operations.sink = records.append
    executor_stage.client()("CONFIG SET log-operations yes")
    records.clear()
    return records


@pytest.fixture
def client(executor_stage: Stage, log: list[Operation]) -> Client:
    assert log == []
    return executor_stage.client()


def shown(records: list[Operation]) -> list[tuple[str, tuple[bytes, ...], str]]:
    return [(record.command, record.keys, record.result) for record in records]


def test_a_record_says_who_did_what_when_and_to_which_key(client: Client, log: list[Operation]) -> None:
    client("CLIENT SETNAME worker")
    client("SELECT 3")
    before_ns = time.time_ns()
    client("SET k value")
    record = log[-1]
    assert record._replace(at_ns=0, duration_us=0) == Operation(
        0, "default", "127.0.0.1:50000", b"worker", "resp", 3, "SET", (b"k",), 1, "ok", 0
    )
    assert before_ns <= record.at_ns <= time.time_ns()
    assert record.duration_us >= 0


def test_off_it_costs_nothing_for_the_runners_are_the_same_as_ever(executor_stage: Stage) -> None:
    table, client = executor_stage.executor.tables.normal, executor_stage.client()
    before = table[b"GET"]
    client("CONFIG SET log-operations yes")
    assert table[b"GET"] is not before
    client("CONFIG SET log-operations no")
    assert table[b"GET"] is before


@pytest.mark.parametrize(
    ("line", "command", "keys", "result"),
    [
        ("SET k secret EX 10", "SET", (b"k",), "ok"),
        ("MSET a secret b secret", "MSET", (b"a", b"b"), "ok"),
        ("CONFIG SET requirepass secret", "CONFIG SET", (), "ok"),
        ("ACL SETUSER ada >secret", "ACL SETUSER", (), "ok"),
        ("AUTH ada secret", "AUTH", (), "WRONGPASS"),
        ("GETRANGE k secret 1", "GETRANGE", (b"k",), "ERR"),
        ("INCR text", "INCR", (b"text",), "ERR"),
    ],
)
def test_values_and_passwords_are_in_no_record(
    client: Client, log: list[Operation], line: str, command: str, keys: tuple[bytes, ...], result: str
) -> None:
    client("SET text secret")
    client(line)
    assert shown(log)[-1] == (command, keys, result)
    assert "secret" not in str(log)


def test_what_a_user_may_not_do_is_logged_as_refused(client: Client, log: list[Operation]) -> None:
    client("ACL SETUSER ada on nopass +get ~mine")
    client("AUTH ada x")
    for line in ("GET mine", "GET other", "SET mine v"):
        client(line)
    assert [(record.user, record.command, record.result) for record in log[-3:]] == [
        ("ada", "GET", "ok"),
        ("ada", "GET", "NOPERM"),
        ("ada", "SET", "NOPERM"),
    ]


def test_what_a_client_tries_before_its_login_is_logged_as_refused(tmp_path: Path) -> None:
    staged = stage(tmp_path / "data", requirepass="x", log_operations=True)
    records: list[Operation] = []
    staged.executor.operations.sink = records.append
    client = staged.client()
    client("GET k")
    client("AUTH x")
    assert shown(records) == [("GET", (b"k",), "NOAUTH"), ("AUTH", (), "ok")]
    staged.executor.engine.close()


def test_what_a_transaction_may_not_do_is_logged_as_refused(client: Client, log: list[Operation]) -> None:
    client("ACL SETUSER ada on nopass +get +multi +exec ~mine")
    client("AUTH ada x")
    for line in ("MULTI", "SET mine v", "EXEC"):
        client(line)
    assert shown(log)[-3:] == [("MULTI", (), "ok"), ("SET", (b"mine",), "NOPERM"), ("EXEC", (), "EXECABORT")]


def test_writes_that_find_no_room_are_logged_as_refused(
    executor_stage: Stage, client: Client, log: list[Operation]
) -> None:
    executor_stage.executor.engine.refusal = "OOM command not allowed when used memory > 'maxmemory'."
    executor_stage.executor.engine.on_refusal_change()
    client("SET k v")
    assert log[-1].result == "OOM"


def test_commands_of_a_transaction_are_logged_when_they_run(client: Client, log: list[Operation]) -> None:
    for line in ("MULTI", "SET k v", "INCR k", "EXEC"):
        client(line)
    assert shown(log) == [
        ("MULTI", (), "ok"),
        ("SET", (b"k",), "ok"),
        ("INCR", (b"k",), "ERR"),
        ("EXEC", (), "ok"),
    ]


def test_many_and_long_keys_are_cut_and_counted(client: Client, log: list[Operation]) -> None:
    client("MGET " + " ".join(f"k{number}" for number in range(50)))
    client("GET " + "x" * 1000)
    many, long = log[-2:]
    assert (len(many.keys), many.key_count) == (MOST_KEYS, 50)
    assert long.keys == (b"x" * MOST_KEY_BYTES,)


def test_a_paused_command_is_logged_once_when_it_runs(
    executor_stage: Stage, client: Client, log: list[Operation]
) -> None:
    client("CLIENT PAUSE 100 WRITE")
    log.clear()
    client("SET k v")
    assert log == []
    executor_stage.timers.pass_time(0.2)
    assert shown(log) == [("SET", (b"k",), "ok")]


def test_what_is_no_command_is_noted_while_the_log_is_on(
    executor_stage: Stage, client: Client, log: list[Operation]
) -> None:
    operations = executor_stage.executor.operations
    operations.note(client.session, "SCAN", time.perf_counter_ns())
    operations.note(client.session, "AUTH", time.perf_counter_ns(), user="", result="WRONGPASS")
    assert [(record.user, record.command, record.result) for record in log] == [
        ("default", "SCAN", "ok"),
        ("", "AUTH", "WRONGPASS"),
    ]
    client("CONFIG SET log-operations no")
    log.clear()
    operations.note(client.session, "SCAN", time.perf_counter_ns())
    assert log == []
