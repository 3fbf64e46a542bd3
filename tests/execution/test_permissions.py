"""What permissions come to, beyond what cases/acl.py compares with Redis."""

from __future__ import annotations

import pytest

from keystead.commands.declaration import called_command
from keystead.execution.acl_rules import Definition, applied
from keystead.execution.permissions import Denial, Permissions, keys_used


def permissions(*words: str) -> Permissions:
    return applied(Definition(), [word.encode() for word in words]).permissions


def denial(held: Permissions, line: str) -> Denial | None:
    args = line.encode().split()
    command = called_command(args)
    assert command is not None
    return held.denial(command, args)


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        ("~a* +@all", b"ab", True),
        ("~a* +@all", b"b", False),
        ("%R~a +@all", b"a", True),
        ("%W~a +@all", b"a", False),
        ("~* +get", b"anything", True),
        ("~* +set", b"anything", False),
        ("~* +ping", b"anything", False),
        ("+get ~a (~b +set)", b"b", False),
        ("+get ~a (~b +mget)", b"b", True),
    ],
)
def test_which_keys_may_be_read(words: str, key: bytes, expected: bool) -> None:
    """Patterns count only beside a command that reads."""
    root, _, further = words.partition("(")
    held = permissions(*root.split(), *([f"({further}"] if further else []))
    assert held.may_read_key(key) is expected


@pytest.mark.parametrize(
    ("words", "prefix", "expected"),
    [
        (("~app:*", "+@read"), b"app:", True),
        (("~app:*", "+@read"), b"app:x:", True),
        (("~app:x:*", "+@read"), b"app:", True),
        (("~app:*", "+@read"), b"other:", False),
        (("~*:public", "+@read"), b"other:", True),
        (("%W~app:*", "+@read"), b"app:", False),
        (("~app:*", "+set"), b"app:", False),
        (("allkeys", "+@read"), b"other:", True),
        (("~a", "(~app:* +get)"), b"app:", True),
    ],
)
def test_whether_there_can_be_readable_keys_below_a_prefix(
    words: tuple[str, ...], prefix: bytes, expected: bool
) -> None:
    assert permissions(*words).may_read_below(prefix) is expected


def test_whether_all_keys_may_be_read() -> None:
    assert permissions("allkeys", "+@read").may_read_all
    assert not permissions("allkeys", "+set").may_read_all
    assert not permissions("~a", "+@all").may_read_all
    assert permissions("~a", "(allkeys +get)").may_read_all


def test_who_may_do_everything_is_asked_nothing() -> None:
    assert permissions("+@all", "~*", "&*").is_unrestricted
    assert permissions("(+@all ~* &*)").is_unrestricted
    for words in (("+@all", "~*"), ("+@all", "&*", "~a"), ("~*", "&*", "+@all", "-get"), ("~*", "&*", "+@read")):
        assert not permissions(*words).is_unrestricted


def test_equal_rules_are_equal_permissions() -> None:
    assert permissions("+get", "~a") == permissions("~a", "+get")
    assert hash(permissions("+get", "~a")) == hash(permissions("~a", "+get"))


def test_a_condition_on_a_value_reads_it() -> None:
    """Else a user who may only write could guess a value, SET by SET."""
    held = permissions("+@all", "%W~k")
    assert denial(held, "SET k v") is None
    assert denial(held, "DELEX k") is None
    for line in ("SET k v IFEQ secret", "SET k v ifdne 0123456789abcdef", "DELEX k IFEQ secret", "SET k v GET"):
        assert denial(held, line) == Denial("key", b"k", 1)


def test_of_several_reasons_the_one_that_came_furthest_is_told() -> None:
    held = permissions("+ping", "(+mget ~a)", "(+mget ~a ~b)")
    assert denial(held, "MGET a b c") == Denial("key", b"c", 3)
    assert denial(held, "GET a") == Denial("command", b"get")


def test_keys_that_are_only_looked_for_need_any_pattern() -> None:
    exists = called_command([b"EXISTS", b"k"])
    assert exists is not None
    (use,) = keys_used(exists, [b"EXISTS", b"k"])
    assert (use.reads, use.writes) == (False, False)
    assert denial(permissions("+exists", "%W~k"), "EXISTS k") is None
    assert denial(permissions("+exists", "%W~k"), "EXISTS other") is not None


def test_channels_are_matched_by_pattern_and_patterns_by_name() -> None:
    selector = permissions("&news.*").root
    assert selector.covers_channel(b"news.today")
    assert not selector.covers_channel(b"chat")
    assert selector.covers_channel(b"news.*", as_pattern=True)
    assert not selector.covers_channel(b"news.t*", as_pattern=True)
    assert permissions("&*").root.covers_channel(b"x", as_pattern=True)
