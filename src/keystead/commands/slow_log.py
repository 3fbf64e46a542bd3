"""SLOWLOG: the commands that took long."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from keystead.commands.declaration import command, container
from keystead.commands.numbers import integer_or_none
from keystead.commands.table import subcommand_misuse
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session

container("SLOWLOG", group="server", since="2.2.12", summary="A container for slow log commands.")

slow_log_command = partial(command, group="server", since="2.2.12", flags="admin loading stale", reads="nothing")

DEFAULT_COUNT = 10


@slow_log_command(
    "SLOWLOG GET [count]",
    takes="args",
    complexity="O(N) where N is the number of entries returned",
    hints="request_policy:all_nodes nondeterministic_output",
    history=(("4.0.0", "Added client IP address, port and name to the reply."),),
    summary="Returns the slow log's entries.",
)
def slowlog_get(session: Session, args: list[bytes]) -> list[list[object]]:
    if len(args) > 3:
        raise CommandError(subcommand_misuse(args))
    count = integer_or_none(args[2]) if len(args) > 2 else DEFAULT_COUNT
    if count is None or count < -1:
        raise CommandError("ERR count should be greater than or equal to -1")
    entries = session.executor.slow_log.entries
    return [
        [entry.id, entry.at_s, entry.duration_us, entry.args, entry.addr.encode(), entry.client_name]
        for entry in islice(entries, len(entries) if count == -1 else count)
    ]


@slow_log_command(
    "SLOWLOG LEN",
    hints="request_policy:all_nodes response_policy:agg_sum nondeterministic_output",
    summary="Returns the number of entries in the slow log.",
)
def slowlog_len(session: Session) -> int:
    return len(session.executor.slow_log.entries)


@slow_log_command(
    "SLOWLOG RESET",
    complexity="O(N) where N is the number of entries in the slowlog",
    hints="request_policy:all_nodes response_policy:all_succeeded",
    summary="Clears all entries from the slow log.",
)
def slowlog_reset(session: Session) -> str:
    session.executor.slow_log.entries.clear()
    return "OK"
