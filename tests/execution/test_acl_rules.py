"""The words that describe a user: what they come to, and that they are written as they are read.

What Redis has too is in cases/acl.py; here is what it has not, and what a list of words is as a value.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.execution.acl_rules import (
    DEFAULT,
    Definition,
    RuleRefused,
    UnmatchedParenthesis,
    applied,
    is_slow,
    is_valid_name,
    merged,
)
from keystead.execution.passwords import Scrypt, Sha256
from keystead.execution.permissions import UNRESTRICTED, granted

SHA256 = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"


def after(*words: str, before: Definition | None = None) -> Definition:
    return applied(before or Definition(), merged([word.encode() for word in words]))


WORDS = st.sampled_from(
    [
        *("on", "off", "nopass", "resetpass", "reset", "clearselectors", "sanitize-payload", "skip-sanitize-payload"),
        *("allkeys", "resetkeys", "~a*", "%R~b", "%W~b", "~b", "allchannels", "resetchannels", "&c", "&d*"),
        *("+@all", "-@all", "+@read", "-@dangerous", "+get", "-get", "+config|get", "-config", "+select|1", "+client"),
        *(f"#{SHA256}", f"#token${SHA256}", "(+get ~x)", "(%R~y (", "role:read", "role:write", "role:admin", ""),
    ]
)


@given(st.lists(WORDS, max_size=12))
def test_a_definition_is_written_as_it_is_read(words: list[str]) -> None:
    definition = Definition()
    for word in words:
        try:
            definition = after(word, before=definition)
        except (RuleRefused, UnmatchedParenthesis):
            continue
    assert after(*" ".join(definition.words()).split()) == definition


def test_the_default_user_is_written_so_too() -> None:
    assert " ".join(DEFAULT.words()) == "on nopass ~* &* +@all"
    assert after(*DEFAULT.words()) == DEFAULT
    assert DEFAULT.permissions == UNRESTRICTED


def test_passwords_are_hashed_and_known_again() -> None:
    definition = after(">one", ">two", ">one")
    assert [type(record) for record in definition.passwords] == [Scrypt, Scrypt]
    assert after("<one", before=definition).passwords == definition.passwords[1:]
    assert after(f"#{SHA256}", ">password").passwords == (Sha256(bytes.fromhex(SHA256)),)


def test_only_words_with_a_password_take_time() -> None:
    assert is_slow([b"on", b">x"])
    assert is_slow([b"<x"])
    assert not is_slow([b"on", b"#x", b"!x", b"~x", b"(+get)", b""])


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("role:read", "get mget scan ping multi exec client|id acl|whoami hello", "set del keys config|get flushall"),
        (
            "role:write",
            "get set del expire incr rename ping multi",
            "keys flushall swapdb config|set acl|setuser debug",
        ),
        ("role:admin", "get set flushall config|set acl|setuser shutdown keys debug", ""),
    ],
)
def test_a_role_stands_for_words(role: str, may: str, may_not: str) -> None:
    commands = after(role).permissions.root.commands
    names = granted(commands).names
    assert set(may.split()) <= names
    assert not names & set(may_not.split())
    assert "role" not in str(commands), "it is replaced, so that Redis understands what is shown"


def test_a_role_takes_the_place_of_the_commands_before() -> None:
    assert after("+flushall", "role:read") == after("role:read")


def test_what_settings_gave_is_not_kept() -> None:
    """requirepass stays in the configuration; without it the default user is as it was before."""
    given_by_settings = Sha256(bytes(32), from_settings=True)
    only = Definition(is_on=True, passwords=(given_by_settings,))
    assert only.to_keep() == Definition(is_on=True, needs_no_password=True)
    another = after("on", f"#{SHA256}")
    both = Definition(is_on=True, passwords=(given_by_settings, *another.passwords))
    assert both.to_keep() == another
    shut = Definition(is_on=True)
    assert shut.to_keep() == shut


def test_a_refused_word_is_named_with_the_reason() -> None:
    with pytest.raises(RuleRefused) as refused:
        after("on", "+nosuch", "+get")
    assert (refused.value.text, refused.value.reason) == (b"+nosuch", "Unknown command or category name in ACL")


def test_names_stay_one_word_of_a_line() -> None:
    assert is_valid_name(b"alice")
    assert is_valid_name("zoë".encode())
    for name in (b"a b", b"a\n", b"\t", b"a\0"):
        assert not is_valid_name(name)
