"""/v1/backups: where backups of this store are and may be made; one taken or verified now, and how far that has come.

A place is one of the setting `backup-places`, never another path. Must not know: how a backup is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from keystead.errors import DamagedData
from keystead.server.backups import Backups
from keystead.server.http import bodies
from keystead.server.http.backups_document import COLLECTION, VERIFY
from keystead.server.http.problems import Problem, sentence
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.store import store_of

if TYPE_CHECKING:
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """Where."""

    place: str


_decode = msgspec.json.Decoder(Wanted).decode


def tell(request: Request) -> Response:
    """GET: the places, and the run under way or the last one. Nobody waits for a place: what is not known yet comes
    with a later answer."""
    request.parameters(())
    request.check_may([b"INFO"])
    server, backups = request.connection.server, store_of(request).backups
    if backups.is_stale():
        server.run(backups.look())
    try:
        remembered = {each.place: each for each in backups.remembered()}
    except (DamagedData, OSError) as error:
        raise Problem(500, sentence(f"What the store remembers of its backups cannot be read: {error}")) from None
    places: list[dict[str, Any]] = [
        {**msgspec.structs.asdict(place), "may_take": True, "remembered": remembered.pop(place.place, None)}
        for place in backups.places.values()
    ]
    places += ({"place": place, "may_take": False, "remembered": each} for place, each in remembered.items())
    running = backups.running
    return bodies.answer({"places": places, "looking": backups.looking, "running": running, "last": backups.last})


def take(request: Request) -> Response:
    """POST: begin a backup."""
    return _begin(request, "BACKUP", Backups.take)


def verify(request: Request) -> Response:
    """POST: begin to verify the newest backup."""
    return _begin(request, "VERIFYBACKUP", Backups.verify)


def _begin(request: Request, name: str, deed: Callable[[Backups, str], Coroutine[Any, Any, None]]) -> Response:
    request.parameters(())
    request.check_may([b"BGSAVE"])
    server, backups = request.connection.server, store_of(request).backups
    wanted = bodies.decoded(request, _decode).place
    place = backups.allowed(wanted)
    if place is None:
        raise Problem(403, _refusal(wanted, list(backups.places)))
    if backups.running is not None:
        raise Problem(409, "A backup is being taken or verified; GET /v1/backups tells how far that has come.")
    server.run(deed(backups, place))
    session = request.session
    session.executor.operations.note(session, name, time.perf_counter_ns())
    return bodies.answer({"running": True}, 202)


def _refusal(wanted: str, places: list[str]) -> str:
    if not places:
        return "No place for backups is set: name some in the setting backup-places and start the server again."
    return f"{wanted[:200]!r} is not among the places of the setting backup-places: {', '.join(places)}."


_TELL = Endpoint(tell, changes_data=False)
ROUTES = (
    Route(
        b"/v1/backups",
        {b"GET": _TELL, b"HEAD": _TELL, b"POST": Endpoint(take, changes_data=True)},
        COLLECTION,
    ),
    Route(b"/v1/backups/verify", {b"POST": Endpoint(verify, changes_data=True)}, VERIFY),
)
