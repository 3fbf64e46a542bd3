"""Commands of one client that run as one transaction of the log, for protocols that send them together.

A batch is *all or nothing* unless told otherwise: a command that fails, or a condition that does not hold, undoes what
the commands before it have done, so that memory, log and watchers are as if nothing had been executed (what counts
commands and lookups has counted them). For that every command must say by its declaration which keys it touches; others
are refused before anything runs. Without undoing it is an EXEC: every command runs, and failures are among the replies.

Owns: order, undoing, what may take part. Must not know: how a batch is written, what conditions mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from keystead.commands.declaration import Command, called_command
from keystead.commands.key_positions import positions
from keystead.commands.table import unknown_command, unknown_subcommand
from keystead.engine.savepoint import Savepoint
from keystead.execution.permissions import Denial

if TYPE_CHECKING:
    from keystead.engine.values import Value
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

Record: TypeAlias = Callable[[list[bytes], bool], None]
"""Told the replies, and whether anything was changed, before the transaction is closed: what it records belongs to
it."""


class Condition(NamedTuple):
    """What must hold of a key when a step's turn comes."""

    key: bytes
    refuse: Callable[[Value | None], str | None]
    """Given what the key holds: why the step must not run, or None."""
    tells_value: bool = True
    """Its outcome tells something of the value, not only whether there is one: that is for who may read the key."""


class Step(NamedTuple):
    """One command and what must hold before it runs."""

    args: list[bytes]
    condition: Condition | None = None


class Failure(NamedTuple):
    """Why nothing was done."""

    step: int
    """Which one, from 0."""
    reason: str
    """A Redis error, or what the condition says."""
    unmet: bool
    """It was the condition."""


class Batch:
    """One run of *steps*. `start` it once; when it has run there are either `replies`, one a step, or a `failure`."""

    def __init__(
        self, session: Session, steps: Sequence[Step], *, all_or_nothing: bool = True, record: Record | None = None
    ) -> None:
        self.replies: list[bytes] = []
        self.failure: Failure | None = None
        self._session = session
        self._steps = steps
        self._all_or_nothing = all_or_nothing
        self._record = record

    def start(self) -> Promise | None:
        """Run it. Returns None when it has run; a promise, while clients are paused, that is resolved once it has.

        What was executed, a failure included, may be told when `session.must_wait` says so. Raises DiskFailure.
        """
        self.failure = unfit_step(
            self._session, self._steps, self._session.engine.refusal, all_or_nothing=self._all_or_nothing
        )
        if self.failure is not None:
            return None
        pauses = self._session.executor.pauses
        if pauses.hold(self.writes):
            promise = pauses.postpone(self._session, self._resume)
            self._session.wait_for(promise)
            return promise
        self._run()
        return None

    @property
    def writes(self) -> bool:
        """Whether it may change data."""
        return any("write" in self._session.executor.flags_of(step.args) for step in self._steps)

    def _resume(self) -> bytes:
        self._run()
        return b""

    def _run(self) -> None:
        session, engine = self._session, self._session.engine
        session.last_active_ms = engine.clock.refresh()
        session.last_command = self._steps[-1].args if self._steps else []
        engine.author = session.author
        # Whatever it answers tells of current memory; and what it reads is current memory, its own changes included.
        session.must_wait = True
        start = len(engine.ops)
        session.runs_transaction = True
        try:
            (self._run_undoing if self._all_or_nothing else self._run_all)()
            if self.failure is None and self._record is not None:
                self._record(self.replies, len(engine.ops) > start)
        finally:
            session.runs_transaction = False
            engine.end_group(start)

    def _run_all(self) -> None:
        executor = self._session.local
        self.replies = [executor.execute_in_transaction(self._session, args) for args, _ in self._steps]
        executor.statistics.commands_processed += len(self.replies)

    def _run_undoing(self) -> None:
        savepoint = Savepoint(self._session.engine)
        try:
            for index, step in enumerate(self._steps):
                self.failure = self._execute(index, step)
                if self.failure is not None:
                    break
        except BaseException:
            savepoint.roll_back()
            raise
        if self.failure is None:
            savepoint.release()
        else:
            savepoint.roll_back()
            self.replies = []

    def _execute(self, index: int, step: Step) -> Failure | None:
        session = self._session
        if step.condition is not None:
            reason = step.condition.refuse(session.db.keyspace.get(step.condition.key))
            if reason is not None:
                return Failure(index, reason, unmet=True)
        reply = session.local.execute_in_transaction(session, step.args)
        session.statistics.commands_processed += 1
        if reply.startswith(b"-"):
            return Failure(index, reply[1:-2].decode("utf-8", "surrogateescape"), unmet=False)
        self.replies.append(reply)
        return None


def unfit_step(session: Session, steps: Sequence[Step], refusal: str | None, *, all_or_nothing: bool) -> Failure | None:
    """The first step that cannot take part, whatever the data is. *refusal*: why nothing that grows can be written."""
    for index, (args, condition) in enumerate(steps):
        command = called_command(args)
        if command is None:
            reason = why_unknown(args)
        elif not command.accepts(len(args)):
            reason = command.arity_error
        elif command.connection_state or "no_multi" in command.flags:
            reason = f"ERR '{command.name}' cannot be part of a transaction"
        elif all_or_nothing and not can_be_undone(command, args):
            reason = f"ERR '{command.name}' cannot be undone, so it cannot be part of an all-or-nothing batch"
        elif refusal and "denyoom" in command.flags:
            reason = refusal
        else:
            denial = _denial(session, command, args, condition)
            if denial is None:
                continue
            reason = denial.error
        return Failure(index, reason, unmet=False)
    return None


def _denial(session: Session, command: Command, args: list[bytes], condition: Condition | None) -> Denial | None:
    """Why the user may not take the step; it is noted. A condition is asked for before its command would be
    refused, so who may not read the key must not get that far."""
    permissions = session.user.permissions
    if permissions.is_unrestricted:
        return None
    denial = permissions.denial(command, args)
    if denial is None and condition is not None and condition.tells_value:
        denial = None if permissions.may_read_key(condition.key) else Denial("key", condition.key)
    if denial is not None:
        session.executor.note_denial(session, args, denial)
    return denial


def can_be_undone(command: Command, args: list[bytes]) -> bool:
    """Whether all that the command does is to read and change keys that it names."""
    return bool(command.flags & {"write", "readonly"} and positions(command.key_specs, args))


def why_unknown(args: list[bytes]) -> str:
    """The error of a name, or a subcommand, that is not declared."""
    return unknown_subcommand(args) if called_command(args[:1]) else unknown_command(args)
