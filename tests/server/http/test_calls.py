"""Commands for routes that wait: what they are told, and that nobody waits for a client that has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

from keystead.execution.promise import Promise
from keystead.server.http.calls import Calls
from keystead.server.waiting import NothingWaits


class Slow:
    """An executor that promises every second reply, and two at once then."""

    def __init__(self) -> None:
        self.promises: list[Promise] = []

    def run(self, _session: object, commands: Iterator[list[bytes]], replies: list[bytes]) -> Promise | None:
        for name, *_ in commands:
            if name == b"LATER":
                next(commands, None)
                promise = Promise()
                self.promises.append(promise)
                return promise
            replies.append(b"+%b\r\n" % name)
        return None


def calls_of(executor: Slow) -> Calls:
    return Calls(asyncio.get_running_loop(), cast("Any", executor), NothingWaits())


def test_replies_that_come_together_are_told_one_by_one() -> None:
    async def ask() -> list[bytes]:
        executor = Slow()
        calls = calls_of(executor)
        commands = [[b"NOW"], [b"LATER"], [b"LATER"], [b"NOW"]]
        asking = asyncio.ensure_future(calls.run_each(cast("Any", object()), commands))
        await asyncio.sleep(0)
        executor.promises[0].resolve(b"*1\r\n$1\r\n\n\r\n$-1\r\n")
        return await asking

    assert asyncio.run(ask()) == [b"+NOW\r\n", b"*1\r\n$1\r\n\n\r\n", b"$-1\r\n", b"+NOW\r\n"]


def test_nobody_goes_on_waiting_for_a_client_that_has_gone() -> None:
    async def leave() -> bool:
        executor, session = Slow(), cast("Any", object())
        calls = calls_of(executor)
        asking = asyncio.ensure_future(calls.run_each(session, [[b"LATER"], [b"LATER"]]))
        await asyncio.sleep(0)
        calls.forget(cast("Any", object()))
        await asyncio.sleep(0)
        assert not asking.done(), "somebody else has gone"
        calls.forget(session)
        await asyncio.sleep(0)
        executor.promises[0].resolve(b"+too late\r\n")
        await asyncio.wait([asking])
        return asking.cancelled()

    assert asyncio.run(leave())
