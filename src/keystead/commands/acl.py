"""ACL: users and what they may do. The words that describe them are read by `keystead.execution.acl_rules`."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.declaration import called_command, command, container
from keystead.commands.documentation import CATEGORIES, categories, every_command
from keystead.commands.numbers import integer
from keystead.commands.table import subcommand_misuse
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.acl_log import Entry
    from keystead.execution.permissions import Selector
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

container("ACL", group="server", since="6.0.0", summary="A container for Access List Control commands.")

acl_command = partial(
    command, group="server", since="6.0.0", flags="noscript loading stale", reads="nothing", takes="args"
)
acl_admin_command = partial(acl_command, flags="admin noscript loading stale")

MOST_BITS = 4096
DEFAULT_ENTRIES = 10


@acl_command(
    "ACL CAT [category]",
    complexity="O(1) since the categories and commands are a fixed set.",
    summary="Lists the ACL categories, or the commands inside a category.",
)
def acl_cat(session: Session, args: list[bytes]) -> list[bytes]:
    if len(args) > 3:
        raise CommandError(subcommand_misuse(args))
    if len(args) == 2:
        return [name.encode() for name in CATEGORIES]
    wanted = _text(args[2].lower())
    if wanted not in CATEGORIES:
        raise CommandError(f"ERR Unknown category '{_text(args[2][:128])}'")
    return [found.name.encode() for found in every_command() if wanted in categories(found)]


@acl_command("ACL WHOAMI", summary="Returns the authenticated username of the current connection.")
def acl_whoami(session: Session, args: list[bytes]) -> bytes:
    return session.user.key


@acl_command(
    "ACL GENPASS [bits]",
    summary="Generates a pseudorandom, secure password that can be used to identify ACL users.",
)
def acl_genpass(session: Session, args: list[bytes]) -> bytes:
    if len(args) > 3:
        raise CommandError(subcommand_misuse(args))
    bits = integer(args[2]) if len(args) == 3 else 256
    if not 0 < bits <= MOST_BITS:
        raise CommandError(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to "
            f"{MOST_BITS}"
        )
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


# --- users -----------------------------------------------------------------------------------------------------------


@acl_admin_command(
    "ACL SETUSER username [rule [rule ...]]",
    encoded=True,
    complexity="O(N). Where N is the number of rules provided.",
    history=(("6.2.0", "Added Pub/Sub channel patterns."), ("7.0.0", "Added selectors and key based permissions.")),
    summary="Creates and modifies an ACL user and its rules.",
)
def acl_setuser(session: Session, args: list[bytes]) -> bytes | Promise:
    executor = session.executor
    return executor.eventually(
        args,
        lambda done: executor.access.set_user(
            args[2], args[3:], lambda failure: done(failure or resp.OK), in_place=session.runs_transaction
        ),
    )


@acl_admin_command(
    "ACL DELUSER username [username ...]",
    encoded=True,
    complexity="O(1) amortized time considering the typical user.",
    summary="Deletes ACL users, and terminates their connections.",
)
def acl_deluser(session: Session, args: list[bytes]) -> bytes | Promise:
    executor = session.executor
    reply = executor.eventually(args, lambda done: executor.delete_users(session, args[2:], done))
    return session.say_goodbye(reply) if session.closing and isinstance(reply, bytes) else reply


@acl_admin_command(
    "ACL USERS", complexity="O(N). Where N is the number of configured users.", summary="Lists all ACL users."
)
def acl_users(session: Session, args: list[bytes]) -> list[bytes]:
    return [user.key for user in session.executor.access.users()]


@acl_admin_command(
    "ACL LIST",
    complexity="O(N). Where N is the number of configured users.",
    summary="Dumps the effective rules in ACL file format.",
)
def acl_list(session: Session, args: list[bytes]) -> list[bytes]:
    return [
        b" ".join([b"user", user.key, *map(_bytes, user.definition.words())])
        for user in session.executor.access.users()
    ]


@acl_admin_command(
    "ACL GETUSER username",
    complexity="O(N). Where N is the number of password, command and pattern rules that the user has.",
    history=(
        ("6.2.0", "Added Pub/Sub channel patterns."),
        (
            "7.0.0",
            "Added selectors and changed the format of key and channel patterns from a list to their rule "
            "representation.",
        ),
    ),
    summary="Lists the ACL rules of a user.",
)
def acl_getuser(session: Session, args: list[bytes]) -> dict[bytes, object] | None:
    user = session.executor.access.user(args[2])
    if user is None:
        return None
    root, *others = user.permissions.selectors
    return {
        b"flags": resp.Members([flag.encode() for flag in user.definition.flags()]),
        b"passwords": [str(password).encode() for password in user.definition.passwords],
        **_described(root),
        b"selectors": [_described(other) for other in others],
    }


def _described(selector: Selector) -> dict[bytes, object]:
    keys = "~*" if selector.all_keys else " ".join(map(str, selector.patterns))
    channels = b"&*" if selector.all_channels else b" ".join(b"&" + channel for channel in selector.channels)
    return {b"commands": str(selector.commands).encode(), b"keys": _bytes(keys), b"channels": channels}


@acl_admin_command(
    "ACL DRYRUN username command [arg [arg ...]]",
    since="7.0.0",
    summary="Simulates the execution of a command by a user, without executing the command.",
)
def acl_dryrun(session: Session, args: list[bytes]) -> str | bytes:
    user = session.executor.access.user(args[2])
    if user is None:
        raise CommandError(f"ERR User '{_text(args[2])}' not found")
    call = args[3:]
    called = called_command(call)
    if called is None:
        raise CommandError(f"ERR Command '{_text(call[0])}' not found")
    if not called.accepts(len(call)):
        raise CommandError(called.arity_error)
    denial = user.permissions.denial(called, call)
    if denial is None:
        return "OK"
    to_do = "run the '%b' command" if denial.reason == "command" else f"access the '%b' {denial.reason}"
    return b"This user has no permissions to " + to_do.encode() % denial.object


# --- the file --------------------------------------------------------------------------------------------------------


@acl_admin_command(
    "ACL SAVE",
    encoded=True,
    complexity="O(N). Where N is the number of configured users.",
    summary="Saves the effective ACL rules in the configured ACL file.",
)
def acl_save(session: Session, args: list[bytes]) -> bytes | Promise:
    executor = session.executor
    return executor.eventually(
        args,
        lambda done: executor.access.save(lambda failure: done(failure or resp.OK), in_place=session.runs_transaction),
    )


@acl_admin_command(
    "ACL LOAD",
    complexity="O(N). Where N is the number of configured users.",
    summary="Reloads the rules from the configured ACL file.",
)
def acl_load(session: Session, args: list[bytes]) -> str:
    session.executor.access.load()
    return "OK"


# --- refusals --------------------------------------------------------------------------------------------------------


@acl_admin_command(
    "ACL LOG [count | RESET]",
    complexity="O(N) with N being the number of entries shown.",
    history=(("7.2.0", "Added entry ID, timestamp created, and timestamp last updated."),),
    summary="Lists recent security events generated due to ACL rules.",
)
def acl_log(session: Session, args: list[bytes]) -> str | list[dict[bytes, object]]:
    if len(args) > 3:
        raise CommandError(subcommand_misuse(args))
    kept = session.executor.acl_log
    if len(args) == 3 and args[2].lower() == b"reset":
        kept.entries.clear()
        return "OK"
    count = integer(args[2]) if len(args) == 3 else DEFAULT_ENTRIES
    now_ms = kept.clock_ms()
    return [_entry(entry, now_ms) for entry in kept.entries[: max(0, count)]]


def _entry(entry: Entry, now_ms: int) -> dict[bytes, object]:
    return {
        b"count": entry.count,
        b"reason": entry.reason.encode(),
        b"context": entry.context.encode(),
        b"object": entry.object,
        b"username": entry.username,
        b"age-seconds": (now_ms - entry.updated_ms) / 1000,
        b"client-info": entry.client,
        b"entry-id": entry.id,
        b"timestamp-created": entry.created_ms,
        b"timestamp-last-updated": entry.updated_ms,
    }


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
