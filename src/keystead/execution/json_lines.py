"""Keys as JSON lines, one key a line: what dumps, exports and imports are made of.

    {"db":0,"key":"user:1","value":"Ada","expires_at_ms":1767225600000}
    {"db":0,"key":{"base64":"/wA="},"value":{"base64":"gA=="}}

A key or value that is UTF-8 is text, any other is base64; `expires_at_ms` is Unix time and absent without an expiry.
`db` may be left out for 0, `type` ("string") for a string. Reading what was written gives the same data, byte for byte.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Base64(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes that are not UTF-8."""

    base64: bytes


class Record(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line."""

    db: Annotated[int, msgspec.Meta(ge=0, le=15)] | msgspec.UnsetType = msgspec.UNSET
    key: str | Base64
    type: Literal["string"] = "string"
    value: str | Base64
    expires_at_ms: Annotated[int, msgspec.Meta(gt=0)] | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


def to_line(db: int, key: bytes, value: bytes | bytearray, expires_at_ms: int) -> bytes:
    """One line, with its line feed; an expiry of 0 is none."""
    expiry = expires_at_ms or msgspec.UNSET
    return _encode(Record(db=db, key=_text(key), value=_text(bytes(value)), expires_at_ms=expiry)) + b"\n"


def from_line(line: bytes) -> tuple[int, bytes, bytes, int]:
    """Database, key, value, expiry in milliseconds of Unix time (0: none). Raises ValueError with a reason."""
    record = _decode(line)
    return record.db or 0, _bytes(record.key), _bytes(record.value), record.expires_at_ms or 0


def _text(data: bytes) -> str | Base64:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Base64(data)


def _bytes(text: str | Base64) -> bytes:
    # JSON can name half a character ("\ud800"), which no UTF-8 has: encode() refuses it with a ValueError.
    return text.encode() if isinstance(text, str) else text.base64
