"""What the OpenAPI document says of undo: /v1/changes/{sequence}/undo, /v1/restore/{key}. The examples run."""

from __future__ import annotations

from typing import Any

from keystead.server.http.history_document import GONE
from keystead.server.http.schemas import DB, FAILURES, TEXT, content, key_below, object_of, problem

_COUNT = {"type": "integer", "minimum": 0}
_PLACES = {"type": "array", "items": object_of(db=_COUNT, key=TEXT)}
_UNDONE = object_of(
    sequence=_COUNT | {"description": "Of the transaction that did it; it can be undone too."},
    restored=_COUNT | {"description": "Keys that were given their former value and expiry, or deleted."},
    skipped=_PLACES | {"description": "Keys that were changed since, and left alone."},
    without_expiry=_PLACES | {"description": "Keys whose time is up by now: they came back without an expiry."},
)
_CONFLICT: dict[str, Any] = {
    "description": (
        "It cannot be done to what there is now: keys were changed since (`conflicts` says how many, "
        "`keys` names the first hundred), there is nothing to undo, or the key exists."
    ),
    "content": {
        "application/problem+json": {
            "schema": {
                "allOf": [
                    {"$ref": "#/components/schemas/Problem"},
                    {"type": "object", "properties": {"conflicts": _COUNT, "keys": _PLACES}},
                ]
            }
        }
    },
}


def _example(sequence: int) -> dict[str, Any]:
    return {"sequence": sequence, "restored": 1, "skipped": [], "without_expiry": []}


def _operation(name: str, summary: str, description: str, missing: str, **more: Any) -> dict[str, Any]:
    failures = {**FAILURES, "404": problem(missing), "409": _CONFLICT, "410": GONE}
    return {
        "operationId": name,
        "tags": ["history"],
        "summary": summary,
        "description": description,
        **more,
        "responses": {
            "200": {"description": "It is done, and durable.", "content": content(_UNDONE, _example(4712))},
            **dict(sorted(failures.items())),
        },
    }


UNDO = _operation(
    "undo",
    "Undo a transaction",
    "What it changed is put back, by a transaction of its own, whatever its size. Sent again, it finds nothing to "
    "undo, and is 409.",
    "There is no such transaction.",
    parameters=[
        {
            "name": "sequence",
            "in": "path",
            "required": True,
            "description": "The number of the transaction, as the past and the change feed tell it.",
            "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
            "example": 4711,
        }
    ],
    requestBody={
        "required": False,
        "content": content(
            {
                "type": "object",
                "properties": {
                    "conflicts": {
                        "description": (
                            "What becomes of keys that were changed since. refuse: nothing is undone. skip: they stay "
                            "as they are. force: they are put back too."
                        ),
                        "enum": ["refuse", "skip", "force"],
                        "default": "refuse",
                    }
                },
                "additionalProperties": False,
            },
            {"conflicts": "skip"},
        ),
    },
)

RESTORE = _operation(
    "restore",
    "Bring one key back",
    "It is given the value and the expiry that it had at a moment, or that it had last before it was removed. Never "
    "deletes.",
    "There was no such key.",
    parameters=[
        *key_below("/v1/restore/"),
        DB,
    ],
    requestBody={
        "required": True,
        "content": content(
            {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {
                            "at": {
                                "description": "A moment: a sequence number, -10m, yesterday 18:00, ISO 8601, …",
                                "anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}],
                            }
                        },
                        "required": ["at"],
                        "additionalProperties": False,
                    },
                    {
                        "type": "object",
                        "properties": {
                            "last": {"description": "What it had last; only if it is not there now.", "const": True}
                        },
                        "required": ["last"],
                        "additionalProperties": False,
                    },
                ]
            },
            {"last": True},
        ),
    },
)
