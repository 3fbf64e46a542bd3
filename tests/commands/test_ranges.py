"""What changes a part of a string records that part. Replies are compared with Redis' in tests/cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keystead.engine import operations as op

if TYPE_CHECKING:
    from executors import Client, Stage


@pytest.fixture
def client(executor_stage: Stage) -> Client:
    made = executor_stage.client()
    made("SET long " + "x" * 50_000)
    executor_stage.executor.engine.end_turn()
    return made


def written(stage: Stage) -> list[object]:
    return [(fact, *rest) for fact, _, *rest in stage.executor.engine.ops]


@pytest.mark.parametrize(
    ("line", "offset", "data"),
    [
        ("APPEND long abc", 50_000, b"abc"),
        ("SETRANGE long 10 abc", 10, b"abc"),
        ("SETBIT long 800 1", 100, b"\xf8"),
        ("BITFIELD long SET u8 #7 1", 7, b"\x01"),
        ("BITFIELD long INCRBY u16 4 1", 0, b"xx\x88"),
    ],
)
def test_a_change_of_a_part_logs_the_part(
    executor_stage: Stage, client: Client, line: str, offset: int, data: bytes
) -> None:
    client(line)
    assert written(executor_stage) == [(op.PATCH, b"long", offset, data)]


def test_a_bit_that_does_not_change_logs_nothing(executor_stage: Stage, client: Client) -> None:
    client("SETBIT long 1 1")
    assert written(executor_stage) == []
    client("SETBIT long 400001 0")  # a longer string is a change
    assert written(executor_stage) == [(op.PATCH, b"long", 50_000, b"\x00")]


def test_a_string_cannot_outgrow_what_a_client_may_send(client: Client) -> None:
    limit = client.executor.settings.max_value_bytes
    too_long = b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
    assert client(f"SETRANGE k {limit} x") == too_long
    assert client("EXISTS k") == b":0\r\n"
    assert client(f"SETBIT k {8 * limit} 1") == b"-ERR bit offset is not an integer or out of range\r\n"


def test_two_strings_too_long_to_compare(client: Client) -> None:
    refused = b"-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n"
    assert client("LCS long long") == refused
    assert client("LCS long long LEN") == refused
