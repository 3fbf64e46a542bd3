"""The past over HTTP: GET /v1/history/{key}, /v1/diff, /v1/deleted, /v1/transactions; pages of /v1/keys?at=.

Each is a command of `commands.history` and its reply as JSON, with names as JSON has them (`time_ms`), so permissions,
limits and errors are those of the commands. A page says where the next one is, at the same moments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_from_bytes

import hiredis

from keystead.server.http import bodies
from keystead.server.http.commands import succeeded
from keystead.server.http.history_document import DELETED, DIFF, HISTORY, TRANSACTIONS
from keystead.server.http.notation import text_of
from keystead.server.http.problems import Problem
from keystead.server.http.requests import Request
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.server.http.responses import Response

HISTORY_PREFIX: Final = b"/v1/history/"
MOST_COUNT: Final = 1_000
DEFAULT_COUNT: Final = 100

Parameters = Mapping[str, bytes]


def get_history(request: Request) -> None:
    """A key's changes, newest first."""
    parameters = request.raw_parameters(("count", "before", "values", "db", "key"))
    key = request.key_after(HISTORY_PREFIX, request.parameters(("count", "before", "values", "db", "key")))
    args = [b"KS.HISTORY", key, b"COUNT", _count(parameters)]
    if "before" in parameters:
        args += [b"BEFORE", parameters["before"]]
    if not _wants_values(parameters):
        args.append(b"NOVALUES")

    def shown(reply: Any) -> dict[str, Any]:
        changes = _json(reply)
        last = next((change["sequence"] for change in reversed(changes) if change["sequence"] is not None), None)
        following = None if last is None else _path(request.path, parameters, before=b"%d" % last)
        return {"changes": changes, "next": following}

    _answer(request, args, shown)


def get_diff(request: Request) -> None:
    """The keys that are not the same at two moments, in order."""
    parameters = request.raw_parameters(("from", "to", "prefix", "after", "count", "db"))
    if not parameters.get("from"):
        raise Problem(400, "The parameter 'from' must be a moment, such as -10m, 2026-11-26T10:15:00Z or 4711.")
    args = [b"KS.DIFF", parameters["from"], parameters.get("to", b"now"), b"COUNT", _count(parameters)]
    args += _options(parameters, prefix=b"PREFIX", after=b"AFTER")

    def shown(reply: Any) -> dict[str, Any]:
        earlier, later = (reply[name][b"sequence"] for name in (b"from", b"to"))
        place = reply[b"next"]
        document: dict[str, Any] = _json(reply)
        if place is not None:
            document["next"] = _path(
                request.path, parameters, **{"from": b"%d" % earlier, "to": b"%d" % later, "after": place}
            )
        return document

    _answer(request, args, shown)


def get_deleted(request: Request) -> None:
    """Keys that were there and are not, the last removed first."""
    parameters = request.raw_parameters(("prefix", "before", "count", "db"))
    args = [b"KS.DELETED", b"COUNT", _count(parameters), *_options(parameters, prefix=b"PREFIX", before=b"BEFORE")]
    _answer(request, args, _paged(request, parameters, "before"))


def get_transactions(request: Request) -> None:
    """The log, in order; with ?before= the newest first."""
    parameters = request.raw_parameters(("from", "before", "prefix", "author", "count", "db"))
    args = [b"KS.LOG", b"COUNT", _count(parameters)]
    args += _options(parameters, prefix=b"PREFIX", author=b"AUTHOR", db=b"DB", before=b"BEFORE", **{"from": b"FROM"})
    _answer(request, args, _paged(request, parameters, "before" if "before" in parameters else "from"))


def list_keys_at(request: Request, parameters: Parameters, include: list[str], limit: int) -> None:
    """A page of /v1/keys, as it was at the moment that ?at= names."""
    if "offset" in parameters:
        raise Problem(400, "A page of the past has no 'offset': page by 'prefix' and 'after'.")
    if "delimiter" in parameters:
        _list_folders_at(request, parameters, limit)
        return
    args = [b"KS.KEYS", b"AT", parameters["at"], b"COUNT", b"%d" % limit, b"VALUES"]
    if not include:
        del args[-1]
    args += _options(parameters, prefix=b"PREFIX", after=b"AFTER")

    def shown(reply: Any) -> dict[str, Any]:
        moment = {"sequence": reply[b"sequence"], "time_ms": reply[b"time-ms"]}
        place = reply[b"next"]
        following = None
        if place is not None:
            following = _path(request.path, parameters, at=b"%d" % moment["sequence"], after=place)
        items = [_item(key, include, moment["time_ms"]) for key in reply[b"keys"]]
        return {"items": items, "total": None, "next": following, "at": moment}

    _answer(request, args, shown)


