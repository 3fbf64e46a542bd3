"""What each replicated command is told as, and where a server's own table says its keys are."""

from __future__ import annotations

from typing import Any

import pytest

from keystead.errors import CommandError
from keystead.migration.replica.key_positions import KeyPositions
from keystead.migration.replica.translating import Translator
from keystead.migration.source import Delete, Expire, Flush, Gap, PositionLost, Put, SourceFailed, Touched


def keys_of(command: Any) -> list[bytes]:
    return list(command[1:2])


def told(text: str, **options: Any) -> list[object]:
    translator = Translator(keys_of, **options)
    translator.database = 3
    return list(translator.changes(text.encode().split()))


@pytest.mark.parametrize(
    ("command", "change"),
    [
        ("SET k v", Put(3, b"k", b"v", 0)),
        ("set k v", Put(3, b"k", b"v", 0)),
        ("SET k v PXAT 1900000000000", Put(3, b"k", b"v", 1_900_000_000_000)),
        ("SET k v exat 1900000000", Put(3, b"k", b"v", 1_900_000_000_000)),
        ("SET k v NX GET", Put(3, b"k", b"v", 0)),
        ("SET k v XX PXAT 1900000000000 GET", Put(3, b"k", b"v", 1_900_000_000_000)),
        ("SET k v KEEPTTL", Touched(3, b"k")),
        ("SET k v PX 5", Touched(3, b"k")),  # of servers before 7.0, which replicate it as it came
        ("SET k v IFEQ w", Touched(3, b"k")),
        ("SETEX k 5 v", Touched(3, b"k")),
        ("SETNX k v", Put(3, b"k", b"v", 0)),
        ("GETSET k v", Put(3, b"k", b"v", 0)),
        ("DEL k", Delete(3, b"k")),
        ("PEXPIREAT k 1900000000000", Expire(3, b"k", 1_900_000_000_000)),
        ("PEXPIREAT k 1900000000000 GT", Expire(3, b"k", 1_900_000_000_000)),
        ("EXPIREAT k 1900000000", Expire(3, b"k", 1_900_000_000_000)),
        ("EXPIRE k 5", Touched(3, b"k")),
        ("PERSIST k", Expire(3, b"k", 0)),
        ("INCR k", Touched(3, b"k")),
        ("SETRANGE k 3 v", Touched(3, b"k")),
        ("RESTORE k 0 x", Touched(3, b"k")),
        ("COPY a k", Touched(3, b"k")),
        ("COPY a k REPLACE DB 5", Touched(5, b"k")),
        ("FLUSHDB ASYNC", Flush(3)),
    ],
)
def test_a_command_is_told_as_one_change(command: str, change: object) -> None:
    assert told(command) == [change]


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        ("MSET a 1 b 2", [Put(3, b"a", b"1", 0), Put(3, b"b", b"2", 0)]),
        ("UNLINK a b", [Delete(3, b"a"), Delete(3, b"b")]),
        ("RENAME a b", [Delete(3, b"a"), Touched(3, b"b")]),
        ("RENAME a a", [Delete(3, b"a"), Touched(3, b"a")]),
        ("MOVE k 5", [Delete(3, b"k"), Touched(5, b"k")]),
        ("SWAPDB 1 2", [Gap(1, "databases 1 and 2 were swapped"), Gap(2, "databases 1 and 2 were swapped")]),
        ("PING", []),
        ("PUBLISH channel message", []),
        ("FUNCTION LOAD code", []),
        ("MULTI", []),
    ],
)
def test_a_command_is_told_as_several_changes_or_none(command: str, changes: list[object]) -> None:
    assert told(command) == changes


def test_a_flush_of_all_databases_is_told_of_each_that_there_may_be() -> None:
    assert told("FLUSHALL", databases=5) == [Flush(number) for number in range(5)]
    assert told("FLUSHALL", databases=1) == [Flush(number) for number in range(4)]


def test_a_flush_of_one_node_among_several_is_a_gap() -> None:
    assert told("FLUSHDB", alone=False) == [Gap(3, "one node of the cluster was flushed")]


def test_slots_that_come_in_through_the_stream_end_the_following() -> None:
    with pytest.raises(PositionLost):
        told("CLUSTER SYNCSLOTS CAPA")


@pytest.mark.parametrize("command", ["SET k", "SELECT x", "MSET a", "PEXPIREAT k soon", "MOVE k", "COPY a b DB"])
def test_a_command_that_makes_no_sense_is_refused(command: str) -> None:
    with pytest.raises(SourceFailed):
        told(command)


def test_the_place_says_which_database_and_whether_a_transaction_is_open() -> None:
    translator = Translator(keys_of)
    for text, database, open_now in (("SELECT 7", 7, False), ("MULTI", 7, True), ("EXEC", 7, False)):
        translator.changes(text.encode().split())
        assert (translator.database, translator.in_transaction) == (database, open_now)


def test_a_primary_that_asks_how_far_its_replica_is_is_noticed() -> None:
    translator = Translator(keys_of)
    translator.changes([b"REPLCONF", b"GETACK", b"*"])
    assert translator.ack_wanted


# --- Key positions --------------------------------------------------------------------------------------------------

TABLE = [
    [b"set", -3, [b"write"], 1, 1, 1, [], [], [], []],
    [b"mset", -3, [b"write"], 1, -1, 2, [], [], [], []],
    [b"blmove", -5, [b"write"], 1, 2, 1, [], [], [], []],
    [b"sort", -2, [b"write", b"movablekeys"], 1, 1, 1, [], [], [], []],
    [b"spublish", 3, [b"pubsub"], 1, 1, 1, [], [], [], []],
    [b"xgroup", -2, [], 0, 0, 0, [], [], [], [[b"xgroup|create", -5, [b"write"], 2, 2, 1, [], [], [], []]]],
    [b"old", -2, [b"write"], 1, 1, 1],  # as before 6.0
]


def positions() -> KeyPositions:
    def ask(*words: bytes) -> Any:
        if words[1:2] != (b"GETKEYS",):
            return TABLE
        if words[2] == b"EVAL":
            raise CommandError("ERR The command has no key arguments")
        if words[2] == b"NOBODY":
            raise CommandError("ERR Invalid command specified")
        return [b"asked"]

    return KeyPositions(ask)


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("SET k v", [b"k"]),
        ("MSET a 1 b 2", [b"a", b"b"]),
        ("BLMOVE a b LEFT RIGHT 0", [b"a", b"b"]),
        ("SORT a STORE b", [b"asked"]),
        ("UNKNOWN k", [b"asked"]),
        ("SPUBLISH channel message", []),
        ("XGROUP CREATE k g $", [b"k"]),
        ("EVAL code 0", []),
        ("OLD k", [b"k"]),
    ],
)
def test_the_keys_are_where_the_server_says_they_are(command: str, keys: list[bytes]) -> None:
    assert positions().keys(command.encode().split()) == keys


def test_a_command_that_the_server_does_not_know_itself_is_refused() -> None:
    with pytest.raises(SourceFailed, match="NOBODY"):
        positions().keys([b"NOBODY", b"k"])
