"""docs/commands.md: every command, from its declaration. `docs/generate.py` writes it."""

from __future__ import annotations

from collections.abc import Iterator

from keystead.commands.catalogue import FAMILIES
from keystead.commands.declaration import Command
from keystead.commands.documentation import categories, every_command

GROUPS = {
    "string": "Strings",
    "bitmap": "Bits",
    "generic": "Keys",
    "transactions": "Transactions",
    "connection": "Connections",
    "pubsub": "Channels",
    "history": "History",
    "server": "Server",
}
"""In the order of the page. A group that is missing here is an error."""

WAITS = {
    "nothing": "",
    "durable": "**Shows what is durable**, and its own client's writes.",
    "latest": "**Answers when durable**.",
}

HEAD = """\
# Commands

<!-- Derived from the declarations in src/keystead/commands by `make docs`; do not edit. -->

Argument for argument and error for error as Redis 7 documents them. `[…]` is optional, `|` separates alternatives,
`key [key ...]` repeats. Options stand in any order, and names and options in any case.

With `fsync = always`, the default, no reply tells what a power cut could take back: commands that *answer when durable*
wait until everything that their reply depends on is on disk; plain reads *show what is durable* and do not wait, except
for writes of their own client. Where neither is said, the reply depends on no data.
"""


def render() -> str:
    """The page."""
    assert FAMILIES, "importing them has declared them"
    return "\n".join([HEAD, *_contents(), *(line for group in GROUPS for line in _chapter(group))]).rstrip() + "\n"


def _of(group: str) -> list[Command]:
    return sorted(
        (
            command
            for command in every_command()
            if command.group == group and (not command.subcommands or command.minimum == 1)
        ),
        key=lambda command: command.name,
    )


def _contents() -> Iterator[str]:
    strangers = {command.group for command in every_command()} - GROUPS.keys()
    if strangers:
        raise ValueError(f"groups without a title: {strangers}")
    for group, title in GROUPS.items():
        commands = _of(group)
        if commands:
            names = " ".join(f"[{_title(command)}](#{_anchor(command)})" for command in commands)
            yield f"**{title}**: {names}\n"


def _chapter(group: str) -> Iterator[str]:
    commands = _of(group)
    if commands:
        yield f"## {GROUPS[group]}\n"
    for command in commands:
        yield from _entry(command)


def _entry(command: Command) -> Iterator[str]:
    yield f"### {_title(command)}\n"
    yield f"    {command.syntax}\n"
    yield f"{command.summary} {WAITS[command.reads]}".rstrip() + "\n"
    whose = "Keystead" if command.name.startswith("ks.") else "Redis"
    facts = [f"since {whose} {command.since}", f"complexity: {command.complexity.rstrip('.')}"]
    facts.append("permissions: " + " ".join(f"@{category}" for category in categories(command)))
    if command.deprecated:
        since, replacement = command.deprecated
        facts.append(f"deprecated since Redis {since} in favour of {replacement}")
    yield " · ".join(facts) + "\n"
    for since, change in command.history:
        yield f"* {since}: {change}"
    if command.history:
        yield ""


def _title(command: Command) -> str:
    return command.name.replace("|", " ").upper()


def _anchor(command: Command) -> str:
    return command.name.replace("|", "-").replace(".", "")
