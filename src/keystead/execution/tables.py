"""Which table of commands a client has in which state.

    NEW             a password is asked for and not given yet
    NORMAL          logged in
    MULTI           commands are queued until EXEC
    MONITOR         listens; as a replica would be, it is kept from the data
    IN TRANSACTION  not a client's state: what EXEC runs

Those but the first are a set, of which there is one for users who may do everything and one for each other permissions:
in it a command that is not always allowed is wrapped by the question whether it is now. So whoever may do everything is
asked nothing, and pays nothing.

What holds for the whole server (writes refused, a monitor listens, the slow log, latency tracking, the
operation log, a pause) is wrapped
around the runners it concerns when it begins and unwrapped when it ends. The tables are filled again in place, so no
session need be visited and nothing is tested per command.

Why the slow log costs nothing: with a threshold of a millisecond or more only commands that are not O(1) are timed. A
GET does the same few microseconds' work on every key; were one slow, the machine was, and the log would blame the wrong
command. Below a millisecond everything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from weakref import WeakValueDictionary

from keystead import resp
from keystead.commands.declaration import Command
from keystead.commands.table import Make, Run, Table, Wrap, refuse_unknown, runner, wrapped_runner
from keystead.errors import CommandError
from keystead.execution.guards import guarding, guarding_within_exec
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from keystead.execution.permissions import Permissions
    from keystead.execution.session import Session
    from keystead.execution.users import User

RUN_IN_MULTI = frozenset(("exec", "discard", "multi", "watch", "quit", "reset"))
"""Commands that are not queued."""

NO_AUTH = "NOAUTH Authentication required."


class Runners(NamedTuple):
    """What is innermost in the tables."""

    normal: Make
    in_transaction: Make
    """Within EXEC."""
    queueing: Make
    """Between MULTI and EXEC."""


class TableSet:
    """The tables of clients who may do the same, one for each state after login."""

    __slots__ = ("__weakref__", "in_transaction", "monitor", "multi", "normal")

    def __init__(self, make: Callable[[], Table], make_multi: Callable[[], Table]) -> None:
        self.normal = make()
        self.multi = make_multi()
        self.monitor = make()
        self.in_transaction = make()

    def of(self, session: Session) -> Table:
        """The table of the session's state."""
        if session.queued is not None:
            return self.multi
        return self.monitor if session.is_monitor else self.normal


class Tables:
    """The tables of one executor."""

    def __init__(self, registry: dict[bytes, Command], runners: Runners | None = None) -> None:
        """*runners*: how commands run; without it their handlers do."""
        self._registry = registry
        self.runners = runners or Runners(runner, runner, queueing)
        self._layers: dict[str, Wrap] = {}
        self.new = Table()
        self.unrestricted = TableSet(Table, lambda: Table(breaking(refuse_unknown)))
        self._restricted: WeakValueDictionary[Permissions, _RestrictedSet] = WeakValueDictionary()
        """As long as a user has them."""
        self._refill()

    @property
    def normal(self) -> Table:
        """What everybody uses who may do everything."""
        return self.unrestricted.normal

    def of(self, session: Session) -> Table:
        """The table of the session's state."""
        table = self.of_user(session.user).of(session) if session.authenticated else self.new
        return table if session.reply_mode == "on" else _SilentTable(table)

    def of_user(self, user: User) -> TableSet:
        """The tables of the user's permissions; made when first asked for, shared by all who have the same."""
        if user.tables is None:
            permissions = user.permissions
            if permissions.is_unrestricted:
                user.tables = self.unrestricted
            else:
                found = self._restricted.get(permissions)
                if found is None:
                    found = self._restricted[permissions] = _RestrictedSet(self, permissions)
                user.tables = found
        return user.tables

    def follow(self, session: Session) -> None:
        """The session's user may do other things now. A client that wants no replies goes on to get none."""
        if isinstance(session.table, _SilentTable):
            session.table.stand_for(self.of_user(session.user).of(session) if session.authenticated else self.new)
        else:
            session.choose_table()

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
        commands, run = self._registry.values(), self.runners
        self.new.fill(commands, run.normal, self._wrap_before_login)
        everything = self.unrestricted
        everything.normal.fill(commands, run.normal, self.wrap)
        everything.multi.fill(commands, run.normal, self.wrap_in_multi, around=breaking_unless_it_runs)
        everything.monitor.fill(commands, run.normal, self.wrap_for_monitor)
        everything.in_transaction.fill(commands, run.in_transaction, self.wrap_in_transaction)
        for restricted in self._restricted.values():
            restricted.empty()

    def wrap(self, command: Command, run: Run) -> Run:
        """The runner in the normal state."""
        return self._within(self.ORDER, command, run)

    def _wrap_before_login(self, command: Command, run: Run) -> Run:
        if "no_auth" in command.flags:
            return self.wrap(command, run)
        return self._within(self.REFUSING, command, refusing_login(command))

    def wrap_in_multi(self, command: Command, run: Run) -> Run:
        """The runner between MULTI and EXEC, but for what an error does to the transaction."""
        if command.name in RUN_IN_MULTI:
            return breaking_by_arity(command, self.wrap(command, run))
        return self._within(self.QUEUEING, command, self.runners.queueing(command))

    def wrap_for_monitor(self, command: Command, run: Run) -> Run:
        """The runner for a client that listens."""
        return keeping_from_data(command, self.wrap(command, run))

    def wrap_in_transaction(self, command: Command, run: Run) -> Run:
        """The runner within EXEC."""
        return self._within(self.IN_TRANSACTION, command, run)

    def find(self, name: bytes) -> Command | None:
        """The declaration under the name as a client writes it."""
        return self._registry.get(name.lower())

    def _within(self, names: Iterable[str], command: Command, run: Run) -> Run:
        for name in names:
            decorate = self._layers.get(name)
            if decorate is not None:
                run = decorate(command, run)
        return run


