"""What is about the one database there is: SELECT, and the parts of DEBUG that need no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keystead import resp
from keystead.commands.debug import SUBCOMMANDS
from keystead.commands.numbers import integer
from keystead.commands.placement import ONE_DATABASE, Nowhere, refusal
from keystead.commands.table import runner
from keystead.errors import CommandError
from keystead.execution.cluster.ways import way

if TYPE_CHECKING:
    from keystead.commands.declaration import Command
    from keystead.commands.table import Run
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session


IN_THE_NODES: Final = Nowhere("values and files are in the nodes", "Ask a node itself.")


@way("SELECT", "here; there is only database 0", in_transaction=True)
def select(executor: ClusterExecutor, command: Command) -> Run:
    def run(session: Session, args: list[bytes]) -> bytes:
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
        number = integer(args[1])
        if number:
            raise CommandError(refusal(f"select {number}", ONE_DATABASE))
        return resp.OK

    return run


@way("DEBUG", "here, but for what looks at values and files", in_transaction=True)
def debug(executor: ClusterExecutor, command: Command) -> Run:
    here = runner(command)

    def run(session: Session, args: list[bytes]) -> bytes | Promise:
        found = SUBCOMMANDS.get(args[1].upper()) if len(args) > 1 else None
        if found is not None and found.needs_engine and len(args) - 2 in found.arguments:
            raise CommandError(refusal(f"debug {found.syntax.split()[0]}", IN_THE_NODES))
        return here(session, args)

    return run
