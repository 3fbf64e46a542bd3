"""Runs: one command many times over is taken apart exactly as the grammar would, or left to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from untimed import untimed

from keystead.resp import Limits, RequestParser, Run
from keystead.resp.runs import MOST_RUN_COMMANDS, parse_run

Commands = list[list[bytes]]


def array(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in arguments)


def by_the_grammar(data: bytes) -> Commands | None:
    """Byte by byte, which no fast road takes; None when a command is left unfinished or the input is no protocol."""
    parser = RequestParser(Limits())
    commands: Commands = []
    for byte in data:
        commands += parser.feed(bytes([byte]))
    return None if parser._missing or parser.buffered_bytes else commands


def gets(*keys: bytes) -> bytes:
    return b"".join(array(b"GET", key) for key in keys)


def sets(*pairs: tuple[bytes, bytes]) -> bytes:
    return b"".join(array(b"SET", key, value) for key, value in pairs)


HOSTILE_KEYS = [
    b"*2\r\n$3\r\nGET\r\n$0\r\n",
    b"\r\n*2\r\n$3\r\nGET\r\n$20",
    b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
]


@pytest.mark.parametrize(
    ("data", "name", "columns"),
    [
        (gets(b"k1", b"k2"), b"GET", ((b"k1", b"k2"),)),
        (gets(*[b"k"] * MOST_RUN_COMMANDS), b"GET", ((b"k",) * MOST_RUN_COMMANDS,)),
        (gets(b"", b"", b""), b"GET", ((b"", b"", b""),)),
        (array(b"nosuch", b"\r\n") * 2, b"nosuch", ((b"\r\n", b"\r\n"),)),
        (sets((b"k1", b"abc"), (b"k2", b"def")), b"SET", ((b"k1", b"k2"), (b"abc", b"def"))),
        (sets((b"k", b"*3\r\n"), (b"l", b"$5\r\n")), b"SET", ((b"k", b"l"), (b"*3\r\n", b"$5\r\n"))),
        (sets(*[(b"k", b"x" * 1023)] * 3), b"SET", ((b"k",) * 3, (b"x" * 1023,) * 3)),
    ],
)  # fmt: skip
def test_a_run_gives_its_arguments_by_column(data: bytes, name: bytes, columns: tuple[tuple[bytes, ...], ...]) -> None:
    run = parse_run(data)
    assert run is not None
    assert (run.name, run.columns) == (name, columns)
    assert len(run) == len(columns[0])
    assert run.last == by_the_grammar(data)[-1]  # type: ignore[index]
    assert list(run) == by_the_grammar(data)


@pytest.mark.parametrize(
    "data",
    [
        gets(b"k"),
        gets(b"k", b"kk"),
        gets(b"k1", b"k2")[:-1],
        gets(b"k1", b"k2") + b"*",
        gets(b"k1", b"k2")[:-2] + b"XX",  # the grammar passes over these two bytes: it decides
        gets(b"k1") + array(b"get", b"k2"),
        gets(b"k1") + array(b"TTL", b"k2"),
        gets(*[b"k"] * (MOST_RUN_COMMANDS + 1)),
        sets((b"k", b"v"), (b"kk", b"")),
        sets(*[(b"k", b"x" * 1024)] * 3),
        array(b"PING") * 16,
        array(b"SET", b"k", b"v", b"NX") * 16,
        b"*2\r\n$4\r\nGET\r\n$1\r\nk\r\n" * 2,
        b"*2\r\n$03\r\nGET\r\n$1\r\nk\r\n" * 2,
        b"*2\r\n$3\r\nGET\r\n$-1\r\n" * 2,
        b"*2\r\n+GET\r\n$1\r\nk\r\n" * 2,
        b"*22\r\n$3\r\nGET\r\n$1\r\nk\r\n" * 2,
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n:1\r\nv\r\n" * 2,
        b"*3\r\n$3\r\nSET\r\n$2\r\nk\r\n$1\r\nv\r\n" * 2,
        b"*33\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n" * 2,
        b"*2\r\n" * 30,
        b"*3\r\n" * 30,
        b"",
    ],
)
def test_what_is_not_a_run_is_left_to_the_grammar(data: bytes) -> None:
    assert parse_run(data) is None


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_arguments_that_look_like_headers_fool_nobody(key: bytes) -> None:
    other = b"x" * len(key)
    for data in (
        gets(key, key, key),
        gets(other, key),
        sets((other, key), (key, key)),
        sets((other, key), (key, other)),
    ):
        run = parse_run(data)
        assert run is not None
        assert list(run) == by_the_grammar(data)


names = st.sampled_from([b"GET", b"SET", b"\r\n", b"$1"])
sizes = st.integers(0, 12)


def commands_of_one_shape(name: bytes, sizes: list[int]) -> st.SearchStrategy[Commands]:
    text = st.sampled_from(b"k\r\n*$123GT")
    columns = [st.lists(text, min_size=size, max_size=size).map(bytes) for size in sizes]
    return st.lists(st.tuples(st.just(name), *columns).map(list), min_size=2, max_size=5)


one_shape = st.tuples(names, st.lists(sizes, min_size=1, max_size=2)).flatmap(lambda s: commands_of_one_shape(*s))


@untimed(800)
@given(one_shape)
def test_every_run_comes_out_as_it_went_in(commands: Commands) -> None:
    run = parse_run(b"".join(array(*command) for command in commands))
    if b"\r" in commands[0][0] or any(b"\r\n" in argument for argument in commands[0][1:-1]):
        assert run is None  # its first command cannot be read line by line
    else:
        assert run is not None
        assert list(run) == commands


@untimed(1500)
@given(one_shape, st.data())
def test_a_run_tampered_with_gives_what_the_grammar_gives_or_nothing(commands: Commands, draw: st.DataObject) -> None:
    data = bytearray(b"".join(array(*command) for command in commands))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data) - 1))
        piece = draw.draw(
            st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"*", b"$", b"1", b"2", b"k", b"*2\r\n", b"$1\r\n"])
        )
        data[at : at + draw.draw(st.integers(0, 4))] = piece  # longer, shorter or as long as before
        if not data:
            break
    run = parse_run(bytes(data))
    if run is not None:
        assert list(run) == by_the_grammar(bytes(data))


def test_a_run_gives_each_command_once_however_often_it_is_asked() -> None:
    run = Run(b"GET", ((b"1", b"2", b"3"),))
    assert not run.begun
    for command in run:
        assert command == [b"GET", b"1"]
        break
    assert run.begun
    assert list(run) == [[b"GET", b"2"], [b"GET", b"3"]]
    assert list(run) == []
    taken = Run(b"GET", ((b"1", b"2"),))
    taken.take_all()
    assert taken.begun
    assert list(taken) == []


def test_a_part_of_a_run_is_a_run() -> None:
    part = Run(b"SET", ((b"1", b"2", b"3"), (b"a", b"b", b"c")))[1:9]
    assert len(part) == 2
    assert list(part) == [[b"SET", b"2", b"b"], [b"SET", b"3", b"c"]]


def test_runs_are_taken_only_where_the_grammar_has_nothing_to_say() -> None:
    run = gets(b"k1", b"k2")
    assert RequestParser(Limits()).run_of(run) is not None
    assert RequestParser(Limits(before_login=True)).run_of(run) is None
    assert RequestParser(Limits(max_bulk_bytes=1)).run_of(run) is None
    assert RequestParser(Limits(max_arguments=1)).run_of(run) is None
    within = RequestParser(Limits())
    assert within.feed(b"*2\r\n$4\r\nECHO\r\n$60\r\n") == []
    assert within.run_of(run) is None
    assert within.feed(run + b"x" * (60 - len(run)) + b"\r\n") == [[b"ECHO", run + b"x" * (60 - len(run))]]
    assert within.run_of(run) is not None
