"""Redis' quoting rules for commands typed by hand; every case was checked against redis-server 7.0.15."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from untimed import untimed

from keystead.resp.inline import split_arguments

CASES = [
    (b"", []),
    (b"   ", []),
    (b"PING", [b"PING"]),
    (b"  SET  k\tv ", [b"SET", b"k", b"v"]),
    (b'PING "a b"', [b"PING", b"a b"]),
    (b'PING "\\x41\\n\\q"', [b"PING", b"A\nq"]),
    (b'PING "\\r\\t\\b\\a\\\\\\""', [b"PING", b'\r\t\b\a\\"']),
    (b'PING "\\xZZ\\x4"', [b"PING", b"xZZx4"]),
    (b"PING 'a\\'b\\n'", [b"PING", b"a'b\\n"]),
    (b'PING a"b"', [b"PING", b"ab"]),
    (b'PING a"b c"', [b"PING", b"ab c"]),
    (b"PING ''", [b"PING", b""]),
    (b"''", [b""]),
    (b'""', [b""]),
    (b"PING a\x0bb", [b"PING", b"a\x0bb"]),
    (b"\x0bPING \x0c a", [b"PING", b"a"]),
    (b"PING a\x00b", [b"PING", b"a"]),
    (b"PING x\ry", [b"PING", b"x", b"y"]),
    (b'PING "a"\x0bb', [b"PING", b"a", b"b"]),
    (b"PING \xff\\x41", [b"PING", b"\xff\\x41"]),
]
UNBALANCED = [b'"', b"'", b'PING "a', b"PING 'a", b'PING "a"b', b"PING 'a'b", b'PING "a\\', b'PING "a\x00"', b"a'b"]


@pytest.mark.parametrize(("line", "arguments"), CASES)
def test_a_line_is_split_as_redis_splits_it(line: bytes, arguments: list[bytes]) -> None:
    assert split_arguments(line) == arguments


@pytest.mark.parametrize("line", UNBALANCED)
def test_unbalanced_quotes_are_refused(line: bytes) -> None:
    assert split_arguments(line) is None


@untimed()
@given(st.lists(st.binary(max_size=20), max_size=6))
def test_arguments_in_double_quotes_with_every_byte_escaped_come_back(arguments: list[bytes]) -> None:
    line = b" ".join(b'"%b"' % b"".join(b"\\x%02x" % byte for byte in argument) for argument in arguments)
    assert split_arguments(line) == arguments


@untimed()
@given(st.binary(max_size=60))
def test_any_line_gives_bytes_or_nothing(line: bytes) -> None:
    arguments = split_arguments(line)
    assert arguments is None or all(type(argument) is bytes for argument in arguments)
