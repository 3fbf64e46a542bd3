"""The command cases as they can be played in front of a cluster.

A case whose commands need several keys in one step is played with its keys in one slot, and so is the oracle's
performance. A case of what a cluster cannot do is left out; why follows from the declarations, and all of those are
known by name in left_out_in_a_cluster.txt. What is answered otherwise on purpose is in `OTHERWISE`, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from cases.case import SAME, Case, Step
from keystead.cluster.slots import slot_of
from keystead.commands.declaration import Command, called_command
from keystead.commands.key_positions import positions
from keystead.commands.placement import Nowhere
from keystead.execution.cluster.catalogue import REGISTRY
from keystead.execution.cluster.routes import may_be_in_transaction
from keystead.execution.tables import RUN_IN_MULTI
from keystead.resp import Limits, ProtocolError, RequestParser

TAG = b"{one}"
NEWER = frozenset(("digest", "delex"))
"""What the nodes of the tests, Redis 7.0, do not know."""
NEWER_OPTIONS = frozenset((b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"))


OTHERWISE: dict[str, str] = {
    "acl: logging in within a transaction changes what the rest of it may do": "what runs in the front door runs when "
    "the nodes have executed the rest, which the user may do who has queued it",
    "server: DEBUG": "values are in the nodes",
    "server: DEBUG SET-ACTIVE-EXPIRE 0 leaves expiry to access": "keys expire in the nodes",
    "server: INFO stats counts hits and misses": "the nodes count them, and CONFIG RESETSTAT is the front door's own",
    "server: an expired key that a write meets is counted": "the nodes count them, for longer than the case",
    "server: INFO values that are the same everywhere": "there are replicas",
    "server: WAIT without replicas": "there are replicas, and one of them has everything that was acknowledged",
    "server: pipelined commands behind WAIT keep their order": "there is a replica, so WAIT answers 1, and at once",
    "server: CONFIG SET of memory sizes": "maxmemory is a setting of the nodes",
    "server: above maxmemory what may grow is refused, the rest goes on": "maxmemory is a setting of the nodes",
}
"""Cases that are answered otherwise in front of a cluster, on purpose. They are played, and must differ."""


def why_left_out(case: Case) -> str | None:
    """Why the case cannot be played in front of a cluster; None when it can."""
    in_multi: set[str] = set()
    for connection, args in _commands(case):
        command = called_command(args)
        if command is None or not command.accepts(len(args)):
            continue
        if isinstance(command.place, Nowhere):
            return f"{command.name}: {command.place.why}"
        if command.name == "select" and args[1:] != [b"0"] and args[1:2] and args[1].isdigit():
            return "select: it has one database"
        if command.name == "copy" and b"DB" in [option.upper() for option in args[3:]]:
            return "copy: it has one database"
        if command.name in NEWER or (command.name == "set" and NEWER_OPTIONS & {arg.upper() for arg in args[3:]}):
            return f"{command.name}: the nodes are of a version that does not have it"
        if command.name == "multi":
            in_multi.add(connection)
        elif command.name in ("exec", "discard"):
            in_multi.discard(connection)
        elif connection in in_multi and command.name not in RUN_IN_MULTI and not may_be_in_transaction(command):
            return f"{command.name}: it asks every node, so it cannot be in a transaction"
    return None


@cache
def in_one_slot(case: Case) -> Case:
    """The case with all its keys in one slot, where that is needed; what it states is left to the oracle then."""
    if not _needs_one_slot(case):
        return case
    return replace(case, steps=tuple(map(_tagged, case.steps)))


def _commands(case: Case) -> Iterator[tuple[str, list[bytes]]]:
    for step in (*case.steps, *case.cleanup):
        if isinstance(step.data, list):
            if step.data:
                yield step.on, step.data
        else:
            for args in _parsed(step.data):
                yield step.on, args


def _parsed(data: bytes) -> list[list[bytes]]:
    try:
        return [args for args in RequestParser(Limits()).feed(data) if args]
    except ProtocolError as error:
        return [args for args in error.commands if args]


def _needs_one_slot(case: Case) -> bool:
    together: dict[str, set[int]] = {}
    watching: set[str] = set()
    for connection, args in _commands(case):
        command = called_command(args)
        if command is None:
            continue
        slots = {slot_of(key) for key in _keys(command, args)}
        if command.name in ("multi", "watch"):
            watching.add(connection)
        if connection in watching:
            together.setdefault(connection, set()).update(slots)
            slots = together[connection]
        elif command.place == "slots":
            continue
        if len(slots) > 1:
            return True
        if command.name in ("exec", "discard", "unwatch"):
            watching.discard(connection)
            together.pop(connection, None)
    return False


def _keys(command: Command, args: list[bytes]) -> list[bytes]:
    return [args[at] for at in positions(command.key_specs, args)]


def _tagged(step: Step) -> Step:
    if not isinstance(step.data, list) or not step.data:
        return step
    args = step.data.copy()
    command = called_command(args)
    if command is None:
        return step
    places = positions(command.key_specs, args)
    if command is REGISTRY[b"keys"]:
        places = [1][: len(args) - 1]
    elif command is REGISTRY[b"scan"]:
        places = [at + 1 for at, arg in enumerate(args[:-1]) if arg.upper() == b"MATCH"]
    for at in places:
        args[at] = TAG + args[at]
    return replace(step, data=args, expected=SAME, line=f"{step.line}   (keys in one slot)")
