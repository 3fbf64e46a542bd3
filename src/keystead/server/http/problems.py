"""What goes wrong, as HTTP says it: one document of type application/problem+json (RFC 9457) for every error.

Never HTML, never a traceback. An error of a command is told with its Redis text inside, so that clients of both
protocols can look for the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from keystead.commands.placement import NOT_AVAILABLE
from keystead.server.http.responses import Response

CONTENT_TYPE = b"application/problem+json"

STATUS_OF_REDIS_ERROR: Mapping[str, int] = {
    "WRONGTYPE": HTTPStatus.CONFLICT,
    "NOAUTH": HTTPStatus.UNAUTHORIZED,
    "WRONGPASS": HTTPStatus.UNAUTHORIZED,
    "NOPERM": HTTPStatus.FORBIDDEN,
    "READONLY": HTTPStatus.FORBIDDEN,
    "DENIED": HTTPStatus.FORBIDDEN,
    "OOM": HTTPStatus.INSUFFICIENT_STORAGE,
    "MISCONF": HTTPStatus.INSUFFICIENT_STORAGE,
    "LOADING": HTTPStatus.SERVICE_UNAVAILABLE,
    "EXECABORT": HTTPStatus.CONFLICT,
    "CONFLICT": HTTPStatus.CONFLICT,
    "NOTFOUND": HTTPStatus.NOT_FOUND,
    "GONE": HTTPStatus.GONE,
    "TRYAGAIN": HTTPStatus.SERVICE_UNAVAILABLE,
    "DAMAGED": HTTPStatus.INTERNAL_SERVER_ERROR,
    "CLUSTERDOWN": HTTPStatus.SERVICE_UNAVAILABLE,
    "MASTERDOWN": HTTPStatus.SERVICE_UNAVAILABLE,
    "NOREPLICAS": HTTPStatus.SERVICE_UNAVAILABLE,
    "UNKNOWNOUTCOME": HTTPStatus.GATEWAY_TIMEOUT,
}
"""By the first word of the error's text; every other one is the caller's mistake: 400."""


class Kind(NamedTuple):
    """A kind of problem that programs tell from others of the same status."""

    type: str
    """A URI: the name of the kind, not a page."""
    title: str


UNKNOWN_OUTCOME = Kind("urn:keystead:unknown-outcome", "Unknown outcome")
CROSS_SLOT = Kind("urn:keystead:cross-slot", "Keys of several slots")
CLUSTER_DOWN = Kind("urn:keystead:cluster-down", "The cluster is down")
NOT_IN_A_CLUSTER = Kind("urn:keystead:not-in-a-cluster", "Not in a cluster")

KIND_OF_REDIS_ERROR: Mapping[str, Kind] = {
    "UNKNOWNOUTCOME": UNKNOWN_OUTCOME,
    "CROSSSLOT": CROSS_SLOT,
    "CLUSTERDOWN": CLUSTER_DOWN,
}

INTERNAL_ERROR = "ERR internal error"
_DISCARDED_BECAUSE = "Transaction discarded because of: "
"""How a node tells why it executed nothing of a transaction; what follows is an error with a first word of its own."""


class Problem(Exception):  # an answer as much as an error: raised by whatever finds out, wherever that is
    """Why a request is not served, and what its sender can do about it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str = "",
        kind: Kind | None = None,
        redis_error: str | None = None,
        headers: Mapping[bytes, bytes] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """*title* is the *kind*'s, or the status' own phrase, unless given. *members* are further members of the
        document."""
        super().__init__(detail)
        self.status = int(status)
        self.has_kind = kind is not None
        self.type = "about:blank" if kind is None else kind.type
        self.title = title or (HTTPStatus(status).phrase if kind is None else kind.title)
        self.detail = detail
        self.redis_error = redis_error
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def document(self) -> dict[str, object]:
        """The members of the problem document."""
        found: dict[str, object] = {"type": self.type, "title": self.title, "status": self.status}
        found["detail"] = self.detail
        if self.redis_error is not None:
            found["redis_error"] = self.redis_error
        return found | self.members

    def response(self) -> Response:
        """The answer."""
        body = msgspec.json.encode(self.document())
        return Response(self.status, body, CONTENT_TYPE, tuple(self.headers.items()))


def problem_of_redis_error(text: str) -> Problem:
    """The answer to a command that failed with *text* ("WRONGTYPE Operation against …", with or without the "-")."""
    text = text.removeprefix("-").rstrip("\r\n").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = text.replace("\r", " ").replace("\n", " ")  # as the other protocol must
    word, _, rest = text.partition(" ")
    if NOT_AVAILABLE in text:
        return Problem(HTTPStatus.NOT_IMPLEMENTED, sentence(rest), kind=NOT_IN_A_CLUSTER, redis_error=text)
    if word == "EXECABORT" and (cause := text.partition(_DISCARDED_BECAUSE)[2]):
        word = cause.partition(" ")[0]
    status = 500 if text == INTERNAL_ERROR else STATUS_OF_REDIS_ERROR.get(word, HTTPStatus.BAD_REQUEST)
    headers = {b"Retry-After": b"1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {b"WWW-Authenticate": CHALLENGE}
    return Problem(
        status, sentence(rest or text), kind=KIND_OF_REDIS_ERROR.get(word), redis_error=text, headers=headers
    )


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


SCRIPT_CHALLENGE = b'Bearer realm="keystead"'
CHALLENGE = b'Basic realm="keystead", charset="UTF-8", ' + SCRIPT_CHALLENGE


def unavailable(detail: str, *, retry_after_s: int = 1, members: Mapping[str, object] | None = None) -> Problem:
    """503: not now, but soon."""
    headers = {b"Retry-After": b"%d" % retry_after_s}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers, members=members)
