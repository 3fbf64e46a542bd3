"""Commands about the connection itself: who is talking, in which protocol, to which database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.declaration import command, wrong_number
from keystead.commands.numbers import integer, integer_within
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session
    from keystead.execution.users import User

REDIS_VERSION = "7.2.4"
"""What clients take us for. They choose commands by it: 7.2 has all that is promised, hash field expiry (7.4) it has
not."""

connection_command = partial(command, group="connection", reads="nothing")

WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."


@connection_command(
    "PING [message]",
    since="1.0.0",
    flags="fast",
    raw=True,
    cluster="here",
    hints="request_policy:all_shards response_policy:all_succeeded",
    summary="Returns the server's liveliness response.",
)
def ping(session: Session, args: list[bytes]) -> bytes:
    if len(args) == 1:
        return resp.PONG
    if len(args) == 2:
        return resp.bulk(args[1])
    raise CommandError(wrong_number("ping"))


@connection_command("ECHO message", since="1.0.0", flags="loading stale fast", summary="Returns the given string.")
def echo(session: Session, message: bytes) -> bytes:
    return message


@connection_command(
    "SELECT index",
    since="1.0.0",
    flags="loading stale fast",
    types={"index": lambda text: integer_within(text, -(1 << 31), (1 << 31) - 1)},
    connection_state=True,
    cluster="own",
    summary="Changes the selected database.",
)
def select(session: Session, index: int) -> str:
    databases = session.engine.databases
    if not 0 <= index < len(databases):
        raise CommandError("ERR DB index is out of range")
    session.db = databases[index]
    return "OK"


@connection_command(
    "AUTH [username] password",
    since="1.0.0",
    flags="noscript loading stale fast no_auth allow_busy",
    takes="args",
    encoded=True,
    complexity="O(N) where N is the number of passwords defined for the user",
    history=(("6.0.0", "Added ACL style (username and password)."),),
    connection_state=True,
    summary="Authenticates the connection.",
)
def auth(session: Session, args: list[bytes]) -> bytes | Promise:
    if len(args) > 3:
        raise CommandError("ERR syntax error")
    access = session.executor.access
    if len(args) == 2 and access.default_user.definition.needs_no_password:
        raise CommandError(
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?"
        )
    username, password = args[1:] if len(args) == 3 else (b"default", args[1])
    return session.executor.eventually(
        args, lambda done: log_in(session, args, username, password, done, lambda: done(resp.OK))
    )


def log_in(
    session: Session,
    args: list[bytes],
    username: bytes,
    password: bytes,
    done: Callable[[CommandError], None],
    go_on: Callable[[], None],
) -> None:
    """Let the client in as that user and *go_on*, now or later; else be *done* with the error. *args*: the command.

    Checking takes time, and nothing may wait within EXEC: there only what can be told at once is answered.
    """
    access = session.executor.access

    def checked(user: User | None) -> None:
        if user is None:
            session.executor.note_failed_login(session, args, username)
            done(CommandError(WRONG_PASSWORD))
        else:
            session.log_in(user)
            go_on()

    if not session.runs_transaction:
        access.check(username, password, checked)
        return
    user = access.check_at_once(username, password)
    if user is None:
        raise CommandError("ERR a password cannot be checked within a transaction; log in before MULTI")
    checked(user)


@connection_command(
    "HELLO [protover [AUTH username password] [SETNAME clientname]]",
    since="6.0.0",
    flags="noscript loading stale fast no_auth allow_busy",
    takes="args",
    encoded=True,
    history=(("6.2.0", "`protover` made optional; called without arguments it reports the connection's context."),),
    connection_state=True,
    summary="Handshakes with the server.",
)
def hello(session: Session, args: list[bytes]) -> bytes | Promise:
    version = session.protocol
    if len(args) > 1:
        version = integer(args[1], "ERR Protocol version is not an integer or out of range")
        if version not in (2, 3):
            raise CommandError("NOPROTO unsupported protocol version")
    return session.executor.eventually(args, lambda done: _hello(session, args, 2, version, done))


def _hello(
    session: Session, args: list[bytes], at: int, version: int, done: Callable[[bytes | CommandError], None]
) -> None:
    """Take the options from *at* on, one by one, then greet. An AUTH may go on with the rest later."""
    while at < len(args):
        match args[at].upper(), args[at + 1 :]:
            case b"AUTH", [username, password, *_]:
                log_in(session, args, username, password, done, partial(_hello, session, args, at + 3, version, done))
                return
            case b"SETNAME", [name, *_]:
                if not _is_valid_name(name):
                    done(CommandError(f"ERR {INVALID_NAME.format(what='Client names')}"))
                    return
                session.rename(name)
                at += 2
            case _:
                shown = args[at].decode("utf-8", "surrogateescape")
                done(CommandError(f"ERR Syntax error in HELLO option '{shown}'"))
                return
    done(_greeting(session, version))


def _greeting(session: Session, version: int) -> bytes | CommandError:
    if not session.authenticated:
        return CommandError(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
            "<pass> option can be used to authenticate the client and select the RESP protocol version at the same "
            "time"
        )
    session.use_protocol(version)
    return session.encode(
        {
            b"server": b"redis",
            b"version": REDIS_VERSION.encode(),
            b"proto": version,
            b"id": session.id,
            b"mode": b"standalone",
            b"role": b"master",
            b"modules": [],
        }
    )


INVALID_NAME = "{what} cannot contain spaces, newlines or special characters."


def _is_valid_name(text: bytes) -> bool:
    return all(33 <= byte <= 126 for byte in text)


def valid_name(text: bytes, what: str = "Client names") -> bytes:
    """A name that cannot break the lines of CLIENT LIST. Raises CommandError."""
    if not _is_valid_name(text):
        raise CommandError(f"ERR {INVALID_NAME.format(what=what)}")
    return text


@connection_command(
    "RESET",
    since="6.2.0",
    flags="noscript loading stale fast no_auth allow_busy",
    connection_state=True,
    summary="Resets the connection.",
)
def reset(session: Session) -> str:
    session.forget_watches()
    session.executor.monitors.remove(session)
    session.no_evict = session.no_touch = False
    session.reset(authenticated=not session.executor.access.requires_password)
    return "RESET"


@connection_command(
    "QUIT [argument [argument ...]]",
    since="1.0.0",
    flags="noscript loading stale fast no_auth allow_busy",
    takes="args",
    encoded=True,
    deprecated=("7.2.0", "just closing the connection"),
    connection_state=True,
    summary="Closes the connection.",
)
def quit_(session: Session, args: list[bytes]) -> Promise:
    return session.say_goodbye(resp.OK)
