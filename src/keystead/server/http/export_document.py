"""What the OpenAPI document says of /v1/export and /v1/import."""

from __future__ import annotations

from typing import Any

from keystead.server.http.schemas import DB, FAILURES, PREFIX, content, object_of

JSON_LINES = "application/x-ndjson"
EXAMPLE = """\
{"db":0,"key":"user:1","value":"Ada","expires_at_ms":4102444800000}
{"db":0,"key":{"base64":"/wA="},"value":{"base64":"gA=="}}
"""
_LINES = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}

EXPORT: dict[str, Any] = {
    "operationId": "export",
    "tags": ["keys"],
    "summary": "Keys and values as JSON lines",
    "description": (
        "One key a line, in order, as `keystead dump` writes them, streamed. Each key is as it is when its turn comes; "
        "what changes meanwhile may be there or not. A user is given what he may read."
    ),
    "parameters": [
        PREFIX,
        DB,
    ],
    "responses": {
        "200": {"description": "The lines.", "content": content(_LINES, EXAMPLE, JSON_LINES)},
        **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503")},
    },
}
IMPORT: dict[str, Any] = {
    "operationId": "import",
    "tags": ["keys"],
    "summary": "Import JSON lines",
    "description": (
        "What /v1/export and `keystead dump` write, at most 16 MiB; send more in several, of whole lines. All are "
        "checked before the first one is imported. Then they are, by transactions of up to 200 keys, each on disk "
        "before the next one; keys whose time is up are left out."
    ),
    "parameters": [
        {
            "name": "db",
            "in": "query",
            "description": "Into this database, whatever the lines say.",
            "schema": {"type": "integer", "minimum": 0, "maximum": 15},
        },
        {
            "name": "existing",
            "in": "query",
            "description": "Whether keys that exist are replaced or kept.",
            "schema": {"type": "string", "enum": ["replace", "keep"], "default": "replace"},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {JSON_LINES: {"schema": _LINES}} | content(_LINES, EXAMPLE, "text/plain"),
    },
    "responses": {
        "200": {
            "description": "How many keys were imported, kept as they were, and left out because their time was up.",
            "content": content(
                object_of(imported=_COUNT, kept=_COUNT, expired=_COUNT), {"imported": 2, "kept": 0, "expired": 0}
            ),
        },
        **{status: FAILURES[status] for status in ("400", "401", "403", "413", "429", "503", "507")},
    },
}
