"""What the OpenAPI document says of the past: /v1/history, /v1/diff, /v1/deleted, /v1/transactions."""

from __future__ import annotations

from typing import Any

from keystead.server.http.schemas import DB, FAILURES, TEXT, content, key_below, object_of, problem

_COUNT = {"type": "integer", "minimum": 0}
_MAYBE_COUNT = {"type": ["integer", "null"], "minimum": 0}
_NAME = {"type": "string"}
_MAYBE_TEXT = {"anyOf": [*TEXT["anyOf"], {"type": "null"}]}
_NEXT = {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Path of the next page; null: that was all."}
_MOMENT_TEXT = (
    "a sequence number, ISO 8601 (in the server's time zone unless it has one), Unix seconds as @1700000000, or -10m, "
    "yesterday 18:00, 18:00, now."
)

GONE = problem("Retention has let that go; `detail` says how far back one can go.")
MOMENT: dict[str, Any] = object_of(sequence=_COUNT, time_ms=_COUNT)
AT = {
    "name": "at",
    "in": "query",
    "description": f"As it was then: {_MOMENT_TEXT}",
    "schema": {"type": "string", "minLength": 1},
}


def _parameter(name: str, description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


_PAGE_SIZE = _parameter(
    "count",
    "Entries a page; fewer when values are long.",
    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
)
_PREFIX = _parameter("prefix", "Only keys that begin with it.", {"type": "string"})


def _operation(name: str, summary: str, description: str, parameters: list[Any], page: Any) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["history"],
        "summary": summary,
        "description": description,
        "parameters": [*parameters, DB],
        "responses": {
            "200": {"description": "A page.", "content": page},
            **{status: FAILURES[status] for status in ("400", "401", "403")},
            "410": GONE,
            **{status: FAILURES[status] for status in ("429", "503")},
        },
    }


_CHANGE: dict[str, Any] = object_of(
    ("time_ms", "operation"),
    sequence=_MAYBE_COUNT | {"description": "Of its transaction; null: an expiry that is no transaction."},
    time_ms=_COUNT | {"description": "When it was committed; of an expiry, when it took effect."},
    operation=_NAME,
    user=_NAME,
    client=_NAME,
    size=_MAYBE_COUNT | {"description": "Bytes of the value; null: there is no such key after it."},
    value=_MAYBE_TEXT,
    expires_at_ms=_MAYBE_COUNT,
)
_CHANGED = {
    "sequence": 2,
    "time_ms": 1795658663497,
    "operation": "put",
    "user": "default",
    "client": "127.0.0.1:50000",
    "size": 5,
    "value": "hello",
    "expires_at_ms": None,
}

HISTORY = _operation(
    "get_history",
    "The past of a key",
    "Its changes, newest first: when, what, by whom, and the value after each.",
    [
        *key_below("/v1/history/"),
        _PAGE_SIZE,
        _parameter("before", "Only changes before that transaction.", {"type": "integer", "minimum": 0}),
        _parameter("values", "Whether values are shown.", {"enum": ["true", "false"], "default": "true"}),
    ],
    content(object_of(changes={"type": "array", "items": _CHANGE}, next=_NEXT), {"changes": [_CHANGED], "next": None}),
)

_DIFFERENCE = object_of(
    ("key",),
    key=TEXT,
    before=_MAYBE_TEXT,
    before_expires_at_ms=_MAYBE_COUNT,
    after=_MAYBE_TEXT,
    after_expires_at_ms=_MAYBE_COUNT,
)


def _moment(name: str, description: str, example: str, **schema: Any) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, **schema}
    required = "default" not in schema
    return _parameter(name, f"{description}: {_MOMENT_TEXT}", schema, required=required, example=example)


