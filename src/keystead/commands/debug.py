"""DEBUG: what test suites use. Only for clients on this machine, as with Redis' `enable-debug-command local`."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from keystead import resp
from keystead.commands.declaration import command
from keystead.commands.encodings import encoding_of, serialized_bytes
from keystead.commands.table import subcommand_misuse
from keystead.engine.recovery import Recovered, recover
from keystead.engine.view import View
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.execution.session import Session

log = logging.getLogger("keystead.debug")

REFUSED = (
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local '
    "connection, otherwise you need to set this option in the configuration file, and then restart the server."
)


@command(
    "DEBUG subcommand [argument [argument ...]]",
    group="server",
    since="1.0.0",
    flags="admin noscript loading stale",
    takes="args",
    encoded=True,
    complexity="Depends on subcommand.",
    cluster="own",
    summary="A container for debugging commands.",
)
def debug(session: Session, args: list[bytes]) -> bytes:
    if not session.peer.is_local:
        raise CommandError(REFUSED)
    found = SUBCOMMANDS.get(args[1].upper())
    if found is None or len(args) - 2 not in found.arguments:
        raise CommandError(subcommand_misuse(args))
    return found.run(session, args[2:])


def help_(session: Session, args: list[bytes]) -> bytes:
    lines = ["DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for found in SUBCOMMANDS.values():
        lines += [found.syntax, f"    {found.summary}"]
    return session.encode(lines)


def sleep(session: Session, args: list[bytes]) -> bytes:
    """Stops the whole server, as in Redis: that is what it is for."""
    seconds = re.match(rb"\s*\d*\.?\d*", args[0])
    time.sleep(float(seconds[0]) if seconds and seconds[0].strip(b" .") else 0.0)
    return resp.OK


def object_(session: Session, args: list[bytes]) -> bytes:
    value = session.db.keyspace.get(args[0])
    if value is None:
        raise CommandError("ERR no such key")
    return session.encode(
        f"Value at:{id(value):#x} refcount:1 encoding:{encoding_of(value)} serializedlength:{serialized_bytes(value)} "
        "lru:0 lru_seconds_idle:0"
    )


def set_active_expire(session: Session, args: list[bytes]) -> bytes:
    session.engine.active_expire = args[0] != b"0"
    return resp.OK


def error(session: Session, args: list[bytes]) -> bytes:
    raise CommandError(args[0].decode("utf-8", "surrogateescape"))


def log_(session: Session, args: list[bytes]) -> bytes:
    log.warning("DEBUG LOG: %s", args[0].decode("utf-8", "backslashreplace"))
    return resp.OK


def reload_(session: Session, args: list[bytes]) -> bytes:
    if not {option.upper() for option in args} <= {b"MERGE", b"NOFLUSH", b"NOSAVE"}:
        raise CommandError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    return load_aof(session, args)


def load_aof(session: Session, args: list[bytes]) -> bytes:
    """Read the store from its files and compare with memory: what Redis' command is used to find out."""
    engine = session.engine
    engine.end_turn()
    if not replays_to_memory(engine):
        raise CommandError("ERR Error trying to load the log, check server logs.")
    return resp.OK


def replays_to_memory(engine: Engine) -> bool:
    """Whether the files say what memory holds. The turn must be ended."""
    manifest = engine.maintenance.manifest
    recovered = Recovered(View(manifest.seed))
    for _ in recover(engine.directory, manifest, recovered):
        pass
    view = recovered.view
    for database in (*engine.databases, engine.system):
        held = database.keyspace
        shown = held.id if database is engine.system else view.databases[database.number]
        found = view.keyspaces.get(shown)
        same = found is not None and found.shards == held.shards and found.expires == held.expires
        if not same and (found is not None or len(held)):
            log.error("DEBUG RELOAD: database %d differs from its files", database.number)
            return False
    return True


class Debug(NamedTuple):
    """One subcommand."""

    syntax: str
    summary: str
    arguments: range
    run: Callable[[Session, list[bytes]], bytes]
    needs_engine: bool = False


SUBCOMMANDS: dict[bytes, Debug] = {
    found.syntax.split()[0].encode(): found
    for found in (
        Debug("ERROR <string>", "Return an error reply with <string> as message.", range(1, 2), error),
        Debug(
            "LOADAOF", "Read the store from its files and compare with memory.", range(1), load_aof, needs_engine=True
        ),
        Debug("LOG <message>", "Write <message> to the server log.", range(1, 2), log_),
        Debug(
            "OBJECT <key>",
            "Show low level info about `key` and associated value.",
            range(1, 2),
            object_,
            needs_engine=True,
        ),
        Debug(
            "RELOAD [option ...]", "As LOADAOF; options are Redis', and ignored.", range(4), reload_, needs_engine=True
        ),
        Debug("SET-ACTIVE-EXPIRE <0|1>", "Stop or go on removing expired keys.", range(1, 2), set_active_expire, True),
        Debug("SLEEP <seconds>", "Stop the server for <seconds>. Decimals allowed.", range(1, 2), sleep),
        Debug("HELP", "Prints this help.", range(1), help_),
    )
}
