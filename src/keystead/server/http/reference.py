"""GET /v1/reference: every command and every setting as it is declared, for completion and help.

The same for everybody, and made once. Must not know: any particular command.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from keystead.commands.documentation import categories, every_command
from keystead.config.parameters import parameters
from keystead.server.http import bodies
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.schemas import FAILURES, content, object_of

if TYPE_CHECKING:
    from keystead.commands.declaration import Command
    from keystead.commands.key_positions import KeySpec
    from keystead.config.settings import Setting
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response


class _Keys(NamedTuple):
    """One specification of where keys are among the arguments."""

    flags: list[str]
    keyword: str | None
    """It is looked for; the keys begin behind it. None: they begin at the argument `begin`."""
    begin: int
    last: int
    """The last key, counted from the first; below 0 from the end of the arguments."""
    step: int
    by_number: bool
    """A number before the keys says how many there are."""

    @classmethod
    def of(cls, spec: KeySpec) -> _Keys:
        return cls(sorted(spec.flags), spec.keyword or None, spec.begin, spec.last, spec.step, spec.by_number)


def reference(request: Request) -> Response:
    """The table."""
    request.parameters(())
    return _answer()


@cache
def _answer() -> Response:
    settings = [_told_setting(name, setting) for name, setting in parameters().items()]
    return bodies.answer({"commands": [_told(command) for command in every_command()], "settings": settings})


def _told(command: Command) -> dict[str, Any]:
    return {
        "name": command.name.replace("|", " ").upper(),
        "syntax": command.syntax,
        "summary": command.summary,
        "group": command.group,
        "since": command.since,
        "complexity": command.complexity,
        "flags": sorted(command.flags),
        "categories": categories(command),
        "arity": command.arity,
        "keys": [_Keys.of(spec)._asdict() for spec in command.key_specs],
        "container": bool(command.subcommands),
        "connection_state": command.connection_state,
        "deprecated": command.deprecated[1] if command.deprecated else None,
    }


def _told_setting(name: str, setting: Setting) -> dict[str, Any]:
    return {
        "name": name,
        "description": setting.description,
        "group": setting.group,
        "reloadable": setting.reloadable,
        "secret": setting.secret,
    }


_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}
_COMMAND = object_of(
    name=_STRING,
    syntax=_STRING | {"description": "As the Redis manual writes it."},
    summary=_STRING,
    group=_STRING,
    since=_STRING,
    complexity=_STRING,
    flags=_STRINGS,
    categories=_STRINGS | {"description": "By which users are permitted it."},
    arity={"type": "integer", "description": "Arguments, the name included; at least so many when negative."},
    keys={
        "type": "array",
        "description": "Where keys are among the arguments.",
        "items": object_of(
            flags=_STRINGS,
            keyword={"type": ["string", "null"]},
            begin={"type": "integer"},
            last={"type": "integer"},
            step={"type": "integer"},
            by_number={"type": "boolean"},
        ),
    },
    container={"type": "boolean", "description": "It is called with a subcommand, which has an entry of its own."},
    connection_state={"type": "boolean", "description": "Not to be had over HTTP."},
    deprecated={"type": ["string", "null"], "description": "What replaces it."},
)
_SETTING = object_of(
    name=_STRING | {"description": "For CONFIG GET and SET."},
    description=_STRING,
    group=_STRING,
    reloadable={"type": "boolean", "description": "CONFIG SET may change it while the server runs."},
    secret={"type": "boolean", "description": "Not to be shown on a screen."},
)
_EXAMPLE_SETTING = {
    "name": "maxmemory",
    "description": "The most that keys and values may take.",
    "group": "Memory and history",
    "reloadable": True,
    "secret": False,
}
_EXAMPLE = {
    "name": "GET",
    "syntax": "GET key",
    "summary": "Returns the string value of a key.",
    "group": "string",
    "since": "1.0.0",
    "complexity": "O(1)",
    "flags": ["fast", "readonly"],
    "categories": ["read", "string", "fast"],
    "arity": 2,
    "keys": [{"flags": ["ACCESS", "RO"], "keyword": None, "begin": 1, "last": 0, "step": 1, "by_number": False}],
    "container": False,
    "connection_state": False,
    "deprecated": None,
}

ROUTE = Route(
    b"/v1/reference",
    {b"GET": Endpoint(reference, changes_data=False)},
    {
        "get": {
            "operationId": "reference",
            "tags": ["commands"],
            "summary": "Every command and setting, for completion and help",
            "responses": {
                "200": {
                    "description": "The commands, subcommands behind their containers; the settings.",
                    "content": content(
                        object_of(
                            commands={"type": "array", "items": _COMMAND}, settings={"type": "array", "items": _SETTING}
                        ),
                        {"commands": [_EXAMPLE], "settings": [_EXAMPLE_SETTING]},
                    ),
                },
                **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503")},
            },
        }
    },
)
