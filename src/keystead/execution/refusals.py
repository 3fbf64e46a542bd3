"""While the engine refuses to let data grow (memory, disk), the commands that would are answered with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from keystead.commands.declaration import Command
from keystead.commands.table import Run, Wrap
from keystead.commands.transactions import refuse_exec
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session


def refusing(reason: str, flags_of: Callable[[list[bytes]], frozenset[str]]) -> Wrap:
    """The layer for one reason. Reads, deletes and expiry go on; an EXEC is refused when it holds such a command."""

    def decorate(command: Command, run: Run) -> Run:
        if command.name == "exec":
            return refuse_growing_exec(run)
        return refuse_all(command, run) if "denyoom" in command.flags else run

    refuse_all = refusing_all(reason)

    def refuse_growing_exec(run: Run) -> Run:
        def exec_(session: Session, args: list[bytes]) -> bytes | Promise:
            if any("denyoom" in flags_of(queued) for queued in session.queued or ()):
                raise refuse_exec(session, reason)
            return run(session, args)

        return exec_

    return decorate


def refusing_all(reason: str) -> Wrap:
    """The layer that refuses every command. Out of memory it lies around queueing in MULTI: queues take memory too."""

    def decorate(command: Command, run: Run) -> Run:
        def refused(session: Session, args: list[bytes]) -> bytes | Promise:
            if not command.accepts(len(args)):
                return run(session, args)
            raise CommandError(reason)

        return refused

    return decorate