class _RestrictedSet(TableSet):
    """The tables of users who may not do everything.

    A command's runner is made when it is first used, and all are thrown away when what is around them changes: with a
    thousand users of different permissions, the begin of MONITOR must not take a second.
    """

    __slots__ = ("_tables",)

    def __init__(self, tables: Tables, permissions: Permissions) -> None:
        guard = guarding(permissions)

        def guarded(wrap: Wrap) -> Wrap:
            return lambda command, run: guard(command, wrap(command, run))

        within_exec = guarding_within_exec(permissions)
        find, make = tables.find, tables.runners.normal
        self.normal = _TableAsUsed(find, make, guarded(tables.wrap))
        self.multi = _TableAsUsed(
            find, make, guarded(tables.wrap_in_multi), breaking_unless_it_runs, breaking(refuse_unknown)
        )
        self.monitor = _TableAsUsed(find, make, guarded(tables.wrap_for_monitor))
        self.in_transaction = _TableAsUsed(
            find,
            tables.runners.in_transaction,
            lambda command, run: within_exec(command, tables.wrap_in_transaction(command, run)),
        )

    def empty(self) -> None:
        """What is around the runners has changed: make them anew."""
        for table in (self.normal, self.multi, self.monitor, self.in_transaction):
            table.clear()


class _TableAsUsed(Table):
    """A table into which a command comes when it is first used; in capitals or small letters, as it is written."""

    __slots__ = ("_around", "_find", "_make", "_wrap")

    def __init__(
        self,
        find: Callable[[bytes], Command | None],
        make: Make,
        wrap: Wrap,
        around: Wrap | None = None,
        unknown: Run | None = None,
    ) -> None:
        super().__init__(unknown)
        self._find = find
        self._make = make
        self._wrap = wrap
        self._around = around

    def __missing__(self, name: bytes) -> Run:
        command = self._find(name)
        if command is None:
            return self.unknown
        run = wrapped_runner(command, self._make, self._wrap)
        if self._around is not None:
            run = self._around(command, run)
        self[name.lower()] = self[name.upper()] = run
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


def breaking_unless_it_runs(command: Command, run: Run) -> Run:
    """An error of what would have been queued makes EXEC refuse the transaction."""
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
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
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

    def stand_for(self, table: Table) -> None:
        """Run what that table says from now on."""
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
    silent = promise.another()
    promise.add_done(lambda _: silent.resolve(b""))
    return silent
