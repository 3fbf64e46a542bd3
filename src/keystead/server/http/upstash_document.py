"""What the OpenAPI document says of the dialect of Upstash."""

from __future__ import annotations

from typing import Any

from keystead.server.http.schemas import ANYTHING, IDEMPOTENCY_KEY, content, object_of, problem

_ARGUMENT = {"type": ["string", "number", "boolean"]}
_ROW = {"type": "array", "minItems": 1, "items": _ARGUMENT}
_RESULT = {"anyOf": [object_of(result=ANYTHING), object_of(error={"type": "string"})]}
_HEADERS = [
    {
        "name": "Upstash-Encoding",
        "in": "header",
        "description": "base64: every string of the reply but OK is in base64.",
        "schema": {"enum": ["base64"]},
    },
    {
        "name": "_token",
        "in": "query",
        "description": "A token, for clients that send no Authorization header.",
        "schema": {"type": "string"},
    },
]


def error(description: str) -> dict[str, Any]:
    """An answer that tells what went wrong."""
    return {
        "description": description,
        "content": content(object_of(error={"type": "string"}), {"error": "ERR unknown command"}),
    }


_FAILURES = {
    "400": error("The command is wrong, or failed."),
    "401": error("Nobody, or nobody known, is logged in."),
    "403": error("A page of this site may not do that."),
    "413": error("The body is too long."),
    "422": error("This Idempotency-Key came with another request before."),
    "429": error("Too many logins from this address have failed."),
    "503": error("Not now; `Retry-After` says when."),
}


def _post(name: str, summary: str, schema: dict[str, Any], example: Any, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "post": {
            "operationId": name,
            "tags": ["upstash"],
            "summary": summary,
            "parameters": [*_HEADERS, IDEMPOTENCY_KEY],
            "requestBody": {"required": True, "content": content(schema, example)},
            "responses": {"200": answer, **_FAILURES},
        }
    }


_MANY = {
    "description": "One result or error for each command, in order.",
    "content": content({"type": "array", "items": _RESULT}, [{"result": "OK"}, {"result": 1}]),
}
_ONE = {"description": "The reply.", "content": content(object_of(result=ANYTHING), {"result": "OK"})}
_COMMANDS = {"type": "array", "minItems": 1, "items": _ROW}
_SOME = [["SET", "k", "v"], ["INCR", "visits"]]

COMMAND = _post("upstash_command", "One command", _ROW, ["SET", "k", "v", "EX", 100], _ONE)
PIPELINE = _post("upstash_pipeline", "Commands one after the other", _COMMANDS, _SOME, _MANY)
TRANSACTION = _post("upstash_transaction", "Commands as one transaction (MULTI, EXEC)", _COMMANDS, _SOME, _MANY)

_PATH = [
    {"name": "command", "in": "path", "required": True, "schema": {"type": "string"}, "example": "get"},
    {"name": "arguments", "in": "path", "required": True, "schema": {"type": "string"}, "example": "k"},
]


def _by_path(name: str, summary: str, **more: Any) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["upstash"],
        "summary": summary,
        "description": (
            "Arguments are separated by slashes; parameters of the query are arguments behind them: /set/k/v?EX=100. "
            "Counts as a request that changes data, whatever its method."
        ),
        "parameters": [*_PATH, *_HEADERS],
        "responses": {"200": _ONE, **_FAILURES, "404": problem("The path begins with no command.")},
        **more,
    }


BY_COMMAND: dict[str, Any] = {
    "get": _by_path("upstash_get", "One command, in the path"),
    "post": _by_path(
        "upstash_post",
        "One command, its last argument in the body",
        requestBody={"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    ),
}
