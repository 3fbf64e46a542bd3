"""MONITOR: clients that are told of every command as it has run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from keystead.commands.declaration import Command
from keystead.commands.table import Run
from keystead.execution.shown_arguments import quoted, without_secrets

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session
    from keystead.execution.tables import Tables


class Monitors:
    """The listening clients. While there are any, every runner in the tables is wrapped; else nothing is."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._sessions: list[Session] = []

    def add(self, session: Session) -> None:
        """The client listens from now on."""
        session.is_monitor = True
        self._sessions.append(session)
        self._tables.put_layers(monitor=self._watched)

    def remove(self, session: Session) -> None:
        """The client no longer listens; harmless when it did not."""
        if not session.is_monitor:
            return
        session.is_monitor = False
        self._sessions.remove(session)
        if not self._sessions:
            self._tables.put_layers(monitor=None)

    def _watched(self, command: Command, run: Run) -> Run:
        if "admin" in command.flags or "skip_monitor" in command.flags:
            return run

        def watched(session: Session, args: list[bytes]) -> bytes | Promise:
            if not command.accepts(len(args)):
                return run(session, args)  # rejected, not run: Redis does not show these
            try:
                return run(session, args)
            finally:
                self.tell(session, args)

        return watched

    def tell(self, session: Session, args: list[bytes]) -> None:
        """Tell the listeners, if there are any, of a command that *session* has had executed."""
        if not self._sessions:
            return
        now_us = time.time_ns() // 1000
        head = f"+{now_us // 1_000_000}.{now_us % 1_000_000:06d} [{session.db.number} {session.peer.addr}] "
        line = head.encode() + b" ".join(map(quoted, without_secrets(args))) + b"\r\n"
        for monitor in self._sessions:
            monitor.peer.write_push(line)
