"""/v1/keys/{key}: one value, byte for byte.

The key is the rest of the raw path, whatever it contains. Conditions (If-Match, If-None-Match) are given to the command
that changes the value, so they hold in one step with it. No content type is remembered: it would have to be kept beside
every value, where the other protocol could neither see nor keep it; answers are application/octet-stream.

These routes are as fast as the store: nothing waits that need not, and no task is started for a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keystead.commands.value_types import text
from keystead.server.http.etags import Tags, etag_of, parse_tags
from keystead.server.http.keys_document import ITEM
from keystead.server.http.problems import Problem, problem_of_redis_error
from keystead.server.http.responses import HeaderLines, Response
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.engine.keyspace import Keyspace
    from keystead.server.http.requests import Request

PREFIX = b"/v1/keys/"
OCTETS = b"application/octet-stream"
TTL_HEADER = b"Keystead-TTL"

READ_PARAMETERS = ("db", "key", "at")
DELETE_PARAMETERS = ("db", "key")
PUT_PARAMETERS = ("db", "key", "ttl", "empty")

NO_PARAMETERS: dict[str, str] = {}
NO_DIGEST = b"*" * 16
"""Of no value."""
DELETED = b":1\r\n"

_DECIMAL = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?")


def get(request: Request) -> None:
    """GET and HEAD: the value as it is durable; never waits for others' writes. With ?at=, as it was then."""
    if request.query:
        parameters = request.parameters(READ_PARAMETERS)
        key = request.key_after(PREFIX, parameters)
        if "at" in parameters:
            _get_at(request, key, parameters["at"])
            return
    else:
        key = request.key_after(PREFIX, NO_PARAMETERS)
    headers = request.headers
    if_match = if_none_match = None
    if b"if-match" in headers:
        if_match = parse_tags(headers[b"if-match"], "If-Match", weak=False)
    if b"if-none-match" in headers:
        if_none_match = parse_tags(headers[b"if-none-match"], "If-None-Match", weak=True)

    def got(reply: bytes) -> None:
        if reply[:1] != b"$":
            raise failure_of(reply) or missing()
        # The value itself rather than the copy in the reply: the same view, and nothing was executed in between.
        value, expires_at_ms = request.session.db.keyspace.read_with_expiry(key, request.session)
        body = value if type(value) is bytes else bytes(text(value))
        tag = etag_of(body)
        shown: HeaderLines = ((b"ETag", tag),)
        if expires_at_ms:
            left_ms = max(1, expires_at_ms - request.session.engine.clock.now_ms)
            shown += ((TTL_HEADER, b"%d.%03d" % divmod(left_ms, 1000)),)
        if if_match is not None and not if_match.has(tag[1:-1]):
            raise precondition_failed()
        if if_none_match is not None and if_none_match.has(tag[1:-1]):
            request.answer(Response(304, headers=shown))
        else:
            request.answer(Response(200, body, OCTETS, shown))

    request.start([b"GET", key], got)


def _get_at(request: Request, key: bytes, at: str) -> None:
    if_match, if_none_match = (request.headers.get(name) for name in (b"if-match", b"if-none-match"))
    wanted = parse_tags(if_match, "If-Match", weak=False) if if_match is not None else None
    known = parse_tags(if_none_match, "If-None-Match", weak=True) if if_none_match is not None else None

    def got(reply: bytes) -> None:
        if reply[:1] != b"$":
            raise failure_of(reply) or Problem(404, "There was no such key in this database then.")
        body = reply[reply.index(b"\n") + 1 : -2]
        tag = etag_of(body)
        if wanted is not None and not wanted.has(tag[1:-1]):
            raise precondition_failed()
        shown: HeaderLines = ((b"ETag", tag),)
        if known is not None and known.has(tag[1:-1]):
            request.answer(Response(304, headers=shown))
        else:
            request.answer(Response(200, body, OCTETS, shown))

    request.start([b"KS.GET", key, b"AT", at.encode()], got)


def put(request: Request) -> None:
    """PUT: the body becomes the value."""
    parameters = request.parameters(PUT_PARAMETERS) if request.query else NO_PARAMETERS
    key = request.key_after(PREFIX, parameters)
    value = request.body
    if not value:
        check_meant_empty(parameters)
    check_not_encoded(request)
    keyspace = request.session.db.keyspace
    existed = keyspace.get(key) is not None
    # Nothing comes between that look and the command, unless CLIENT PAUSE makes it wait; then 204 says what is known.
    at_once = True

    def done(reply: bytes) -> None:
        if reply[:1] != b"+":
            raise failure_of(reply) or precondition_failed()
        created = at_once and not existed
        request.answer(Response(201 if created else 204, headers=((b"ETag", etag_of(value)),)))

    args = [b"SET", key, value]
    if parameters:
        args += lifetime_of(parameters)
    if b"if-match" in request.headers or b"if-none-match" in request.headers:
        args += _set_condition(request, keyspace, key)
    request.start(args, done)
    at_once = False


