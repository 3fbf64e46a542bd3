"""docs/cluster-commands.md: where each command goes, from the declarations. `docs/generate.py` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keystead.commands.declaration import Command
from keystead.commands.documentation import every_command
from keystead.commands.manual import GROUPS
from keystead.commands.placement import Nowhere
from keystead.execution.cluster.catalogue import WAYS
from keystead.execution.cluster.routes import may_be_in_transaction
from keystead.execution.tables import RUN_IN_MULTI

HEAD: Final = """\
# Commands in front of a cluster

<!-- Derived from the declarations in src/keystead by `make docs`; do not edit. -->

What [cluster.md](cluster.md) says in general, command by command. What a command does and answers is the nodes'
business where it goes to them: an option or a command that their version does not have, they refuse.

*One slot* means that all keys of a call must be in the same one, else it is refused with `CROSSSLOT`; keys with the
same `{tag}` are. *By parts* means that a call is taken apart by slots and the replies are put together; that is not
one step, and when some parts of a write were executed and others not the answer is `UNKNOWNOUTCOME`. *Every primary*
is asked, and the replies are put together in the same way. *Here* means that the front door answers by itself and
asks no node.

In a transaction (`MULTI` … `EXEC`, a batch over HTTP) all keys must be in one slot, those of `WATCH` included. What
the nodes execute goes to them in one piece; what runs here runs behind it. Commands marked with * ask every node and
cannot be part of one.
"""

MORE: Final = """\
## Order

A connection's commands are answered in their order, as ever. What a client has sent without waiting goes out
together, to all nodes it concerns; what it sends meanwhile goes out when all of that is answered. So a connection
that has asked for a key of a shard that has no primary just then waits for it, up to `cluster-timeout`, with all it
has sent behind it; other connections do not. A library that sends the requests of many threads over one connection
does well to use a few.

## WATCH

A client that watches keys has a connection to their node of its own, until its transaction, `UNWATCH` or its end.
When that connection is lost, or the slot moves, `EXEC` answers null, as after a change by somebody else.

## SCAN

The cursor says which primary is being scanned, and how far: it holds at any front door of the same cluster. When that
primary is replaced by its replica, the scan of its shard begins anew, and only of that shard, so keys may come twice,
and none is left out that was there all the time. Keys of slots that are being moved from one node to another while a
scan runs may come twice or not at all: run it again when the slots have moved. Keys come in no order.

## WAIT

The connections to the nodes are shared, so `WAIT` cannot be handed on to them. While writes are acknowledged as
`replicated`, one replica has each of them already: `WAIT 1 …` answers 1 at once. For more replicas, and with `async`,
every primary is asked how far its replicas have got, until enough of them have everything that was written until now,
by anybody, in the shard where the fewest have. Replicas report once a second, so that may take a second.

## INFO

What is about clients, commands and the process is the front door's. Memory, persistence, replication, what became of
keys, and `# Keyspace` are sums over the primaries, the worst of their states, or `mixed` where they do not agree; one
that does not answer within a second is left out. `# Cluster` has a line for each node. `cluster_enabled:0` is what
clients look at to find out whether they have to find the nodes themselves: here they need not. `CONFIG RESETSTAT`
sets back what the front door counts.

## CONFIG

The settings are the front door's. `CONFIG SET` of one that is about a store's own data (`maxmemory`, `appendfsync`,
`history-max-age`, `history-max-bytes`) is refused: the nodes have settings of their own.
"""

_WHERE: Final = {
    "here": "here",
    "slot": "one slot",
    "slots": "by parts to the slots of its keys",
    "primaries": "every primary",
}


def render() -> str:
    """The page."""
    commands = [command for command in every_command() if not command.subcommands or command.minimum == 1]
    there = [command for command in commands if not isinstance(command.place, Nowhere)]
    return "\n".join([HEAD, *_where(there), *_nowhere(commands), MORE]).rstrip() + "\n"


def _where(commands: list[Command]) -> Iterator[str]:
    for group, title in GROUPS.items():
        rows = [f"| {_shown(command)} | {_goes(command)} |" for command in _sorted(commands) if command.group == group]
        if rows:
            yield f"## {title}\n"
            yield "| command | where it goes |"
            yield "| --- | --- |"
            yield from rows
            yield ""


def _nowhere(commands: list[Command]) -> Iterator[str]:
    yield "## Not in front of a cluster\n"
    yield "They answer with an error that says why, and what to use.\n"
    yield "| command | why | instead |"
    yield "| --- | --- | --- |"
    for command in _sorted(commands):
        if isinstance(command.place, Nowhere):
            yield f"| `{_title(command)}` | {command.place.why} | {command.place.instead} |"
    yield ""


def _sorted(commands: list[Command]) -> list[Command]:
    return sorted(commands, key=lambda command: command.name)


def _goes(command: Command) -> str:
    return WAYS[command.name].goes if command.place == "own" else _WHERE[str(command.place)]


def _shown(command: Command) -> str:
    star = "" if may_be_in_transaction(command) or command.name in RUN_IN_MULTI else " *"
    return f"`{_title(command)}`{star}"


def _title(command: Command) -> str:
    return command.name.replace("|", " ").upper()
