"""What the OpenAPI document says of /v1/session."""

from __future__ import annotations

from typing import Any

from keystead.server.http.schemas import FAILURES, content, object_of, problem

_BOOL = {"type": "boolean"}
_WHO = object_of(
    mode={"enum": ["store", "cluster"], "description": "What is behind this server, for pages that show it."},
    user={"type": ["string", "null"], "description": "Null: nobody is logged in, and somebody must be."},
    login_required=_BOOL | {"description": "Whether those who have not logged in may do nothing."},
    may_write=_BOOL | {"description": "Whether there are commands and keys by which this user may change data."},
    may_admin=_BOOL | {"description": "Whether users, clients and the configuration are this user's, too."},
    reads_all_keys=_BOOL,
)
_EXAMPLE = {
    "mode": "store",
    "user": "default",
    "login_required": False,
    "may_write": True,
    "may_admin": True,
    "reads_all_keys": True,
}
_COOKIE = {
    "Set-Cookie": {
        "description": "The cookie keystead-session-PORT: HttpOnly, SameSite=Strict, and Secure under TLS.",
        "schema": {"type": "string"},
    }
}


def _failures(*statuses: str) -> dict[str, Any]:
    return {status: FAILURES[status] for status in statuses}


WHO: dict[str, Any] = {
    "operationId": "session",
    "tags": ["session"],
    "summary": "Who is logged in, and what he may do",
    "responses": {
        "200": {"description": "Who.", "content": content(_WHO, _EXAMPLE)},
        **_failures("400", "401", "403", "429", "503"),
    },
}
LOG_IN: dict[str, Any] = {
    "operationId": "log_in",
    "tags": ["session"],
    "summary": "Log in, for browsers",
    "description": (
        "A cookie stands for the user from then on: for twelve hours, until the server starts anew, the user is "
        "deleted or his password is changed. Requests that carry it are refused when another site's page sends them, "
        "reads too. Programs send Basic or Bearer credentials with each request instead."
    ),
    "security": [],
    "requestBody": {
        "required": True,
        "content": content(
            object_of(("password",), user={"type": "string", "default": "default"}, password={"type": "string"})
            | {"additionalProperties": False},
            {"user": "default", "password": "secret"},
        ),
    },
    "responses": {
        "200": {"description": "Logged in.", "headers": _COOKIE, "content": content(_WHO, _EXAMPLE)},
        **_failures("400", "401", "403", "413", "429", "503"),
    },
}
LOG_OUT: dict[str, Any] = {
    "operationId": "log_out",
    "tags": ["session"],
    "summary": "Log out",
    "security": [],
    "responses": {
        "204": {"description": "The cookie stands for nobody any more.", "headers": _COOKIE},
        "400": problem("There are no parameters."),
        **_failures("403", "503"),
    },
}
