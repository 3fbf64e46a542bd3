"""How bytes, commands and replies are written in JSON, both ways.

A string of the store is bytes. Those that are UTF-8 text are JSON strings; others are {"base64": "…"}, which is taken
and given wherever a string is. Must not know: routes, requests.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any, TypeAlias

import msgspec

from keystead.resp.reading import ReadReply


class Base64(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes that are not text, or may not be."""

    base64: str


Text: TypeAlias = str | Base64
"""A string of the store: text, or its bytes in base64."""

_decode_string = msgspec.json.Decoder(str).decode
_decode_base64 = msgspec.json.Decoder(Base64).decode

TYPES = {
    "+": "simple",
    "$": "bulk",
    "=": "verbatim",
    ":": "integer",
    "(": "big-number",
    ",": "double",
    "#": "boolean",
    "_": "null",
    "*": "array",
    "~": "set",
    ">": "push",
    "%": "map",
    "-": "error",
    "!": "error",
}
"""What the types of replies are called, by their type byte."""


# --- Strings and commands that come in --------------------------------------------------------------------------------


def bytes_of(text: Text) -> bytes:
    """The bytes that a string stands for. Raises ValueError, saying what is wrong."""
    if isinstance(text, Base64):
        return _from_base64(text.base64)
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError('a string has half of a surrogate pair; write bytes as {"base64": "…"}') from None


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError('"base64" does not hold base64') from None


def argument_of(raw: msgspec.Raw) -> bytes:
    """The argument that a piece of JSON stands for: a string, or a number or truth value as it is written there.

    Raises ValueError, saying what is wrong.
    """
    text = bytes(raw).strip()
    if text.startswith(b'"'):
        return bytes_of(_decode_string(text))
    if text.startswith(b"{"):
        return bytes_of(_decode_base64(text))
    if text == b"null" or text.startswith(b"["):
        raise ValueError('an argument must be a string, a number, or {"base64": "…"}')
    return text


# --- Strings and replies that go out ----------------------------------------------------------------------------------


def text_of(data: bytes) -> str | dict[str, str]:
    """Bytes as JSON has them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": to_base64(data)}


def to_base64(data: bytes) -> str:
    """In the standard alphabet, padded."""
    return base64.b64encode(data).decode()


def plain(reply: ReadReply, *, in_base64: bool = False) -> Any:
    """A reply as the JSON value that is nearest to it. *in_base64*: every string is base64, whatever it holds."""
    kind, value = reply
    match kind:
        case _ if value is None:
            return None
        case "+" | "$" | "=" | "(":
            return to_base64(value) if in_base64 else text_of(value)
        case ":" | "#":
            return value
        case ",":
            return _number(value)
        case "-" | "!":
            return {"error": shown(value)}
        case "%":
            return _object([plain(part, in_base64=in_base64) for part in value])
        case _:
            return [plain(part, in_base64=in_base64) for part in value]


def _object(parts: list[Any]) -> dict[str, Any] | list[Any]:
    """A map as an object; as an array of pairs when one of its keys is no text, or comes twice."""
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    if all(isinstance(key, str) for key, _ in pairs) and len({key for key, _ in pairs}) == len(pairs):
        return dict(pairs)
    return [list(pair) for pair in pairs]


def _number(text: bytes) -> float | str:
    """JSON has no infinity and no not-a-number: they are strings."""
    number = float(text)
    return number if math.isfinite(number) else text.decode()


def typed(reply: ReadReply) -> dict[str, Any]:
    """A reply with the type of each part: nothing of what the Redis protocol (RESP3) says is lost."""
    kind, value = reply
    match kind:
        case _ if value is None:
            return {"type": "null", "value": None}
        case "+" | "$" | "=" | "(" | "-" | "!":
            said: Any = text_of(value)
        case ":" | "#":
            said = value
        case ",":
            said = _number(value)
        case "%":
            parts = [typed(part) for part in value]
            said = [list(pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
        case _:
            said = [typed(part) for part in value]
    return {"type": TYPES[kind], "value": said}


def shown(text: bytes) -> str:
    """An error's text, whatever bytes of a client's are in it."""
    return text.decode("utf-8", "replace")
