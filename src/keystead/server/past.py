"""The server's side of the processes that answer questions about the past: starts, asks, hears, ends them.

There are two at most, each started by its first question: one for those that the index answers, one for those that must
look through the log, so that the quick ones never wait behind the others. Implements
`keystead.execution.historian.Historian`; see `engine/history/asking` for what runs on the other side.

Owns: the processes, who waits for which answer. Must not know: what questions mean, commands, HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from typing import TYPE_CHECKING, Final, cast

from keystead.engine.history.asking import COMMAND, LENGTH, Request, decode_reply, framed
from keystead.engine.history.questions import SHORT, At, MomentOf

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.engine.history.questions import Outcome, Question
    from keystead.execution.historian import Answered, CallOff
    from keystead.server.turns import Turns

log = logging.getLogger("keystead.server")

IDLE_S: Final = 300.0
"""After so long without a question the process of the long ones ends: it keeps all keys of the last few moments."""

LULL_S: Final = 1.0
"""When nothing was committed for so long, what has been is looked at, so that no question need wait for that."""


class _Asked:
    """One question on its way; a waiter for the turn behind which it was asked."""

    def __init__(self, past: PastProcesses, number: int, question: Question, answered: Answered) -> None:
        self.number = number
        self.question = question
        self.until = 0
        self.answered: Answered | None = answered
        """None: nobody waits any more."""
        self._past = past

    def released(self, data: bytes) -> None:  # noqa: ARG002 - nothing was given to be kept
        """Everything before the question is durable."""
        self._past.send(self)

    def answer(self, outcome: Outcome | None) -> None:
        """Tell the outcome, once."""
        answered, self.answered = self.answered, None
        if answered is not None:
            answered(outcome)


class PastProcesses:
    """Answers questions about the past of one server's directory."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: Engine, turns: Turns) -> None:
        self._loop = loop
        self._engine = engine
        self._turns = turns
        self._numbers = itertools.count(1)
        self._short = _Lane(loop, engine.path, "quick")
        self._long = _Lane(loop, engine.path, "long", IDLE_S)
        self._closed = False

    async def stay_ready(self) -> None:
        """Where somebody has asked a quick question, have the growing segment known before the next one: to read a
        whole one takes half a second. While changes keep coming it is left behind: who asks then waits for the rest.

        Not before the first question, for a process takes 13 MB, and most servers are never asked."""
        seen = known = 0
        while True:
            await asyncio.sleep(LULL_S)
            following = self._engine.log.next_sequence
            is_lull = following == seen
            seen = following
            if is_lull and following != known and self._short.pid is not None:
                known = following
                self.ask(MomentOf(At(None, self._engine.clock.now_ms)), _ignored)

    def ask(self, question: Question, answered: Answered) -> CallOff:
        """As Historian."""
        asked = _Asked(self, next(self._numbers), question, answered)
        # The turn that is open now is in the log when the loop comes to the second of these, and not before.
        self._turns.schedule()
        self._loop.call_soon(self._settle, asked)

        def call_off() -> None:
            if asked.answered is not None:
                asked.answered = None
                self._lane_of(asked).call_off(asked)

        return call_off

    def _settle(self, asked: _Asked) -> None:
        asked.until = self._engine.log.next_sequence
        # What is appended must be durable before it is shown, as for any other reply.
        if not self._turns.hold(asked, b""):
            self.send(asked)

    def send(self, asked: _Asked) -> None:
        """Ask: all before the question is durable."""
        if self._closed:
            asked.answer(None)
        elif asked.answered is not None:
            self._lane_of(asked).send(asked)

    def _lane_of(self, asked: _Asked) -> _Lane:
        return self._short if isinstance(asked.question, SHORT) else self._long

    def forget(self) -> None:
        """Something was erased from the log: what the processes keep may have it. Questions are asked anew."""
        self._short.replace()
        self._long.replace()

    @property
    def pids(self) -> list[int]:
        """Of the processes that run."""
        return [pid for lane in (self._short, self._long) if (pid := lane.pid) is not None]

    def close(self) -> None:
        """End the processes; who still waits for an answer gets none."""
        self._closed = True
        self._short.close()
        self._long.close()


def _ignored(_: Outcome | None) -> None:
    """Nobody waits for that."""


