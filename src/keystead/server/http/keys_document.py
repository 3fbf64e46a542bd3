"""What the OpenAPI document says of /v1/keys/{key}. The examples run (tests/server/http)."""

from __future__ import annotations

from typing import Any

from keystead.server.http.history_document import AT, GONE
from keystead.server.http.schemas import DB, FAILURES, key_below, problem

_KEY: list[dict[str, Any]] = [
    *key_below("/v1/keys/"),
    DB,
]
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "hello"}}
_ETAG = {"description": "The XXH3 digest of the value, in quotes.", "schema": {"type": "string"}}
_SHOWN = {
    "ETag": _ETAG,
    "Keystead-TTL": {
        "description": "Seconds to live, with milliseconds; absent for ever.",
        "schema": {"type": "string"},
    },
}


_ENCODING = {
    "name": "encoding",
    "in": "query",
    "description": (
        "The value was compressed so before it was stored: the answer says it as its Content-Encoding, so that a "
        "client that takes it has what is inside. The bytes are the same."
    ),
    "schema": {"enum": ["gzip", "deflate", "br", "zstd"]},
}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


_IF_MATCH = _header("If-Match", "Only if the value has one of these entity tags; `*`: only if there is one.")
_MISSING = problem("There is no such key.")
_UNMET = problem("The value is not what the condition asks for; nothing was changed.")
_OTHER_TYPE = problem("The key holds another type than a string.")


def _operation(name: str, summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    failures = {status: FAILURES[status] for status in ("400", "401", "403", "429", "503")}
    answers = dict(sorted({**responses, **failures, "409": _OTHER_TYPE, "412": _UNMET}.items()))
    return {"operationId": name, "tags": ["keys"], "summary": summary, "responses": answers, **more}


def _reading(name: str, summary: str, body: dict[str, Any]) -> dict[str, Any]:
    if_none_match = _header("If-None-Match", "Only if the value has none of these entity tags; else 304.")
    responses = {
        "200": {"description": "The value.", "headers": _SHOWN, **body},
        "304": {"description": "The value is the one that is known.", "headers": _SHOWN},
        "404": _MISSING,
        "406": problem("The client does not take that encoding."),
        "410": GONE,
    }
    return _operation(name, summary, responses, parameters=[*_KEY, AT, _ENCODING, _IF_MATCH, if_none_match])


_TTL = {
    "name": "ttl",
    "in": "query",
    "description": "Seconds to live, with up to three decimals; `keep` for what is left. Without it: for ever.",
    "schema": {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 999999999999}, {"const": "keep"}]},
}
_EMPTY = {
    "name": "empty",
    "in": "query",
    "description": "`true` to store the empty value on purpose: a request without a body is refused otherwise.",
    "schema": {"const": "true"},
}

ITEM: dict[str, Any] = {
    "get": _reading("get_key", "The value, byte for byte", {"content": _BYTES}),
    "head": _reading("head_key", "All but the value", {}),
    "put": _operation(
        "put_key",
        "Store the body as the value",
        {
            "201": {"description": "The key is new.", "headers": {"ETag": _ETAG}},
            "204": {"description": "The value was replaced.", "headers": {"ETag": _ETAG}},
            "413": FAILURES["413"],
            "415": problem("The body has a Content-Encoding; it is stored as it is."),
            "507": FAILURES["507"],
        },
        parameters=[*_KEY, _TTL, _EMPTY, _IF_MATCH, _header("If-None-Match", "`*`: only if there is no such key yet.")],
        requestBody={"content": _BYTES, "description": "The value, of any type; the type is not remembered."},
    ),
    "delete": _operation(
        "delete_key",
        "Delete the key",
        {"204": {"description": "It is gone."}, "404": _MISSING},
        parameters=[*_KEY, _IF_MATCH],
    ),
}
