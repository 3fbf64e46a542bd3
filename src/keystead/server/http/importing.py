"""POST /v1/import: JSON lines become keys, by transactions of bounded size.

All lines are checked first, so that a line that makes no sense, or a key that the user may not set, leaves nothing half
done. Then they are read once more, rather than kept: a hundred thousand records in memory would have the garbage
collector stop the loop. Each transaction is on disk before the next one begins. Must not know: what a line looks like.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from keystead.errors import DiskFailure
from keystead.execution.batches import Batch, Step
from keystead.execution.json_lines import from_line
from keystead.server.http import bodies
from keystead.server.http.export_document import IMPORT
from keystead.server.http.problems import Problem, problem_of_redis_error
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.transactions import problem_of_failure

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

BATCH_KEYS: Final = 200
BATCH_BYTES: Final = 1 << 18
SLICE_S: Final = 0.001
PAUSE_S: Final = 0.001
EXISTING: Final = ("replace", "keep")


class Record(NamedTuple):
    """What one line says."""

    db: int
    key: bytes
    value: bytes
    expires_at_ms: int
    """0: none."""


class Counts:
    """What has become of the lines."""

    def __init__(self) -> None:
        self.imported = 0
        self.kept = 0
        self.expired = 0

    def members(self) -> dict[str, object]:
        """Of the answer."""
        return dict(vars(self))


async def import_lines(request: Request) -> Response:
    """Import what the body says."""
    db, keep = checked_parameters(request)
    await check(request)
    counts = Counts()
    for batch in batches(records(request.body, db)):
        await _apply(request, batch, counts, keep=keep)
    return bodies.answer(counts.members())


def checked_parameters(request: Request) -> tuple[int | None, bool]:
    """The database that all lines are for, if one is given, and whether keys that exist are kept. Problem when that
    makes no sense, the body is too long, or the user may write nothing."""
    parameters = request.parameters(("db", "existing"))
    existing = parameters.get("existing", "replace")
    if existing not in EXISTING:
        raise Problem(400, f"The parameter 'existing' is one of: {', '.join(EXISTING)}.")
    if len(request.body) > bodies.LONGEST_BYTES:
        raise Problem(413, f"An import may have {bodies.LONGEST_BYTES} bytes: send more in several, of whole lines.")
    if not request.session.user.permissions.may_write:
        refusal = request.session.executor.may(request.session.user, [b"SET", b"", b""])
        raise problem_of_redis_error(refusal or "NOPERM this user has no permissions to change keys")
    return request.session.db.number if "db" in parameters else None, existing == "keep"


# --- reading ---------------------------------------------------------------------------------------------------------


async def check(request: Request, refuse: Callable[[Record], None] | None = None) -> None:
    """Problem for the first line that is wrong, or that *refuse* raises a ValueError for."""
    until_s = time.perf_counter() + SLICE_S
    for number, line in enumerate(_lines(request.body), 1):
        if line.strip():
            try:
                record = Record(*from_line(line))
                if refuse is not None:
                    refuse(record)
            except ValueError as error:
                raise Problem(400, f"Line {number}: {error}. Nothing was imported.", members={"line": number}) from None
            _check_that_it_may_be_set(request, record.key, number)
        if time.perf_counter() >= until_s:
            await asyncio.sleep(PAUSE_S)
            until_s = time.perf_counter() + SLICE_S


def records(body: bytes, db: int | None) -> Iterator[Record]:
    """What the lines say; in database *db*, if given."""
    for line in _lines(body):
        if line.strip():
            record = Record(*from_line(line))
            yield record if db is None else record._replace(db=db)


def _lines(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        yield body[at:end]
        at = end + 1


def _check_that_it_may_be_set(request: Request, key: bytes, number: int) -> None:
    user = request.session.user
    if user.permissions.is_unrestricted:
        return
    refusal = request.session.executor.may(user, [b"SET", key, b""])
    if refusal is not None:
        problem = problem_of_redis_error(refusal)
        problem.detail = f"Line {number}: {problem.detail} Nothing was imported."
        problem.members["line"] = number
        raise problem


# --- applying --------------------------------------------------------------------------------------------------------


def batches(lines: Iterable[Record]) -> Iterator[list[Record]]:
    """Slices of bounded size, each of one database."""
    batch: list[Record] = []
    size = 0
    for record in lines:
        if batch and (len(batch) == BATCH_KEYS or size > BATCH_BYTES or record.db != batch[0].db):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.key) + len(record.value)
    if batch:
        yield batch


async def _apply(request: Request, records: list[Record], counts: Counts, *, keep: bool) -> None:
    """One transaction; it is on disk when this returns. Problem, with the counts so far, when it cannot be."""
    session = request.session
    request.connection.check_that_it_is_wanted()
    session.db = session.engine.databases[records[0].db]
    now_ms = session.engine.clock.refresh()
    live = [record for record in records if not 0 < record.expires_at_ms <= now_ms]
    batch = Batch(session, [Step(command_of(record, keep=keep)) for record in live])
    try:
        promise = batch.start()
    except DiskFailure as failure:
        request.calls.turns.fail(failure)
        await asyncio.Event().wait()  # nothing is answered any more
        return
    if promise is not None:
        await _resolved(promise)
    await request.calls.settle(session, None)
    if batch.failure is not None:
        problem = problem_of_failure(batch.failure)
        problem.detail += f" {counts.imported} keys of the lines before were imported."
        problem.members |= counts.members()
        raise problem
    set_ = sum(reply.startswith(b"+") for reply in batch.replies)
    counts.imported += set_
    counts.kept += len(live) - set_
    counts.expired += len(records) - len(live)


def command_of(record: Record, *, keep: bool) -> list[bytes]:
    """The command that imports it; *keep*: unless the key exists."""
    command = [b"SET", record.key, record.value]
    if record.expires_at_ms:
        command += [b"PXAT", b"%d" % record.expires_at_ms]
    return [*command, b"NX"] if keep else command


async def _resolved(promise: Promise) -> None:
    done = asyncio.Event()
    promise.add_done(lambda _: done.set())
    await done.wait()


ROUTE = Route(b"/v1/import", {b"POST": Endpoint(import_lines, changes_data=True)}, {"post": IMPORT})
