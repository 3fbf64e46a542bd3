"""Syntax lines of the manual become trees, and wrong lines are refused when they are declared."""

from __future__ import annotations

import pytest

from keystead.commands.syntax import (
    Choice,
    Optional,
    Placeholder,
    Repeat,
    Sequence,
    Token,
    maximum,
    minimum,
    python_name,
    read_syntax,
)

KEY, VALUE = Placeholder("key"), Placeholder("value")


def tree(line: str) -> tuple[object, ...]:
    return read_syntax("X " + line)[1].items


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("key value", (KEY, VALUE)),
        ("key [key ...]", (Repeat(KEY),)),
        ("key value [key value ...]", (Repeat(Sequence((KEY, VALUE))),)),
        ("[key [key ...]]", (Optional(Repeat(KEY)),)),
        ("[NX | XX]", (Optional(Choice((Token("NX"), Token("XX")))),)),
        ("<ON | OFF>", (Choice((Token("ON"), Token("OFF"))),)),
        ("[EX seconds]", (Optional(Sequence((Token("EX"), Placeholder("seconds")))),)),
        ("<* | id>", (Choice((Token("*"), Placeholder("id"))),)),
        ("[GET p [GET p ...]]", (Optional(Repeat(Sequence((Token("GET"), Placeholder("p"))))),)),
        ("<A <B | C> | D>", (Choice((Sequence((Token("A"), Choice((Token("B"), Token("C"))))), Token("D"))),)),
        ("ip:port LIB-NAME", (Placeholder("ip:port"), Token("LIB-NAME"))),
        ("", ()),
    ],
)
def test_a_line_is_read_as_it_looks(line: str, expected: tuple[object, ...]) -> None:
    assert tree(line) == expected


@pytest.mark.parametrize(
    ("line", "name"),
    [("GET key", "get"), ("CLIENT NO-EVICT <ON | OFF>", "client|no-evict"), ("BITFIELD_RO key", "bitfield_ro")],
)
def test_the_name_is_the_leading_words_in_capitals(line: str, name: str) -> None:
    assert read_syntax(line)[0] == name


@pytest.mark.parametrize(
    "line", ["get key", "GET [key", "GET key]", "GET a | b", "GET <a | b", "GET ... key", "MGET key [value ...]"]
)
def test_a_wrong_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"key|name|bracket|place|missing|repeats"):
        read_syntax(line)


@pytest.mark.parametrize(
    ("line", "least", "most"),
    [
        ("", 0, 0),
        ("key", 1, 1),
        ("key [value]", 1, 2),
        ("key [key ...]", 1, None),
        ("key value [key value ...]", 2, None),
        ("<ON | OFF> [EX seconds | KEEPTTL]", 1, 3),
        ("<A b | C> key", 2, 3),
    ],
)
def test_how_many_arguments_a_line_takes(line: str, least: int, most: int | None) -> None:
    arguments = read_syntax("X " + line)[1]
    assert (minimum(arguments), maximum(arguments)) == (least, most)


def test_parameters_are_called_like_their_words_where_python_allows() -> None:
    names = [python_name(word) for word in ("NX", "LIB-NAME", "FROM", "TYPE", "unix-time-seconds", "LEN")]
    assert names == ["nx", "lib_name", "from_", "type_", "unix_time_seconds", "len_"]
