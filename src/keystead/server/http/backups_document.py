"""What the OpenAPI document says of /v1/backups."""

from __future__ import annotations

from typing import Any

from keystead.server.http.schemas import FAILURES, content, object_of, problem

_COUNT = {"type": "integer", "minimum": 0}
_TIME = {"type": ["integer", "null"], "description": "Milliseconds of Unix time."}
_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}


def _or_null(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}], "description": description}


_STORED = object_of(
    id=_STRING,
    taken_ms=_TIME,
    sequence=_COUNT | {"description": "The last transaction that is in it."},
    bytes=_COUNT | {"description": "Of its files, which snapshots share."},
)
_RUN = object_of(
    deed={"enum": ["take", "verify"]},
    place=_STRING,
    began_ms=_TIME,
    ended_ms=_TIME,
    stage=_STRING | {"description": "What is being done now."},
    done_bytes=_COUNT | {"description": "Of the stage."},
    total_bytes=_COUNT,
    result={
        "enum": ["taken", "sound", "damaged", "failed", None],
        "description": "Null while it runs; failed: it could not be carried out, `reason` says why.",
    },
    reason=_STRING,
    snapshot=_STRING | {"description": "That was taken or verified."},
    copied_bytes=_COUNT | {"description": "What the place has already is not copied again."},
    damage=_STRINGS | {"description": "Files of the backup, and what is wrong with each."},
)
_REMEMBERED = object_of(
    place=_STRING,
    sequence=_COUNT | {"description": "The last transaction that is known to have got there."},
    time_ms=_TIME,
    linked={"type": "boolean", "description": "Hard links on the same disk: no backup."},
)
_PLACE = object_of(
    ("place", "may_take", "remembered"),
    place=_STRING,
    may_take={"type": "boolean", "description": "It is among backup-places; of others only `remembered` is told."},
    remembered=_or_null(_REMEMBERED, "What the store itself remembers of its last backup there."),
    snapshots=_or_null({"type": "array", "items": _STORED}, "Oldest first; null: nobody has looked yet."),
    stored_bytes={"type": ["integer", "null"], "description": "What all of them take together."},
    looked_ms=_TIME,
    damage=_STRINGS | {"description": "Snapshots that cannot be read."},
    failure=_STRING | {"description": "Why nobody could look; empty when somebody could."},
    verified=_or_null(_RUN, "The last verification since the server started."),
)
_LISTED = object_of(
    places={"type": "array", "items": _PLACE},
    looking={"type": "boolean", "description": "Places are being looked at: ask again in a moment."},
    running=_or_null(_RUN, "What is under way."),
    last=_or_null(_RUN, "That, or the last that was, since the server started."),
)
_EXAMPLE_RUN = {
    "deed": "take",
    "place": "/mnt/backup/store",
    "began_ms": 1700000000250,
    "ended_ms": 1700000000900,
    "stage": "reading the copied store",
    "done_bytes": 67108864,
    "total_bytes": 67108864,
    "result": "taken",
    "reason": "",
    "snapshot": "20231114T221320.250Z",
    "copied_bytes": 67108864,
    "damage": [],
}
_EXAMPLE = {
    "places": [
        {
            "place": "/mnt/backup/store",
            "may_take": True,
            "remembered": {
                "place": "/mnt/backup/store",
                "sequence": 4711,
                "time_ms": 1700000000250,
                "linked": False,
            },
            "snapshots": [
                {"id": "20231114T221320.250Z", "taken_ms": 1700000000250, "sequence": 4711, "bytes": 67108864}
            ],
            "stored_bytes": 67108864,
            "looked_ms": 1700000000900,
            "damage": [],
            "failure": "",
            "verified": None,
        }
    ],
    "looking": False,
    "running": None,
    "last": _EXAMPLE_RUN,
}
_BODY = {
    "required": True,
    "content": content(
        object_of(place=_STRING | {"description": "One of the setting backup-places."})
        | {"additionalProperties": False},
        {"place": "/mnt/backup/store"},
    ),
}


def _failures(*more: str) -> dict[str, Any]:
    return {status: FAILURES[status] for status in ("400", "401", "403", "429", "503", *more)}


def _begun(description: str) -> dict[str, Any]:
    running = {"type": "boolean"}
    return {
        "202": {"description": description, "content": content(object_of(running=running), {"running": True})},
        "409": problem("A backup is being taken or verified."),
        **_failures("413"),
    }


COLLECTION: dict[str, Any] = {
    "get": {
        "operationId": "backups",
        "tags": ["health"],
        "summary": "Where backups are, and what is there",
        "description": (
            "What is at a place is looked at by another process, at most once a minute, so an answer may say that "
            "nobody has looked yet; ask again. For who may INFO."
        ),
        "responses": {
            "200": {"description": "All places.", "content": content(_LISTED, _EXAMPLE)},
            "500": problem("What the store remembers of its backups cannot be read."),
            **_failures(),
        },
    },
    "post": {
        "operationId": "take_backup",
        "tags": ["health"],
        "summary": "Take a backup now",
        "description": (
            "Another process copies what the place lacks, at low priority, as `keystead backup` does. The place is "
            "one of the setting backup-places. For who may BGSAVE."
        ),
        "requestBody": _BODY,
        "responses": _begun("It has begun."),
    },
}
VERIFY: dict[str, Any] = {
    "post": {
        "operationId": "verify_backup",
        "tags": ["health"],
        "summary": "Verify a backup now",
        "description": (
            "Another process reads every file of all snapshots, restores the newest one to the system's directory of "
            "temporary files, and compares. For who may BGSAVE."
        ),
        "requestBody": _BODY,
        "responses": _begun("It has begun."),
    },
}
