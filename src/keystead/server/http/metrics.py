"""/metrics: the page that Prometheus reads. Must not know: what is on it (see metrics_page)."""

from __future__ import annotations

from keystead.server.http.requests import Request
from keystead.server.http.responses import Response
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.schemas import FAILURES


async def metrics(request: Request) -> Response:
    """The page, in the format that the reader asks for."""
    request.parameters(())
    accept = request.headers.get(b"accept", b"").decode("latin-1")
    content_type, body = await request.connection.server.metrics(accept)
    return Response(200, body, content_type.encode())


_TEXT = {"schema": {"type": "string"}}

ROUTE = Route(
    b"/metrics",
    {b"GET": Endpoint(metrics, changes_data=False, any_host=True)},
    {
        "get": {
            "operationId": "metrics",
            "summary": "What is counted and measured, for Prometheus",
            "description": "OpenMetrics when the reader asks for it, else Prometheus' own text format.",
            "tags": ["health"],
            "responses": {
                "200": {
                    "description": "The page.",
                    "content": {"text/plain": _TEXT, "application/openmetrics-text": _TEXT},
                },
                **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503")},
            },
        }
    },
)
