"""What whole strings are to the log and to other clients. Replies are compared with Redis' in tests/cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keystead.commands.catalogue import REGISTRY
from keystead.engine import operations as op

if TYPE_CHECKING:
    from executors import Client, Stage

PLAIN_READS = {
    *("get", "mget", "strlen", "getrange", "substr", "getbit", "bitcount", "bitpos", "bitfield_ro", "lcs", "digest"),
    *("exists", "touch", "type", "ttl", "pttl", "expiretime", "pexpiretime"),
}


@pytest.fixture
def writer(executor_stage: Stage) -> Client:
    return executor_stage.client()


@pytest.fixture
def other(executor_stage: Stage) -> Client:
    return executor_stage.client(addr="127.0.0.1:50001")


def written(stage: Stage) -> list[object]:
    """What the open turn recorded, without the number of the keyspace."""
    return [(fact, *rest) for fact, _, *rest in stage.executor.engine.ops]


def waits(client: Client, line: str) -> bool:
    """Whether the reply to *line* has to wait for a sync."""
    client.session.must_wait = False
    client(line)
    return client.session.must_wait


def test_plain_reads_are_those_of_the_durable_view() -> None:
    assert {command.name for command in REGISTRY.values() if command.reads == "durable"} == PLAIN_READS


def test_a_plain_read_shows_others_what_is_durable_and_does_not_wait(
    executor_stage: Stage, writer: Client, other: Client
) -> None:
    writer("SET k old EX 100")
    executor_stage.executor.engine.end_turn()
    executor_stage.executor.engine.sync()
    writer("MSET k new absent x")
    assert other("GET k") == b"$3\r\nold\r\n"
    assert other("MGET k absent") == b"*2\r\n$3\r\nold\r\n$-1\r\n"
    assert other("TTL k") == b":100\r\n"
    assert other("EXISTS k absent") == b":1\r\n"
    assert not any(waits(other, line) for line in ("GET k", "MGET k absent", "STRLEN k", "EXISTS absent", "TTL k"))
    executor_stage.executor.engine.end_turn()
    executor_stage.executor.engine.sync()
    assert other("GET k") == b"$3\r\nnew\r\n"


CHANGES_AND_COUNTS = ("SET k v NX", "SETNX k v", "SET k v GET", "INCR k", "DEL absent", "DBSIZE", "KEYS *", "SCAN 0")


@pytest.mark.parametrize("line", CHANGES_AND_COUNTS)
def test_a_reply_that_depends_on_current_memory_waits(writer: Client, line: str) -> None:
    writer("SET k 1")
    assert waits(writer, line)


def test_a_client_reads_its_own_writes_and_waits_for_them(writer: Client) -> None:
    assert writer("SET k v") == b"+OK\r\n"
    assert writer("GET k") == b"$1\r\nv\r\n"
    assert writer.session.must_wait


def test_set_records_what_it_comes_to(executor_stage: Stage, writer: Client) -> None:
    writer("SET k 1 PXAT 33177117420000")
    writer("INCR k")
    writer("SET k v KEEPTTL")
    writer("SET k w EXAT 1")
    writer("SET absent v EXAT 1")
    writer("SET k v XX")
    assert written(executor_stage) == [
        (op.PUT_EXPIRING, b"k", b"1", 33177117420000),
        (op.PUT_EXPIRING, b"k", b"2", 33177117420000),
        (op.PUT_EXPIRING, b"k", b"v", 33177117420000),
        (op.DELETE, b"k"),
    ]


@pytest.mark.parametrize("line", ["MSET a 1 b 2 c 3", "MSETNX a 1 b 2", "RENAME k l", "MOVE k 1", "DEL k l"])
def test_a_command_is_one_transaction(executor_stage: Stage, writer: Client, line: str) -> None:
    writer("MSET k 1 l 2")
    engine = executor_stage.executor.engine
    engine.end_turn()
    before = engine.log.next_sequence
    writer(line)
    assert len(engine.ops) > 1
    engine.end_turn()
    assert engine.log.next_sequence == before + 1


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 70_000])
def test_values_of_any_length_come_back(writer: Client, length: int) -> None:
    value = "x" * length
    writer(f'SET k "{value}"')
    bulk = f"${length}\r\n{value}\r\n"
    assert writer.text("GET k") == bulk
    assert writer.text("MGET k k") == f"*2\r\n{bulk}{bulk}"
    writer(f'SETRANGE patched 0 "{value}"')
    assert writer.text("MGET patched") == f"*1\r\n{bulk}" if length else "*1\r\n$-1\r\n"