class _Lane:
    """At most one process, and the questions that it has been asked."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: str, name: str, idle_s: float = 0.0) -> None:
        self._loop = loop
        self._words = path, name
        self._idle_s = idle_s
        self._process: _Process | None = None
        self._pending: dict[int, _Asked] = {}
        self._last_s = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def send(self, asked: _Asked) -> None:
        self._pending[asked.number] = asked
        self._last_s = self._loop.time()
        if self._process is None:
            self._process = _Process(self._loop, self._words, self)
            if self._idle_s:
                self._loop.call_later(self._idle_s, self._end_when_idle, self._process)
        self._process.write(framed(Request(asked.number, asked.until, asked.question)))

    def call_off(self, asked: _Asked) -> None:
        if self._pending.pop(asked.number, None) is not None and self._process is not None:
            self._process.write(framed(Request(asked.number, 0, None)))

    def replied(self, data: bytes) -> None:
        """A message of the process."""
        reply = decode_reply(data)
        asked = self._pending.pop(reply.number, None)
        if asked is not None:
            asked.answer(reply.outcome)

    def ended(self, process: _Process) -> None:
        """The process has ended, or could not be started."""
        if process is not self._process:
            return
        self._process = None
        pending = list(self._pending.values())
        self._pending.clear()
        if pending:
            log.error("the process that reads the past ended with %d questions unanswered", len(pending))
        for asked in pending:
            asked.answer(None)

    def replace(self) -> None:
        """End the process, and ask its questions again."""
        process, self._process = self._process, None
        if process is not None:
            process.end()
            pending = list(self._pending.values())
            for asked in pending:
                self.send(asked)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()
        pending = list(self._pending.values())
        self._pending.clear()
        for asked in pending:
            asked.answer(None)

    def _end_when_idle(self, process: _Process) -> None:
        if process is not self._process:
            return
        left_s = self._last_s + self._idle_s - self._loop.time()
        if self._pending or left_s > 0:
            self._loop.call_later(max(left_s, 1.0), self._end_when_idle, process)
        else:
            self._process = None
            process.end()


class _Process(asyncio.SubprocessProtocol):
    """One process. What is written before it has started is kept until then."""

    def __init__(self, loop: asyncio.AbstractEventLoop, words: tuple[str, str], lane: _Lane) -> None:
        self._lane = lane
        self._transport: asyncio.SubprocessTransport | None = None
        self._unsent: list[bytes] = []
        self._input = bytearray()
        self._over = False
        self._starting = loop.create_task(self._start(loop, words))

    async def _start(self, loop: asyncio.AbstractEventLoop, words: tuple[str, str]) -> None:
        pipe = asyncio.subprocess.PIPE
        try:
            await loop.subprocess_exec(lambda: self, *COMMAND, *words, stdin=pipe, stdout=pipe, stderr=None)
        except OSError as error:
            log.error("the process that reads the past cannot be started: %s", error.strerror)
            self._over = True
            self._lane.ended(self)

    @property
    def pid(self) -> int | None:
        return self._transport.get_pid() if self._transport is not None else None

    def write(self, data: bytes) -> None:
        if self._transport is None:
            self._unsent.append(data)
        elif not self._over:
            self._stdin(self._transport).write(data)

    @staticmethod
    def _stdin(transport: asyncio.SubprocessTransport) -> asyncio.WriteTransport:
        return cast("asyncio.WriteTransport", transport.get_pipe_transport(0))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As SubprocessProtocol."""
        self._transport = found = cast("asyncio.SubprocessTransport", transport)  # uvloop's is none by its type
        if self._over:
            self._kill()
            return
        unsent, self._unsent = self._unsent, []
        if unsent:
            self._stdin(found).write(b"".join(unsent))

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - there is one pipe to read
        """As SubprocessProtocol."""
        received = self._input
        received += data
        start = 0
        while len(received) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(received, start)
            end = start + LENGTH.size + length
            if len(received) < end:
                break
            message = bytes(received[start + LENGTH.size : end])
            start = end
            if not self._over:
                self._lane.replied(message)
        del received[:start]

    def process_exited(self) -> None:
        """As SubprocessProtocol."""
        self._over = True
        self._lane.ended(self)

    def end(self) -> None:
        """Let it end, whatever it does."""
        self._over = True
        if self._transport is not None:
            self._kill()

    def _kill(self) -> None:
        assert self._transport is not None
        with contextlib.suppress(ProcessLookupError):
            self._transport.kill()
        self._transport.close()
