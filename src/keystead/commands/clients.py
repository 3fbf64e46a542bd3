"""CLIENT: what a client may ask about itself and others, and the switches of its connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.connection import valid_name
from keystead.commands.declaration import command, container
from keystead.commands.numbers import integer, integer_or_none
from keystead.commands.table import subcommand_misuse
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

container(
    "CLIENT", group="connection", since="2.4.0", summary="A container for client connection commands.", acl="connection"
)

client_command = partial(command, group="connection", reads="nothing")
OWN = "noscript loading stale"
ADMIN = "admin noscript loading stale"
TYPES = ("normal", "master", "replica", "slave", "pubsub")


@client_command("CLIENT ID", since="5.0.0", flags=OWN, summary="Returns the unique client ID of the connection.")
def client_id(session: Session) -> int:
    return session.id


@client_command("CLIENT GETNAME", since="2.6.9", flags=OWN, summary="Returns the name of the connection.")
def client_getname(session: Session) -> bytes | None:
    return session.name or None


@client_command(
    "CLIENT SETNAME connection-name",
    since="2.6.9",
    flags=OWN,
    connection_state=True,
    summary="Sets the connection name.",
)
def client_setname(session: Session, name: bytes) -> str:
    session.rename(valid_name(name))
    return "OK"


@client_command(
    "CLIENT SETINFO <LIB-NAME libname | LIB-VER libver>",
    since="7.2.0",
    flags=OWN,
    takes="args",
    hints="request_policy:all_nodes response_policy:all_succeeded",
    connection_state=True,
    summary="Sets information specific to the client or connection.",
)
def client_setinfo(session: Session, args: list[bytes]) -> str:
    attribute, value = args[2], args[3]
    match attribute.lower():
        case b"lib-name":
            session.lib_name = valid_name(value, _text(attribute))
        case b"lib-ver":
            session.lib_ver = valid_name(value, _text(attribute))
        case _:
            raise CommandError(f"ERR Unrecognized option '{_text(attribute)}'")
    return "OK"


# --- descriptions ----------------------------------------------------------------------------------------------------


@client_command(
    "CLIENT INFO",
    since="6.2.0",
    flags=OWN,
    hints="nondeterministic_output",
    summary="Returns information about the connection.",
)
def client_info(session: Session) -> resp.Verbatim:
    session.last_command = [b"client", b"info"]
    return resp.Verbatim(describe(session) + b"\n")


@client_command(
    "CLIENT LIST [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
    since="2.4.0",
    flags=ADMIN,
    takes="args",
    complexity="O(N) where N is the number of client connections",
    hints="nondeterministic_output",
    summary="Lists open connections.",
)
def client_list(session: Session, args: list[bytes]) -> resp.Verbatim:
    session.last_command = [b"client", b"list"]
    chosen = list(session.executor.sessions.values())
    match [args[2].upper(), *args[3:]] if len(args) > 2 else []:
        case []:
            pass
        case [b"TYPE", kind]:
            wanted = valid_type(kind)
            chosen = [other for other in chosen if client_type(other) == wanted]
        case [b"ID", _, *_]:
            numbers = {integer(text, "ERR Invalid client ID") for text in args[3:]}
            chosen = [other for other in chosen if other.id in numbers]
        case _:
            raise CommandError("ERR syntax error")
    return resp.Verbatim(b"".join(describe(other) + b"\n" for other in chosen))


def valid_type(text: bytes) -> str:
    """A client type in small letters, "replica" for "slave". Raises CommandError."""
    kind = _text(text.lower())
    if kind not in TYPES:
        raise CommandError(f"ERR Unknown client type '{_text(text)}'")
    return "replica" if kind == "slave" else kind


def client_type(session: Session) -> str:
    """The type by which CLIENT LIST and KILL choose; Redis counts monitors as replicas."""
    return "replica" if session.is_monitor else "normal"


def describe(session: Session) -> bytes:
    """A line of CLIENT LIST. Fields of Redis about which nothing is known here are left out."""
    now_ms = session.executor.clock.now_ms
    input_bytes, output_bytes = session.peer.buffer_sizes()
    queued = session.queued
    fields: dict[str, object] = {
        "id": session.id,
        "addr": session.peer.addr,
        "laddr": session.peer.laddr,
        "fd": session.peer.fd,
        "name": _text(session.name),
        "age": (now_ms - session.connected_ms) // 1000,
        "idle": (now_ms - session.last_active_ms) // 1000,
        "flags": _flags(session),
        "db": session.db.number,
        "sub": 0,
        "psub": 0,
        "ssub": 0,
        "multi": -1 if queued is None else len(queued),
        "qbuf": input_bytes,
        "qbuf-free": 0,
        "multi-mem": sum(len(argument) for args in queued or () for argument in args),
        "obl": output_bytes,
        "oll": 0,
        "omem": output_bytes,
        "events": "rw" if output_bytes else "r",
        "cmd": _last_command(session),
        "user": session.user.name,
        "redir": -1,
        "resp": session.protocol,
        "lib-name": _text(session.lib_name),
        "lib-ver": _text(session.lib_ver),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()).encode("utf-8", "surrogateescape")


def _flags(session: Session) -> str:
    flags = {
        "O": session.is_monitor,
        "x": session.queued is not None,
        "b": session.waiting_for is not None,
        "d": session.dirty,
        "c": session.closing,
        "U": session.peer.laddr.startswith("/"),
        "e": session.no_evict,
        "T": session.no_touch,
    }
    return "".join(letter for letter, holds in flags.items() if holds) or "N"


def _last_command(session: Session) -> str:
    """`get`, `client|list`, or NULL before the first command."""
    found = session.executor.command_of(session.last_command) if session.last_command else None
    return found.name if found else "NULL"


# --- killing ---------------------------------------------------------------------------------------------------------


@client_command(
    "CLIENT KILL <ip:port | ID client-id | TYPE <NORMAL | MASTER | REPLICA | PUBSUB> | USER username | ADDR ip:port | "
    "LADDR ip:port | SKIPME <YES | NO>> [filter value [filter value ...]]",
    since="2.4.0",
    flags=ADMIN,
    takes="args",
    encoded=True,
    complexity="O(N) where N is the number of client connections",
    summary="Terminates open connections.",
)
def client_kill(session: Session, args: list[bytes]) -> bytes | Promise:
    others = session.executor.sessions.values()
    if len(args) == 3:
        address = _text(args[2])
        doomed = [other for other in others if other.peer.addr == address]
        if not doomed:
            raise CommandError("ERR No such client")
        return _kill(session, doomed, resp.OK)
    skip_me, tests = _kill_filters(session, args[2:])
    doomed = [other for other in others if all(test(other) for test in tests)]
    if skip_me:
        doomed = [other for other in doomed if other is not session]
    return _kill(session, doomed, resp.integer(len(doomed)))


def _kill(session: Session, doomed: list[Session], reply: bytes) -> bytes | Promise:
    for other in doomed:
        if other is not session:
            other.peer.kill()
    return session.say_goodbye(reply) if session in doomed else reply


Test = Callable[["Session"], bool]


def _kill_filters(session: Session, options: list[bytes]) -> tuple[bool, list[Test]]:
    if len(options) % 2:
        raise CommandError("ERR syntax error")
    skip_me, tests = True, []
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option.upper() == b"SKIPME":
            if value.upper() not in (b"YES", b"NO"):
                raise CommandError("ERR syntax error")
            skip_me = value.upper() == b"YES"
        else:
            tests.append(_kill_test(session, option.upper(), value))
    return skip_me, tests


def _kill_test(session: Session, option: bytes, value: bytes) -> Test:
    text = _text(value)
    match option:
        case b"ID":
            number = integer_or_none(value)
            if number is None or number < 1:
                raise CommandError("ERR client-id should be greater than 0")
            return lambda other: other.id == number
        case b"TYPE":
            kind = valid_type(value)
            return lambda other: client_type(other) == kind
        case b"ADDR":
            return lambda other: other.peer.addr == text
        case b"LADDR":
            return lambda other: other.peer.laddr == text
        case b"USER":
            user = session.executor.access.user(value)
            if user is None:
                raise CommandError(f"ERR No such user '{text}'")
            return lambda other: other.authenticated and other.user is user
    raise CommandError("ERR syntax error")


# --- switches --------------------------------------------------------------------------------------------------------


@client_command(
    "CLIENT REPLY <ON | OFF | SKIP>",
    since="3.2.0",
    flags=OWN,
    encoded=True,
    connection_state=True,
    summary="Instructs the server whether to reply to commands.",
)
def client_reply(session: Session, mode: str) -> bytes:
    if mode == "SKIP" and session.reply_mode == "off":
        return b""
    session.reply_mode = {"ON": "on", "OFF": "off", "SKIP": "skip"}[mode]  # type: ignore[assignment]
    session.choose_table()
    return resp.OK if mode == "ON" else b""


@client_command(
    "CLIENT NO-EVICT <ON | OFF>",
    since="7.0.0",
    flags=ADMIN,
    connection_state=True,
    summary="Sets the client eviction mode of the connection.",
)
def client_no_evict(session: Session, mode: str) -> str:
    session.no_evict = mode == "ON"
    return "OK"


@client_command(
    "CLIENT NO-TOUCH <ON | OFF>",
    since="7.2.0",
    flags=OWN,
    connection_state=True,
    summary="Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
)
def client_no_touch(session: Session, mode: str) -> str:
    session.no_touch = mode == "ON"
    return "OK"


@client_command(
    "CLIENT GETREDIR",
    since="6.0.0",
    flags=OWN,
    summary="Returns the client ID to which the connection's tracking notifications are redirected.",
)
def client_getredir(session: Session) -> int:
    return -1  # Redis: tracking is not enabled. There is no tracking here.


@client_command(
    "CLIENT TRACKING <ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] "
    "[NOLOOP]",
    since="6.0.0",
    flags=OWN,
    takes="args",
    connection_state=True,
    summary="Controls server-assisted client-side caching for the connection. There is none here.",
)
def client_tracking(session: Session, args: list[bytes]) -> str:
    if args[2].upper() == b"ON":
        raise CommandError("ERR client tracking is not supported")
    if args[2].upper() != b"OFF":
        raise CommandError("ERR syntax error")
    return "OK"


@client_command(
    "CLIENT TRACKINGINFO",
    since="6.2.0",
    flags=OWN,
    summary="Returns information about server-assisted client-side caching for the connection.",
)
def client_trackinginfo(session: Session) -> dict[bytes, object]:
    return {b"flags": [b"off"], b"redirect": -1, b"prefixes": []}


@client_command(
    "CLIENT CACHING <YES | NO>",
    since="6.0.0",
    flags=OWN,
    connection_state=True,
    summary="Instructs the server whether to track the keys in the next request.",
)
def client_caching(session: Session, mode: str) -> str:
    raise CommandError(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
    )


@client_command(
    "CLIENT UNBLOCK client-id [TIMEOUT | ERROR]",
    since="5.0.0",
    flags=ADMIN,
    takes="args",
    complexity="O(log N) where N is the number of client connections",
    summary="Unblocks a client blocked by a blocking command from a different connection.",
)
def client_unblock(session: Session, args: list[bytes]) -> int:
    reason = args[3].upper() if len(args) == 4 else b"TIMEOUT"
    if len(args) > 4:
        raise CommandError(subcommand_misuse(args))
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    other = session.executor.sessions.get(integer(args[2]))
    promise = other.waiting_for if other else None
    return int(promise is not None and promise.unblock(with_error=reason == b"ERROR"))


@client_command(
    "CLIENT PAUSE timeout [WRITE | ALL]",
    since="2.9.50",
    flags=ADMIN,
    takes="args",
    history=(("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option."),),
    summary="Suspends commands processing.",
)
def client_pause(session: Session, args: list[bytes]) -> str:
    if len(args) > 4:
        raise CommandError(subcommand_misuse(args))
    mode = args[3].upper() if len(args) > 3 else b"ALL"
    if mode not in (b"ALL", b"WRITE"):
        raise CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    session.executor.pauses.pause(milliseconds(args[2]), only_writes=mode == b"WRITE")
    return "OK"


def milliseconds(text: bytes) -> int:
    """A timeout in milliseconds. Raises CommandError."""
    value = integer(text, "ERR timeout is not an integer or out of range")
    if value < 0:
        raise CommandError("ERR timeout is negative")
    return value


@client_command(
    "CLIENT UNPAUSE",
    since="6.2.0",
    flags=ADMIN,
    complexity="O(N) Where N is the number of paused clients",
    summary="Resumes processing commands from paused clients.",
)
def client_unpause(session: Session) -> str:
    session.executor.pauses.unpause()
    return "OK"


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
