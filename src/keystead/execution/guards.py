"""The question whether a user may, around the runners of commands that he may not always run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.commands.declaration import Command
from keystead.commands.table import Run, Wrap
from keystead.commands.transactions import refuse_exec
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.permissions import Denial, Permissions
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

_CHANGED_REASONS = {
    "command": "no permission to execute the command or subcommand",
    "key": "no permission to touch the specified keys",
    "channel": "no permission to access one of the channels used as argument to the command",
}


def guarding(permissions: Permissions) -> Wrap:
    """The outermost layer of a restricted user's runners: what is forbidden is not even postponed by a pause."""

    def guard(command: Command, run: Run) -> Run:
        if permissions.always_allow(command):
            return run

        def guarded(session: Session, args: list[bytes]) -> bytes | Promise:
            if command.accepts(len(args)):
                denial = permissions.denial(command, args)
                if denial is not None:
                    raise _refused(session, args, command, denial)
            return run(session, args)  # which says that the number of arguments is wrong

        return guarded

    return guard


def _refused(session: Session, args: list[bytes], command: Command, denial: Denial) -> CommandError:
    session.executor.note_denial(session, args, denial)
    if session.queued is not None:
        session.queue_is_broken = True
        if command.name == "exec":
            return refuse_exec(session, denial.error)
    return CommandError(denial.error)


def guarding_within_exec(permissions: Permissions) -> Wrap:
    """The same for what EXEC runs. It was allowed when it was queued, so if it is not now, that has changed since."""

    def guard(command: Command, run: Run) -> Run:
        if permissions.always_allow(command):
            return run

        def guarded(session: Session, args: list[bytes]) -> bytes | Promise:
            denial = permissions.denial(command, args)
            if denial is not None:
                session.executor.note_denial(session, args, denial)
                raise CommandError(
                    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
                    f"This command is no longer allowed for the following reason: {_CHANGED_REASONS[denial.reason]}"
                )
            return run(session, args)

        return guarded

    return guard
