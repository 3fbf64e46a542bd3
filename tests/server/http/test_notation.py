"""JSON for bytes, commands and replies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead import resp
from keystead.resp.reading import ReadReply, read_reply
from keystead.resp.replies import Encoded, Pairs, Verbatim
from keystead.server.http.notation import Base64, argument_of, bytes_of, plain, text_of, typed


def arguments(text: bytes) -> list[bytes]:
    return [argument_of(raw) for raw in msgspec.json.decode(text, type=list[msgspec.Raw])]


def told(value: Any) -> ReadReply:
    return read_reply(resp.encode3(value))


@given(st.binary())
def test_bytes_come_back_as_they_went(data: bytes) -> None:
    written = msgspec.json.decode(msgspec.json.encode(text_of(data)), type=str | Base64)
    assert bytes_of(written) == data


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'["SET", "k", "v"]', [b"SET", b"k", b"v"]),
        (b'["", "\\u00e9\\n\\"", "\\u0000"]', [b"", 'é\n"'.encode(), b"\0"]),
        (b'[{"base64": "/w=="}, {"base64":""}]', [b"\xff", b""]),
        (b"[1, -5, 10.50, 1e400, true , false]", [b"1", b"-5", b"10.50", b"1e400", b"true", b"false"]),
    ],
)
def test_arguments_are_strings_bytes_in_base64_or_numbers_as_they_are_written(text: bytes, found: list[bytes]) -> None:
    assert arguments(text) == found


@pytest.mark.parametrize(
    "text",
    [b"[null]", b"[[]]", b"[{}]", b'[{"base64": "*"}]', b'[{"base64": "a"}]', b'[{"hex": "00"}]', b'["\\ud800"]'],
)
def test_what_is_no_argument_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        arguments(text)


@pytest.mark.parametrize(
    ("value", "json", "with_types"),
    [
        ("OK", "OK", {"type": "simple", "value": "OK"}),
        (b"v", "v", {"type": "bulk", "value": "v"}),
        (b"\xff", {"base64": "/w=="}, {"type": "bulk", "value": {"base64": "/w=="}}),
        (Verbatim(b"lines"), "lines", {"type": "verbatim", "value": "lines"}),
        (3, 3, {"type": "integer", "value": 3}),
        (1.5, 1.5, {"type": "double", "value": 1.5}),
        (float("-inf"), "-inf", {"type": "double", "value": "-inf"}),
        (True, True, {"type": "boolean", "value": True}),
        (None, None, {"type": "null", "value": None}),
        ([1], [1], {"type": "array", "value": [{"type": "integer", "value": 1}]}),
        ({1}, [1], {"type": "set", "value": [{"type": "integer", "value": 1}]}),
        (
            {b"a": 1},
            {"a": 1},
            {"type": "map", "value": [[{"type": "bulk", "value": "a"}, {"type": "integer", "value": 1}]]},
        ),
        (
            [Encoded(b"-ERR no\r\n")],
            [{"error": "ERR no"}],
            {"type": "array", "value": [{"type": "error", "value": "ERR no"}]},
        ),
    ],
)
def test_replies_of_every_type(value: Any, json: Any, with_types: Any) -> None:
    assert plain(told(value)) == json
    assert typed(told(value)) == with_types


@pytest.mark.parametrize("pairs", [[(b"\xff", 1)], [(b"a", 1), (b"a", 2)], [(1, 1)]])
def test_a_map_that_is_no_object_is_pairs(pairs: list[tuple[Any, Any]]) -> None:
    assert plain(told(Pairs(pairs))) == [[plain(told(key)), value] for key, value in pairs]


def test_a_whole_reply_in_base64_has_every_string_in_it() -> None:
    assert plain(told(["OK", b"\xff", {b"a": None}, 1]), in_base64=True) == ["T0s=", "/w==", {"YQ==": None}, 1]


def test_nulls_of_the_older_protocol_are_nulls() -> None:
    assert plain(read_reply(b"*2\r\n$-1\r\n*-1\r\n")) == [None, None]
