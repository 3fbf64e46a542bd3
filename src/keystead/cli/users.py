"""keystead user: edits the ACL file of a data directory, and has a running server read it anew.

Passwords never stand on a command line, which every process of the machine may read.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from keystead.cli import UsageError
from keystead.cli.options import CommandLine
from keystead.config import Settings
from keystead.config.sources import suggestion
from keystead.engine.files import LOCK_NAME, DirectoryLock
from keystead.errors import ConfigurationError, DiskFailure, KeysteadError, StoreLocked
from keystead.execution.acl_file import AclFile, Definitions, encoded
from keystead.execution.acl_rules import DEFAULT, Definition, RuleRefused, applied, is_valid_name
from keystead.execution.passwords import Password, Sha256, hashed, new_token, of_token
from keystead.execution.users import DEFAULT_NAME

ROLES: Final = ("read", "write", "admin")

_USAGE: Final = """\
usage: keystead user ACTION [NAME] [OPTIONS]

Who may use a data directory's server, and for what.

actions:
  add NAME      a new user: --role read, write or admin; --keys PATTERN
  list          all users
  remove NAME   no login any more; its clients are disconnected
  passwd NAME   another password; tokens stay
  token NAME    a new random token, shown once: password, or Bearer over HTTP

keystead user ACTION --help tells more. A running server takes the change at
once. Finer rules than roles: ACL SETUSER, or the file users.acl itself.
"""


class UserError(KeysteadError):
    """The change makes no sense: the user is there already, or is not."""


def run_user(arguments: list[str]) -> int:
    """Run one action."""
    if not arguments:
        sys.stderr.write(_USAGE)
        return UsageError.exit_code
    action, *rest = arguments
    if action in ("-h", "--help"):
        print(_USAGE, end="")
        return 0
    if action not in _ACTIONS:
        hint = suggestion(action, _ACTIONS)
        raise UsageError(f"there is no action {action}{hint} (keystead user --help lists them)")
    return _ACTIONS[action](rest)


# --- actions ---------------------------------------------------------------------------------------------------------


def _add(arguments: list[str]) -> int:
    command = _command("add", "Make a user who logs in by a password, which is asked for.")
    command.own.add_argument("--role", choices=ROLES, required=True, help="read data; write it as well; do everything")
    command.own.add_argument(
        "--keys", action="append", metavar="PATTERN", help="only keys like this, as in KEYS; may be repeated [*]"
    )
    _add_password_option(command)
    parsed, settings = command.parse(arguments)
    name = _valid_name(parsed.name)
    user = _new_user(parsed, _password(parsed))
    with _editing(settings) as users:
        if name in users and not (name == DEFAULT_NAME and users[name] == DEFAULT):
            raise UserError(f"there is a user {parsed.name} already; keystead user passwd gives another password")
        is_first = users.keys() <= {DEFAULT_NAME} and users.get(DEFAULT_NAME, DEFAULT) == DEFAULT
        users[name] = user
        if is_first and name != DEFAULT_NAME:
            users[DEFAULT_NAME] = replace(DEFAULT, needs_no_password=False)
    print(f"{parsed.name} may log in")
    if is_first:
        print("from now on everybody has to; to let clients in without a login: ACL SETUSER default nopass")
    return 0


def _new_user(parsed: Namespace, password: bytes) -> Definition:
    tilde = b"%R~" if parsed.role == "read" else b"~"
    patterns = [os.fsencode(pattern) for pattern in parsed.keys or ["*"]]
    keys = [b"allkeys"] if b"*" in patterns else [tilde + pattern for pattern in patterns]
    channels = [b"allchannels"] if parsed.role == "admin" else []
    try:
        definition = applied(Definition(), [b"on", *keys, *channels, f"role:{parsed.role}".encode()])
    except RuleRefused as refused:
        raise UsageError(f"--keys {os.fsdecode(refused.text).partition('~')[2]!r}: {refused.reason}") from None
    return replace(definition, passwords=(hashed(password),))


def _list(arguments: list[str]) -> int:
    _, settings = CommandLine("user list", "Show all users and what they may do.", ["dir", "aclfile"]).parse(arguments)
    users = _file(settings).read()
    users.setdefault(DEFAULT_NAME, DEFAULT)
    rows = [("NAME", "LOGIN", "MAY DO"), *(_row(name, users[name]) for name in sorted(users))]
    name_width, login_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, login, rules in rows:
        print(f"{name:<{name_width}}  {login:<{login_width}}  {rules}")
    return 0


def _row(name: bytes, definition: Definition) -> tuple[str, str, str]:
    root, *others = definition.permissions.selectors
    rules = " ".join([*root.words(), *(f"({' '.join(other.words())})" for other in others)])
    return _shown(name), _login(definition), _printable(rules)


def _login(definition: Definition) -> str:
    if not definition.is_on:
        return "off"
    if definition.needs_no_password:
        return "not needed"
    tokens = sum(map(_is_token, definition.passwords))
    parts = ["password"] if len(definition.passwords) > tokens else []
    parts += [f"{tokens} token{'s' * (tokens > 1)}"] if tokens else []
    return " or ".join(parts) or "impossible"


def _remove(arguments: list[str]) -> int:
    parsed, settings = _command("remove", "Delete a user; its clients are disconnected.").parse(arguments)
    name = os.fsencode(parsed.name)
    with _editing(settings) as users:
        if name == DEFAULT_NAME:
            users[name] = replace(_existing(users, name), is_on=False)
        else:
            _existing(users, name)
            del users[name]
    print(f"{parsed.name} may not log in any more")
    return 0


def _passwd(arguments: list[str]) -> int:
    command = _command("passwd", "Give a user another password, which is asked for. Tokens stay valid.")
    _add_password_option(command)
    parsed, settings = command.parse(arguments)
    name = os.fsencode(parsed.name)
    password = hashed(_password(parsed))
    with _editing(settings) as users:
        user = _existing(users, name)
        users[name] = replace(user, passwords=(password, *filter(_is_token, user.passwords)), needs_no_password=False)
    print(f"{parsed.name} has another password")
    return 0


def _token(arguments: list[str]) -> int:
    command = _command("token", "Make a random token for a user and show it, this once.")
    command.own.add_argument("--revoke", action="store_true", help="make the tokens invalid that the user has so far")
    parsed, settings = command.parse(arguments)
    name = os.fsencode(parsed.name)
    token = new_token()
    with _editing(settings) as users:
        user = _existing(users, name)
        kept = [record for record in user.passwords if not (parsed.revoke and _is_token(record))]
        users[name] = replace(user, passwords=(*kept, of_token(token)), needs_no_password=False)
    print(token)
    return 0


_ACTIONS: Final[dict[str, Callable[[list[str]], int]]] = {
    "add": _add,
    "list": _list,
    "remove": _remove,
    "passwd": _passwd,
    "token": _token,
}


# --- the file --------------------------------------------------------------------------------------------------------


def _file(settings: Settings) -> AclFile:
    if settings.acl_path is None:
        raise ConfigurationError("aclfile is empty: there is no file of users to edit")
    return AclFile(settings.acl_path)


@contextlib.contextmanager
def _editing(settings: Settings) -> Iterator[Definitions]:
    """The users in the file, written back at the end of the block; then a running server reads it.

    The directory is locked meanwhile, so that no server starts with half a change; if one runs, it is told.
    """
    file = _file(settings)
    with _lock(settings.directory) as served:
        users = file.read()
        users.setdefault(DEFAULT_NAME, DEFAULT)
        yield users
        try:
            file.replace(encoded(users))
        except DiskFailure as failure:
            raise UserError(str(failure)) from None
        if served:
            _tell_server(settings.directory)


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[bool]:
    """Hold the directory, made if need be, unless somebody has it open: then True is given."""
    try:
        lock = DirectoryLock.acquire(str(directory))
    except StoreLocked:
        yield True
        return
    try:
        yield False
    finally:
        lock.release()


def _tell_server(directory: Path) -> None:
    """Have the server read its users anew. Any other program that has the store open knows no users, and a signal
    would end it."""
    try:
        holder = json.loads((directory / LOCK_NAME).read_bytes())
        process, is_server = int(holder["pid"]), str(holder["command"]).split()[1:2] == ["serve"]
    except (OSError, ValueError, KeyError, TypeError):
        _say(f"whoever has {directory} open did not say so; restart the server to have it read the users")
        return
    if not is_server:
        _say(f"process {process} ({holder['command']}) has {directory} open; it is no server, and asks for no login")
        return
    try:
        os.kill(process, signal.SIGHUP)
    except OSError as error:
        _say(f"the server (process {process}) was not told: {error.strerror}; have it read the users: ACL LOAD")
        return
    _say(f"the server (process {process}) has been told")


def _say(text: str) -> None:
    """Beside the output, which may be a token that somebody catches."""
    print(text, file=sys.stderr)


def _is_token(record: Password) -> bool:
    return isinstance(record, Sha256) and record.is_token


def _existing(users: Definitions, name: bytes) -> Definition:
    if name not in users:
        hint = suggestion(_shown(name), [_shown(other) for other in users])
        raise UserError(f"there is no user {_shown(name)}{hint}")
    return users[name]


def _valid_name(text: str) -> bytes:
    name = os.fsencode(text)
    if not name or not is_valid_name(name):
        raise UsageError(f"{text!r} cannot be a name: it must be one word")
    return name


# --- the command line ------------------------------------------------------------------------------------------------


def _command(action: str, description: str) -> CommandLine:
    command = CommandLine(f"user {action}", description, ["dir", "aclfile"])
    command.usage = f"keystead user {action} NAME [OPTIONS]"
    command.own.add_argument("name", metavar="NAME", help="the user")
    return command


def _add_password_option(command: CommandLine) -> None:
    command.own.add_argument(
        "--password-file",
        metavar="PATH",
        help="read the password from the first line of this file; - is standard input",
    )


def _password(parsed: Namespace) -> bytes:
    """The password: of the file, from the terminal (twice), or the first line of standard input."""
    if parsed.password_file not in (None, "-"):
        text = Path(parsed.password_file).read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
    elif parsed.password_file is None and sys.stdin.isatty():
        text = os.fsencode(getpass.getpass(f"password of {parsed.name}: "))
        if text != os.fsencode(getpass.getpass("once more: ")):
            raise UserError("the two are not the same; nothing was changed")
    else:
        text = sys.stdin.buffer.readline().rstrip(b"\r\n")
    if not text:
        raise UserError("a password must not be empty; nothing was changed")
    return text


def _shown(name: bytes) -> str:
    return _printable(os.fsdecode(name))


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
