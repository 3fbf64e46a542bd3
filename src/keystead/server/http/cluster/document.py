"""What the OpenAPI document says of the routes in front of a cluster, where it is another thing than of a store's.

Most of it is a store's, adapted: what is not there is left out, what may go wrong besides is added.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from keystead.server.http import commands_document, keys_document, listing_document, upstash_document
from keystead.server.http import export_document as transfer
from keystead.server.http.schemas import DB, TEXT, content, object_of, problem

DESCRIPTION: Final = """\
The doors of Keystead in front of a Redis or Valkey Cluster: what an answered write promises is `acknowledge` of
/v1/cluster. The same keys are reached by the Redis protocol on another port.

Keys and values are bytes. In JSON a string stands for its UTF-8 text; bytes that are not UTF-8 are `{"base64": "…"}`.
Errors are problem documents (RFC 9457); those of commands carry Redis' own text in `redis_error`. Keys that one request
changes together must be in one slot: give them the same `{…}`. What a cluster cannot do answers 501, and says what to
use instead.
"""

NOT_HERE: Final = ("Idempotency-Key", "at")
"""Parameters of a store's routes."""
NOT_ANSWERED: Final = ("410", "422", "507")
_DOWN: Final = (
    "The cluster cannot take this now (`urn:keystead:cluster-down`), and nothing was done; `Retry-After` says when."
)
_UNKNOWN: Final = (
    "Nobody knows whether it was done (`urn:keystead:unknown-outcome`): no replica has confirmed it in time, or the "
    "connection to the node was lost. Read what is there before it is sent again."
)
_ABSENT: Final = "A cluster cannot do this (`urn:keystead:not-in-a-cluster`); `detail` says what can be done."
_ONE_DATABASE: Final = DB | {
    "description": "There is database 0 only.",
    "schema": {"type": "integer", "minimum": 0, "maximum": 0, "default": 0},
}


def adapted(documentation: Mapping[str, Any]) -> dict[str, Any]:
    """A path item of a store, as it is here."""
    return {method: _operation(method, operation) for method, operation in documentation.items()}


def _operation(method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(dict(operation))
    parameters = found.get("parameters", [])
    had_key = any(parameter["name"] == "Idempotency-Key" for parameter in parameters)
    if parameters:
        found["parameters"] = [
            _ONE_DATABASE if parameter == DB else parameter
            for parameter in parameters
            if parameter["name"] not in NOT_HERE
        ]
    found["responses"] = _responses(found, changes=method != "get", may_be_absent=had_key)
    return found


def _responses(operation: Mapping[str, Any], *, changes: bool, may_be_absent: bool) -> dict[str, Any]:
    """What is answered here: with what a cluster adds, without what only a store can say."""
    told = upstash_document.error if "upstash" in operation["tags"] else problem
    found = {status: response for status, response in operation["responses"].items() if status not in NOT_ANSWERED}
    if "503" in found:
        found["503"] = told(_DOWN)
    if "409" in found:
        found["409"] = told("The key holds another type than this is for.")
    if {"keys", "commands", "upstash"} & set(operation["tags"]):
        if changes:
            found |= {"504": told(_UNKNOWN), "507": told("No room on the node of the key.")}
        if may_be_absent:
            found["501"] = told(_ABSENT)
    return dict(sorted(found.items()))


KEYS: Final = adapted(keys_document.ITEM)

_BATCH_EXAMPLE: Final = {
    "operations": [
        {"op": "set", "key": "{account:1}:state", "value": "open", "if_absent": True},
        {"op": "increment", "key": "{account:1}:logins"},
    ]
}


def batch(documentation: Mapping[str, Any]) -> dict[str, Any]:
    """Of /v1/batch."""
    found = adapted(documentation)
    found["post"]["description"] = (
        "The operations run in order and in one step on the node of their slot, which must be one: give the keys the "
        "same `{…}`. When one fails, or its condition does not hold, those before it are undone within the same step, "
        "and the problem's `operation` says which one it was, from 0. Replies of commands are those of RESP2."
    )
    found["post"]["summary"] = commands_document.BATCH["summary"] + ", on keys of one slot"
    found["post"]["requestBody"]["content"]["application/json"]["example"] = _BATCH_EXAMPLE
    return found


def transaction(documentation: Mapping[str, Any]) -> dict[str, Any]:
    """Of /multi-exec."""
    found = adapted(documentation)
    found["post"]["summary"] += ", on keys of one slot"
    found["post"]["requestBody"]["content"]["application/json"]["example"] = [
        ["SET", "{k}:state", "v"],
        ["INCR", "{k}:visits"],
    ]
    return found


def _listing() -> dict[str, Any]:
    get: dict[str, Any] = adapted(listing_document.COLLECTION)["get"]
    item = object_of(
        ("name",),
        name=TEXT,
        value={"anyOf": [TEXT, {"type": "null"}], "description": "Null of another type than a string."},
        type={"type": "string", "examples": ["string", "hash"]},
        ttl={"type": ["number", "null"], "description": "Seconds to live; null for ever."},
        size={"type": ["integer", "null"], "description": "Bytes of the value; null of another type than a string."},
    )
    page = object_of(
        items={"type": "array", "items": item},
        total={"type": "null", "description": "Nobody counts the keys of a prefix."},
        next={"type": ["string", "null"], "description": "Path of the next page; null on the last."},
        order={"const": "none"},
    )
    kept = [parameter for parameter in get["parameters"] if parameter["name"] in ("prefix", "include", "db")]
    more = [
        {
            "name": "limit",
            "in": "query",
            "description": "About so many keys a page; it may be fewer, or none, and yet not the last page.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
            "example": 10,
        },
        {
            "name": "cursor",
            "in": "query",
            "description": "Where to go on, as `next` has it.",
            "schema": {"type": "string", "pattern": "^[0-9]{1,40}$"},
        },
    ]
    example = {
        "items": [{"name": "user:1", "value": "Ada", "ttl": None}],
        "total": None,
        "next": None,
        "order": "none",
    }
    return get | {
        "summary": "Keys, page by page, in no order",
        "description": (
            "By SCAN on one primary after the other. A key that is there all the while is on some page, perhaps on "
            "two; one that comes or goes meanwhile may be on one or not. `include` shows at most 1 MiB of values a "
            "page: further ones have no `value`."
        ),
        "parameters": [*kept, *more],
        "responses": get["responses"] | {"200": {"description": "A page.", "content": content(page, example)}},
    }


COLLECTION: Final = {"get": _listing()}

EXPORT: Final = _operation("get", transfer.EXPORT) | {
    "summary": "Strings as JSON lines",
    "description": (
        "One key a line, as `keystead dump` writes them, in no order, streamed. Each key is as it is when its turn "
        "comes, and may come twice; what changes meanwhile may be there or not. Keys of other types than strings are "
        "left out. A user is given what he may read."
    ),
}


def _import() -> dict[str, Any]:
    found = _operation("post", transfer.IMPORT)
    found["description"] = (
        "What /v1/export and `keystead dump` write, at most 16 MiB; send more in several, of whole lines. All are "
        "checked before the first one is imported. Then each key is set by itself; keys whose time is up are left "
        "out. When some cannot be set, the problem says how many were (`imported`), were not (`failed`), and of how "
        "many nobody knows (`unknown`)."
    )
    found["parameters"][0] |= {
        "description": "0: into the one database, whatever the lines say. Without it lines of others are refused.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 0},
    }
    return found


IMPORT: Final = _import()
