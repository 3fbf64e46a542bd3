"""POST /v1/increment/{key}: add to a number, and learn what it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keystead.execution.batches import Step
from keystead.resp.reading import ReadReply
from keystead.server.http import bodies, transactions
from keystead.server.http.commands import succeeded
from keystead.server.http.commands_document import INCREMENT
from keystead.server.http.keys import ttl_ms_of
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

PREFIX = b"/v1/increment/"


def post_increment(request: Request) -> Response | None:
    """Increment the key that the path, or ?key=, names."""
    parameters = request.parameters(("by", "db", "key", "ttl"))
    key = request.key_after(PREFIX, parameters)
    commands = increment(key, parameters.get("by", "1").encode(), ttl_ms=ttl_ms_of(parameters))

    def respond(replies: list[bytes]) -> Response:
        return bodies.answer({"value": number(succeeded(replies[0]))})

    return transactions.execute(request, [Step(args) for args in commands], respond, all_or_nothing=True)


def increment(key: bytes, by: bytes, *, ttl_ms: int | None) -> list[list[bytes]]:
    """The commands that add *by*; a *ttl_ms* is given to a key that has none."""
    commands = [[b"INCRBY" if is_integer(by) else b"INCRBYFLOAT", key, by]]
    if ttl_ms is not None:
        commands.append([b"PEXPIRE", key, b"%d" % ttl_ms, b"NX"])
    return commands


def is_integer(text: bytes) -> bool:
    """Whether it is written as one. The commands judge what is written."""
    return text.removeprefix(b"-").isdigit()


def number(reply: ReadReply) -> int | msgspec.Raw:
    """What the counter is now: decimal digits as they are, for a float would round them."""
    return reply.value if reply.kind == ":" else msgspec.Raw(reply.value)


ROUTE = Route(
    PREFIX, {b"POST": Endpoint(post_increment, changes_data=True)}, {"post": INCREMENT}, "/v1/increment/{key}"
)
