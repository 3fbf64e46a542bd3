"""GET /v1/export: the keys of a prefix as JSON lines, streamed; POST /v1/import takes them back (see importing).

Keys come in order, each as it is when its turn comes, and is told when that is durable. A client that does not read
stops the walk. Must not know: what a line looks like.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from keystead.commands.value_types import text
from keystead.execution.json_lines import to_line
from keystead.server.http.app import Current
from keystead.server.http.export_document import EXPORT, JSON_LINES
from keystead.server.http.problems import problem_of_redis_error, unavailable

if TYPE_CHECKING:
    from keystead.engine.bindings import Database
    from keystead.engine.key_index import KeyIndex
    from keystead.server.http.requests import Request

PIECE_BYTES: Final = 1 << 16
SLICE_S: Final = 0.001
PAUSE_S: Final = 0.001
STEP_KEYS: Final = 50

router = APIRouter()


@router.get("/v1/export", response_class=StreamingResponse, openapi_extra=EXPORT)
async def export(request: Current) -> Any:
    """Every key of a prefix, as JSON lines."""
    began_ns = time.perf_counter_ns()
    parameters = request.raw_parameters(("prefix", "db"))
    session = request.session
    executor = session.executor
    refusal = executor.may(session.user, [b"SCAN", b"0"])
    if refusal is not None:
        executor.operations.note(session, "EXPORT", began_ns, result="NOPERM")
        raise problem_of_redis_error(refusal)
    index = session.db.keyspace.index
    if index is None or not index.ready:
        raise unavailable("The index of the keys is being built.")
    executor.operations.note(session, "EXPORT", began_ns)
    lines = _lines(request, session.db, index, parameters.get("prefix", b""))
    return StreamingResponse(lines, media_type=JSON_LINES)


async def _lines(request: Request, database: Database, index: KeyIndex, prefix: bytes) -> AsyncIterator[bytes]:
    """Pieces of whole lines."""
    session, keyspace = request.session, database.keyspace
    after: bytes | None = None
    piece = bytearray()
    until_s = time.perf_counter() + SLICE_S
    while keys := index.range(prefix, after, STEP_KEYS):
        session.engine.clock.refresh()
        for key in keys:
            piece += _line(request, database, key)
            if len(piece) >= PIECE_BYTES:
                yield await _durable(request, piece)
        after = keys[-1]
        if time.perf_counter() >= until_s:
            await asyncio.sleep(PAUSE_S)
            until_s = time.perf_counter() + SLICE_S
            if request.connection.server.draining or database.keyspace is not keyspace:
                raise ConnectionAbortedError("the export cannot go on")  # half of it must not pass for all
    if piece:
        yield await _durable(request, piece)


async def _durable(request: Request, piece: bytearray) -> bytes:
    data = bytes(piece)
    piece.clear()
    request.session.must_wait = True  # what was in memory is told when it is durable
    return await request.calls.settle(request.session, data)


def _line(request: Request, database: Database, key: bytes) -> bytes:
    session = request.session
    user = session.user
    if not user.permissions.is_unrestricted and session.executor.may(user, [b"GET", key]) is not None:
        return b""
    value, expires_at_ms = database.keyspace.get_with_expiry(key)
    return b"" if value is None else to_line(database.number, key, bytes(text(value)), expires_at_ms)
