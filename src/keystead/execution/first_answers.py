"""First answers to requests that carry a key of the client's own: a retry is answered by them, not executed again.

Kept in the system keyspace, in the transaction of what they are the answer to: both are on disk, or neither is, so a
retry after a lost reply, a restart or a crash finds the answer if and only if the request was executed. Forgotten after
a day, by expiry.

Owns: which user, which key, whether the request is the same one, how much is kept. Must not know: what an answer looks
like, protocols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keystead.engine.engine import Engine
    from keystead.engine.keyspace import Keyspace
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

KEPT_MS: Final = 24 * 3600 * 1000
LONGEST_ANSWER_BYTES: Final = 256 << 10
"""A longer answer is not kept, only that there was one."""
MOST_BYTES: Final = 64 << 20
"""Of all answers together; beyond it requests that carry a key are refused before they are executed."""
PREFIX: Final = b"first-answer\0"
CLEARED_PREFIX: Final = b"cleared-answer\0"
"""Of those that were cleared: that there was an answer is kept under it, and nothing of the answer."""
CLEARED_AT_ONCE: Final = 200


class FirstAnswer(msgspec.Struct, array_like=True):
    """What was answered, and to what."""

    fingerprint: bytes
    """Of the request."""
    answer: bytes | None
    """None when it was too long to be kept, or cleared since."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FirstAnswer).decode


class FirstAnswers:
    """The answers of one store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._under_way: dict[bytes, tuple[Session, Promise]] = {}

    def find(self, session: Session, key: bytes) -> FirstAnswer | None:
        """What this user's request of this key was answered. It may not be told before it is durable: the session has
        to wait for it."""
        keyspace = self._engine.system.keyspace
        kept = keyspace.get(_name(session, key)) or keyspace.get(_name(session, key, CLEARED_PREFIX))
        if kept is None:
            return None
        session.must_wait = True
        return _decode(kept)

    def is_under_way(self, session: Session, key: bytes) -> bool:
        """Whether another request of this user and key waits to be executed. One whose client has gone never will."""
        return _name(session, key) in self._alive()

    def begin(self, session: Session, key: bytes, promise: Promise) -> None:
        """The request waits; *promise*, which the session waits for, is resolved when it has been executed."""
        self._under_way = self._alive()
        self._under_way[_name(session, key)] = session, promise

    def _alive(self) -> dict[bytes, tuple[Session, Promise]]:
        return {
            name: (session, promise)
            for name, (session, promise) in self._under_way.items()
            if session.waiting_for is promise
        }

    @property
    def have_room(self) -> bool:
        """Whether another answer may be kept."""
        return self._engine.system.keyspace.payload_bytes < MOST_BYTES

    def keep(self, session: Session, key: bytes, first: FirstAnswer) -> None:
        """Record the answer, as part of the transaction that is being recorded."""
        if first.answer is not None and len(first.answer) > LONGEST_ANSWER_BYTES:
            first = FirstAnswer(first.fingerprint, None)
        engine = self._engine
        engine.system.keyspace.put(_name(session, key), _encode(first), engine.clock.now_ms + KEPT_MS)


def _name(session: Session, key: bytes, prefix: bytes = PREFIX) -> bytes:
    return b"%b%b\0%b" % (prefix, session.user.key, key)


def clear_answers(engine: Engine) -> Iterator[None]:
    """Let go of all answers, which may hold any value, in slices: a request that is sent again is still not executed
    again, but told that its answer is not there. No key begins with PREFIX when this ends."""
    keyspace = engine.system.keyspace
    slice_, cleared = 0, True
    while cleared:  # others may have come meanwhile
        cleared = False
        for shard in keyspace.shards:
            start = len(engine.ops)
            for name in [name for name in shard if name.startswith(PREFIX)]:
                _clear(keyspace, name)
                cleared, slice_ = True, slice_ + 1
            engine.end_group(start)
            if slice_ >= CLEARED_AT_ONCE:
                slice_ = 0
                yield


def _clear(keyspace: Keyspace, name: bytes) -> None:
    kept, expires_at_ms = keyspace.get_with_expiry(name)
    keyspace.delete(name)
    if kept is not None:
        cleared = FirstAnswer(_decode(kept).fingerprint, None)
        keyspace.put(CLEARED_PREFIX + name.removeprefix(PREFIX), _encode(cleared), expires_at_ms)
