"""The slow log: the last commands that took longer than a threshold.

Owns: its entries, and which commands are timed (see `layer`). Times are those of execution alone, in a cluster with
the way to the nodes; waiting for the disk is not the command's fault and is not in them.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from keystead.commands.declaration import Command
from keystead.commands.table import Run, Wrap
from keystead.execution.promise import Promise
from keystead.execution.shown_arguments import without_secrets

if TYPE_CHECKING:
    from keystead.execution.session import Session

MOST_ARGUMENTS = 32
MOST_ARGUMENT_BYTES = 128
TIME_EVERYTHING_BELOW_US = 1000


class Entry(NamedTuple):
    """One slow command."""

    id: int
    at_s: int
    duration_us: int
    args: list[bytes]
    addr: str
    client_name: bytes


class SlowLog:
    """The entries, newest first."""

    def __init__(self, slower_than_us: int, max_entries: int) -> None:
        self.slower_than_us = slower_than_us
        """0 logs every command, a negative threshold none."""
        self.entries: deque[Entry] = deque(maxlen=max_entries)
        self._next_id = 0

    def configure(self, slower_than_us: int, max_entries: int) -> None:
        """Take new settings; the oldest entries go when there are too many."""
        self.slower_than_us = slower_than_us
        if max_entries != self.entries.maxlen:
            self.entries = deque(list(self.entries)[:max_entries], maxlen=max_entries)

    def layer(self) -> Wrap | None:
        """What to put around runners: a stop-watch around the commands that can be slow.

        With a threshold of a millisecond or more an O(1) command is not timed: it does the same few microseconds' work
        on every key, so if one is slow the machine was, and the log would blame the wrong command.
        """
        if self.slower_than_us < 0:
            return None
        return self._timed if self.slower_than_us < TIME_EVERYTHING_BELOW_US else self._timed_unless_constant

    def _timed_unless_constant(self, command: Command, run: Run) -> Run:
        return run if command.complexity == "O(1)" else self._timed(command, run)

    def _timed(self, command: Command, run: Run) -> Run:
        if "skip_slowlog" in command.flags:
            return run
        now_ns = time.perf_counter_ns

        def timed(session: Session, args: list[bytes]) -> bytes | Promise:
            if not command.accepts(len(args)):
                return run(session, args)  # refused, not run
            started_ns = now_ns()
            reply: bytes | Promise = b""
            try:
                reply = run(session, args)
                return reply
            finally:
                if isinstance(reply, Promise) and reply.is_execution:
                    reply.add_done(lambda _: self._note(session, args, started_ns))
                else:
                    self._note(session, args, started_ns)

        return timed

    def _note(self, session: Session, args: list[bytes], started_ns: int) -> None:
        duration_us = (time.perf_counter_ns() - started_ns) // 1000
        if 0 <= self.slower_than_us <= duration_us:  # CONFIG SET may just have changed it
            self.add(session, args, duration_us)

    def add(self, session: Session, args: list[bytes], duration_us: int) -> None:
        """Log a command; long ones are shortened, passwords replaced."""
        shown = _shortened(without_secrets(args))
        entry = Entry(self._next_id, int(time.time()), duration_us, shown, session.peer.addr, session.name)
        self._next_id += 1
        self.entries.appendleft(entry)


def _shortened(args: list[bytes]) -> list[bytes]:
    shown = [_cut(argument) for argument in args[:MOST_ARGUMENTS]]
    if len(args) > MOST_ARGUMENTS:
        shown[-1] = b"... (%d more arguments)" % (len(args) - MOST_ARGUMENTS + 1)
    return shown


def _cut(argument: bytes) -> bytes:
    surplus = len(argument) - MOST_ARGUMENT_BYTES
    return b"%b... (%d more bytes)" % (argument[:MOST_ARGUMENT_BYTES], surplus) if surplus > 0 else bytes(argument)
