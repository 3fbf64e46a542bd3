"""What the OpenAPI document says of /v1/memory."""

from __future__ import annotations

from typing import Any

from keystead.server.http.schemas import DB, FAILURES, PREFIX, TEXT, content, object_of

_COUNT = {"type": "integer", "minimum": 0}
_BYTES = _COUNT | {"description": "Of keys, values and what keeping them takes, as maxmemory counts."}
_ITEM = object_of(name=TEXT, folder={"type": "boolean"}, keys=_COUNT, bytes=_BYTES)
_USAGE = object_of(
    items={"type": "array", "items": _ITEM, "description": "The largest folders and keys, the largest first."},
    rest=object_of(keys=_COUNT, bytes=_BYTES) | {"description": "All others together."},
    keys=_COUNT,
    bytes=_BYTES,
)

DOCUMENT: dict[str, Any] = {
    "operationId": "memory",
    "tags": ["keys"],
    "summary": "What folders of keys take",
    "description": (
        "Exact: every key is looked at, which takes a second or two for a million, and in which others are served. A "
        "user is told of the keys whose size he may ask for."
    ),
    "parameters": [
        PREFIX,
        {
            "name": "delimiter",
            "in": "query",
            "description": "Ends a folder.",
            "schema": {"type": "string", "minLength": 1, "default": ":"},
        },
        {
            "name": "limit",
            "in": "query",
            "description": "So many folders and keys, the rest as one sum.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        },
        DB,
    ],
    "responses": {
        "200": {
            "description": "What they take.",
            "content": content(
                _USAGE,
                {
                    "items": [{"name": "user:1", "folder": False, "keys": 1, "bytes": 99}],
                    "rest": {"keys": 0, "bytes": 0},
                    "keys": 1,
                    "bytes": 99,
                },
            ),
        },
        **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503")},
    },
}
