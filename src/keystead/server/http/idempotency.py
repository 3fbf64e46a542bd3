"""The header Idempotency-Key: a request that is sent again is answered as the first time, and not executed again.

After the draft "The Idempotency-Key HTTP Header Field" of the IETF. What it leaves open is decided so:

* A key belongs to a user, and to one request: its method, path, parameters and body. With another request it is 422.
* Kept are answers to what changed data or succeeded. An error that changed nothing is not: the retry is tried anew.
* While the first one waits to be executed, a second one is 409. One that was executed and whose answer waits for the
  disk is answered when that is safe, like the first.
* A request that cannot write needs no key: it is executed again.

Must not know: what requests mean, where answers are kept.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from keystead.execution.first_answers import KEPT_MS, FirstAnswer
from keystead.server.http.problems import Problem, problem_of_redis_error, unavailable
from keystead.server.http.responses import Response

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.server.http.requests import Request

HEADER = b"idempotency-key"
REPLAYED = (b"Idempotency-Replayed", b"true")
"""Tells an answer that was first given to an earlier request."""
LONGEST_KEY_BYTES = 255
_NOT_IN_KEYS = frozenset(b'"\\')


class _Stored(msgspec.Struct, array_like=True):
    """An answer as it is kept."""

    status: int
    content_type: bytes
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


def key_of(request: Request) -> bytes | None:
    """The key that the request carries, without the quotes of a structured header. Problem for what is none."""
    value = request.headers.get(HEADER)
    if value is None:
        return None
    key = value.strip()
    if len(key) > 1 and key.startswith(b'"') and key.endswith(b'"'):
        key = key[1:-1]
    if not 0 < len(key) <= LONGEST_KEY_BYTES or any(not 33 <= byte <= 126 or byte in _NOT_IN_KEYS for byte in key):
        raise Problem(
            400,
            f"An Idempotency-Key is 1 to {LONGEST_KEY_BYTES} visible ASCII characters without spaces, quotes and "
            "backslashes; a random UUID is a good one.",
        )
    return key


def fingerprint_of(request: Request) -> bytes:
    """What tells the request from others."""
    digest = hashlib.sha256()
    for part in (request.method, request.path, request.query, request.body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


class Once:
    """A request that carries a key, and is about to be executed."""

    def __init__(self, request: Request, key: bytes) -> None:
        self._key = key
        self._session = request.session
        self._answers = request.session.local.first_answers
        self._fingerprint = fingerprint_of(request)

    @classmethod
    def of(cls, request: Request) -> Once | None:
        """None when the request carries no key."""
        key = key_of(request)
        return None if key is None else cls(request, key)

    def first(self) -> Response | None:
        """What was answered the first time; None when this is the first. Problem when it cannot be told or executed."""
        found = self._answers.find(self._session, self._key)
        if found is None:
            self._check_that_it_may_begin()
            return None
        if found.fingerprint != self._fingerprint:
            raise Problem(
                422,
                "This Idempotency-Key came with another request before. "
                "Repeat that one unchanged, or take a new key for this one.",
            )
        if found.answer is None:
            raise Problem(
                409,
                "This request was executed when it came first, but its answer is not kept: it was too long, or a key "
                "has been forgotten since. Read what it has changed.",
            )
        stored = _decode(found.answer)
        return Response(stored.status, stored.body, stored.content_type, (REPLAYED,))

    def _check_that_it_may_begin(self) -> None:
        if self._answers.is_under_way(self._session, self._key):
            raise Problem(
                409,
                "The first request with this Idempotency-Key is still being executed.",
                headers={b"Retry-After": b"1"},
            )
        refusal = self._session.engine.refusal
        if refusal is not None:
            raise problem_of_redis_error(refusal)  # its answer could not be kept
        if not self._answers.have_room:
            hours = KEPT_MS // 3_600_000
            raise unavailable(
                f"Too many answers to requests with an Idempotency-Key are being kept (for {hours} h each).",
                retry_after_s=60,
            )

    def begin(self, promise: Promise) -> None:
        """It is executed when *promise*, which its session waits for, is resolved."""
        self._answers.begin(self._session, self._key, promise)

    def keep(self, response: Response) -> None:
        """Record the answer, within the transaction that it answers."""
        stored = _Stored(response.status, response.content_type, bytes(response.body))
        self._answers.keep(self._session, self._key, FirstAnswer(self._fingerprint, _encode(stored)))
