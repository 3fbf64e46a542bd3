"""MULTI and what belongs to it.

Between MULTI and EXEC a client has another table (`keystead.execution.tables`), in which commands are queued. EXEC runs
them one after the other as one transaction of the log: all of it is on disk, or nothing. As in Redis a command that
fails while it runs undoes nothing; the replies tell.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.declaration import command, wrong_number
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session

transaction_command = partial(command, group="transactions", connection_state=True)


@transaction_command(
    "MULTI",
    since="1.2.0",
    flags="noscript loading stale fast allow_busy",
    reads="nothing",
    summary="Starts a transaction.",
)
def multi(session: Session) -> str:
    if session.queued is not None:
        raise CommandError("ERR MULTI calls can not be nested")
    session.queued = []
    session.queue_is_broken = False
    session.choose_table()
    return "OK"


@transaction_command(
    "DISCARD",
    since="2.0.0",
    flags="noscript loading stale fast allow_busy",
    reads="nothing",
    complexity="O(N), when N is the number of queued commands",
    summary="Discards a transaction.",
)
def discard(session: Session) -> str:
    if session.queued is None:
        raise CommandError("ERR DISCARD without MULTI")
    leave(session)
    return "OK"


def leave(session: Session) -> list[list[bytes]]:
    """End the MULTI state and forget the watches; the commands that were queued."""
    queued, session.queued = session.queued or [], None
    session.forget_watches()
    session.choose_table()
    return queued


@transaction_command(
    "WATCH key [key ...]",
    since="2.2.0",
    flags="noscript loading stale fast allow_busy",
    keys="RO",
    complexity="O(1) for every key.",
    cluster="own",
    summary="Monitors changes to keys to determine the execution of a transaction.",
)
def watch(session: Session, keys: list[bytes]) -> str:
    if session.queued is not None:
        raise CommandError("ERR WATCH inside MULTI is not allowed")
    keyspace = session.db.keyspace
    for key in keys:
        existed = key in keyspace
        if not existed:
            # A key whose time is up goes now, so that its removal later is not taken for a change.
            keyspace.delete(key)
        keyspace.watch(key, session)
        session.watched.setdefault((session.db, key), existed)
    return "OK"


@transaction_command(
    "UNWATCH",
    since="2.2.0",
    flags="noscript loading stale fast allow_busy",
    reads="nothing",
    summary="Forgets about watched keys of a transaction.",
)
def unwatch(session: Session) -> str:
    session.forget_watches()
    return "OK"


@transaction_command(
    "EXEC",
    since="1.2.0",
    flags="noscript loading stale skip_slowlog",
    raw=True,
    complexity="Depends on commands in the transaction",
    cluster="own",
    summary="Executes all commands in a transaction.",
)
def exec_(session: Session, args: list[bytes]) -> bytes:
    if len(args) != 1:
        raise refuse_exec(session, wrong_number("exec"))
    if session.queued is None:
        raise CommandError("ERR EXEC without MULTI")
    # Whatever it answers, the answer tells what others' writes, durable or not, have done to the watched keys.
    session.must_wait = True
    is_dirty = session.dirty or _watched_key_expired(session)
    is_broken = session.queue_is_broken
    queued = leave(session)
    if is_broken:
        raise CommandError("EXECABORT Transaction discarded because of previous errors.")
    if is_dirty:
        return session.encode(resp.NULL_ARRAY)
    return _run(session, queued)


def _run(session: Session, queued: list[list[bytes]]) -> bytes:
    engine, execute = session.engine, session.local.execute_in_transaction
    start = len(engine.ops)
    session.runs_transaction = True
    try:
        replies = [execute(session, args) for args in queued]
    finally:
        session.runs_transaction = False
        # One transaction of the log, however many commands and whatever became of them.
        engine.end_group(start)
    return b"*%d\r\n%b" % (len(replies), b"".join(replies))


def refuse_exec(session: Session, reason: str) -> CommandError:
    """The error of an EXEC that cannot even begin: the transaction is gone."""
    leave(session)
    return CommandError(f"EXECABORT Transaction discarded because of: {reason.removeprefix('ERR ')}")


def _watched_key_expired(session: Session) -> bool:
    return any(existed and key not in db.keyspace for (db, key), existed in session.watched.items())
