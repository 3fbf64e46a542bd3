"""Replies read back: every encoder's output, every type."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wire
from keystead import resp
from keystead.resp.reading import ReadReply, parts_of, read_reply
from keystead.resp.replies import NULL_ARRAY, Pairs, Verbatim

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.floats(allow_nan=False),
        st.binary(max_size=20),
        st.text("abc \r\n", max_size=8),
        st.builds(Verbatim, st.binary(max_size=8)),
        st.just(NULL_ARRAY),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.builds(Pairs, st.lists(st.tuples(inner, inner), max_size=3))
    ),
    max_leaves=12,
)


def comparable(reply: wire.Reply | ReadReply) -> Any:
    """As the tests' own client reads it, but for what the two keep differently."""
    kind, value = reply
    if isinstance(value, list):
        return kind, [comparable(part) for part in value]
    if kind == "," and isinstance(value, bytes):
        return kind, float(value)
    if kind == "=" and isinstance(reply, wire.Reply):
        return kind, value[4:]
    return kind, value


@given(VALUES)
def test_what_was_encoded_is_read_as_the_tests_own_client_reads_it(value: Any) -> None:
    for encode in (resp.encode2, resp.encode3):
        data = encode(value)
        assert comparable(read_reply(data)) == comparable(wire.read_reply(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("data", "kind", "value"),
    [
        (b"-ERR no\r\n", "-", b"ERR no"),
        (b"$-1\r\n", "$", None),
        (b"*-1\r\n", "*", None),
        (b"(123456789012345678901234567890\r\n", "(", b"123456789012345678901234567890"),
        (b"!6\r\nERR no\r\n", "!", b"ERR no"),
        (b"~1\r\n:1\r\n", "~", [ReadReply(":", 1)]),
        (b"+OK\r\n+ANOTHER\r\n", "+", b"OK"),
    ],
)
def test_kinds_that_no_encoder_of_ours_writes_alone_are_read_too(data: bytes, kind: str, value: Any) -> None:
    assert read_reply(data) == ReadReply(kind, value)


def test_what_is_no_reply_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match=r"'\?'"):
        read_reply(b"?\r\n")


@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        (b"*0\r\n", []),
        (b"*3\r\n$1\r\n\n\r\n:1\r\n-ERR no\r\n", [b"$1\r\n\n\r\n", b":1\r\n", b"-ERR no\r\n"]),
        (b"*2\r\n*2\r\n$-1\r\n_\r\n%1\r\n+a\r\n*0\r\n", [b"*2\r\n$-1\r\n_\r\n", b"%1\r\n+a\r\n*0\r\n"]),
        (b"%1\r\n$2\r\n\r\n\r\n#t\r\n", [b"$2\r\n\r\n\r\n", b"#t\r\n"]),
        (b"*2\r\n*-1\r\n=7\r\ntxt:abc\r\n", [b"*-1\r\n", b"=7\r\ntxt:abc\r\n"]),
    ],
)
def test_the_parts_of_a_reply_stay_encoded(reply: bytes, parts: list[bytes]) -> None:
    assert parts_of(reply) == parts
