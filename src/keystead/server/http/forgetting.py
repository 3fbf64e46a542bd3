"""POST /v1/forget/{key}: erase a key and its past for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.server.http import bodies
from keystead.server.http.commands import succeeded
from keystead.server.http.commands_document import FORGET
from keystead.server.http.notation import plain
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.server.http.requests import Request

PREFIX = b"/v1/forget/"


def post_forget(request: Request) -> None:
    """Forget the key that the path, or ?key=, names."""
    parameters = request.parameters(("db", "key"))
    key = request.key_after(PREFIX, parameters)
    request.start([b"KS.FORGET", key], lambda reply: request.answer(bodies.answer(plain(succeeded(reply)))))


ROUTE = Route(PREFIX, {b"POST": Endpoint(post_forget, changes_data=True)}, {"post": FORGET}, "/v1/forget/{key}")
