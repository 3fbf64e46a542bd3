"""Answers that are made when the cluster has replied: by then nobody is there to catch what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from keystead.errors import CommandError
from keystead.server.http.problems import problem_of_redis_error
from keystead.server.http.transactions import made_or_problem

if TYPE_CHECKING:
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

T = TypeVar("T")

DISCARDED: Final = "EXECABORT Transaction discarded because of: "
"""Begins the error of an EXEC of which a node has refused a command."""


def answering(request: Request, make: Callable[[T], Response]) -> Callable[[T], None]:
    """A callback that answers *request* by what *make* makes of its argument, or by the Problem that it raises."""

    def done(outcome: T) -> None:
        try:
            response = made_or_problem(request, lambda: make(outcome))
        except Exception as failure:
            request.connection.fail(request, failure)
        else:
            request.answer(response)

    return done


def or_problem(respond: Callable[[list[bytes]], Response]) -> Callable[[list[bytes] | CommandError], Response]:
    """*respond*, for an outcome that may be the error of the whole."""

    def made(outcome: list[bytes] | CommandError) -> Response:
        if isinstance(outcome, CommandError):
            raise problem_of_redis_error(outcome.text)
        return respond(outcome)

    return made


def of_one_change(respond: Callable[[list[bytes]], Response]) -> Callable[[list[bytes] | CommandError], Response]:
    """The same for a client that knows of no transaction: the reason why it was discarded is the error."""
    tell = or_problem(respond)

    def made(outcome: list[bytes] | CommandError) -> Response:
        if isinstance(outcome, CommandError) and outcome.text.startswith(DISCARDED):
            outcome = CommandError(outcome.text.removeprefix(DISCARDED))
        return tell(outcome)

    return made
