"""What the OpenAPI document says of /v1/keys."""

from __future__ import annotations

from typing import Any

from keystead.server.http.history_document import AT, GONE, MOMENT
from keystead.server.http.schemas import DB, FAILURES, ONCE_FAILURES, TEXT, content, object_of, problem

_COUNT = {"type": "integer", "minimum": 0}
_ITEM = object_of(
    ("name",),
    name=TEXT,
    folder={"type": "boolean", "description": "`name` stands for all keys that begin with it."},
    keys=_COUNT | {"description": "How many keys are in the folder."},
    at_least={"type": "boolean", "description": "There may be more keys in the folder that this user may read."},
    value=TEXT,
    type={"type": "string", "examples": ["string"]},
    ttl={"type": ["number", "null"], "description": "Seconds to live; null for ever."},
    size=_COUNT | {"description": "Bytes of the value."},
)
_PAGE = object_of(
    ("items", "total", "next"),
    items={"type": "array", "items": _ITEM},
    total={
        "type": ["integer", "null"],
        "description": "Keys that begin with `prefix`; null when not all may be read, or of the past without folders.",
    },
    next={"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Path of the next page; null on the last."},
    at=MOMENT | {"description": "With ?at=: the moment that is shown."},
)


def _parameter(name: str, description: str, schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    found = {"name": name, "in": "query", "description": description, "schema": schema}
    return found if example is None else found | {"example": example}


COLLECTION: dict[str, Any] = {
    "get": {
        "operationId": "list_keys",
        "tags": ["keys"],
        "summary": "Keys in order, page by page",
        "description": (
            "In the order of their bytes, from an index: no scan. With `delimiter` keys are folded into folders with "
            "exact counts. A page goes on after a key, so it neither skips nor repeats what others add and remove "
            "meanwhile. It shows what is durable."
        ),
        "parameters": [
            _parameter("prefix", "Only keys that begin with it; percent-encoded bytes.", {"type": "string"}, "user:"),
            _parameter("after", "Go on after this key or folder.", {"type": "string"}),
            _parameter("offset", "Begin at this position instead.", {"type": "integer", "minimum": 0}),
            _parameter(
                "limit", "Items a page.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, 10
            ),
            _parameter(
                "delimiter",
                "Ends a folder, such as ':'.",
                {"type": "string", "minLength": 1},
            ),
            _parameter(
                "include",
                "What else to show of each key: value, type, ttl, size, separated by commas. A page with long values "
                "ends early.",
                {"type": "string", "pattern": "^(value|type|ttl|size)(,(value|type|ttl|size))*$"},
                "value,ttl",
            ),
            AT,
            DB,
        ],
        "responses": {
            "200": {
                "description": "A page.",
                "content": content(
                    _PAGE, {"items": [{"name": "user:1", "value": "Ada", "ttl": None}], "total": 1, "next": None}
                ),
            },
            "410": GONE,
            **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503")},
        },
    },
    "delete": {
        "operationId": "delete_keys",
        "tags": ["keys"],
        "summary": "Delete every key that begins with a prefix",
        "description": (
            "In one piece, as one transaction. With `expect`, the `total` of a listing, nothing is deleted when there "
            "is another number of keys by now. Of a user who may not read every key it deletes those that he may read; "
            "when he may not delete one of them it deletes none."
        ),
        "parameters": [
            _parameter("prefix", "Of the keys; percent-encoded bytes.", {"type": "string", "minLength": 1}, "user:"),
            _parameter("expect", "How many keys there must be.", {"type": "integer", "minimum": 0}),
            _parameter("all", "Every key of the database: instead of a prefix.", {"type": "boolean"}),
            DB,
        ],
        "responses": {
            "200": {
                "description": "They are deleted.",
                "content": content(
                    object_of(
                        deleted=_COUNT | {"description": "How many."},
                        sequence={
                            "type": ["integer", "null"],
                            "description": "Of the transaction, to undo it; null when nothing was deleted, and where "
                            "the answer is recorded with it (Idempotency-Key) or the user is a restricted one.",
                        },
                    ),
                    {"deleted": 3, "sequence": 4711},
                ),
            },
            "409": problem(
                "There are not as many keys as expected: `keys` says how many. Or the first request with this "
                "Idempotency-Key is still being executed."
            ),
            "422": ONCE_FAILURES["422"],
            **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503", "507")},
        },
    },
}
