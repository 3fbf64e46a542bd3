"""Whole databases: FLUSHDB, FLUSHALL, SWAPDB. Each takes the same time for one key and for a million."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead.commands.declaration import command
from keystead.commands.grammar import SYNTAX_ERROR
from keystead.commands.numbers import integer
from keystead.commands.placement import ONE_DATABASE
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session

database_command = partial(command, group="server", acl="keyspace dangerous")
flush_command = partial(
    database_command,
    flags="write",
    takes="args",
    history=(
        ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
        ("6.2.0", "Added the `SYNC` flushing mode modifier."),
    ),
    hints="request_policy:all_shards response_policy:all_succeeded",
)


def _check_mode(args: list[bytes]) -> None:
    """ASYNC or SYNC, which make no difference here: memory is always given back in slices, behind the reply."""
    if len(args) > 2 or (len(args) == 2 and args[1].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(SYNTAX_ERROR)


@flush_command(
    "FLUSHDB [ASYNC | SYNC]",
    since="1.0.0",
    complexity="O(N) where N is the number of keys in the selected database",
    summary="Remove all keys from the current database.",
)
def flushdb(session: Session, args: list[bytes]) -> str:
    _check_mode(args)
    session.engine.flush(session.db)
    return "OK"


@flush_command(
    "FLUSHALL [ASYNC | SYNC]",
    since="1.0.0",
    complexity="O(N) where N is the total number of keys in all databases",
    summary="Removes all keys from all databases.",
)
def flushall(session: Session, args: list[bytes]) -> str:
    _check_mode(args)
    session.engine.flush_all()
    return "OK"


@database_command(
    "SWAPDB index1 index2",
    since="4.0.0",
    flags="write fast",
    types={"index1": bytes, "index2": bytes},
    cluster=ONE_DATABASE,
    complexity="O(N) where N is the count of clients watching or blocking on keys from both databases.",
    summary="Swaps two Redis databases.",
)
def swapdb(session: Session, index1: bytes, index2: bytes) -> str:
    first = _index(index1, "ERR invalid first DB index")
    second = _index(index2, "ERR invalid second DB index")
    databases = session.engine.databases
    if not (0 <= first < len(databases) and 0 <= second < len(databases)):
        raise CommandError("ERR DB index is out of range")
    session.engine.swap(databases[first], databases[second])
    return "OK"


def _index(text: bytes, error: str) -> int:
    number = integer(text, error)
    if not -(1 << 31) <= number < 1 << 31:  # Redis keeps it in an int
        raise CommandError(error)
    return number