DIFF = _operation(
    "get_diff",
    "What changed between two moments",
    "The keys that are not the same at the two moments, in order, with both values; null: no such key.",
    [
        _moment("from", "The one moment", "0"),
        _moment("to", "The other one", "now", default="now"),
        _PREFIX,
        _parameter("after", "Go on after this key.", {"type": "string"}),
        _PAGE_SIZE,
    ],
    content(
        {
            "type": "object",
            "properties": {
                "from": MOMENT,
                "to": MOMENT,
                "changes": {"type": "array", "items": _DIFFERENCE},
                "next": _NEXT,
            },
            "required": ["from", "to", "changes", "next"],
        },
        {
            "from": {"sequence": 0, "time_ms": 0},
            "to": {"sequence": 2, "time_ms": 1795658663497},
            "changes": [
                {
                    "key": "greeting",
                    "before": None,
                    "before_expires_at_ms": None,
                    "after": "hello",
                    "after_expires_at_ms": None,
                }
            ],
            "next": None,
        },
    ),
)

DELETED = _operation(
    "get_deleted",
    "Keys that are gone",
    "Keys that were deleted, expired or flushed within what is kept and are not there now, the last removed first, "
    "with the value they had.",
    [_PREFIX, _parameter("before", "Go on there; as in `next`.", {"type": "string", "pattern": "^[0-9]+"}), _PAGE_SIZE],
    content(
        object_of(
            keys={
                "type": "array",
                "items": object_of(
                    ("key", "operation", "value"),
                    key=TEXT,
                    sequence=_MAYBE_COUNT,
                    time_ms=_COUNT,
                    operation=_NAME,
                    user=_NAME,
                    client=_NAME,
                    value=TEXT,
                    expires_at_ms=_MAYBE_COUNT,
                ),
            },
            next=_NEXT,
        ),
        {
            "keys": [
                {
                    "key": "greeting",
                    "sequence": 3,
                    "time_ms": 1795658663497,
                    "operation": "delete",
                    "user": "default",
                    "client": "127.0.0.1:50000",
                    "value": "hello",
                    "expires_at_ms": None,
                }
            ],
            "next": None,
        },
    ),
)

TRANSACTIONS = _operation(
    "get_transactions",
    "Who did what, in order",
    "Transactions from a moment on, oldest first, or with `before` the newest first, with their operations. Of a very "
    "large one the first 1,000 operations are shown, and `left_out` counts the rest.",
    [
        _parameter(
            "from",
            f"The first transaction, or the time behind which to begin: {_MOMENT_TEXT} Without it the oldest kept.",
            {"type": "string", "minLength": 1},
        ),
        _parameter(
            "before",
            "The newest first: those before that transaction, or up to that time, such as now; `from` is then where "
            "they end.",
            {"type": "string", "minLength": 1},
        ),
        _PREFIX,
        _parameter("author", "Only of this user, or of this client's name or address.", {"type": "string"}),
        _PAGE_SIZE,
    ],
    content(
        object_of(
            transactions={
                "type": "array",
                "items": object_of(
                    sequence=_COUNT,
                    time_ms=_COUNT,
                    user=_NAME,
                    client=_NAME,
                    operations={
                        "type": "array",
                        "items": object_of(
                            ("operation", "db"),
                            operation=_NAME,
                            db=_COUNT,
                            key=_MAYBE_TEXT,
                            size=_MAYBE_COUNT,
                            offset=_MAYBE_COUNT,
                            expires_at_ms=_MAYBE_COUNT,
                            swapped_with=_MAYBE_COUNT,
                        ),
                    },
                    left_out=_COUNT,
                ),
            },
            next=_NEXT,
        ),
        {
            "transactions": [
                {
                    "sequence": 1,
                    "time_ms": 1795658663497,
                    "user": "default",
                    "client": "127.0.0.1:50000",
                    "operations": [
                        {
                            "operation": "put",
                            "db": 0,
                            "key": "greeting",
                            "size": 5,
                            "offset": None,
                            "expires_at_ms": None,
                            "swapped_with": None,
                        }
                    ],
                    "left_out": 0,
                }
            ],
            "next": None,
        },
    ),
)
