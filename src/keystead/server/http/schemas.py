"""Pieces of the OpenAPI document: JSON Schemas, of the structs that decode bodies too, and answers that are common.

Must not know: which routes there are.
"""

from __future__ import annotations

from typing import Any

import msgspec

TEXT = {
    "description": "A string of the store: text, or bytes in base64.",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"base64": {"type": "string", "contentEncoding": "base64"}},
            "required": ["base64"],
            "additionalProperties": False,
        },
    ],
}
ANYTHING: dict[str, Any] = {}


def schema_of(struct: type) -> dict[str, Any]:
    """The schema of *struct*, complete in itself. It must not contain itself."""
    schema = msgspec.json.schema(struct)
    found: dict[str, Any] = _inlined(schema, schema.get("$defs", {}))
    return found


def _inlined(schema: Any, defined: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(part, defined) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = _inlined(defined[schema["$ref"].rpartition("/")[2]], defined)
        return target | {name: value for name, value in schema.items() if name not in ("$ref", "$defs")}
    # "discriminator" of OpenAPI is only allowed with references; "const" of each alternative's "op" says the same.
    return {name: _inlined(value, defined) for name, value in schema.items() if name not in ("$defs", "discriminator")}


def object_of(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """An object with these members."""
    return {"type": "object", "properties": properties, "required": list(required or properties)}


def content(schema: dict[str, Any], example: Any, content_type: str = "application/json") -> dict[str, Any]:
    """The content of a body."""
    return {content_type: {"schema": schema, "example": example}}


def problem(description: str) -> dict[str, Any]:
    """An answer that is a problem document."""
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


DB = {
    "name": "db",
    "in": "query",
    "description": "The number of the database.",
    "schema": {"type": "integer", "minimum": 0, "maximum": 15, "default": 0},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "A random text of the client's own. When the request is sent again with it, because the answer was lost, it is "
        "answered as the first time and not executed again; for 24 hours."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!#-\[\]-~]+$"},
}
FAILURES: dict[str, Any] = {
    "400": problem("The request, or the command in it, is wrong; `detail` says what."),
    "401": problem("Nobody, or nobody known, is logged in."),
    "403": problem("This user, or a page of this site, may not do that."),
    "413": problem("The body is too long."),
    "429": problem("Too many logins from this address have failed."),
    "503": problem("Not now: the store is being read, or is too busy; `Retry-After` says when."),
    "507": problem("No room: reads, deletes and expiry go on."),
}
"""What every route that executes commands may answer."""
ONCE_FAILURES: dict[str, Any] = {
    "409": problem(
        "The key holds another type than the command is for; or the first request with this Idempotency-Key is still "
        "being executed."
    ),
    "422": problem("This Idempotency-Key came with another request before."),
}

PREFIX: dict[str, Any] = {
    "name": "prefix",
    "in": "query",
    "description": "Only keys that begin with it; percent-encoded bytes.",
    "schema": {"type": "string"},
    "example": "user:",
}


def key_below(path: str, example: str = "greeting") -> list[dict[str, Any]]:
    """The parameters of a route that takes a key: as what follows *path*, or by name."""
    return [
        {
            "name": "key",
            "in": "path",
            "required": True,
            "description": "The rest of the path, percent-decoded, whatever it contains: slashes too.",
            "schema": {"type": "string"},
            "example": example,
        },
        {
            "name": "key",
            "in": "query",
            "description": f"Instead of the path (which then ends in {path}): the key's bytes in base64url.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]*={0,2}$"},
        },
    ]
