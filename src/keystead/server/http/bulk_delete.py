"""DELETE /v1/keys?prefix=: every key that begins with it, in one piece and as one transaction.

`expect` is what a page has shown as the number of keys: when there is another number by now, nothing is deleted. What
was counted is what is deleted, at once, however long the gathering takes. Must not know: how keys are deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Final

from keystead.engine.deleting import CannotDelete, Deleted, NotAsExpected, delete_prefix
from keystead.errors import DiskFailure, WriteRefused
from keystead.execution.batches import Step
from keystead.server.http import bodies, transactions
from keystead.server.http.commands import succeeded
from keystead.server.http.idempotency import HEADER
from keystead.server.http.problems import Problem, problem_of_redis_error, unavailable
from keystead.server.http.requests import whole_number
from keystead.server.http.routes import Endpoint
from keystead.server.http.store import store_of

if TYPE_CHECKING:
    from keystead.engine.key_index import KeyIndex
    from keystead.execution.session import Session
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

PARAMETERS: Final = ("prefix", "expect", "all", "db")
MAX_EXPECTED: Final = (1 << 53) - 1
MAX_SELECTED: Final = 10_000
"""Keys that are looked through for a user who may not read all of them."""


def delete_keys(request: Request) -> Response | Awaitable[Response] | None:
    """Delete what begins with the prefix."""
    parameters = request.raw_parameters(PARAMETERS)
    prefix = _prefix(parameters)
    session = request.session
    if not session.user.permissions.may_write:
        refusal = session.executor.may(session.user, [b"DEL", prefix])
        raise problem_of_redis_error(refusal or "NOPERM this user has no permissions to change keys")
    if session.executor.pauses.hold(True):
        raise unavailable("Clients are paused (CLIENT PAUSE), so what is counted now might not be what is deleted.")
    index = session.db.keyspace.index
    if index is None or not index.ready:
        raise unavailable("The index of the keys is being built.")
    session.must_wait = True  # the answer tells of what is in memory, also when it is a refusal
    if HEADER not in request.headers and session.user.permissions.is_unrestricted:
        return _delete_at_once(request, prefix, _expected(parameters))
    keys = _keys(session, index, prefix, _expected(parameters))
    if not keys:
        return _told(0)
    # Whether the user may delete each of them is asked before the first one goes; and the answer to a request that may
    # be sent again is recorded with the change.
    return transactions.execute(
        request, [Step([b"DEL", *keys])], lambda replies: _told(succeeded(replies[0]).value), all_or_nothing=False
    )


async def _delete_at_once(request: Request, prefix: bytes, expected: int | None) -> Response:
    """By slices, so that any number of keys holds nobody up."""
    session, started_ns = request.session, time.perf_counter_ns()
    engine = session.engine
    deleting = delete_prefix(engine, session.db, prefix, session.author, expected)
    result = "error"
    try:
        while True:
            next(deleting)
            await asyncio.sleep(0)
    except StopIteration as end:
        deleted: Deleted = end.value
        result = "ok"
    except NotAsExpected as refused:
        raise _not_as_expected(refused.count, expected) from None
    except CannotDelete as refused:
        raise unavailable(f"{str(refused).capitalize()}.") from None
    except WriteRefused as refused:
        raise problem_of_redis_error(engine.refusal or f"MISCONF {refused}") from None
    except DiskFailure as failure:
        request.calls.turns.fail(failure)  # cuts every connection
        raise
    finally:
        session.must_wait = True
        session.executor.operations.note(session, "DEL", started_ns, result=result)
    store_of(request).turns.schedule_if_needed()
    return _told(deleted.keys, deleted.sequence)


def _prefix(parameters: Mapping[str, bytes]) -> bytes:
    prefix = parameters.get("prefix", b"")
    everything = parameters.get("all", b"false")
    if everything not in (b"true", b"false"):
        raise Problem(400, "The parameter 'all' is true or false.")
    if not prefix and everything == b"false":
        raise Problem(400, "Give a prefix. To delete every key of the database on purpose, add ?all=true.")
    if prefix and everything == b"true":
        raise Problem(400, "With 'all' there is no prefix.")
    return prefix


def _expected(parameters: Mapping[str, bytes]) -> int | None:
    return whole_number(parameters, "expect", 0, 0, MAX_EXPECTED) if "expect" in parameters else None


def _keys(session: Session, index: KeyIndex, prefix: bytes, expected: int | None) -> list[bytes]:
    """Those to be deleted. Problem when they are not as many as expected."""
    count = index.count(prefix)
    if session.user.may_read_all:
        _check(count, expected)
        return index.range(prefix, None, count)
    if count > MAX_SELECTED:
        raise Problem(
            403,
            f"More than {MAX_SELECTED} keys begin with this prefix, and this user may not read all of them: "
            "delete by longer prefixes.",
        )
    keys = list(filter(session.user.may_read_key, index.range(prefix, None, count)))
    _check(len(keys), expected)
    return keys


def _check(count: int, expected: int | None) -> None:
    if expected is not None and count != expected:
        raise _not_as_expected(count, expected)


def _not_as_expected(count: int, expected: int | None) -> Problem:
    detail = f"{count} keys begin with this prefix, not {expected}. Nothing was deleted."
    return Problem(409, detail, members={"keys": count})


def _told(deleted: int, sequence: int | None = None) -> Response:
    return bodies.answer({"deleted": deleted, "sequence": sequence})


ENDPOINT = Endpoint(delete_keys, changes_data=True)
