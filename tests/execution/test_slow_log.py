"""The slow log: what enters it, in what form; what is timed at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keystead.commands.catalogue import REGISTRY

if TYPE_CHECKING:
    from executors import Stage


def entries(stage: Stage) -> list[list[bytes]]:
    return [entry.args for entry in stage.executor.slow_log.entries]


def test_at_zero_every_command_enters_newest_first(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline("CLIENT SETNAME app", "CONFIG SET slowlog-log-slower-than 0", "PING", "GET k", "GET", "NOSUCH")
    client("CONFIG SET slowlog-log-slower-than -1")
    assert entries(executor_stage)[:2] == [[b"GET", b"k"], [b"PING"]]
    newest = executor_stage.executor.slow_log.entries[0]
    assert (newest.addr, newest.client_name) == ("127.0.0.1:50000", b"app")
    assert client("SLOWLOG LEN") == b":3\r\n", "the CONFIG SET that began it counts, the one that ended it does not"


def test_commands_of_a_transaction_enter_one_by_one(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline("CONFIG SET slowlog-log-slower-than 0", "SLOWLOG RESET", "MULTI", "SET a 1", "EXEC")
    assert entries(executor_stage)[:2] == [[b"SET", b"a", b"1"], [b"MULTI"]]


def test_long_commands_are_shortened_and_passwords_hidden(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline(
        "CONFIG SET slowlog-log-slower-than 0",
        "AUTH default sesame",
        "HELLO 2 AUTH default sesame SETNAME app",
        "CONFIG SET timeout 0 requirepass sesame",
        "ECHO " + "x" * 200,
        "MSET " + " ".join(f"k{n} {n}" for n in range(20)),
    )
    mset, echo, config, hello, auth = entries(executor_stage)[:5]
    assert mset == [b"MSET", *(text for n in range(15) for text in (b"k%d" % n, b"%d" % n)), b"... (10 more arguments)"]
    assert echo == [b"ECHO", b"x" * 128 + b"... (72 more bytes)"]
    assert config == [b"CONFIG", b"SET", b"timeout", b"0", b"requirepass", b"(redacted)"]
    assert hello == [b"HELLO", b"2", b"AUTH", b"(redacted)", b"(redacted)", b"SETNAME", b"app"]
    assert auth == [b"AUTH", b"(redacted)", b"(redacted)"]


@pytest.mark.parametrize(
    ("threshold_us", "timed"),
    [
        (10_000, {"get": False, "set": False, "keys": True, "mget": True}),
        (999, {"get": True, "keys": True}),
        (-1, {"keys": False}),
    ],
)
def test_o1_commands_are_not_timed_unless_the_threshold_is_small(
    executor_stage: Stage, threshold_us: int, timed: dict[str, bool]
) -> None:
    slow_log = executor_stage.executor.slow_log
    slow_log.configure(threshold_us, 128)
    layer = slow_log.layer()
    for name, expected in timed.items():
        command = REGISTRY[name.encode()]
        assert (layer is not None and layer(command, command.handler) is not command.handler) is expected


def test_the_normal_tables_hold_raw_handlers_themselves(executor_stage: Stage) -> None:
    """With the defaults nothing is wrapped around the commands that must be quick."""
    for name in (b"GET", b"SET", b"INCR", b"get"):
        assert executor_stage.executor.tables.normal[name] is REGISTRY[name.lower()].handler


def test_a_shorter_log_keeps_the_newest(executor_stage: Stage) -> None:
    client = executor_stage.client()
    client.pipeline("CONFIG SET slowlog-log-slower-than 0", "PING 1", "PING 2", "CONFIG SET slowlog-max-len 2")
    client("CONFIG SET slowlog-log-slower-than -1")
    assert len(entries(executor_stage)) == 2
    assert client("SLOWLOG GET -2").startswith(b"-ERR count should be")
    assert client("SLOWLOG RESET") == b"+OK\r\n"
    assert client("SLOWLOG GET") == b"*0\r\n"
