"""Commands for routes: one is executed by the executor, and its reply told when it may be.

A reply that depends on what is not durable yet waits for it, as over the Redis protocol; plain reads never wait. After
a failure of the disk nothing is told any more: connections are cut, and what waits here waits for ever.

Replies are in the session's protocol (RESP3 for sessions of HTTP). Must not know: HTTP, what commands mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from keystead.errors import DiskFailure
from keystead.resp.reading import each_of

if TYPE_CHECKING:
    from keystead.execution.executor import Executor
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session
    from keystead.server.turns import Waiter
    from keystead.server.waiting import Holds

T = TypeVar("T")
Executed = Callable[[bytes], None]


class Calls:
    """Executes commands for the sessions of HTTP connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop, executor: Executor, turns: Holds) -> None:
        self._loop = loop
        self.executor = executor
        self.turns = turns
        self._awaited: dict[Session, asyncio.Future[bytes]] = {}

    # --- for coroutines ----------------------------------------------------------------------------------------------

    def try_now(self, session: Session, args: list[bytes]) -> bytes | Awaitable[bytes]:
        """Execute a command: its reply, when that depends on nothing un-synced; else what to await for it."""
        executed: list[bytes] = []
        self.start(session, args, executed.append)
        if not executed:
            return self._when_resolved(session)
        waiting = _Waiting(self._loop)
        if self.hold(session, waiting):
            return waiting.then(executed[0])
        self.turns.plain_reads = True
        return executed[0]

    async def run(self, session: Session, args: list[bytes]) -> bytes:
        """Execute a command; its reply, when it may be told."""
        reply = self.try_now(session, args)
        return reply if isinstance(reply, bytes) else await reply

    async def run_each(self, session: Session, commands: Iterable[list[bytes]]) -> list[bytes]:
        """Execute many commands, each by itself: their replies, in order, errors among them. They may not be told yet:
        an answer that is made of them waits, as `settle` does."""
        replies: list[bytes] = []
        waiting = iter(commands)
        while (stopped := self.executor.run(session, waiting, replies)) is not None:
            if not isinstance(stopped, bytes):
                replies += each_of(await self._resolved(session, stopped)) or [b""]
        return replies

    async def settle(self, session: Session, data: T) -> T:
        """*data*, when everything that this session was shown, or has changed, is durable: for whoever executed by
        other means. To be called before anything else of the session is executed."""
        waiting = _Waiting(self._loop)
        return await waiting.then(data) if self.hold(session, waiting) else data

    async def _when_resolved(self, session: Session) -> bytes:
        promise = session.waiting_for
        if promise is None:  # the disk has failed
            await self._loop.create_future()
            raise AssertionError("nothing is told any more")
        return await self.settle(session, await self._resolved(session, promise))

    async def _resolved(self, session: Session, promise: Promise) -> bytes:
        """The reply, once there is one. Whoever waits is cancelled when the client is gone: then none comes."""
        resolved: asyncio.Future[bytes] = self._loop.create_future()
        promise.add_done(partial(_told, partial(_set_result, resolved)))
        self._awaited[session] = resolved
        try:
            return await resolved
        finally:
            del self._awaited[session]

    def forget(self, session: Session) -> None:
        """The client is gone: nobody waits for its replies any more."""
        awaited = self._awaited.get(session)
        if awaited is not None:
            awaited.cancel()

    # --- for callbacks -----------------------------------------------------------------------------------------------

    def start(
        self, session: Session, args: list[bytes], executed: Executed, executed_later: Executed | None = None
    ) -> None:
        """Execute a command, and call *executed* with its reply as soon as it has been: mostly within this call, else
        *executed_later*, when there is one.

        The reply may not be told yet: whoever makes an answer of it asks `hold` at once.
        """
        try:
            reply = self.executor.execute(session, args)
        except DiskFailure as failure:
            self.turns.fail(failure)  # cuts every connection
            return
        if type(reply) is bytes:
            executed(reply)
        else:
            cast("Promise", reply).add_done(partial(_told, executed_later or executed))

    def hold(self, session: Session, waiter: Waiter) -> bool:
        """Whether an answer to this session must wait until what it depends on is durable. If so, `waiter.released`
        will be called (with b""); if not, it may be told now."""
        if not session.must_wait:
            return False
        session.must_wait = False
        turn = self.turns.hold(waiter, b"")
        if turn:
            session.pending_turn = turn
        return turn != 0


def _told(executed: Executed, promise: Promise) -> None:
    if promise.reply is not None:
        executed(promise.reply)


def _set_result(future: asyncio.Future[bytes], reply: bytes) -> None:
    if not future.done():
        future.set_result(reply)


class _Waiting:
    """Waits for a turn on behalf of a coroutine."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[None] = loop.create_future()

    async def then(self, data: T) -> T:
        """*data*, when it is durable."""
        await self.done
        return data

    def released(self, data: bytes) -> None:  # noqa: ARG002 - nothing was given to be kept
        """It is durable."""
        if not self.done.done():
            self.done.set_result(None)
