"""Walks over all keys. Replies are compared with Redis' in tests/cases."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import pytest

from keystead.engine.key_index import KeyIndex
from wire import read_reply

if TYPE_CHECKING:
    from executors import Client, Stage

PATTERNS = ["*", "user:*", "user:1*", "user:[12]*:a", "user:11:a", "user:11:?", "u", "absent*", "*:a", '""', "user:"]


@pytest.fixture
def client(executor_stage: Stage) -> Client:
    made = executor_stage.client()
    made("MSET " + " ".join(f"user:{n}:a {n} user:{n}:b {n} other:{n} {n}" for n in range(40)))
    made("PSETEX user:1:gone 1 x")
    time.sleep(0.01)
    return made


def found(client: Client, pattern: str) -> list[bytes]:
    return sorted(key.value for key in read_reply(io.BytesIO(client(f"KEYS {pattern}"))).value)


def test_keys_by_the_index_are_those_of_the_walk(client: Client) -> None:
    walked = {pattern: found(client, pattern) for pattern in PATTERNS}
    keyspace = client.session.db.keyspace
    keyspace.index = KeyIndex()
    for _ in keyspace.index.build([[*shard] for shard in keyspace.shards]):
        assert {pattern: found(client, pattern) for pattern in PATTERNS[:2]} == dict(list(walked.items())[:2])
    assert {pattern: found(client, pattern) for pattern in PATTERNS} == walked
    assert walked["user:1*"][:2] == [b"user:10:a", b"user:10:b"]
    assert len(walked["*"]) == 120


def test_a_scan_in_small_steps_finds_every_key_once(client: Client) -> None:
    seen: list[bytes] = []
    cursor, steps = b"0", 0
    while True:
        cursor, keys = (part.value for part in read_reply(io.BytesIO(client(f"SCAN {cursor.decode()} COUNT 7"))).value)
        seen += [key.value for key in keys]
        steps += 1
        if cursor == b"0":
            break
    assert sorted(seen) == found(client, "*")
    assert steps >= 120 // 14
