"""A store behind the doors of an HTTP server: what its routes share, beside the executor.

Must not know: connections, what routes do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from keystead.server.feed import Feed
from keystead.server.http import transactions
from keystead.server.http.problems import Problem
from keystead.server.http.server import READY, Mode, Readiness
from keystead.server.samples import Samples
from keystead.server.verification import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keystead.execution.batches import Failure, Step
    from keystead.execution.local import LocalExecutor
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response
    from keystead.server.http.transactions import Respond
    from keystead.server.turns import Turns

MOST_LONG_READS: Final = 2


class Recovery(NamedTuple):
    """What reading the store at the start has found."""

    at_ms: int
    """When it was done, in Unix time."""
    keys: int
    took_s: float
    torn_bytes: int
    """Cut off, because they were never acknowledged."""


class Store:
    """Implements `Behind`."""

    mode: Mode = "store"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        executor: LocalExecutor,
        turns: Turns,
        recovery: Recovery,
        now_s: float,
    ) -> None:
        self.executor = executor
        self.turns = turns
        self.recovery = recovery
        self.feed = Feed(loop, executor.engine, turns.schedule)
        self.samples = Samples(executor, turns.meters, now_s)
        self.verification = Verification(executor.engine)
        self.long_reads = asyncio.Semaphore(MOST_LONG_READS)
        """For whatever reads many keys by slices: a few at a time, so that slices do not add up."""

    def readiness(self) -> Readiness:
        """Whether there is room to write."""
        refusal = self.executor.engine.refusal
        if refusal is None:
            return READY
        reason = "out-of-memory" if refusal.startswith("OOM") else "disk-full"
        return Readiness(reason, refusal.partition(" ")[2])

    def choose_database(self, request: Request, number: int) -> None:
        """The session's database for this request."""
        request.session.db = self.executor.engine.databases[number]

    def execute_together(
        self,
        request: Request,
        steps: Sequence[Step],
        respond: Respond,
        *,
        all_or_nothing: bool,
        fail: Callable[[Failure], Problem],
    ) -> Response | None:
        """As one transaction of the log."""
        return transactions.run_batch(request, self.turns, steps, respond, all_or_nothing=all_or_nothing, fail=fail)


def store_of(request: Request) -> Store:
    """The store that a request of one is about."""
    return cast("Store", request.connection.server.behind)
