"""Arguments are read by the syntax line: what the handler gets, and Redis' errors for what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.case import split
from keystead.commands.grammar import compile_parser
from keystead.commands.numbers import positive
from keystead.commands.syntax import read_syntax
from keystead.errors import CommandError

ARITY = "ERR wrong number of arguments for 'x' command"
SYNTAX = "ERR syntax error"
NO_INTEGER = "ERR value is not an integer or out of range"

SET = "X key value [NX | XX | IFEQ ifeq-value] [GET] [EX seconds | PX milliseconds | KEEPTTL]"


def read(syntax: str, line: str, **types: Any) -> tuple[list[Any], dict[str, Any]]:
    name, arguments = read_syntax(syntax)
    skip = name.count("|") + 1
    return compile_parser(arguments, skip, types, ARITY)([b"X"] * skip + split(line))


@pytest.mark.parametrize(
    ("syntax", "line", "positional", "options"),
    [
        ("X", "", [], {}),
        ("X key", "a", [b"a"], {}),
        ("X Y key", "a", [b"a"], {}),
        ("X key increment", "a -5", [b"a", -5], {}),
        ("X key [key ...]", "a b c", [[b"a", b"b", b"c"]], {}),
        ("X [key [key ...]]", "", [[]], {}),
        ("X [key [key ...]]", "a b", [[b"a", b"b"]], {}),
        ("X key value [key value ...]", "a 1 b 2", [[(b"a", b"1"), (b"b", b"2")]], {}),
        ("X key index [index ...]", "a 1 2", [b"a", [1, 2]], {}),
        ("X member increment [member increment ...]", "a 1 b 2", [[(b"a", 1), (b"b", 2)]], {}),
        ("X key [key ...] timeout", "a b 0", [[b"a", b"b"], b"0"], {}),
        ("X [count]", "", [], {}),
        ("X [count]", "5", [], {"count": 5}),
        ("X [username] password", "p", [b"p"], {}),
        ("X [username] password", "u p", [b"p"], {"username": b"u"}),
        ("X key [start end [BYTE | BIT]]", "k 1 -1 bit", [b"k"], {"start": 1, "end": -1, "bit": True}),
        ("X <AND | OR> destkey key [key ...]", "or d a b", ["OR", b"d", [b"a", b"b"]], {}),
        ("X <A x | B> key", "a 1 k", [b"k"], {"a": b"1"}),
        (SET, "k v", [b"k", b"v"], {}),
        (SET, "k v xx", [b"k", b"v"], {"xx": True}),
        (SET, "k v get ex 10 nx", [b"k", b"v"], {"get": True, "ex": 10, "nx": True}),
        (SET, "k v ifeq ifeq", [b"k", b"v"], {"ifeq": b"ifeq"}),
        (SET, "ex px EX 1 EX 2", [b"ex", b"px"], {"ex": 2}),
        ("X cursor [MATCH pattern] [COUNT count]", "0 count 5 match *", [0], {"count": 5, "match": b"*"}),
        ("X key [LIMIT offset count]", "k limit 1 2", [b"k"], {"limit": (1, 2)}),
        ("X key [GET pattern [GET pattern ...]]", "k get a get b", [b"k"], {"get": [b"a", b"b"]}),
        ("X key [AGGREGATE <SUM | MIN>]", "k aggregate min", [b"k"], {"aggregate": "MIN"}),
        ("X [NX | XX] [CH] score member [score member ...]", "ch nx 1 a", [[(b"1", b"a")]], {"ch": True, "nx": True}),
        ("X key [NX] member", "k nx", [b"k", b"nx"], {}),
        ("X key [TYPE type]", "k type string", [b"k"], {"type_": b"string"}),
    ],
)  # fmt: skip
def test_arguments_become_parameters(syntax: str, line: str, positional: list[Any], options: dict[str, Any]) -> None:
    assert read(syntax, line) == (positional, options)


@pytest.mark.parametrize(
    ("syntax", "line", "error"),
    [
        (SET, "k v nx xx", SYNTAX),
        (SET, "k v ex 1 px 1", SYNTAX),
        (SET, "k v ex 1 keepttl", SYNTAX),
        (SET, "k v ex", SYNTAX),
        (SET, "k v foo", SYNTAX),
        (SET, "k v ex abc", NO_INTEGER),
        (SET, "k v ex abc foo", SYNTAX),
        (SET, "k v get get", None),
        ("X [message]", "a b", ARITY),
        ("X key value [key value ...]", "a 1 b", ARITY),
        ("X [NX] key value [key value ...]", "a 1 b", SYNTAX),
        ("X key [start end [BYTE | BIT]]", "k 1", SYNTAX),
        ("X key [start end [BYTE | BIT]]", "k 1 2 foo", SYNTAX),
        ("X key [start end [BYTE | BIT]]", "k 1 2 bit bit x", SYNTAX),
        ("X <ON | OFF>", "maybe", SYNTAX),
        ("X <A x | B> key", "c k", SYNTAX),
        ("X key [AGGREGATE <SUM | MIN>]", "k aggregate avg", SYNTAX),
        ("X key increment", "a 1.5", NO_INTEGER),
        ("X cursor", "x", "ERR invalid cursor"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_redis_error(syntax: str, line: str, error: str | None) -> None:
    if error is None:
        read(syntax, line)
        return
    with pytest.raises(CommandError) as refused:
        read(syntax, line)
    assert refused.value.text == error


def test_a_declaration_may_read_a_placeholder_in_its_own_way() -> None:
    assert read("X key [COUNT count]", "k COUNT 3", count=positive) == ([b"k"], {"count": 3})
    with pytest.raises(CommandError, match="must be positive"):
        read("X key [COUNT count]", "k COUNT -3", count=positive)
    assert read("X key value", "k 3", value=int) == ([b"k", 3], {})


def test_syntax_beyond_the_parser_is_refused_when_declared() -> None:
    with pytest.raises(ValueError, match="takes='args'"):
        read("X <[A b] | [C d]>", "")


WORDS = st.lists(st.sampled_from(["NX", "xx", "GET", "EX", "PX", "1", "x", "KEEPTTL", "IFEQ", ""]), max_size=8)


@given(WORDS)
def test_options_in_any_order_mean_the_same(words: list[str]) -> None:
    """Whatever is accepted is accepted however its options are arranged, and reads the same."""
    arguments = read_syntax(SET)[1]
    parse = compile_parser(arguments, 1, {}, ARITY)
    args = [b"SET", b"k", b"v", *(word.encode() for word in words)]
    try:
        _, options = parse(args)
    except CommandError:
        return
    rebuilt = [b"SET", b"k", b"v"]
    for name, value in sorted(options.items(), reverse=True):
        rebuilt += (
            [name.encode()]
            if value is True
            else [name.encode(), str(value).encode() if isinstance(value, int) else value]
        )
    assert parse(rebuilt)[1] == options