def delete(request: Request) -> None:
    """DELETE: the key and its value go."""
    key = request.key_after(PREFIX, request.parameters(DELETE_PARAMETERS) if request.query else NO_PARAMETERS)
    keyspace = request.session.db.keyspace
    existed = keyspace.get(key) is not None
    at_once = True

    def done(reply: bytes) -> None:
        if reply == DELETED:
            request.answer(Response(204))
        else:
            raise failure_of(reply) or (precondition_failed() if existed and at_once else missing())

    request.start(_delete_command(request, keyspace, key), done)
    at_once = False


def failure_of(reply: bytes) -> Problem | None:
    """The problem that the reply tells of; None when it is no error."""
    return problem_of_redis_error(reply.decode("utf-8", "replace")) if reply[:1] == b"-" else None


def missing() -> Problem:
    """404."""
    return Problem(404, "There is no such key in this database.")


def precondition_failed() -> Problem:
    """412."""
    return Problem(412, "The value is not, or no longer, what If-Match or If-None-Match asks for; nothing was changed.")


# --- what was asked --------------------------------------------------------------------------------------------------


def check_meant_empty(parameters: dict[str, str]) -> None:
    """Problem for a body that was forgotten."""
    if parameters.get("empty") != "true":
        raise Problem(
            400, "The request has no body, so there is no value. To store the empty value on purpose, add ?empty=true."
        )


def check_not_encoded(request: Request) -> None:
    """Problem for a body that is not the value itself."""
    if b"content-encoding" in request.headers and request.headers[b"content-encoding"].lower() != b"identity":
        raise Problem(415, "The body is stored as it is: send it without a Content-Encoding.")


def lifetime_of(parameters: dict[str, str]) -> list[bytes]:
    """What ?ttl= says, as arguments of SET."""
    if parameters.get("ttl") == "keep":
        return [b"KEEPTTL"]
    ttl_ms = ttl_ms_of(parameters, or_else="; or 'keep' for what is left")
    return [] if ttl_ms is None else [b"PX", b"%d" % ttl_ms]


def ttl_ms_of(parameters: dict[str, str], *, or_else: str = "") -> int | None:
    """What ?ttl= says, in milliseconds; None without it. *or_else*: what else it might say."""
    given = parameters.get("ttl")
    if given is None:
        return None
    match = _DECIMAL.fullmatch(given)
    ttl_ms = int(match[1]) * 1000 + int((match[2] or "0").ljust(3, "0")) if match else 0
    if not ttl_ms:
        raise Problem(400, f"The parameter 'ttl' must be seconds, such as 60 or 0.5, greater than 0{or_else}.")
    return ttl_ms


def conditions_of(request: Request) -> tuple[Tags | None, Tags | None]:
    """If-Match and If-None-Match of a change; it takes one of them at most."""
    headers = request.headers
    if b"if-match" not in headers and b"if-none-match" not in headers:
        return None, None
    if b"if-match" in headers and b"if-none-match" in headers:
        raise Problem(400, "A change takes If-Match or If-None-Match, not both.")
    if b"if-match" in headers:
        return parse_tags(headers[b"if-match"], "If-Match", weak=False), None
    return None, parse_tags(headers[b"if-none-match"], "If-None-Match", weak=True)


def _set_condition(request: Request, keyspace: Keyspace, key: bytes) -> list[bytes]:
    if_match, if_none_match = conditions_of(request)
    if if_match is not None:
        return [b"XX"] if if_match.any else [b"IFDEQ", _meant(if_match, keyspace, key)]
    if if_none_match is not None:
        return [b"NX"] if if_none_match.any else if_none_of(if_none_match)
    return []


def _delete_command(request: Request, keyspace: Keyspace, key: bytes) -> list[bytes]:
    if_match, if_none_match = conditions_of(request)
    if if_match is not None and not if_match.any:
        return [b"DELEX", key, b"IFDEQ", _meant(if_match, keyspace, key)]
    if if_none_match is None:
        return [b"DEL", key]
    if if_none_match.any:
        raise Problem(400, "A DELETE only if nothing exists makes no sense; leave If-None-Match out.")
    condition = if_none_of(if_none_match)
    return [b"DELEX", key, *condition] if condition else [b"DEL", key]


def _meant(tags: Tags, keyspace: Keyspace, key: bytes) -> bytes:
    """Of several digests the one that the value has now; the command then checks it once more. A digest that no
    value has when none can match."""
    if len(tags.digests) == 1:
        return tags.digests[0]
    now = keyspace.get(key)
    if isinstance(now, (bytes, bytearray)):
        digest = etag_of(now)[1:-1]
        if digest in tags.digests:
            return digest
    return tags.digests[0] if tags.digests else NO_DIGEST


def if_none_of(tags: Tags) -> list[bytes]:
    if len(tags.digests) > 1:
        raise Problem(400, "If-None-Match of a change takes one entity tag, or *.")
    return [b"IFDNE", tags.digests[0]] if tags.digests else []


_ENDPOINTS = {
    b"GET": Endpoint(get, changes_data=False),
    b"HEAD": Endpoint(get, changes_data=False),
    b"PUT": Endpoint(put, changes_data=True),
    b"DELETE": Endpoint(delete, changes_data=True),
}

ROUTE = Route(PREFIX, _ENDPOINTS, ITEM, template="/v1/keys/{key}")
