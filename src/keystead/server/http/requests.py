"""One request: what was asked, by whom, and the way to answer it.

Routes get this object. It knows the session that commands are executed in, and takes exactly one answer.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from keystead.server.http.problems import Problem, problem_of_redis_error
from keystead.server.http.responses import Response

if TYPE_CHECKING:
    from keystead.execution.session import Session
    from keystead.execution.users import User
    from keystead.server.http.calls import Calls
    from keystead.server.http.connection import Connection
    from keystead.server.http.routes import Endpoint

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


class Request:
    """What came over the wire, header names in small letters. A header sent twice is joined by a comma."""

    __slots__ = (
        "admitted",
        "authority",
        "body",
        "complete",
        "connection",
        "endpoint",
        "headers",
        "keep_alive",
        "length",
        "method",
        "parts",
        "path",
        "problem",
        "query",
        "received",
        "user",
        "version",
    )

    def __init__(
        self,
        connection: Connection,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        *,
        keep_alive: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.headers = headers
        self.version = "1.1"
        """"1.0" or "1.1"."""
        self.authority: bytes | None = None
        """Of a target in absolute form, as proxies are sent it; it counts as the Host."""
        if not target.startswith(b"/"):
            match = _ABSOLUTE.match(target)
            if match:
                self.authority = match[1]
                target = target[match.end() :]
        self.path, _, self.query = target.partition(b"?")
        """The raw path, percent signs and all; the raw query string."""
        self.keep_alive = keep_alive
        self.parts: list[bytes] = []
        self.received = 0
        """Bytes of the body so far."""
        self.body = b""
        """The whole body, once `complete`."""
        self.complete = False
        self.admitted = False
        """Guards and authentication have let it through, or `problem` says why not."""
        self.problem: Problem | None = None
        self.endpoint: Endpoint | None = None
        self.user: User | None = None
        """Who asks; None for a route that does not want to know."""

    @property
    def session(self) -> Session:
        """Of this connection, logged in as the user who asks."""
        return self.connection.session

    @property
    def calls(self) -> Calls:
        """Executes commands."""
        return self.connection.server.calls

    def check_may(self, like: list[bytes]) -> None:
        """Who may run that command may do this. Problem for others."""
        refusal = self.session.executor.may(self.session.user, like)
        if refusal is not None:
            raise problem_of_redis_error(refusal)

    def start(self, args: list[bytes], executed: Callable[[bytes], None]) -> None:
        """Execute a command; *executed* is called with its reply, mostly within this call, and may `answer`. A Problem
        that it raises is the answer."""

        def executed_later(reply: bytes) -> None:
            try:
                executed(reply)
            except Problem as problem:  # within this call it is the caller's, who answers it too
                self.answer(self.response_to(problem))

        self.calls.start(self.session, args, executed, executed_later)

    def answer(self, response: Response) -> None:
        """Give the answer: written at once, or when everything that it depends on is durable."""
        self.connection.answer(self, response)

    def response_to(self, problem: Problem) -> Response:
        """How *problem* is told where the request went."""
        dialect = self.endpoint.dialect if self.endpoint is not None else None
        return problem.response() if dialect is None else dialect.tell(problem)

    # --- parameters --------------------------------------------------------------------------------------------------

    def parameters(self, known: Collection[str]) -> dict[str, str]:
        """The parameters of the query string as text. Problem for one that is not *known*, or is given twice."""
        return {name: _text(value) for name, value in self.raw_parameters(known).items()} if self.query else {}

    def raw_parameters(self, known: Collection[str]) -> dict[str, bytes]:
        """Like `parameters`, for those whose values may be any bytes."""
        found: dict[str, bytes] = {}
        if not self.query:
            return found
        for pair in self.query.split(b"&"):
            raw_name, _, raw_value = pair.partition(b"=")
            name = _text(_decoded(raw_name))
            if not name and not raw_value:
                continue
            if name not in known:
                raise Problem(400, f"There is no parameter {name!r} here.{_suggestion(name, known)}")
            if name in found:
                raise Problem(400, f"The parameter {name!r} is given more than once.")
            found[name] = _decoded(raw_value)
        return found

    def key_after(self, prefix: bytes, parameters: dict[str, str]) -> bytes:
        """The key that is the rest of the path after *prefix*, whatever bytes it consists of, or is named by ?key= in
        base64url."""
        rest = self.path[len(prefix) :]
        encoded = parameters.get("key")
        if encoded is None:
            return percent_decoded(rest)
        if rest:
            raise Problem(400, "The key is given twice: in the path and by the parameter 'key'.")
        return from_base64url(encoded)


def whole_number(parameters: Mapping[str, bytes], name: str, default: int, least: int, most: int) -> int:
    """A parameter that is a number within these bounds. Problem for what is none."""
    given = parameters.get(name)
    if given is None:
        return default
    if not given.isdigit() or len(given) > 16 or not least <= int(given) <= most:
        raise Problem(400, f"The parameter {name!r} must be a whole number from {least} to {most}.")
    return int(given)


def percent_decoded(text: bytes) -> bytes:
    """The bytes that a piece of a raw path stands for. Problem for a percent sign without two hexadecimal digits."""
    if b"%" not in text:
        return text
    if _BROKEN_ESCAPE.search(text):
        raise Problem(400, "A percent sign in the path must be followed by two hexadecimal digits; write %25 for '%'.")
    return unquote_to_bytes(text)


def from_base64url(text: str, parameter: str = "key") -> bytes:
    """The bytes that a parameter names; padding may be left out. Problem for what is no base64url."""
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise Problem(
            400, f"The parameter {parameter!r} must be bytes in base64url (letters, digits, - and _)."
        ) from None


def to_base64url(data: bytes) -> str:
    """As ?key= takes it, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Problem(400, "Parameters must be UTF-8 text; name other keys by ?key= in base64url.") from None


def _suggestion(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.5)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known are: {', '.join(known)}." if known else ""
