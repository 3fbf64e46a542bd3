"""COMMAND: what commands there are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead.commands import documentation, key_positions
from keystead.commands.declaration import REGISTRY, Command, called_command, command, declare_help
from keystead.commands.glob import compile_glob
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session

command_command = partial(
    command, group="server", flags="loading stale", acl="connection", reads="nothing", since="2.8.13"
)


@command_command(
    "COMMAND",
    complexity="O(N) where N is the total number of Redis commands",
    hints="nondeterministic_output_order",
    summary="Returns detailed information about all commands.",
)
def command_(session: Session) -> list[list[object]]:
    return [documentation.info(found) for found in REGISTRY.values()]


declare_help("COMMAND", group="server", since="5.0.0", acl="connection")


@command_command("COMMAND COUNT", summary="Returns a count of commands.")
def command_count(session: Session) -> int:
    return len(REGISTRY)


@command_command(
    "COMMAND INFO [command-name [command-name ...]]",
    complexity="O(N) where N is the number of commands to look up",
    hints="nondeterministic_output_order",
    history=(("7.0.0", "Allowed to be called with no argument to get info on all commands."),),
    summary="Returns information about one, multiple or all commands.",
)
def command_info(session: Session, names: list[bytes]) -> list[list[object] | None]:
    if not names:
        return [documentation.info(found) for found in REGISTRY.values()]
    return [documentation.info(found) if (found := named(name)) else None for name in names]


def named(name: bytes) -> Command | None:
    """The command or, as `client|id`, the subcommand of that name in any case."""
    parent, _, sub = name.lower().partition(b"|")
    found = REGISTRY.get(parent)
    return found.subcommands.get(sub) if found and sub else found


@command_command(
    "COMMAND DOCS [command-name [command-name ...]]",
    since="7.0.0",
    complexity="O(N) where N is the number of commands to look up",
    hints="nondeterministic_output_order",
    summary="Returns documentary information about one, multiple or all commands.",
)
def command_docs(session: Session, names: list[bytes]) -> dict[bytes, object]:
    chosen = [found for name in names if (found := named(name))] if names else REGISTRY.values()
    return {found.name.encode(): documentation.docs(found) for found in chosen}


@command_command(
    "COMMAND LIST [FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    since="7.0.0",
    takes="args",
    complexity="O(N) where N is the total number of Redis commands",
    hints="nondeterministic_output_order",
    summary="Returns a list of command names.",
)
def command_list(session: Session, args: list[bytes]) -> list[bytes]:
    match [args[2].upper(), args[3].upper(), *args[4:]] if len(args) > 3 else args[2:]:
        case []:
            chosen = list(REGISTRY.values())
        case [b"FILTERBY", b"MODULE", _]:
            chosen = []
        case [b"FILTERBY", b"ACLCAT", category]:
            wanted = category.lower().decode("utf-8", "replace")
            chosen = [found for found in documentation.every_command() if wanted in documentation.categories(found)]
        case [b"FILTERBY", b"PATTERN", pattern]:
            matches = compile_glob(pattern, ignore_case=True)
            chosen = [found for found in documentation.every_command() if matches(found.name.encode())]
        case _:
            raise CommandError("ERR syntax error")
    return [found.name.encode() for found in chosen]


@command_command(
    "COMMAND GETKEYS command arg [arg ...]",
    complexity="O(N) where N is the number of arguments to the command",
    takes="args",
    summary="Extracts the key names from an arbitrary command.",
)
def command_getkeys(session: Session, args: list[bytes]) -> list[bytes]:
    call = args[2:]
    return [call[at] for at in key_positions.positions(_called(call).key_specs, call)]


@command_command(
    "COMMAND GETKEYSANDFLAGS command arg [arg ...]",
    since="7.0.0",
    takes="args",
    complexity="O(N) where N is the number of arguments to the command",
    summary="Extracts the key names and access flags for an arbitrary command.",
)
def command_getkeysandflags(session: Session, args: list[bytes]) -> list[list[object]]:
    call = args[2:]
    return [
        [call[at], documentation.key_flags(spec.flags_in(call))]
        for spec in _called(call).key_specs
        for at in spec.positions(call)
    ]


def _called(call: list[bytes]) -> Command:
    """The command that *call* calls, if it has keys and *call* a right number of arguments."""
    found = called_command(call)
    if found is None:
        raise CommandError("ERR Invalid command specified")
    if not found.key_specs:
        raise CommandError("ERR The command has no key arguments")
    if not found.accepts(len(call)):
        raise CommandError("ERR Invalid number of arguments specified for command")
    return found
