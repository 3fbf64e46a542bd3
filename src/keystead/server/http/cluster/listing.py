"""GET /v1/keys in front of a cluster: keys as SCAN finds them, in no order, page by page.

What a store's listing tells and this cannot is refused rather than guessed: an order, positions, folders with counts,
a total. Must not know: how keys are found (see scanning).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_from_bytes

from keystead.resp.reading import ReadReply, read_reply
from keystead.server.http import bodies
from keystead.server.http.cluster.absent import DELETE_BY_PREFIX, HISTORY
from keystead.server.http.cluster.document import COLLECTION
from keystead.server.http.cluster.scanning import scan
from keystead.server.http.listing import DEFAULT_LIMIT, INCLUDABLE, MAX_LIMIT, MAX_VALUE_BYTES, PATH, included
from keystead.server.http.notation import shown, text_of
from keystead.server.http.problems import NOT_IN_A_CLUSTER, Problem, problem_of_redis_error
from keystead.server.http.requests import whole_number
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from typing import NoReturn

    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

PARAMETERS: Final = ("prefix", "cursor", "limit", "include", "db", "at", "after", "offset", "delimiter")
ORDERED: Final = ("after", "offset", "delimiter")
"""Parameters of a store's listing that need an order of all keys."""
MAX_SCANNED: Final = 10_000
"""Keys that are looked at for one page: of a rare prefix a page may have few keys, or none, and go on all the same."""
LEAST_STEP: Final = 10
LONGEST_CURSOR: Final = 40


async def list_keys(request: Request) -> Response:
    """One page."""
    started_ns = time.perf_counter_ns()
    parameters = request.raw_parameters(PARAMETERS)
    _check(parameters)
    limit = whole_number(parameters, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    include, cursor = included(parameters), parameters.get("cursor", b"0")
    session = request.session
    refusal = session.executor.may(session.user, [b"SCAN", b"0"])
    if refusal is not None:
        session.executor.operations.note(session, "SCAN", started_ns, result="NOPERM")
        raise problem_of_redis_error(refusal)
    keys: dict[bytes, None] = {}  # a page tells each key once
    scanned = 0
    while len(keys) < limit and scanned < MAX_SCANNED:
        count = max(LEAST_STEP, limit - len(keys))
        cursor, found = await scan(request, cursor, parameters.get("prefix", b""), count)
        keys.update(dict.fromkeys(found))
        scanned += count
        if cursor == b"0":
            break
        request.connection.check_that_it_is_wanted()
    items = await _items(request, list(keys), include)
    following = None if cursor == b"0" else _path(parameters, cursor)
    return bodies.answer({"items": items, "total": None, "next": following, "order": "none"})


def _check(parameters: Mapping[str, bytes]) -> None:
    if "at" in parameters:
        raise HISTORY.problem()
    for name in ORDERED:
        if name in parameters:
            raise Problem(
                400,
                f"The parameter {name!r} needs an order of all keys, which no node of a cluster has: page by 'cursor', "
                "as 'next' gives it.",
                kind=NOT_IN_A_CLUSTER,
            )
    cursor = parameters.get("cursor", b"0")
    if not cursor.isdigit() or len(cursor) > LONGEST_CURSOR:
        raise Problem(400, "The parameter 'cursor' must be as 'next' of the page before gives it.")


async def _items(request: Request, keys: list[bytes], include: list[str]) -> list[dict[str, Any]]:
    """The keys with what is wanted of them. One that has gone meanwhile is left out, and so is a value when there are
    enough of them on the page."""
    if not include:
        return [{"name": text_of(key)} for key in keys]
    measured = {*include, "size"} if "value" in include else include
    first = ["type", *(what for what in ("ttl", "size") if what in measured)]
    told = await _ask(request, keys, first)
    items: dict[bytes, dict[str, Any]] = {
        key: {"name": text_of(key)} for key in keys if told[key]["type"].value != b"none"
    }
    if "value" in include:
        chosen = list(_that_fit(told))
        values = await _ask(request, chosen, ["value"])
        for key in chosen:
            told[key] |= values[key]
    for key, item in items.items():
        for what in include:
            if what in told[key] and not _is_denied(told[key][what]):
                item[what] = _member(what, told[key][what])
    return list(items.values())


async def _ask(request: Request, keys: list[bytes], asked: list[str]) -> dict[bytes, dict[str, ReadReply]]:
    """What is to be known of each key, in one go."""
    commands = [[INCLUDABLE[what], key] for key in keys for what in asked]
    replies = map(read_reply, await request.calls.run_each(request.session, commands))
    return {key: {what: next(replies) for what in asked} for key in keys}


def _that_fit(told: Mapping[bytes, Mapping[str, ReadReply]]) -> Iterator[bytes]:
    """The keys of strings whose values are to be on the page; the first one always."""
    total = 0
    for key, facts in told.items():
        size = facts["size"].value if facts["size"].kind == ":" else 0
        if not total or total + size <= MAX_VALUE_BYTES:
            total += size
            yield key


def _is_denied(reply: ReadReply) -> bool:
    return reply.kind == "-" and reply.value.startswith(b"NOPERM")


def _member(what: str, reply: ReadReply) -> object:
    if reply.kind == "-":
        if reply.value.startswith(b"WRONGTYPE"):
            return None  # of another type than a string neither is told
        raise problem_of_redis_error(shown(reply.value))
    match what:
        case "value":
            return None if reply.value is None else text_of(reply.value)
        case "type":
            return reply.value.decode("ascii", "replace")
        case "ttl":
            return reply.value / 1000 if reply.value >= 0 else None
    return reply.value


def _path(parameters: Mapping[str, bytes], cursor: bytes) -> str:
    query = {**parameters, "cursor": cursor}
    pairs = [f"{name}={quote_from_bytes(value, safe='')}" for name, value in query.items()]
    return f"{PATH.decode()}?{'&'.join(pairs)}"


def delete_keys(request: Request) -> NoReturn:  # noqa: ARG001 - whatever is asked
    """DELETE: not in one step."""
    raise DELETE_BY_PREFIX.problem()


_ENDPOINT = Endpoint(list_keys, changes_data=False)
ROUTE = Route(
    PATH,
    {b"GET": _ENDPOINT, b"HEAD": _ENDPOINT, b"DELETE": Endpoint(delete_keys, changes_data=True)},
    COLLECTION,
)
