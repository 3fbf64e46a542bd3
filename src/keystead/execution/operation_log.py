"""The operation log: who did what to which key, when, and how it went; never with a value.

While it is on, every runner is wrapped, also those of clients that are not logged in; off, it costs nothing. A record
holds what the declaration calls a key and nothing else of the arguments, so no password can be in it. What becomes of a
record is the *sink*'s business, which must return at once. Must not know: files, threads, formats.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from keystead.commands.declaration import Command
from keystead.commands.key_positions import positions
from keystead.commands.table import Run
from keystead.errors import CommandError, OutOfMemory, WriteRefused
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from keystead.execution.session import Session

MOST_KEYS: Final = 16
MOST_KEY_BYTES: Final = 256


class Operation(NamedTuple):
    """One command that ran or was refused, or what else a client did."""

    at_ns: int
    """When it began; Unix time in nanoseconds."""
    user: str
    addr: str
    client: bytes
    """The name that the client gave itself, or nothing."""
    protocol: str
    db: int
    command: str
    keys: tuple[bytes, ...]
    """Only the first ones, and only the beginning of long ones."""
    key_count: int
    result: str
    """ok, or the first word of the error."""
    duration_us: int
    """Until there was a reply; waiting for the disk is not in it."""


Sink = Callable[[Operation], None]


class OperationLog:
    """Makes records. `sink` takes them."""

    def __init__(self) -> None:
        self.sink: Sink = lambda _: None
        self.is_on = False
        """Whether what is no command is to be noted; commands are when `layer` is around them."""

    def note(
        self, session: Session, name: str, started_ns: int, *, user: str | None = None, result: str = "ok"
    ) -> None:
        """Make a record, while the log is on, of what a client did by other means than a command, since *started_ns*
        of `perf_counter_ns`. *user*: who it was, if not the session's."""
        if self.is_on:
            duration_ns = time.perf_counter_ns() - started_ns
            who = session.user.name if user is None else user
            at_ns, db = time.time_ns() - duration_ns, session.db.number
            self.sink(_operation(session, at_ns, who, db, name, ((), 0), result, duration_ns))

    def note_command(self, session: Session, command: Command, args: list[bytes], started_ns: int, result: str) -> None:
        """Make a record, while the log is on, of a command that was executed by no runner of `layer`, since
        *started_ns* of `perf_counter_ns`."""
        if self.is_on:
            duration_ns = time.perf_counter_ns() - started_ns
            at_ns, db, name = time.time_ns() - duration_ns, session.db.number, _shown_name(command)
            keys = _keys_of(command, args)
            self.sink(_operation(session, at_ns, session.user.name, db, name, keys, result, duration_ns))

    def note_denial(self, session: Session, command: Command, args: list[bytes]) -> None:
        """Make a record, while the log is on, of a command that the user may not run: no runner of `layer` sees it."""
        if self.is_on:
            at_ns, db, name, keys = time.time_ns(), session.db.number, _shown_name(command), _keys_of(command, args)
            self.sink(_operation(session, at_ns, session.user.name, db, name, keys, "NOPERM", 0))

    def layer(self, command: Command, run: Run) -> Run:
        """The runner with a record of each call."""
        name = _shown_name(command)
        clock_ns, wall_ns = time.perf_counter_ns, time.time_ns

        def logged(session: Session, args: list[bytes]) -> bytes | Promise:
            at_ns, started_ns, db = wall_ns(), clock_ns(), session.db.number

            def record(result: str) -> None:
                duration_ns, who = clock_ns() - started_ns, session.user.name
                self.sink(_operation(session, at_ns, who, db, name, _keys_of(command, args), result, duration_ns))

            try:
                reply = run(session, args)
            except Exception as failure:
                record(_word(failure))
                raise
            if isinstance(reply, Promise):
                reply.add_done(lambda promise: record(_outcome(promise.reply or b"")))
            else:
                record(_outcome(reply))
            return reply

        return logged


_Keys: TypeAlias = tuple[tuple[bytes, ...], int]
"""Those that are shown, and how many there are."""


def _shown_name(command: Command) -> str:
    return command.name.replace("|", " ").upper()


def _keys_of(command: Command, args: list[bytes]) -> _Keys:
    found = positions(command.key_specs, args) if command.key_specs else ()
    return tuple(args[at][:MOST_KEY_BYTES] for at in found[:MOST_KEYS]), len(found)


def _operation(
    session: Session, at_ns: int, user: str, db: int, name: str, keys: _Keys, result: str, duration_ns: int
) -> Operation:
    peer = session.peer
    shown, count = keys
    return Operation(
        at_ns, user, peer.addr, session.name, peer.protocol, db, name, shown, count, result, duration_ns // 1000
    )


def _outcome(reply: bytes) -> str:
    if not reply.startswith(b"-"):
        return "ok"
    return reply[1:].split(maxsplit=1)[0].decode("ascii", "replace")


def _word(failure: Exception) -> str:
    if isinstance(failure, CommandError):
        return failure.prefix
    if isinstance(failure, WriteRefused):
        return "OOM" if isinstance(failure, OutOfMemory) else "MISCONF"
    return "ERR"
