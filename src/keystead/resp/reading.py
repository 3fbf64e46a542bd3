"""Replies read back: what an encoded reply says, every type kept apart.

For doors that tell replies in another notation, and for replies that are made of several. Trusts its input: this
process has encoded it, or has made sure that it is whole.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keystead.resp.replies import CRLF

_LINES = b"+-(,"
_BULKS = b"$=!"
_ARRAYS = b"*~>"


class ReadReply(NamedTuple):
    """One reply, or a part of one."""

    kind: str
    """Its type byte in RESP2 or RESP3."""
    value: Any
    """bytes of strings, errors, doubles and big numbers; int, bool, None; a list of parts, a map's keys and values in
    turn. A verbatim string without its format. None of a null, whatever type it is a null of."""


def read_reply(data: bytes) -> ReadReply:
    """The first reply in *data*."""
    return _read(data, 0)[0]


def parts_of(data: bytes) -> list[bytes]:
    """The parts of one array, set or push, each still encoded; of a map, keys and values in turn."""
    end = data.index(CRLF)
    count = int(data[1:end]) * (2 if data[0] == ord("%") else 1)
    parts = []
    at = end + 2
    for _ in range(count):
        begin, at = at, _end(data, at)
        parts.append(data[begin:at])
    return parts


def _end(data: bytes, at: int) -> int:
    """Where the reply that begins at *at* ends."""
    end = data.index(CRLF, at)
    kind = data[at]
    if kind in _BULKS:
        length = int(data[at + 1 : end])
        return end + 2 if length < 0 else end + 4 + length
    inner = int(data[at + 1 : end]) if kind in _ARRAYS else 2 * int(data[at + 1 : end]) if kind == ord("%") else 0
    at = end + 2
    for _ in range(inner):
        at = _end(data, at)
    return at


def _read(data: bytes, at: int) -> tuple[ReadReply, int]:
    end = data.index(CRLF, at)
    kind, text, at = data[at], data[at + 1 : end], end + 2
    if kind in _LINES:
        return ReadReply(chr(kind), text), at
    if kind == ord(":"):
        return ReadReply(":", int(text)), at
    if kind in _BULKS:
        length = int(text)
        if length < 0:
            return ReadReply("$", None), at
        skipped = 4 if kind == ord("=") else 0  # "txt:"
        return ReadReply(chr(kind), data[at + skipped : at + length]), at + length + 2
    if kind in _ARRAYS or kind == ord("%"):
        return _read_parts(chr(kind), int(text) * (2 if kind == ord("%") else 1), data, at)
    if kind == ord("#"):
        return ReadReply("#", text == b"t"), at
    if kind == ord("_"):
        return ReadReply("_", None), at
    raise ValueError(f"no reply begins with {chr(kind)!r}")


def _read_parts(kind: str, count: int, data: bytes, at: int) -> tuple[ReadReply, int]:
    if count < 0:
        return ReadReply(kind, None), at
    parts = []
    for _ in range(count):
        part, at = _read(data, at)
        parts.append(part)
    return ReadReply(kind, parts), at


def each_of(data: bytes) -> list[bytes]:
    """All replies in *data*, one behind the other, each still encoded."""
    replies, at = [], 0
    while at < len(data):
        begin, at = at, _end(data, at)
        replies.append(data[begin:at])
    return replies
