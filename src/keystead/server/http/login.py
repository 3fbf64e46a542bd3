"""/v1/session: log in with a name and a password, who is logged in and what he may do, log out. For browsers: a cookie
stands for the login from then on.

Programs have no need of it: each of their requests says who asks. Owns: the three answers. Must not know: how passwords
are checked and how long a login lasts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from keystead.server.http import bodies, cookies
from keystead.server.http.login_document import LOG_IN, LOG_OUT, WHO
from keystead.server.http.responses import Response
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.execution.users import User
    from keystead.server.http.problems import Problem
    from keystead.server.http.requests import Request


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Who wants to come in."""

    password: str
    user: str = "default"


_decode = msgspec.json.Decoder(Credentials).decode


def log_in(request: Request) -> None:
    """POST: begin a login that lasts."""
    request.parameters(())
    authentication = request.connection.server.authentication
    given = bodies.decoded(request, _decode)
    authentication.check_password(request, given.user.encode(), given.password.encode(), partial(_logged_in, request))


def _logged_in(request: Request, problem: Problem | None) -> None:
    user = request.user
    if problem is not None or user is None:
        if problem is not None:
            request.answer(problem.response())
        return
    server = request.connection.server
    former = cookies.secret_in(request)
    if former is not None:
        server.authentication.standing.end(former)
    cookie = cookies.setting(request, server.authentication.standing.begin(user))
    request.answer(_told(request, user)._replace(headers=(cookie,)))


def who(request: Request) -> None:
    """GET: who is logged in; nobody, where somebody must be, is an answer too."""
    request.parameters(())
    authentication = request.connection.server.authentication
    if b"authorization" in request.headers:
        authentication.check(request, lambda problem: request.answer(_outcome(request, problem)))
    else:
        request.answer(_told(request, authentication.user_at_once(request)))


def _outcome(request: Request, problem: Problem | None) -> Response:
    return problem.response() if problem is not None else _told(request, request.user)


def log_out(request: Request) -> Response:
    """DELETE: the cookie stands for nobody any more."""
    request.parameters(())
    secret = cookies.secret_in(request)
    if secret is not None:
        request.connection.server.authentication.standing.end(secret)
    return Response(204, headers=(cookies.clearing(request),))


def _told(request: Request, user: User | None) -> Response:
    permissions = user.permissions if user is not None else None
    server = request.connection.server
    return bodies.answer(
        {
            "mode": server.behind.mode,
            "user": user.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if user else None,
            "login_required": server.executor.access.requires_password,
            "may_write": permissions is not None and permissions.may_write,
            "may_admin": permissions is not None and permissions.may_administer,
            "reads_all_keys": permissions is not None and permissions.may_read_all,
        }
    )


def _endpoint(handler: object, *, changes_data: bool) -> Endpoint:
    return Endpoint(handler, changes_data=changes_data, asks_who=False)  # type: ignore[arg-type]


_WHO = _endpoint(who, changes_data=False)
ROUTE = Route(
    b"/v1/session",
    {
        b"GET": _WHO,
        b"HEAD": _WHO,
        b"POST": _endpoint(log_in, changes_data=True),
        b"DELETE": _endpoint(log_out, changes_data=True),
    },
    {"get": WHO, "post": LOG_IN, "delete": LOG_OUT},
)
