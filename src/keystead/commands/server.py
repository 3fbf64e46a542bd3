"""Commands to the server as a whole: checkpoints, time, role, the end."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.declaration import command
from keystead.commands.placement import NODES_SAVE
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

server_command = partial(command, group="server", reads="nothing")


@server_command(
    "SAVE",
    since="1.0.0",
    flags="admin noscript no_async_loading no_multi",
    encoded=True,
    complexity="O(N) where N is the total number of keys in all databases",
    cluster=NODES_SAVE,
    summary="Makes a checkpoint and answers when it is complete.",
)
def save(session: Session) -> bytes | Promise:
    """Every acknowledged write is on disk in any case; a checkpoint makes the next start quicker. Unlike Redis' SAVE
    this one stops nobody else."""
    maintenance = session.engine.maintenance
    session.engine.request_checkpoint()

    def reply() -> bytes | None:
        if maintenance.busy:
            return None
        return resp.error(f"ERR {maintenance.failure_reason}") if maintenance.checkpoint_failed else resp.OK

    return session.executor.reply_when(reply)


@server_command(
    "BGSAVE [SCHEDULE]",
    since="1.0.0",
    flags="admin noscript no_async_loading",
    history=(("3.2.2", "Added the `SCHEDULE` option."),),
    cluster=NODES_SAVE,
    summary="Makes a checkpoint in another process.",
)
def bgsave(session: Session, *, schedule: bool = False) -> str:
    if session.engine.maintenance.busy:
        if not schedule:
            raise CommandError("ERR Background save already in progress")
        session.engine.request_checkpoint()
        return "Background saving scheduled"
    session.engine.request_checkpoint()
    return "Background saving started"


@server_command(
    "BGREWRITEAOF",
    since="1.0.0",
    flags="admin noscript no_async_loading",
    cluster=NODES_SAVE,
    summary="Makes a checkpoint in another process, so that a start need not replay the whole log.",
)
def bgrewriteaof(session: Session) -> str:
    is_busy = session.engine.maintenance.busy
    session.engine.request_checkpoint()
    return f"Background append only file rewriting {'scheduled' if is_busy else 'started'}"


@server_command(
    "LASTSAVE",
    since="1.0.0",
    flags="loading stale fast",
    acl="admin dangerous",
    hints="nondeterministic_output",
    cluster=NODES_SAVE,
    summary="Returns the Unix timestamp of the last checkpoint; of the start, when there was none since.",
)
def lastsave(session: Session) -> int:
    return session.engine.maintenance.last_checkpoint_ms // 1000


@server_command(
    "TIME",
    since="2.6.0",
    flags="loading stale fast",
    hints="nondeterministic_output",
    summary="Returns the server time.",
)
def time_(session: Session) -> list[bytes]:
    now_us = time.time_ns() // 1000
    return [b"%d" % (now_us // 1_000_000), b"%d" % (now_us % 1_000_000)]


@server_command(
    "ROLE",
    since="2.8.12",
    flags="noscript loading stale fast",
    acl="admin dangerous",
    summary="Returns the replication role.",
)
def role(session: Session) -> list[object]:
    return [b"master", 0, []]


@server_command(
    "SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    since="1.0.0",
    flags="admin noscript loading stale no_multi allow_busy",
    encoded=True,
    complexity="O(1)",
    history=(("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers."),),
    summary="Syncs the log and stops the server.",
)
def shutdown(
    session: Session,
    *,
    nosave: bool = False,
    save: bool = False,
    now: bool = False,
    force: bool = False,
    abort: bool = False,
) -> Promise:
    """The log is synced at the end whatever is asked for: NOSAVE does not lose what was acknowledged. As in Redis there
    is no reply: the connection closes, here when everything so far is durable."""
    if abort:
        if nosave or save or now or force:
            raise CommandError("ERR syntax error")
        raise CommandError("ERR No shutdown in progress.")
    session.executor.stop()
    session.must_wait = True
    return session.say_goodbye(b"")


@server_command(
    "MONITOR",
    since="1.0.0",
    flags="admin noscript loading stale",
    encoded=True,
    complexity="O(1)",
    connection_state=True,
    summary="Listens for all requests received by the server in real-time.",
)
def monitor(session: Session) -> bytes:
    if session.runs_transaction:
        raise CommandError("ERR MONITOR isn't allowed for DENY BLOCKING client")
    if session.is_monitor:
        return b""
    session.executor.monitors.add(session)
    session.choose_table()
    return resp.OK
