"""/v1/keys/{key} in front of a cluster: one value, byte for byte, as in front of a store.

What must hold in one step is one transaction on the key's node. A condition on the value is judged here and holds
there: the key is watched, read, and changed only if nobody else was quicker; if somebody was, it is judged anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from keystead.errors import CommandError
from keystead.server.http.cluster.absent import HISTORY
from keystead.server.http.cluster.answering import answering, of_one_change
from keystead.server.http.cluster.behind import cluster_of
from keystead.server.http.cluster.document import KEYS
from keystead.server.http.etags import Tags, etag_of, parse_tags
from keystead.server.http.keys import (
    DELETE_PARAMETERS,
    DELETED,
    OCTETS,
    PREFIX,
    PUT_PARAMETERS,
    READ_PARAMETERS,
    TTL_HEADER,
    check_meant_empty,
    check_not_encoded,
    conditions_of,
    failure_of,
    lifetime_of,
    missing,
    precondition_failed,
)
from keystead.server.http.problems import Problem
from keystead.server.http.responses import HeaderLines, Response
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.server.http.requests import Request

REFUSED: Final = CommandError("not to be told: the problem is")
Commands: TypeAlias = list[list[bytes]]


async def get(request: Request) -> Response:
    """GET and HEAD: the value, and how long it lives. That is asked for right behind the value, in one piece with it;
    MULTI would make one step of both, but a node that is out of memory takes no transaction, not even one that reads.
    """
    parameters = request.parameters(READ_PARAMETERS)
    if "at" in parameters:
        raise HISTORY.problem()
    key = request.key_after(PREFIX, parameters)
    if_match, if_none_match = (request.headers.get(name) for name in (b"if-match", b"if-none-match"))
    wanted = parse_tags(if_match, "If-Match", weak=False) if if_match is not None else None
    known = parse_tags(if_none_match, "If-None-Match", weak=True) if if_none_match is not None else None

    reads = [[b"GET", key], [b"PTTL", key]]
    value, *ttl = await request.calls.run_each(request.session, reads if _may(request, reads[1]) else reads[:1])
    if value[:1] != b"$" or value.startswith(b"$-1"):
        raise failure_of(value) or missing()
    body = value[value.index(b"\n") + 1 : -2]
    tag = etag_of(body)
    shown: HeaderLines = (
        (b"ETag", tag),
        *(_ttl_line(reply) for reply in ttl if reply[:1] == b":" and reply[1:2] != b"-"),
    )
    if wanted is not None and not wanted.has(tag[1:-1]):
        raise precondition_failed()
    if known is not None and known.has(tag[1:-1]):
        return Response(304, headers=shown)
    return Response(200, body, OCTETS, shown)


def _ttl_line(reply: bytes) -> tuple[bytes, bytes]:
    return TTL_HEADER, b"%d.%03d" % divmod(max(1, int(reply[1:])), 1000)


def put(request: Request) -> None:
    """PUT: the body becomes the value."""
    parameters = request.parameters(PUT_PARAMETERS)
    key, value = request.key_after(PREFIX, parameters), request.body
    if not value:
        check_meant_empty(parameters)
    check_not_encoded(request)
    headers: HeaderLines = ((b"ETag", etag_of(value)),)
    set_ = [b"SET", key, value, *lifetime_of(parameters)]
    if_match, if_none_match = conditions_of(request)
    created, replaced = Response(201, headers=headers), Response(204, headers=headers)

    def respond(replies: list[bytes]) -> Response:
        if replies[-1][:1] != b"+":
            raise failure_of(replies[-1]) or precondition_failed()
        return created if len(replies) > 1 and replies[0] == b":0\r\n" else replaced

    if if_none_match is not None and if_none_match.any:
        _execute(request, [[*set_, b"NX"]], lambda replies: respond([b":0\r\n", *replies]))
    elif if_match is not None and if_match.any:
        _execute(request, [[*set_, b"XX"]], respond)
    elif if_match is not None or if_none_match is not None:
        _change_if(request, key, set_, _refusal(if_match, if_none_match), created, replaced)
    else:
        exists = [b"EXISTS", key]
        _execute(request, [exists, set_] if _may(request, exists) else [set_], respond)


def delete(request: Request) -> None:
    """DELETE: the key and its value go."""
    key = request.key_after(PREFIX, request.parameters(DELETE_PARAMETERS))
    if_match, if_none_match = conditions_of(request)
    if if_none_match is not None and if_none_match.any:
        raise Problem(400, "A DELETE only if nothing exists makes no sense; leave If-None-Match out.")
    command = [b"DEL", key]

    def respond(replies: list[bytes]) -> Response:
        if replies[0] != DELETED:
            raise failure_of(replies[0]) or missing()
        return Response(204)

    if (if_match is None or if_match.any) and if_none_match is None:
        _execute(request, [command], respond)
    else:
        gone = Response(204)
        _change_if(request, key, command, _refusal(if_match, if_none_match, must_exist=True), gone, gone)


def _may(request: Request, args: list[bytes]) -> bool:
    """Whether the user may be told what that command tells; what he asked for is done without it."""
    session = request.session
    return session.user.permissions.is_unrestricted or session.executor.may(session.user, args) is None


def _execute(request: Request, commands: Commands, respond: Callable[[list[bytes]], Response]) -> None:
    """Run them as one, and answer."""
    if len(commands) == 1:
        request.start(commands[0], lambda reply: request.answer(respond([reply])))
    else:
        cluster_of(request).executor.transact(request.session, commands, answering(request, of_one_change(respond)))


Refuse: TypeAlias = "Callable[[bytes | None], Problem | None]"


def _refusal(if_match: Tags | None, if_none_match: Tags | None, *, must_exist: bool = False) -> Refuse:
    """Given the value, why the change must not be."""

    def refuse(value: bytes | None) -> Problem | None:
        if value is None:
            return missing() if must_exist else (precondition_failed() if if_match is not None else None)
        digest = etag_of(value)[1:-1]
        is_met = (if_match is None or if_match.has(digest)) and (if_none_match is None or not if_none_match.has(digest))
        return None if is_met else precondition_failed()

    return refuse


def _change_if(
    request: Request, key: bytes, command: list[bytes], refuse: Refuse, created: Response, changed: Response
) -> None:
    """Run the command if the value is not refused, in one step with looking at it."""
    found: list[bytes | None] = []
    refused: list[Problem] = []

    def decide(values: list[bytes | None]) -> Commands | CommandError:
        """Called once more for each time that somebody was quicker."""
        found[:], refused[:] = values, []
        problem = refuse(values[0])
        if problem is None:
            return [command]
        refused.append(problem)
        return REFUSED

    def respond(outcome: list[bytes] | CommandError) -> Response:
        if outcome is REFUSED:
            raise refused[0]
        return told(outcome)

    @of_one_change
    def told(replies: list[bytes]) -> Response:
        failure = failure_of(replies[0])
        if failure is not None:
            raise failure
        return created if found[0] is None else changed

    cluster_of(request).executor.change_if(request.session, [key], decide, answering(request, respond))


_ENDPOINTS = {
    b"GET": Endpoint(get, changes_data=False),
    b"HEAD": Endpoint(get, changes_data=False),
    b"PUT": Endpoint(put, changes_data=True),
    b"DELETE": Endpoint(delete, changes_data=True),
}

ROUTE = Route(PREFIX, _ENDPOINTS, KEYS, template="/v1/keys/{key}")
