"""POST /v1/import in front of a cluster: JSON lines become keys, each by itself.

All lines are checked first, as in front of a store; then each is set, many at a time. When one cannot be, those before
it have been: the answer says how many. Must not know: what a line looks like.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from keystead.resp.reading import ReadReply, read_reply
from keystead.server.http import bodies
from keystead.server.http.cluster.document import IMPORT
from keystead.server.http.importing import Counts, Record, batches, check, checked_parameters, command_of, records
from keystead.server.http.notation import shown
from keystead.server.http.problems import Problem, problem_of_redis_error
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

ONE_DATABASE: Final = "a cluster has only database 0; to import these lines into it all the same, add ?db=0"


async def import_lines(request: Request) -> Response:
    """Import what the body says."""
    db, keep = checked_parameters(request)
    await check(request, _refuse_other_databases if db is None else None)
    counts = Counts()
    for batch in batches(records(request.body, db)):
        request.connection.check_that_it_is_wanted()
        await _apply(request, batch, counts, keep=keep)
    return bodies.answer(counts.members())


def _refuse_other_databases(record: Record) -> None:
    if record.db:
        raise ValueError(ONE_DATABASE)


async def _apply(request: Request, batch: list[Record], counts: Counts, *, keep: bool) -> None:
    now_ms = time.time_ns() // 1_000_000
    live = [record for record in batch if not 0 < record.expires_at_ms <= now_ms]
    commands = [command_of(record, keep=keep) for record in live]
    replies = [read_reply(reply) for reply in await request.calls.run_each(request.session, commands)]
    counts.imported += sum(reply.kind == "+" for reply in replies)
    counts.kept += sum(reply.value is None for reply in replies)
    counts.expired += len(batch) - len(live)
    failures = [reply for reply in replies if reply.kind == "-"]
    if failures:
        raise _failed(failures, counts)


def _failed(failures: list[ReadReply], counts: Counts) -> Problem:
    unknown = [failure for failure in failures if failure.value.startswith(b"UNKNOWNOUTCOME")]
    problem = problem_of_redis_error(shown((unknown or failures)[0].value))
    problem.detail += (
        f" {counts.imported} keys were imported, {len(failures) - len(unknown)} were not, and of {len(unknown)} nobody "
        "knows; lines behind them were not tried."
    )
    problem.members |= counts.members() | {"failed": len(failures) - len(unknown), "unknown": len(unknown)}
    return problem


ROUTE = Route(b"/v1/import", {b"POST": Endpoint(import_lines, changes_data=True)}, {"post": IMPORT})
