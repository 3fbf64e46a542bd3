"""The FastAPI application: every route that is not lean, and the OpenAPI document of them all.

Imported in a thread after the server serves (see server), never with `keystead` or by the embedded store.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request as AsgiRequest
from starlette.responses import Response as AsgiResponse

import keystead
from keystead.server.http import openapi
from keystead.server.http.problems import Problem
from keystead.server.http.requests import Request
from keystead.server.http.routes import Routes


def current(request: AsgiRequest) -> Request:
    """The request as the connection knows it: its session, calls, raw path."""
    found: Request = request.scope["keystead"]
    return found


Current = Annotated[Request, Depends(current)]
"""Parameter of a route that needs the session."""


def build_for_store() -> FastAPI:
    """The application of a server whose routes are those of a store."""
    from keystead.server.http import changes, export  # imported here, because they need what is above
    from keystead.server.http.lean import lean_routes

    return build(lean_routes(), [changes.router, export.router], openapi.DESCRIPTION)


def build(lean: Routes, routers: list[APIRouter], description: str) -> FastAPI:
    """The application that answers *routers*, and describes them and the *lean* ones."""
    application = FastAPI(
        title="Keystead", version=keystead.__version__, description=description, docs_url=None, redoc_url=None
    )
    for router in (openapi.router, *routers):
        application.include_router(router)
    application.openapi = lambda: openapi.document(application, lean)  # type: ignore[method-assign]
    application.add_exception_handler(Problem, _problem)
    application.add_exception_handler(RequestValidationError, _invalid)
    application.add_exception_handler(HTTPException, _http_exception)
    return application


def answer_of(problem: Problem) -> AsgiResponse:
    """A problem as Starlette's response."""
    status, body, content_type, headers, *_ = problem.response()
    raw = {name.decode(): value.decode("latin-1") for name, value in headers}
    return AsgiResponse(bytes(body), status, raw, content_type.decode())


async def _problem(_request: AsgiRequest, problem: Any) -> AsgiResponse:
    return answer_of(problem)


async def _invalid(_request: AsgiRequest, error: Any) -> AsgiResponse:
    mistakes = [
        {"where": ".".join(str(part) for part in mistake["loc"]), "mistake": mistake["msg"]}
        for mistake in error.errors()
    ]
    first = mistakes[0]
    return answer_of(Problem(400, f"{first['where']}: {first['mistake']}.", members={"mistakes": mistakes}))


async def _http_exception(request: AsgiRequest, error: Any) -> AsgiResponse:
    headers = {name.encode(): value.encode() for name, value in (error.headers or {}).items()}
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path[:200]}; the keys are below /v1/keys/, all routes at /docs."
    elif error.status_code == 405:
        allowed = headers.get(b"Allow", b"").decode()
        detail = f"{request.method} is not allowed here{'; use ' + allowed if allowed else ''}."
    else:
        detail = str(error.detail)
    return answer_of(Problem(error.status_code, detail, headers=headers))
