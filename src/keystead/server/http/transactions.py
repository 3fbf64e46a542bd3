"""Requests that are executed as one transaction: of the log, and with an Idempotency-Key once; or of a cluster.

Must not know: what requests and commands mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from keystead.errors import DiskFailure
from keystead.execution.batches import Batch, Failure, Step
from keystead.server.http.idempotency import Once
from keystead.server.http.problems import Problem, problem_of_redis_error

if TYPE_CHECKING:
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response
    from keystead.server.turns import Turns

Respond: TypeAlias = "Callable[[list[bytes]], Response]"
"""The answer to these encoded replies, one a step; may raise Problem. Called more than once, so it changes nothing."""


def problem_of_failure(failure: Failure) -> Problem:
    """The answer when nothing was done."""
    return Problem(412, failure.reason) if failure.unmet else problem_of_redis_error(failure.reason)


def execute(
    request: Request,
    steps: Sequence[Step],
    respond: Respond,
    *,
    all_or_nothing: bool,
    fail: Callable[[Failure], Problem] = problem_of_failure,
) -> Response | None:
    """Run *steps* as one transaction and answer *request*; None when it is answered later, or never more. When *fail*
    makes the answer nothing was done.

    Raises Problem.
    """
    return request.connection.server.behind.execute_together(
        request, steps, respond, all_or_nothing=all_or_nothing, fail=fail
    )


def run_batch(
    request: Request,
    turns: Turns,
    steps: Sequence[Step],
    respond: Respond,
    *,
    all_or_nothing: bool,
    fail: Callable[[Failure], Problem],
) -> Response | None:
    """The same for a store: one transaction of its log."""
    once = Once.of(request)
    if once is not None:
        first = once.first()
        if first is not None:
            return first

    def record(replies: list[bytes], changed: bool) -> None:
        assert once is not None
        response = made_or_problem(request, lambda: respond(replies))
        if changed or response.status < 400:
            once.keep(response)

    def made() -> Response:
        if batch.failure is not None:
            raise fail(batch.failure)
        return respond(batch.replies)

    batch = Batch(request.session, steps, all_or_nothing=all_or_nothing, record=record if once else None)
    try:
        promise = batch.start()
    except DiskFailure as failure:
        turns.fail(failure)
        return None
    if promise is None:
        return made()
    if once is not None:
        once.begin(promise)
    promise.add_done(lambda _: request.answer(made_or_problem(request, made)))
    return None


def made_or_problem(request: Request, make: Callable[[], Response]) -> Response:
    """What *make* returns, or how the problem that it raises is told."""
    try:
        return make()
    except Problem as problem:
        return request.response_to(problem)
