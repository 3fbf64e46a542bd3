"""A primary's commands come out whole, however their bytes arrive; anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.migration.replica.command_stream import CommandStream
from keystead.migration.source import SourceFailed
from wire import encode

commands = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=5), max_size=8)


@given(commands, st.integers(1, 100))
def test_commands_come_out_as_they_went_in_with_their_lengths(sent: list[list[bytes]], size: int) -> None:
    data = b"".join(encode(command) for command in sent)
    stream = CommandStream()
    found = [pair for at in range(0, len(data), size) for pair in stream.feed(data[at : at + size])]
    assert found == [(command, len(encode(command))) for command in sent]


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"PING\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*1\r\n*1\r\n$1\r\na\r\n",
        b"$4\r\nPING\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$1\r\nab\r\n",
        b"*1\r\n$01\r\na\r\n",
        b"*" + b"1" * 40,
        b"*1\r\n$99999999999\r\n",
    ],
)
def test_what_is_no_command_is_refused(data: bytes) -> None:
    with pytest.raises(SourceFailed):
        list(CommandStream().feed(data))


def test_a_command_over_the_bound_is_refused_before_it_has_arrived() -> None:
    stream = CommandStream(max_command_bytes=100)
    with pytest.raises(SourceFailed, match="more than 100 bytes"):
        list(stream.feed(b"*2\r\n$3\r\nSET\r\n$90\r\n"))


def test_a_declared_count_takes_no_memory() -> None:
    assert list(CommandStream().feed(b"*99999999999\r\n$1\r\na\r\n")) == []
