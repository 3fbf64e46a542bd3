"""Replies are cut where they end, whatever the chunks in which they come."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystead.cluster.cutting import MalformedReply, ReplyCutter

PUSH = b">2\r\n$10\r\ninvalidate\r\n*1\r\n+key\r\n"
REPLIES = [
    b"+OK\r\n",
    b"-ERR $5 is *not* a number\r\n",
    b":12\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"(12345678901234567890\r\n",
    b"$0\r\n\r\n",
    b"$5\r\n\r\n$1\r\r\n",
    b"$1100\r\n" + b"x" * 1100 + b"\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!9\r\nERR $1\r\n\r\r\n",
    b"*0\r\n",
    b"*3\r\n$1\r\na\r\n:1\r\n*2\r\n*-1\r\n*1\r\n$-1\r\n",
    b"%2\r\n+a\r\n*0\r\n+b\r\n%1\r\n:1\r\n:2\r\n",
    b"~2\r\n:1\r\n:2\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n$3\r\nabc\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n:2\r\n",
]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_alone_is_handed_on_as_it_came(reply: bytes) -> None:
    assert ReplyCutter().cut(reply) == [reply]


@pytest.mark.parametrize("reply", REPLIES)
def test_many_of_one_kind_are_parted(reply: bytes) -> None:
    assert ReplyCutter().cut(reply * 50) == [reply] * 50


@settings(deadline=None)
@given(st.lists(st.sampled_from([*REPLIES, PUSH]), max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_the_chunks_do_not_matter(replies: list[bytes], sizes: list[int]) -> None:
    cutter, stream, told = ReplyCutter(), b"".join(replies), []
    for size in itertools.cycle(sizes):
        if not stream:
            break
        told += cutter.cut(stream[:size])
        stream = stream[size:]
    assert told == [reply for reply in replies if reply is not PUSH]
    assert cutter.held_bytes == 0


def test_how_much_of_an_unfinished_reply_is_held_is_known() -> None:
    cutter = ReplyCutter()
    assert cutter.cut(b"+OK\r\n$100000\r\n" + b"x" * 70_000) == [b"+OK\r\n"]
    assert cutter.held_bytes == 70_000 + len(b"$100000\r\n")
    assert cutter.cut(b"x" * 30_000 + b"\r\n:1\r\n") == [b"$100000\r\n" + b"x" * 100_000 + b"\r\n", b":1\r\n"]
    assert cutter.held_bytes == 0


def test_a_reply_of_very_many_parts_is_read_once() -> None:
    """However small the chunks, each byte is looked at once: what was read is not read again."""
    reply = b"*200000\r\n" + b"$1\r\na\r\n" * 200_000
    cutter = ReplyCutter()
    told = [whole for at in range(0, len(reply), 100) for whole in cutter.cut(reply[at : at + 100])]
    assert told == [reply]


def test_deeply_nested_and_many_replies_in_one_chunk_need_no_stack() -> None:
    nested = b"*1\r\n" * 5000 + b":1\r\n"
    assert ReplyCutter().cut(nested * 3) == [nested] * 3
    assert ReplyCutter().cut(b"*0\r\n" * 20_000) == [b"*0\r\n"] * 20_000


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400 Bad Request\r\n$1", b"$x\r\n", b"*1\r\nhello\r\n", b"*zero\r\n", b"\r\n$1\r\na\r\n"]
)
def test_what_is_no_reply_is_refused(junk: bytes) -> None:
    with pytest.raises(MalformedReply):
        ReplyCutter().cut(junk)
