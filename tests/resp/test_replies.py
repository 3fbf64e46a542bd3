"""Replies in RESP2 and RESP3, read back by hiredis, whose clients these bytes are for."""

import enum
import math
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from untimed import untimed

from keystead import resp

CASES: list[tuple[Any, bytes, bytes]] = [
    (None, b"$-1\r\n", b"_\r\n"),
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
    (bytearray(b"ab"), b"$2\r\nab\r\n", b"$2\r\nab\r\n"),
    ("OK", b"+OK\r\n", b"+OK\r\n"),
    ("two\r\nlines", b"+two  lines\r\n", b"+two  lines\r\n"),
    (0, b":0\r\n", b":0\r\n"),
    (-5, b":-5\r\n", b":-5\r\n"),
    (2**63 - 1, b":9223372036854775807\r\n", b":9223372036854775807\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    (3.0, b"$1\r\n3\r\n", b",3\r\n"),
    (-0.0, b"$2\r\n-0\r\n", b",-0\r\n"),
    (math.inf, b"$3\r\ninf\r\n", b",inf\r\n"),
    (-math.inf, b"$4\r\n-inf\r\n", b",-inf\r\n"),
    (math.nan, b"$3\r\nnan\r\n", b",nan\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ([b"a", None, 1], b"*3\r\n$1\r\na\r\n$-1\r\n:1\r\n", b"*3\r\n$1\r\na\r\n_\r\n:1\r\n"),
    ((b"a", [1]), b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n"),
    ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    (
        resp.Pairs([(b"a", 1), (b"a", 2)]),
        b"*4\r\n$1\r\na\r\n:1\r\n$1\r\na\r\n:2\r\n",
        b"%2\r\n$1\r\na\r\n:1\r\n$1\r\na\r\n:2\r\n",
    ),
    ({b"a"}, b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
    (frozenset([b"a"]), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
    (resp.Verbatim(b"text"), b"$4\r\ntext\r\n", b"=8\r\ntxt:text\r\n"),
    (resp.NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    ([resp.Encoded(b"-ERR x\r\n")], b"*1\r\n-ERR x\r\n", b"*1\r\n-ERR x\r\n"),
]


@pytest.mark.parametrize(("value", "resp2", "resp3"), CASES)
def test_each_type_has_its_reply(value: object, resp2: bytes, resp3: bytes) -> None:
    assert resp.encode2(value) == resp2
    assert resp.encode3(value) == resp3


def test_a_subclass_is_written_as_its_base() -> None:
    class Level(enum.IntEnum):
        HIGH = 3

    assert resp.encode2(Level.HIGH) == b":3\r\n"


def test_a_type_without_a_reply_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="no reply type for object"):
        resp.encode2(object())


def test_an_error_is_one_line_whatever_a_client_put_into_it() -> None:
    hostile = b"\xff\r\n+OK".decode("utf-8", "surrogateescape")
    assert resp.error(f"ERR unknown command '{hostile}'") == b"-ERR unknown command '\xff  +OK'\r\n"


def test_a_push_is_an_out_of_band_array() -> None:
    assert resp.push([b"message", b"c", b"x"]) == b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"


values = st.recursive(
    st.none() | st.binary(max_size=20) | st.integers(-(2**63), 2**63 - 1),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@untimed()
@given(values)
def test_a_client_reads_back_what_was_written(value: object) -> None:
    for encode in (resp.encode2, resp.encode3):
        reader = hiredis.Reader(notEnoughData="nothing")
        reader.feed(encode(value))
        assert reader.gets() == value
        assert not reader.has_data()


@untimed()
@given(st.floats(allow_nan=False))
def test_a_double_reads_back_exactly(value: float) -> None:
    reader = hiredis.Reader()
    reader.feed(resp.encode3(value))
    assert reader.gets() == value
