"""The OpenAPI document of every route, and the page that shows it.

Lean routes bring their part of the document along; those of FastAPI are described by it. The page is Swagger UI, whose
files come from a package, so that it needs no other server. Must not know: what routes do.
"""

from __future__ import annotations

import copy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import FileResponse, HTMLResponse, Response

from keystead.server.http.problems import Problem
from keystead.server.http.routes import Route, Routes

DESCRIPTION: Final = """\
A durable key-value store: an answered write is on disk. The same store speaks the Redis protocol on another port.

Keys and values are bytes. In JSON a string stands for its UTF-8 text; bytes that are not UTF-8 are `{"base64": "…"}`.
Errors are problem documents (RFC 9457); those of commands carry Redis' own text in `redis_error`.
"""

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What is wrong, and what to do about it (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "redis_error": {"type": "string", "description": "The error of the command, as the Redis protocol has it."},
    },
    "required": ["type", "title", "status", "detail"],
    "example": Problem(404, "There is no such key in this database.").document(),
}
TAGS: Final = {
    "keys": "One value, or a page of keys.",
    "commands": "Several operations at once, and any command.",
    "history": "What was: the past of a key, of all keys, and who did what.",
    "changes": "What changed, as it changes.",
    "session": "Logging in, for browsers.",
    "upstash": "The REST dialect of Upstash, so that its clients work unchanged.",
    "health": "Probes and metrics.",
}

PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Keystead: HTTP API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START: Final = """\
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
"""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)
"""Swagger UI writes style attributes; nothing else is allowed that does not come from this server."""
FILES: Final = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon.png")

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page() -> Response:
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    return Response(START, media_type="text/javascript")


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    if name not in FILES:
        raise Problem(404, f"There is nothing at /docs/{name[:100]}.")
    return FileResponse(_assets() / name, headers={"Cache-Control": "private, max-age=86400"})


@cache
def _assets() -> Path:
    spec = find_spec("fastapi_offline")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "static"


def document(application: FastAPI, lean: Routes) -> dict[str, Any]:
    """The whole document: of the application's routes and the *lean* ones."""
    if application.openapi_schema is None:
        found = get_openapi(
            title=application.title,
            version=application.version,
            description=application.description,
            routes=application.routes,
        )
        for route in filter(_is_documented, lean.all):
            found["paths"][route.template or route.path.decode()] = copy.deepcopy(dict(route.documentation))
        components = found.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = PROBLEM
        components["securitySchemes"] = {
            "password": {"type": "http", "scheme": "basic", "description": "A user's name and password."},
            "token": {"type": "http", "scheme": "bearer", "description": "A token, from keystead user token."},
        }
        found["security"] = [{}, {"password": []}, {"token": []}]
        found["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
        found["paths"] = dict(sorted(found["paths"].items(), key=lambda path: _place(path[1])))
        application.openapi_schema = found
    return application.openapi_schema


def _is_documented(route: Route) -> bool:
    return bool(route.documentation)  # files of pages are no part of the API


def _place(item: dict[str, Any]) -> int:
    """Paths in the order of their tags."""
    operation: dict[str, Any] = next(iter(item.values()))
    names = list(TAGS)
    return min((names.index(tag) for tag in operation.get("tags", ()) if tag in TAGS), default=len(names))
