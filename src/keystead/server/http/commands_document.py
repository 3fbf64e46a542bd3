"""What the OpenAPI document says of /v1/batch, /v1/increment and /v1/commands. The examples run (tests/server/http)."""

from __future__ import annotations

from typing import Any

from keystead.server.http.schemas import (
    ANYTHING,
    DB,
    FAILURES,
    IDEMPOTENCY_KEY,
    ONCE_FAILURES,
    TEXT,
    content,
    key_below,
    object_of,
    problem,
)

NUMBER = {"type": "number"}

BATCH: dict[str, Any] = {
    "operationId": "batch",
    "tags": ["commands"],
    "summary": "Several operations, all or nothing",
    "description": (
        "The operations run in order as one transaction. When one fails, or its condition does not hold, those before "
        "it are undone, and the problem's `operation` says which one it was, from 0."
    ),
    "parameters": [DB, IDEMPOTENCY_KEY],
    "responses": {
        "200": {
            "description": "All was done. One result for each operation, in order.",
            "content": content(
                object_of(results={"type": "array", "items": {"type": "object"}}),
                {"results": [{"etag": '"4d0b9bd0ac5f0ae9"'}, {"value": 1}]},
            ),
        },
        **FAILURES,
        **ONCE_FAILURES,
        "412": problem("A condition does not hold, so nothing was done."),
    },
}
BATCH_EXAMPLE = {
    "operations": [
        {"op": "set", "key": "account:1", "value": "open", "if_absent": True},
        {"op": "increment", "key": "accounts"},
    ]
}

INCREMENT: dict[str, Any] = {
    "operationId": "increment",
    "tags": ["commands"],
    "summary": "Add to a number",
    "description": "An absent key counts as 0. The key is the rest of the path, whatever it contains.",
    "parameters": [
        *key_below("/v1/increment/", "visits"),
        {
            "name": "by",
            "in": "query",
            "description": "What to add: an integer, or a decimal fraction.",
            "schema": {"type": "number", "default": 1},
        },
        {
            "name": "ttl",
            "in": "query",
            "description": "Seconds to live, for a key that has no time to live.",
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 999999999999},
        },
        DB,
        IDEMPOTENCY_KEY,
    ],
    "responses": {
        "200": {"description": "What it is now.", "content": content(object_of(value=NUMBER), {"value": 1})},
        **FAILURES,
        **ONCE_FAILURES,
    },
}

_COUNT = {"type": "integer", "minimum": 0}
_NAMES = {"type": "array", "items": {"type": "string"}}

FORGET: dict[str, Any] = {
    "operationId": "forget",
    "tags": ["commands"],
    "summary": "Erase a key and its past for good",
    "description": (
        "Answered when no file of the store has the key, its values or its name any more. What was written to it after "
        "the transaction `sequence` stays. `backups`, `broken` and `logs` are places and files that may have it and "
        "are not changed. The key is the rest of the path, whatever it contains."
    ),
    "parameters": [
        *key_below("/v1/forget/", "user:17"),
        DB,
    ],
    "responses": {
        "200": {
            "description": "It is gone.",
            "content": content(
                object_of(
                    sequence=_COUNT,
                    operations=_COUNT,
                    files=_COUNT,
                    bytes=_COUNT,
                    backups=_NAMES,
                    broken=_NAMES,
                    logs=_NAMES,
                ),
                {
                    "sequence": 4711,
                    "operations": 12,
                    "files": 3,
                    "bytes": 201326592,
                    "backups": ["s3://backups/shop"],
                    "broken": [],
                    "logs": [],
                },
            ),
        },
        **FAILURES,
    },
}

COMMAND: dict[str, Any] = {
    "operationId": "command",
    "tags": ["commands"],
    "summary": "Any command",
    "description": (
        "A command of the Redis protocol and its arguments. Commands that change the state of a connection (MULTI, "
        "SELECT, …) are refused: each request stands for itself."
    ),
    "parameters": [
        DB,
        {
            "name": "reply",
            "in": "query",
            "description": (
                "How the reply is written. json: as the nearest JSON value; bytes that are not UTF-8 as "
                '{"base64": "…"}. base64: every string in base64. typed: with the type of each part, as RESP3 has it.'
            ),
            "schema": {"enum": ["json", "base64", "typed"], "default": "json"},
        },
        IDEMPOTENCY_KEY,
    ],
    "requestBody": {
        "required": True,
        "content": content(
            {
                "anyOf": [
                    {"type": "array", "minItems": 1, "items": {"anyOf": [TEXT, NUMBER, {"type": "boolean"}]}},
                    object_of(
                        ("command",),
                        command={
                            "type": "array",
                            "minItems": 1,
                            "items": {"anyOf": [TEXT, NUMBER, {"type": "boolean"}]},
                        },
                        db=DB["schema"],
                    )
                    | {"additionalProperties": False},
                ]
            },
            ["SET", "greeting", "hello", "EX", 100],
        ),
    },
    "responses": {
        "200": {"description": "The reply.", "content": content(object_of(reply=ANYTHING), {"reply": "OK"})},
        **FAILURES,
        **ONCE_FAILURES,
    },
}
