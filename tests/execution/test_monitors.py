"""MONITOR: what listeners are told, and that nobody pays when there are none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keystead.commands.catalogue import REGISTRY

if TYPE_CHECKING:
    from executors import Client, Stage


def told(listener: Client) -> list[str]:
    lines = listener.peer.pushed.decode("latin1").splitlines()
    assert all(re.match(r"\+\d+\.\d{6} \[\d+ 127\.0\.0\.1:50000\] ", line) for line in lines)
    return [line.partition("] ")[2] for line in lines]


def test_listeners_are_told_of_what_has_run(executor_stage: Stage) -> None:
    listener, client = executor_stage.client(), executor_stage.client()
    assert listener("MONITOR") == b"+OK\r\n"
    client.pipeline("SET k v", "get k", "GET", "NOSUCH", "CONFIG GET port", "AUTH default sesame", "INCR k", "QUIT")
    assert told(listener) == ['"SET" "k" "v"', '"get" "k"', '"AUTH" "(redacted)" "(redacted)"', '"INCR" "k"', '"QUIT"']


def test_transactions_are_told_as_they_run(executor_stage: Stage) -> None:
    listener, client = executor_stage.client(), executor_stage.client()
    listener("MONITOR")
    client.pipeline("MULTI", "SET k v", "EXEC")
    assert told(listener) == ['"MULTI"', '"SET" "k" "v"', '"EXEC"']


def test_arguments_are_quoted_so_that_redis_cli_reads_them_back(executor_stage: Stage) -> None:
    listener, client = executor_stage.client(), executor_stage.client()
    listener("MONITOR")
    client(r'ECHO "a b\"\\\n\r\t\a\b\x00\xff"')
    assert told(listener) == [r'"ECHO" "a b\"\\\n\r\t\a\b\x00\xff"']


def test_a_listener_is_kept_from_the_data_and_hears_no_second_ok(executor_stage: Stage) -> None:
    listener = executor_stage.client()
    listener("MONITOR")
    assert listener("MONITOR") == b""
    assert listener("GET k") == b"-ERR Replica can't interact with the keyspace\r\n"
    assert listener("PING") == b"+PONG\r\n"
    assert listener("RESET") == b"+RESET\r\n"
    assert listener("GET k") == b"$-1\r\n"


def test_the_last_listener_unwraps_every_command(executor_stage: Stage) -> None:
    one, other = executor_stage.client(), executor_stage.client()
    normal = executor_stage.executor.tables.normal
    one("MONITOR")
    other("MONITOR")
    executor_stage.executor.close_session(one.session)
    assert normal[b"GET"] is not REGISTRY[b"get"].handler
    executor_stage.executor.close_session(other.session)
    assert normal[b"GET"] is REGISTRY[b"get"].handler


def test_monitor_is_refused_inside_a_transaction(executor_stage: Stage) -> None:
    reply = executor_stage.client().pipeline("MULTI", "MONITOR", "EXEC")[0][-1]
    assert reply == b"*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n"
