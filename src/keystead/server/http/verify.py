"""/v1/verify: read the files of the log now, every byte; how far that has come, what it found, and what the last
start found.

Must not know: how it is done.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from keystead.server.http import bodies
from keystead.server.http.problems import Problem
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.schemas import FAILURES, content, object_of, problem
from keystead.server.http.store import store_of

if TYPE_CHECKING:
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response


def begin(request: Request) -> Response:
    """POST: begin."""
    request.parameters(())
    request.check_may([b"BGREWRITEAOF"])
    verification = store_of(request).verification
    if verification.running:
        raise Problem(409, "The log is being verified already; GET /v1/verify tells how far that has come.")
    request.connection.server.run(verification.run())
    session = request.session
    session.executor.operations.note(session, "VERIFY", time.perf_counter_ns())
    return bodies.answer({"running": True}, 202)


def tell(request: Request) -> Response:
    """GET: the last run, or the one under way, and the last start."""
    request.parameters(())
    request.check_may([b"INFO"])
    store = store_of(request)
    verification = store.verification
    return bodies.answer(
        {"running": verification.running, "last": verification.last, "recovery": store.recovery._asdict()},
    )


_COUNT = {"type": "integer", "minimum": 0}
_TIME = {"type": ["integer", "null"], "description": "Milliseconds of Unix time."}
_STRING = {"type": "string"}
_RUN = object_of(
    began_ms=_TIME,
    ended_ms=_TIME,
    done_bytes=_COUNT,
    total_bytes=_COUNT,
    files=_COUNT | {"description": "Read to their end."},
    result={
        "enum": ["sound", "damaged", "failed", None],
        "description": "Null while it runs; failed: it could not be carried out, the server's log says why.",
    },
    damage={"type": "array", "items": object_of(file=_STRING, offset=_COUNT, reason=_STRING)},
)
_RECOVERY = object_of(
    at_ms=_TIME,
    keys=_COUNT,
    took_s={"type": "number"},
    torn_bytes=_COUNT | {"description": "Cut off because they were never acknowledged; kept in *.broken."},
)
_RUNNING = {"type": "boolean"}
_EXAMPLE = {
    "running": False,
    "last": {
        "began_ms": 1700000000250,
        "ended_ms": 1700000000300,
        "done_bytes": 67108864,
        "total_bytes": 67108864,
        "files": 2,
        "result": "sound",
        "damage": [],
    },
    "recovery": {"at_ms": 1700000000000, "keys": 3, "took_s": 0.01, "torn_bytes": 0},
}


def _failures() -> dict[str, Any]:
    return {status: FAILURES[status] for status in ("400", "401", "403", "429", "503")}


_DOCUMENT: dict[str, Any] = {
    "get": {
        "operationId": "verification",
        "tags": ["health"],
        "summary": "What verifying the log found, and the last start",
        "responses": {
            "200": {
                "description": "The last run, or the one under way; null before the first.",
                "content": content(
                    object_of(running=_RUNNING, last={"anyOf": [_RUN, {"type": "null"}]}, recovery=_RECOVERY), _EXAMPLE
                ),
            },
            **_failures(),
        },
    },
    "post": {
        "operationId": "verify",
        "tags": ["health"],
        "summary": "Verify the log now",
        "description": (
            "Another process reads every file at low priority and compares it with its checksums, up to what was "
            "durable when it began. For who may BGREWRITEAOF."
        ),
        "responses": {
            "202": {"description": "It has begun.", "content": content(object_of(running=_RUNNING), {"running": True})},
            "409": problem("It runs already."),
            **_failures(),
        },
    },
}
ROUTE = Route(
    b"/v1/verify",
    {b"GET": Endpoint(tell, changes_data=False), b"POST": Endpoint(begin, changes_data=True)},
    _DOCUMENT,
)
