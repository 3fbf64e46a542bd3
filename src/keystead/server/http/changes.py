"""GET /v1/changes: the change feed as server-sent events. See docs/changes.md.

Owns: what is asked for, and the stream's beginning and end. What is told, and when, is the feed's business.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast, get_args

from fastapi import APIRouter
from starlette.responses import Response

from keystead.execution.change_events import MayRead, Position, Values
from keystead.server.feed import Follower
from keystead.server.http.app import Current
from keystead.server.http.changes_document import DOCUMENT
from keystead.server.http.problems import Problem
from keystead.server.http.requests import Request, from_base64url
from keystead.server.http.store import store_of

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.execution.session import Session

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PARAMETERS = ("db", "prefix", "prefix_base64url", "since", "values")
RETRY = b"retry: 1000\n\n"
"""How long a client waits before it connects again, in milliseconds."""

_EVENT_ID = re.compile(r"([0-9a-f]{16})\.(\d{1,19})\.(\d{1,19})")
_SEQUENCE = re.compile(r"\d{1,19}")

router = APIRouter()


@router.get("/v1/changes", response_class=Response, openapi_extra=DOCUMENT)
async def changes(request: Current) -> Response:
    """Follow the changes of the store, as server-sent events."""
    parameters = request.parameters(PARAMETERS)
    values = parameters.get("values", "none")
    if values not in get_args(Values):
        raise Problem(400, f"The parameter 'values' must be one of {', '.join(get_args(Values))}.")
    session = request.session
    began_ns = time.perf_counter_ns()
    start = _start(session.engine, request, parameters.get("since", ""))
    follower = Follower(
        db=session.db.number if "db" in parameters else None,
        prefix=_prefix(parameters),
        values=cast("Values", values),
        may_read=lambda: _may_read(session),
    )
    events = store_of(request).feed.follow(follower, start)
    first = await anext(events)
    session.executor.operations.note(session, "CHANGES", began_ns)
    return EventStream(first, events)


def _may_read(session: Session) -> MayRead | None:
    """Which keys this client may be shown now; None for all."""
    # Of the permissions, not of the user: these never change, so what was chosen by them may be kept.
    permissions = session.user.permissions
    return None if permissions.may_read_all else permissions.may_read_key


def _prefix(parameters: dict[str, str]) -> bytes:
    encoded = parameters.get("prefix_base64url")
    if encoded is None:
        return parameters.get("prefix", "").encode()
    if "prefix" in parameters:
        raise Problem(400, "The prefix is given twice: as text and in base64url.")
    return from_base64url(encoded, "prefix_base64url")


def _start(engine: Engine, request: Request, since: str) -> Position | None:
    """Where to begin: behind what Last-Event-ID or since= names, else now. Clients that connect again send the header,
    and the address with which they began."""
    asked = request.headers.get(b"last-event-id", b"").decode("latin-1") or since
    if not asked:
        return None
    floor = engine.first_kept_sequence
    if asked == "0":
        return Position(floor, 0)
    position = _position(engine, asked)
    if position.sequence > engine.log.next_sequence:
        raise Problem(400, f"There is no event {asked} yet: the next transaction is {engine.log.next_sequence}.")
    if position.sequence < floor:
        first_id = f"{engine.history_id}.{floor}.0"
        raise Problem(
            410,
            f"The history is kept from transaction {floor} on, so {asked} cannot be gone on from without a gap. "
            f"Read the keys anew, or begin with since={first_id} (or since=0) at what is kept.",
            members={"history": engine.history_id, "first_id": first_id},
        )
    return position


def _position(engine: Engine, asked: str) -> Position:
    match = _EVENT_ID.fullmatch(asked)
    if match is None:
        if _SEQUENCE.fullmatch(asked):
            return Position(int(asked) + 1, 0)
        raise Problem(
            400,
            "What to begin after must be an event's id, as in 1f0c3d5a77e1b2c4.42.1, "
            "the number of a transaction, or 0.",
        )
    history, sequence, place = match.groups()
    if history != engine.history_id:
        raise Problem(
            409,
            f"The event {asked} belongs to the history {history}, but this is the history {engine.history_id}: the "
            "store was restored, or lost changes that were not synced. Read the keys anew, then follow from now on.",
            members={"history": engine.history_id, "asked_history": history},
        )
    return Position(int(sequence), int(place))


class EventStream(Response):
    """Sends events until the client goes, or there can be no more."""

    media_type = "text/event-stream"

    def __init__(self, first: bytes, events: AsyncGenerator[bytes, None]) -> None:
        self.status_code = 200
        self.background = None
        self._first = first
        self._events = events
        self.init_headers({"content-type": self.media_type})
        del self.headers["content-length"]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI has it
        """Answer."""
        sending = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            gone.cancel()
            sending.cancel()
            await asyncio.wait({sending, gone})

    async def _send(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": RETRY + self._first, "more_body": True})
            async for data in events:
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
