"""What the OpenAPI document says of /v1/changes."""

from __future__ import annotations

from typing import Any, get_args

from keystead.execution.change_events import Values
from keystead.server.http.schemas import content, problem

EXAMPLE = """\
retry: 1000

event: progress
id: 1f0c3d5a77e1b2c4.42.0
data: {"sequence":42}

id: 1f0c3d5a77e1b2c4.42.1
data: {"operation":"put","db":0,"time_ms":1700000000250,"key":"user:1","value":"Ada","user":"default"}

"""


def _parameter(name: str, description: str, schema: dict[str, Any], where: str = "query") -> dict[str, Any]:
    return {"name": name, "in": where, "required": False, "description": description, "schema": schema}


DOCUMENT: dict[str, Any] = {
    "operationId": "changes",
    "tags": ["changes"],
    "summary": "Follow what changes",
    "description": (
        "Every change that is durable, in the order of the log. The stream does not end by itself. An event's id is "
        "the history's id, the transaction's sequence number and the place in the transaction; a client that connects "
        "again with it as `Last-Event-ID` misses nothing and is told nothing twice."
    ),
    "parameters": [
        _parameter(
            "since",
            "Begin behind this event's id, or this transaction; 0: at the oldest that is kept. Without it: now.",
            {"type": "string"},
        ),
        _parameter("db", "Only changes of this database.", {"type": "integer", "minimum": 0, "maximum": 15}),
        _parameter("prefix", "Only keys that begin with this text.", {"type": "string"}),
        _parameter("prefix_base64url", "The prefix as bytes, in base64url.", {"type": "string"}),
        _parameter(
            "values",
            "How values are shown: not at all; as text (in base64url where they are not UTF-8); always in base64url.",
            {"type": "string", "enum": list(get_args(Values)), "default": "none"},
        ),
        _parameter(
            "Last-Event-ID",
            "The id of the last event that was received; wins over `since`.",
            {"type": "string"},
            "header",
        ),
    ],
    "responses": {
        "200": {
            "description": "The events.",
            "content": content({"type": "string"}, EXAMPLE, "text/event-stream"),
        },
        "400": problem("A parameter that is unknown, or has a value it cannot have."),
        "401": problem("Nobody is logged in, and somebody must be."),
        "409": problem("The id belongs to another history."),
        "410": problem("The history is not kept so far back."),
    },
}
