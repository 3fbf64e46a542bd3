"""Which table of commands a client has in which state.

    NEW             a password is asked for and not given yet
    NORMAL          logged in
    MULTI           commands are queued until EXEC
    MONITOR         listens; as a replica would be, it is kept from the data
    IN TRANSACTION  not a client's state: what EXEC runs

What holds for the whole server (writes refused, a monitor listens, the slow log, latency tracking, the
operation log, a pause) is wrapped
around the runners it concerns when it begins and unwrapped when it ends. The tables are filled again in place, so no
session need be visited and nothing is tested per command.

Why the slow log costs nothing: with a threshold of a millisecond or more only commands that are not O(1) are timed. A
GET does the same few microseconds' work on every key; were one slow, the machine was, and the log would blame the wrong
command. Below a millisecond everything is timed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from keystead import resp
from keystead.commands.declaration import Command
from keystead.commands.table import Run, Table, Wrap, refuse_unknown
from keystead.errors import CommandError
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from keystead.execution.session import Session

RUN_IN_MULTI = frozenset(("exec", "discard", "multi", "watch", "quit", "reset"))
"""Commands that are not queued."""

NO_AUTH = "NOAUTH Authentication required."


class Tables:
    """The tables of one executor."""

    def __init__(self, registry: dict[bytes, Command]) -> None:
        self._registry = registry
        self._layers: dict[str, Wrap] = {}
        self.new = Table()
        self.normal = Table()
        self.multi = Table(breaking(refuse_unknown))
        self.monitor = Table()
        self.in_transaction = Table()
        self._refill()

    def of(self, session: Session) -> Table:
        """The table of the session's state."""
        if not session.authenticated:
            table = self.new
        elif session.queued is not None:
            table = self.multi
        elif session.is_monitor:
            table = self.monitor
        else:
            table = self.normal
        return table if session.reply_mode == "on" else _SilentTable(table)

    # --- what holds for the whole server -----------------------------------------------------------------------------

    ORDER: ClassVar = ("times", "slow_log", "latency", "refusal", "monitor", "operations", "pause")
    """Inside to outside: a paused command is neither refused nor shown to monitors before the pause ends."""

    IN_TRANSACTION: ClassVar = ("times", "slow_log", "latency", "monitor", "operations")
    """EXEC has been let through as a whole."""

    REFUSING: ClassVar = ("operations",)
    """What a client may not do before it has logged in is an operation, too."""

    QUEUEING: ClassVar = ("refusal", "queueing", "pause")

    def put_layers(self, **layers: Wrap | None) -> None:
        """Wrap every runner by these layers, or take them off where they are None. A layer returns the runner it was
        given where it has nothing to do with the command."""
        layers = {**self._layers, **layers}
        self._layers = {name: layer for name, layer in layers.items() if layer is not None}
        self._refill()

    def _refill(self) -> None:
        """Fill the tables again, in place."""
        commands = self._registry.values()
        self.normal.fill(commands, self._wrap)
        self.new.fill(commands, self._wrap_before_login)
        self.multi.fill(commands, self._wrap_in_multi, around=_breaking_unless_it_runs)
        self.monitor.fill(commands, lambda command, run: self._wrap(command, keeping_from_data(command, run)))
        self.in_transaction.fill(commands, lambda command, run: self._within(self.IN_TRANSACTION, command, run))

    def _wrap(self, command: Command, run: Run) -> Run:
        return self._within(self.ORDER, command, run)

    def _wrap_before_login(self, command: Command, run: Run) -> Run:
        if "no_auth" in command.flags:
            return self._wrap(command, run)
        return self._within(self.REFUSING, command, refusing_login(command))

    def _wrap_in_multi(self, command: Command, run: Run) -> Run:
        if command.name in RUN_IN_MULTI:
            return breaking_by_arity(command, self._wrap(command, run))
        return self._within(self.QUEUEING, command, queueing(command))

    def _within(self, names: Iterable[str], command: Command, run: Run) -> Run:
        for name in names:
            decorate = self._layers.get(name)
            if decorate is not None:
                run = decorate(command, run)
        return run


def refusing_login(command: Command) -> Run:
    """Refuses the command to a client that is not logged in; a wrong number of arguments is told first, as in Redis."""

    def run(session: Session, args: list[bytes]) -> bytes:
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
        raise CommandError(NO_AUTH)

    return run


def queueing(command: Command) -> Run:
    """Puts the command into the transaction, after the checks that Redis makes while queueing."""

    def run(session: Session, args: list[bytes]) -> bytes:
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
        if "no_multi" in command.flags:
            raise CommandError("ERR Command not allowed inside a transaction")
        assert session.queued is not None
        session.queued.append(args)
        return resp.QUEUED

    return run


def breaking(run: Run) -> Run:
    """An error while queueing makes EXEC refuse the transaction."""

    def guarded(session: Session, args: list[bytes]) -> bytes | Promise:
        try:
            return run(session, args)
        except CommandError:
            session.queue_is_broken = True
            raise

    return guarded


def _breaking_unless_it_runs(command: Command, run: Run) -> Run:
    return run if command.name in RUN_IN_MULTI else breaking(run)


def breaking_by_arity(command: Command, run: Run) -> Run:
    """For what runs within MULTI: a wrong number of arguments breaks the transaction, an error of the command's own
    (MULTI inside MULTI) does not."""

    def guarded(session: Session, args: list[bytes]) -> bytes | Promise:
        session.queue_is_broken |= not command.accepts(len(args))
        return run(session, args)

    return guarded


def keeping_from_data(command: Command, run: Run) -> Run:
    """Redis treats a monitor as a replica, and those have no business with keys."""

    def kept(session: Session, args: list[bytes]) -> bytes | Promise:
        raise CommandError("ERR Replica can't interact with the keyspace")

    return kept if command.flags & {"write", "readonly"} else run


class _SilentTable(Table):
    """CLIENT REPLY OFF and SKIP: everything runs, nothing is answered.

    It has no entries: each name is looked up in the table of the client's state, so it follows what happens to that.
    """

    __slots__ = ("_table",)

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, name: bytes) -> Run:
        run = self._table[name]

        def silently(session: Session, args: list[bytes]) -> bytes | Promise:
            try:
                reply = run(session, args)
            except Exception as failure:
                reply = session.executor.failure_reply(args, failure)
            if session.table is self and session.reply_mode == "skip":
                session.reply_mode = "on"
                session.choose_table()
            elif session.reply_mode == "on":  # CLIENT REPLY ON answers
                return reply
            return silenced(reply) if isinstance(reply, Promise) else b""

        return silently


def silenced(promise: Promise) -> Promise:
    """Resolved when *promise* is, with nothing to write."""
    silent = Promise(promise.cancel)
    promise.add_done(lambda _: silent.resolve(b""))
    return silent
