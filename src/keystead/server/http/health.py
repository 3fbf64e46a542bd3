"""/livez: the process runs and its loop turns. /readyz: it serves everything, or why it does not."""

from __future__ import annotations

import msgspec

from keystead.server.http.problems import unavailable
from keystead.server.http.requests import Request
from keystead.server.http.responses import Response
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.schemas import FAILURES, problem


def livez(request: Request) -> Response:
    """200 while the process lives, whatever it is doing."""
    request.parameters(())
    return Response(200, b'{"status":"alive"}', b"application/json")


def readyz(request: Request) -> Response:
    """200 when reads and writes are served; 503 with the reason while loading, read-only, out of space or draining."""
    request.parameters(())
    readiness = request.connection.server.readiness()
    if readiness.reason:
        raise unavailable(readiness.detail, members={"reason": readiness.reason, **readiness.progress()})
    return Response(200, msgspec.json.encode({"status": "ready"}), b"application/json")


def _answers(summary: str, status: str, failure: str = "") -> dict[str, object]:
    responses: dict[str, object] = {
        "200": {
            "description": status,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"status": {"type": "string"}},
                        "required": ["status"],
                    },
                    "example": {"status": status},
                }
            },
        }
    }
    if failure:
        responses["503"] = problem(failure)
    responses["400"] = FAILURES["400"]
    return {"summary": summary, "tags": ["health"], "security": [], "responses": responses}


def _probe(path: bytes, handler: object, documentation: dict[str, object], name: str) -> Route:
    endpoint = Endpoint(handler, changes_data=False, needs_login=False, any_host=True)  # type: ignore[arg-type]
    methods = {b"GET": endpoint, b"HEAD": endpoint}
    return Route(path, methods, {"get": documentation | {"operationId": name}})


ROUTES = [
    _probe(b"/livez", livez, _answers("Whether the process is alive", "alive"), "livez"),
    _probe(
        b"/readyz",
        readyz,
        _answers("Whether reads and writes are served", "ready", "Not now; `reason` says why."),
        "readyz",
    ),
]
