"""What a cluster cannot do, at the paths where a store does it: 501, with the reason and what to use instead.

The routes are those of a store with other handlers, so that a method which is wrong there is wrong here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from keystead.server.http import forgetting, history, idempotency, memory, undoing, verify
from keystead.server.http.problems import NOT_IN_A_CLUSTER, Problem
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.server.http.requests import Request


class Absence(NamedTuple):
    """Something that is not there."""

    what: str
    """A sentence: what cannot be, and why."""
    instead: str
    """A sentence: what can be done."""

    def problem(self) -> Problem:
        """The answer."""
        return Problem(501, f"{self.what} {self.instead}", kind=NOT_IN_A_CLUSTER, members={"instead": self.instead})


A_STORE: Final = "Keep this data in a store of Keystead (keystead serve --dir), which has it."
HISTORY: Final = Absence("The nodes of a cluster keep no history, so the past cannot be told.", A_STORE)
UNDO: Final = Absence("The nodes of a cluster keep no history, so nothing can be undone or brought back.", A_STORE)
FORGET: Final = Absence(
    "The nodes of a cluster keep no history, so there is none to erase a key from.",
    "DELETE /v1/keys/{key} removes a key; backups that the nodes have made are not reached.",
)
VERIFY: Final = Absence(
    "The files of the nodes cannot be read from here.",
    "GET /v1/cluster tells how each node does; verify their files with redis-check-aof and redis-check-rdb.",
)
MEMORY: Final = Absence(
    "No node knows all keys in order, so memory cannot be added up by folder.",
    "GET /v1/cluster tells the memory of each node; MEMORY USAGE that of a key.",
)
CHANGES: Final = Absence(
    "The nodes of a cluster keep no log that could be followed and resumed.",
    "Keep this data in a store of Keystead, which has it; or ask for the keys again from time to time, by their ETag.",
)
DELETE_BY_PREFIX: Final = Absence(
    "Keys of several nodes cannot be deleted in one step.",
    "List them (GET /v1/keys?prefix=…) and delete each, or those of one slot together (POST /v1/batch).",
)
IDEMPOTENCY: Final = Absence(
    "An Idempotency-Key would be known to this front door only, and a request that is sent again may reach another "
    "one.",
    "Send the change under a condition (If-Match, If-None-Match, if_match, if_absent): repeated, it is done once.",
)

_ABSENT: Final = (
    *((route, HISTORY) for route in (history.HISTORY_ROUTE, *history.ROUTES)),
    (undoing.UNDO_ROUTE, UNDO),
    (undoing.RESTORE_ROUTE, UNDO),
    (forgetting.ROUTE, FORGET),
    (verify.ROUTE, VERIFY),
    (memory.ROUTE, MEMORY),
)


def _without(route: Route, absence: Absence) -> Route:
    def refuse(request: Request) -> NoReturn:  # noqa: ARG001 - whatever is asked
        raise absence.problem()

    endpoints = {
        method: Endpoint(refuse, changes_data=endpoint.changes_data) for method, endpoint in route.endpoints.items()
    }
    return Route(route.path, endpoints, {}, route.template)


def _changes(request: Request) -> NoReturn:  # noqa: ARG001 - whatever is asked
    raise CHANGES.problem()


def refuse_idempotency_key(request: Request) -> None:
    """Problem for a request that carries one and would have it kept."""
    if idempotency.key_of(request) is not None:
        raise IDEMPOTENCY.problem()


_BY_PREFIX = (history.HISTORY_ROUTE, undoing.UNDO_ROUTE, undoing.RESTORE_ROUTE, forgetting.ROUTE)
EXACT: Final = [
    *(_without(route, absence) for route, absence in _ABSENT if route not in _BY_PREFIX),
    Route(b"/v1/changes", {b"GET": Endpoint(_changes, changes_data=False)}, {}),
]
PREFIXES: Final = [_without(route, absence) for route, absence in _ABSENT if route in _BY_PREFIX]
