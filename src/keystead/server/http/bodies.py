"""Bodies that are JSON: decoded within a limit, or refused with what is wrong and where.

Must not know: what they say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from keystead.server.http.notation import argument_of
from keystead.server.http.problems import Problem, sentence
from keystead.server.http.responses import Response

if TYPE_CHECKING:
    from keystead.server.http.requests import Request

T = TypeVar("T")

JSON = b"application/json"
LONGEST_BYTES = 16 << 20
"""Decoding this takes about 20 ms, in which nobody else is served. Longer values go to /v1/keys, as they are."""

encode = msgspec.json.Encoder().encode


def decoded(request: Request, decode: Callable[[bytes], T]) -> T:
    """What the body says. Problem 413 and 400."""
    body = request.body
    if len(body) > LONGEST_BYTES:
        raise Problem(
            413,
            f"A JSON body may have {LONGEST_BYTES} bytes. Send long values to PUT /v1/keys, which takes them as is.",
        )
    if not body:
        raise Problem(400, "The request has no body; it must be JSON.")
    try:
        return decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise unreadable(error) from None


def unreadable(error: Exception) -> Problem:
    """The body is not what it should be."""
    if isinstance(error, RecursionError):
        return Problem(400, "The body is nested too deeply.")
    return Problem(400, sentence(f"The body cannot be read: {error}"))


def command_of(items: list[msgspec.Raw]) -> list[bytes]:
    """A command and its arguments. Raises ValueError."""
    if not items:
        raise ValueError("a command has a name")
    return [argument_of(item) for item in items]


def answer(value: Any, status: int = 200) -> Response:
    """A JSON document."""
    return Response(status, encode(value), JSON)
