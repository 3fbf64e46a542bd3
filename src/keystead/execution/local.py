"""Executor one: commands run here, on this machine's engine.

`LocalExecutor.run` is the loop over one chunk of a connection's input. Beside it stands what is common to all clients:
who is connected, the tables, statistics, slow log, monitors, pauses. Synchronous; must not know sockets.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.catalogue import REGISTRY
from keystead.commands.table import executed_command
from keystead.errors import CommandError, KeysteadError, WriteRefused
from keystead.execution.access import Access
from keystead.execution.promise import Promise
from keystead.execution.session import Peer, Session
from keystead.execution.statistics import Statistics
from keystead.execution.tables import Tables

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.engine.engine import Engine

log = logging.getLogger("keystead.execution")

LARGE_REPLY_BYTES = 65536
"""After a reply longer than this the loop returns, so that the connection can apply its limits between two commands."""


class LocalExecutor:
    """Runs the commands of every client of one engine."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.registry = REGISTRY
        self.statistics = Statistics()
        self.access = Access(settings.requirepass)
        self.tables = Tables(REGISTRY)
        self.sessions: dict[int, Session] = {}
        self._last_session_id = 0

    def open_session(self, peer: Peer) -> Session:
        """A client has connected."""
        self._last_session_id += 1
        session = Session(self._last_session_id, self, peer)
        self.sessions[session.id] = session
        self.statistics.connections_received += 1
        self.statistics.peak_clients = max(self.statistics.peak_clients, len(self.sessions))
        return session

    def close_session(self, session: Session) -> None:
        """The client is gone; what it waited for is cancelled."""
        self.sessions.pop(session.id, None)
        if session.waiting_for is not None:
            session.waiting_for.cancel()

    def run(self, session: Session, commands: Iterator[list[bytes]], replies: list[bytes]) -> bytes | Promise | None:
        """Execute *commands* in order and append their encoded replies.

        Returns None when there are no more commands. Else it stopped early: on a Promise (which is not among
        *replies*; the rest may run when it is resolved) or after a large reply (returned, and the last among
        *replies*). The caller goes on by calling again with the same iterator, unless `session.closing` is set. After
        every call it must look at `session.must_wait`: when set, the replies wait until the open turn is durable.

        Raises DiskFailure: nothing may be acknowledged any more.
        """
        done = len(replies)
        engine = self.engine
        engine.clock.refresh()
        engine.author = session.author
        append = replies.append
        args: list[bytes] = []
        reply: bytes | Promise | None = None
        while True:
            # The try costs nothing until something is raised; the loop then begins again with the next command.
            try:
                for args in commands:
                    reply = session.table[args[0]](session, args)
                    append(reply)  # type: ignore[arg-type]  # a Promise is taken out again below
                    if len(reply) > LARGE_REPLY_BYTES:
                        break
                else:
                    reply = None
                break
            except Exception as failure:
                append(self.failure_reply(args, failure))
        self.statistics.commands_processed += len(replies) - done
        if args:
            session.last_command = args
        if isinstance(reply, Promise):
            replies.pop()
            session.waiting_for = reply
        session.last_active_ms = engine.clock.now_ms
        return reply

    def execute(self, session: Session, args: list[bytes]) -> bytes | Promise:
        """Execute one command as a client in its normal state would, outside the loop: for EXEC, and after a pause."""
        try:
            return self.tables.normal[args[0]](session, args)
        except Exception as failure:
            return self.failure_reply(args, failure)

    def failure_reply(self, args: list[bytes], failure: Exception) -> bytes:
        """The error reply for what a runner raised; counted. Failures that end the process are raised again."""
        text = self._failure_text(args, failure)
        self.statistics.errors[text.partition(" ")[0]] += 1
        return resp.error(text)

    def _failure_text(self, args: list[bytes], failure: Exception) -> str:
        if isinstance(failure, CommandError):
            return failure.text
        command = executed_command(self.registry, args)
        if isinstance(failure, ValueError) and command and command.raw and not command.accepts(len(args)):
            return command.arity_error
        if isinstance(failure, WriteRefused):
            return self.engine.refusal or f"MISCONF {failure}"
        if isinstance(failure, KeysteadError):
            raise failure
        log.error("command %r failed", args[0][:64], exc_info=failure)
        return "ERR internal error"
