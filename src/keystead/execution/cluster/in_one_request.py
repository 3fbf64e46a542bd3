"""Transactions that a door sends as one request, and changes that depend on what is there, for HTTP.

A change that depends on values is decided here, under WATCH, and decided again when somebody else changes a value
before it is made: many front doors may do so at once, and each condition holds in one step with its change.

Owns: what may take part, whose permission is asked for, the tries. Must not know: how requests are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from keystead.cluster.request import Request
from keystead.cluster.slots import slot_of
from keystead.commands.declaration import Command, called_command
from keystead.commands.placement import Nowhere, refusal
from keystead.commands.table import unknown_command, unknown_subcommand
from keystead.errors import CommandError
from keystead.execution.cluster.routes import CROSSSLOT, NOT_IN_TRANSACTION, may_be_in_transaction, packed, slots_in
from keystead.execution.cluster.transactions import Outcome, Transaction, Watch, text_of
from keystead.execution.permissions import Denial
from keystead.resp.reading import read_reply

if TYPE_CHECKING:
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.execution.session import Session

Decide: TypeAlias = Callable[[list[bytes | None]], list[list[bytes]] | CommandError]
"""Given the values of the keys: commands, or why there are none."""

MOST_TRIES: Final = 100
"""How often a change is tried again that others keep coming in between of."""


def transact(
    executor: ClusterExecutor, session: Session, commands: list[list[bytes]], done: Callable[[Outcome], None]
) -> None:
    """See `ClusterExecutor.transact`."""
    refused = unfit(session, commands)
    if refused is not None:
        done(refused)
        return

    def told(outcome: list[bytes] | CommandError | None) -> None:
        assert outcome is not None, "nothing is watched"
        done(outcome)

    def start() -> None:
        Transaction(executor, session, commands, None, told).start()
        executor.post(session)

    _unless_paused(executor, session, commands, start)


def unfit(session: Session, commands: list[list[bytes]]) -> CommandError | None:
    """Why the commands cannot be a transaction of this session's user, whatever the data is; None when they can."""
    slots: set[int] = set()
    for args in commands:
        command = called_command(args)
        if command is None:
            return CommandError(unknown_subcommand(args) if called_command(args[:1]) else unknown_command(args))
        if not command.accepts(len(args)):
            return CommandError(command.arity_error)
        if isinstance(command.place, Nowhere):
            return CommandError(refusal(command.name, command.place))
        if command.connection_state or "no_multi" in command.flags:
            return CommandError(f"ERR '{command.name}' cannot be part of a transaction")
        if not may_be_in_transaction(command):
            return CommandError(NOT_IN_TRANSACTION.format(command.name.replace("|", " ").upper()))
        denied = _denial(session, command, args)
        if denied is not None:
            return denied
        slots |= slots_in(command, args)
    return CommandError(CROSSSLOT) if len(slots) > 1 else None


def _denial(session: Session, command: Command, args: list[bytes]) -> CommandError | None:
    permissions = session.user.permissions
    denial = None if permissions.is_unrestricted else permissions.denial(command, args)
    return None if denial is None else _noted(session, args, denial)


def _noted(session: Session, args: list[bytes], denial: Denial) -> CommandError:
    session.executor.note_denial(session, args, denial)
    return CommandError(denial.error)


def _unless_paused(
    executor: ClusterExecutor, session: Session, commands: list[list[bytes]], start: Callable[[], None]
) -> None:
    changes = any("write" in executor.flags_of(args) for args in commands)
    session.last_active_ms = executor.clock.refresh()
    session.last_command = commands[-1] if commands else []
    executor.statistics.commands_processed += len(commands)
    if executor.pauses.hold(changes):

        def resume() -> bytes:
            start()
            return b""

        executor.pauses.postpone(session, resume)
    else:
        start()


def change_if(
    executor: ClusterExecutor,
    session: Session,
    keys: list[bytes],
    decide: Decide,
    done: Callable[[Outcome], None],
) -> None:
    """See `ClusterExecutor.change_if`."""
    permissions = session.user.permissions
    for key in keys:
        if not permissions.is_unrestricted and not permissions.may_read_key(key):
            done(_noted(session, [b"GET", key], Denial("key", key)))
            return
    slots = {slot_of(key) for key in keys}
    if len(slots) > 1:
        done(CommandError(CROSSSLOT))
    else:
        _Change(executor, session, slots.pop(), keys, decide, done).begin()


class _Change:
    """WATCH, GET, decide, MULTI … EXEC; again when a key was changed in between."""

    def __init__(
        self,
        executor: ClusterExecutor,
        session: Session,
        slot: int,
        keys: list[bytes],
        decide: Decide,
        done: Callable[[Outcome], None],
    ) -> None:
        self._executor = executor
        self._session = session
        self._slot = slot
        self._keys = keys
        self._decide = decide
        self._done = done
        self._tries = 0

    def begin(self) -> None:
        self._tries += 1
        watch = Watch(self._executor, self._slot, self._session.protocol)
        asked = [packed([b"WATCH", *self._keys]), *(packed([b"GET", key]) for key in self._keys)]
        replies: list[bytes] = []

        def told(reply: bytes) -> None:
            replies.append(reply)
            if len(replies) == len(asked):
                self._look(watch, replies)

        for data in asked:
            watch.send(Request(self._slot, data, told))

    def _look(self, watch: Watch, replies: list[bytes]) -> None:
        error = next((reply for reply in replies if reply[:1] == b"-"), None)
        if error is not None:
            watch.close()
            self._done(CommandError(text_of(error)))
            return
        values = [read_reply(reply).value for reply in replies[1:]]
        commands = self._decide(values)
        if not isinstance(commands, CommandError):
            refused = unfit(self._session, commands)
            if refused is None:
                start = Transaction(self._executor, self._session, commands, watch, self._told).start
                _unless_paused(self._executor, self._session, commands, start)
                return
            commands = refused
        watch.close()
        self._done(commands)

    def _told(self, outcome: list[bytes] | CommandError | None) -> None:
        if outcome is not None:
            self._done(outcome)
        elif self._tries < MOST_TRIES:
            self.begin()
        else:
            self._done(CommandError("TRYAGAIN not executed: others keep changing the same key"))
