"""Requests of several commands that go to one node in one piece.

All or nothing: by a script that undoes (`execution.cluster.whole_batches`), because MULTI and EXEC do not. Else MULTI
and EXEC, where failures are among the replies. Must not know: what requests and commands mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keystead.errors import CommandError
from keystead.execution.batches import Failure
from keystead.execution.cluster.whole_batches import Outcome, WholeBatch
from keystead.server.http.cluster.absent import refuse_idempotency_key
from keystead.server.http.cluster.answering import answering, or_problem
from keystead.server.http.problems import problem_of_redis_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keystead.execution.batches import Step
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.server.http.problems import Problem
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response
    from keystead.server.http.transactions import Respond

NOT_THE_COMMANDS: Final = ("UNKNOWNOUTCOME", "CLUSTERDOWN")
"""Errors that are the cluster's."""


def execute(
    executor: ClusterExecutor,
    request: Request,
    steps: Sequence[Step],
    respond: Respond,
    *,
    all_or_nothing: bool,
    fail: Callable[[Failure], Problem],
) -> Response | None:
    """See `transactions.execute`."""
    refuse_idempotency_key(request)
    if len(steps) == 1 and steps[0].condition is None:
        _execute_one(request, steps[0], respond, fail if all_or_nothing else None)
    elif all_or_nothing:

        def made(outcome: Outcome) -> Response:
            if isinstance(outcome, CommandError):
                raise problem_of_redis_error(outcome.text)
            if isinstance(outcome, Failure):
                raise fail(outcome)
            return respond(outcome)

        outcome = WholeBatch(executor, request.session, steps, answering(request, made)).start()
        return None if outcome is None else made(outcome)
    else:
        commands = [step.args for step in steps]
        executor.transact(request.session, commands, answering(request, or_problem(respond)))
    return None


def _execute_one(request: Request, step: Step, respond: Respond, fail: Callable[[Failure], Problem] | None) -> None:
    """A command by itself is all or nothing anyway."""

    def executed(reply: bytes) -> None:
        text = reply[1:-2].decode("utf-8", "surrogateescape")
        if fail is not None and reply[:1] == b"-" and not text.startswith(NOT_THE_COMMANDS):
            raise fail(Failure(0, text, unmet=False))
        request.answer(respond([reply]))

    request.start(step.args, executed)
