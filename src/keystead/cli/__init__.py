"""The command line: finds the command, turns expected errors into one line and an exit status.

Each family of commands is a module with `run(arguments) -> int`, imported only when it is asked for, so that
`keystead --help` stays quick. Knows nothing of what the commands do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, NamedTuple

from keystead import __version__
from keystead.errors import EXIT_USAGE, KeysteadError


class Command(NamedTuple):
    module: str
    """Where its function `run_<name>` is, with _ for -."""
    summary: str


COMMANDS: Final = {
    "serve": Command("keystead.cli.serve", "serve a data directory, or a cluster, to Redis clients"),
    "cluster": Command("keystead.cli.cluster", "try Keystead in front of a cluster that is made for it"),
    "check": Command("keystead.cli.check", "verify every checksum of a data directory"),
    "dump": Command("keystead.cli.json_lines", "write all data as JSON lines"),
    "load": Command("keystead.cli.json_lines", "read JSON lines into a data directory"),
    "backup": Command("keystead.cli.backup", "copy a data directory elsewhere, once or continuously"),
    "restore": Command("keystead.cli.restore", "make a data directory from a backup, as it was at a moment"),
    "migrate": Command("keystead.cli.migrate", "move all keys to another store while this one serves"),
    "forget": Command("keystead.cli.forget", "erase keys and their past for good"),
    "history": Command("keystead.cli.history", "show the past of a key"),
    "diff": Command("keystead.cli.history", "show what changed between two moments"),
    "log": Command("keystead.cli.history", "print operations with their times and authors"),
    "undo": Command("keystead.cli.undo", "put back what a transaction changed"),
    "restore-key": Command("keystead.cli.undo", "bring one key back as it was at a moment"),
    "user": Command("keystead.cli.users", "add, list and remove users; their passwords and tokens"),
    "compact": Command("keystead.cli.compact", "make a checkpoint now, so that the next start is quick"),
    "tls": Command("keystead.cli.tls", "make certificates to try TLS with"),
    "systemd": Command("keystead.cli.systemd", "print a unit file for systemd"),
    "bench": Command("keystead.cli.bench", "measure a running server"),
}

EXIT_CODES: Final = {
    0: "done; a server that was told to stop",
    1: "any other error; the message says which",
    2: "a command line that makes no sense",
    65: "damaged data, or data of an unknown format; nothing was changed",
    69: "another process listens on the port, or a cluster cannot be served from",
    73: "the data directory, or the place of a backup, cannot be created, read or written",
    74: "the disk failed",
    75: "another process holds the data directory, or writes to the backup",
    78: "bad configuration",
}

_INTERRUPTED: Final = 130
_WIDTH: Final = max(map(len, COMMANDS))
_DISK_FAILED: Final = 74


class UsageError(KeysteadError):
    """A command line that makes no sense."""

    exit_code = EXIT_USAGE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        status = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()  # here, where a reader that went away is still handled
    except KeysteadError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough (`keystead dump | head`). Keep the interpreter from flushing into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.filename or 'the disk'}: {error.strerror or error}", _DISK_FAILED)
    return status


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        sys.stderr.write(_overview())
        return EXIT_USAGE
    name, *rest = arguments
    if name in ("-h", "--help", "help"):
        print(_overview(), end="")
        return 0
    if name in ("-V", "--version"):
        print(f"keystead {__version__}")
        return 0
    if name not in COMMANDS:
        raise UsageError(f"there is no command {name}{_suggestion(name)} (keystead --help lists them)")
    run: Callable[[list[str]], int] = getattr(import_module(COMMANDS[name].module), f"run_{name.replace('-', '_')}")
    return run(rest)


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _overview() -> str:
    commands = "\n".join(f"  {name:<{_WIDTH}} {command.summary}" for name, command in COMMANDS.items())
    codes = "\n".join(f"  {code:<{_WIDTH}} {meaning}" for code, meaning in EXIT_CODES.items())
    return f"""\
usage: keystead COMMAND [OPTIONS]

A durable key-value store that speaks the Redis protocol.

commands:
{commands}

keystead COMMAND --help tells more. To begin: keystead serve

exit status:
{codes}
"""


def _fail(message: str, status: int) -> int:
    print(f"keystead: {message}", file=sys.stderr)
    return status
