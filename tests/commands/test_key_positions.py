"""Key positions follow from the syntax line."""

from __future__ import annotations

import pytest

from keystead.commands.key_positions import KeySpec, legacy_range, positions, specs
from keystead.commands.syntax import read_syntax


def found(line: str, flags: str = "") -> tuple[KeySpec, ...]:
    name, arguments = read_syntax(line)
    return specs(arguments, name.count("|") + 1, flags)


@pytest.mark.parametrize(
    ("syntax", "call", "keys", "legacy"),
    [
        ("GET key", "GET a", "a", (1, 1, 1)),
        ("PING [message]", "PING a", "", (0, 0, 0)),
        ("MSET key value [key value ...]", "MSET a 1 b 2", "a b", (1, -1, 2)),
        ("MSET key value [key value ...]", "MSET a 1 b", "a b", (1, -1, 2)),
        ("RENAME key newkey", "RENAME a b", "a b", (1, 2, 1)),
        ("LCS key1 key2 [LEN]", "LCS a b LEN", "a b", (1, 2, 1)),
        ("BITOP <AND | OR> destkey key [key ...]", "BITOP AND d a b", "d a b", (2, -1, 1)),
        ("BLPOP key [key ...] timeout", "BLPOP a b 0", "a b", (1, -2, 1)),
        ("OBJECT ENCODING key", "OBJECT ENCODING a", "a", (2, 2, 1)),
        ("EVAL script numkeys [key [key ...]] [arg [arg ...]]", "EVAL s 2 a b c", "a b", (0, 0, 0)),
        ("EVAL script numkeys [key [key ...]] [arg [arg ...]]", "EVAL s 9 a b c", "", (0, 0, 0)),
        ("SORT key [BY pattern] [STORE destination]", "SORT a BY x store d", "a d", (1, 1, 1)),
        ("SORT key [BY pattern] [STORE destination]", "SORT a", "a", (1, 1, 1)),
        ("COPY source destination [DB destination-db]", "COPY a b DB 1", "a b", (1, 2, 1)),
        ("EXISTS key [key ...]", "EXISTS a a", "a a", (1, -1, 1)),
    ],
)
def test_keys_of_a_call(syntax: str, call: str, keys: str, legacy: tuple[int, int, int]) -> None:
    args = [word.encode() for word in call.split()]
    specifications = found(syntax)
    assert [args[at].decode() for at in positions(specifications, args)] == keys.split()
    assert legacy_range(specifications) == legacy


def test_flags_are_given_specification_by_specification() -> None:
    assert [spec.flags for spec in found("RENAME key newkey", "RW ACCESS DELETE / OW UPDATE")] == [
        ("RW", "ACCESS", "DELETE"),
        ("OW", "UPDATE"),
    ]
    assert [spec.flags for spec in found("COPY source destination", "RO")] == [("RO",), ("RO",)]


def test_flags_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown key flags"):
        found("GET key", "READS")