def _list_folders_at(request: Request, parameters: Parameters, limit: int) -> None:
    if "include" in parameters:
        raise Problem(400, "A page of folders of the past has no 'include': leave it out, or the 'delimiter'.")
    if not parameters["delimiter"]:
        raise Problem(400, "The delimiter must not be empty.")
    args = [b"KS.FOLDERS", b"AT", parameters["at"], b"DELIMITER", parameters["delimiter"], b"COUNT", b"%d" % limit]
    args += _options(parameters, prefix=b"PREFIX", after=b"AFTER")

    def shown(reply: Any) -> dict[str, Any]:
        moment = {"sequence": reply[b"sequence"], "time_ms": reply[b"time-ms"]}
        place, following = reply[b"next"], None
        if place is not None:
            following = _path(request.path, parameters, at=b"%d" % moment["sequence"], after=place)
        items = [_folder(*each) for each in reply[b"folders"]]
        return {"items": items, "total": reply[b"total"], "next": following, "at": moment}

    _answer(request, args, shown)


def _folder(name: bytes, keys: int | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": text_of(name)}
    return shown if keys is None else {**shown, "folder": True, "keys": keys}


def _item(found: Any, include: list[str], time_ms: int) -> dict[str, Any]:
    if not include:
        return {"name": text_of(found)}
    key, value, expires_at_ms = found
    shown: dict[str, Any] = {
        "value": text_of(value),
        "type": "string",
        "ttl": None if expires_at_ms is None else (expires_at_ms - time_ms) / 1000,
        "size": len(value),
    }
    return {"name": text_of(key)} | {what: shown[what] for what in include}


# --- What was asked --------------------------------------------------------------------------------------------------


def _count(parameters: Parameters) -> bytes:
    given = parameters.get("count", b"%d" % DEFAULT_COUNT)
    if not given.isdigit() or len(given) > 4 or not 1 <= int(given) <= MOST_COUNT:
        raise Problem(400, f"The parameter 'count' must be a whole number from 1 to {MOST_COUNT}.")
    return given


def _wants_values(parameters: Parameters) -> bool:
    given = parameters.get("values", b"true")
    if given not in (b"true", b"false"):
        raise Problem(400, "The parameter 'values' must be true or false.")
    return given == b"true"


def _options(parameters: Parameters, **words: bytes) -> list[bytes]:
    """The parameters that were given, as options of the command."""
    return [part for name, word in words.items() if name in parameters for part in (word, parameters[name])]


# --- Answers ---------------------------------------------------------------------------------------------------------


def _answer(request: Request, args: list[bytes], shown: Callable[[Any], dict[str, Any]]) -> None:
    def answered(reply: bytes) -> None:
        response: Response = bodies.answer(shown(_read(reply)))
        request.answer(response)

    request.start(args, answered)


def _paged(request: Request, parameters: Parameters, place: str) -> Callable[[Any], dict[str, Any]]:
    """The reply as it is, but for `next`, which becomes a path."""

    def shown(reply: Any) -> dict[str, Any]:
        document: dict[str, Any] = _json(reply)
        following = reply[b"next"]
        if following is not None:
            data = following if isinstance(following, bytes) else b"%d" % following
            document["next"] = _path(request.path, parameters, **{place: data})
        return document

    return shown


def _read(reply: bytes) -> Any:
    """A reply of RESP3, which is what sessions of HTTP speak, in types of Python. Problem when it is an error.

    By hiredis: there may be ten thousand parts in it, and reading them in Python would stop the loop for 30 ms. These
    replies have no types but those that it tells apart.
    """
    if reply.startswith(b"-"):
        succeeded(reply)
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def _json(part: Any) -> Any:
    """The same as JSON has it, with names as JSON has them."""
    kind = type(part)
    if kind is bytes:
        return text_of(part)
    if kind is dict:
        return {_name(name): _json(value) for name, value in part.items()}
    return [_json(each) for each in part] if kind is list else part


@cache
def _name(name: bytes) -> str:
    """Of a field: there are a few dozen."""
    return name.decode().replace("-", "_")


def _path(path: bytes, parameters: Parameters, **changed: bytes) -> str:
    query = {**parameters, **changed}
    pairs = [f"{name}={quote_from_bytes(value, safe='')}" for name, value in query.items()]
    return f"{path.decode('ascii', 'replace')}?{'&'.join(pairs)}"


def _reading(get: Callable[[Request], None]) -> dict[bytes, Endpoint]:
    endpoint = Endpoint(get, changes_data=False)
    return {b"GET": endpoint, b"HEAD": endpoint}


HISTORY_ROUTE = Route(HISTORY_PREFIX, _reading(get_history), {"get": HISTORY}, "/v1/history/{key}")
ROUTES = (
    Route(b"/v1/diff", _reading(get_diff), {"get": DIFF}),
    Route(b"/v1/deleted", _reading(get_deleted), {"get": DELETED}),
    Route(b"/v1/transactions", _reading(get_transactions), {"get": TRANSACTIONS}),
)
