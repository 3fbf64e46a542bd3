"""GET /v1/export in front of a cluster: the strings of a prefix as JSON lines, streamed.

Keys come as SCAN finds them, in no order, each as it is when its turn comes, perhaps twice. Keys of other types than
strings, which a cluster may hold, have no line, and are left out. Must not know: what a line looks like.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from keystead.execution.json_lines import to_line
from keystead.resp.reading import ReadReply, read_reply
from keystead.server.http.app import Current
from keystead.server.http.cluster.document import EXPORT
from keystead.server.http.cluster.scanning import scan
from keystead.server.http.export_document import JSON_LINES
from keystead.server.http.notation import shown
from keystead.server.http.problems import Problem, problem_of_redis_error
from keystead.server.http.requests import Request

STEP_KEYS: Final = 200
PAUSE_S: Final = 0.001
TOLD_ERRORS: Final = (b"WRONGTYPE", b"NOPERM")
"""Of a key that has no line."""

router = APIRouter()


@router.get("/v1/export", response_class=StreamingResponse, openapi_extra=EXPORT)
async def export(request: Current) -> Any:
    """Every string of a prefix, as JSON lines."""
    began_ns = time.perf_counter_ns()
    prefix = request.raw_parameters(("prefix", "db")).get("prefix", b"")
    session = request.session
    refusal = session.executor.may(session.user, [b"SCAN", b"0"])
    session.executor.operations.note(session, "EXPORT", began_ns, result="NOPERM" if refusal else "ok")
    if refusal is not None:
        raise problem_of_redis_error(refusal)
    # The first step before the answer begins: what is wrong from the start is told as a problem.
    cursor, first = await _step(request, b"0", prefix)
    return StreamingResponse(_lines(request, cursor, first, prefix), media_type=JSON_LINES)


async def _lines(request: Request, cursor: bytes, first: bytes, prefix: bytes) -> AsyncIterator[bytes]:
    """Pieces of whole lines."""
    yield first
    while cursor != b"0":
        await asyncio.sleep(PAUSE_S)
        if request.connection.server.draining:
            raise ConnectionAbortedError("the export cannot go on")  # half of it must not pass for all
        try:
            cursor, piece = await _step(request, cursor, prefix)
        except Problem as problem:
            raise ConnectionAbortedError(f"the export cannot go on: {problem.detail}") from None
        yield piece


async def _step(request: Request, cursor: bytes, prefix: bytes) -> tuple[bytes, bytes]:
    """Where it goes on, and the lines so far."""
    cursor, keys = await scan(request, cursor, prefix, STEP_KEYS)
    commands = [command for key in keys for command in ([b"GET", key], [b"PTTL", key])]
    replies = map(read_reply, await request.calls.run_each(request.session, commands))
    now_ms = time.time_ns() // 1_000_000
    return cursor, b"".join(_line(key, next(replies), next(replies), now_ms) for key in keys)


def _line(key: bytes, value: ReadReply, ttl: ReadReply, now_ms: int) -> bytes:
    for reply in (value, ttl):
        if reply.kind == "-" and not reply.value.startswith(TOLD_ERRORS):
            raise problem_of_redis_error(shown(reply.value))
    if value.kind == "-" or ttl.kind == "-" or value.value is None:
        return b""
    return to_line(0, key, value.value, now_ms + ttl.value if ttl.value >= 0 else 0)
