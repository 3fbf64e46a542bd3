"""Is a recorded concurrent history linearizable? A checker for registers holding numbers, one key at a time.

A history is linearizable when its operations can be put into one order in which each answers as it did, and in which
none comes before one that had returned before it was called. Keys are independent, so each is checked alone
(locality; Herlihy and Wing). The search is Wing and Gong's in the form of Lowe's just-in-time linearization: walk
through calls and returns in order of time and keep every configuration that explains what was seen so far: the value,
and which of the operations under way have already taken effect. When an operation returns, those configurations
survive in which it took effect with the result it gave. None left: not linearizable.

An operation of unknown outcome (the server was killed, the connection lost) returns at infinity: it may take effect
at any time after its call, or never.

Knows nothing of servers; `recorder` makes histories.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Kind = Literal["get", "set", "delete", "incr", "setnx", "getset"]
Value = int | None
UNKNOWN: Any = "unknown"
NEVER = math.inf
ANY: Any = object()


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation on one key; times in any unit of one clock; `result` is UNKNOWN exactly when `returned_at` is
    NEVER.
    """

    key: bytes
    kind: Kind
    argument: Value
    result: Value
    called_at: float
    returned_at: float
    client: str = ""


class Configuration(NamedTuple):
    """One explanation of what was seen so far: the value now, and the operations under way that already took effect,
    those that will return and those that never will.
    """

    value: Value
    done: frozenset[Operation]
    used: frozenset[Operation]


def effect(value: Value, kind: Kind, argument: Value) -> tuple[Value, Value]:
    """What an operation leaves and what it answers. SET answers nothing (None), DEL and SETNX how many."""
    match kind:
        case "get":
            return value, value
        case "set":
            return argument, None
        case "delete":
            return None, int(value is not None)
        case "incr":
            return (value or 0) + 1, (value or 0) + 1
        case "setnx":
            return (argument if value is None else value), int(value is None)
        case "getset":
            return argument, value


def violations(history: Iterable[Operation], initial: dict[bytes, Value] | None = None) -> list[str]:
    """One line for each key whose history is not linearizable; `initial` values are None (absent) unless given."""
    by_key: defaultdict[bytes, list[Operation]] = defaultdict(list)
    for operation in history:
        by_key[operation.key].append(operation)
    found = (_explain(operations, (initial or {}).get(key)) for key, operations in by_key.items())
    return [line for line in found if line]


def _explain(operations: list[Operation], initial: Value) -> str | None:
    """None if the operations of one key are linearizable, else what could not be explained."""
    pending: set[Operation] = set()
    lost: list[Operation] = []
    configurations = [Configuration(initial, frozenset(), frozenset())]
    for returned, operation in _events(operations):
        if returned:
            before = configurations
            configurations = _took_effect(configurations, pending, lost, operation)
            pending.discard(operation)
            if not configurations:
                values = ", ".join(sorted({str(configuration.value) for configuration in before}))
                return f"{operation} cannot be explained; the value before it was one of {values}"
        elif operation.returned_at != NEVER:
            pending.add(operation)
        elif operation.kind != "get":
            lost.append(operation)
    return None


def _events(operations: list[Operation]) -> Iterator[tuple[bool, Operation]]:
    """(False, operation) for calls and (True, operation) for returns, in order of time; at one time calls come first,
    which allows the two operations either order."""
    times = [(operation.called_at, False, number) for number, operation in enumerate(operations)]
    times += [(o.returned_at, True, number) for number, o in enumerate(operations) if o.returned_at != NEVER]
    for _, returned, number in sorted(times):
        yield returned, operations[number]


def _took_effect(
    configurations: list[Configuration], pending: set[Operation], lost: list[Operation], operation: Operation
) -> list[Configuration]:
    """The configurations in which `operation` took effect with its result, others before it where that explains it.

    Searched in order of how many lost operations are used up; one that uses more than another with the same value and
    the same `done` is dropped, for it explains nothing that the other doesn't.
    """
    found: list[Configuration] = []
    cheapest: defaultdict[tuple[Value, frozenset[Operation]], list[frozenset[Operation]]] = defaultdict(list)
    numbers = itertools.count()
    queue = [(len(configuration.used), next(numbers), configuration) for configuration in configurations]
    heapq.heapify(queue)
    while queue:
        _, _, (value, done, used) = heapq.heappop(queue)
        others = cheapest[value, done]
        if any(smaller <= used for smaller in others):
            continue
        others.append(used)
        if operation in done:
            found.append(Configuration(value, done - {operation}, used))
            continue  # others take effect when their own return asks for it
        unused = [o for o in lost if o not in used]
        for candidate in pending - done:
            for before, spent in _ways(value, candidate, unused):
                after, _ = effect(before, candidate.kind, candidate.argument)
                step = Configuration(after, done | {candidate}, used | spent)
                heapq.heappush(queue, (len(step.used), next(numbers), step))
    return found


# A lost operation is let take effect only where the result of the next one asks for it: any order that explains a
# history can be brought into that form by moving each lost operation up to where it is first seen, and leaving out
# the others.


def _ways(value: Value, operation: Operation, unused: list[Operation]) -> Iterator[tuple[Value, frozenset[Operation]]]:
    """How `operation` can answer what it did, starting from `value`: the value right before it, and the lost operations
    that lead there (none if `value` will do)."""
    if effect(value, operation.kind, operation.argument)[1] == operation.result:
        yield value, frozenset()
        return
    kind, result = operation.kind, operation.result
    if kind in ("get", "getset"):
        goals = [result]
    elif kind == "incr":
        goals = _before_incr(result)
    elif (kind, result) in (("delete", 0), ("setnx", 1)):
        goals = [None]
    else:  # there was a value, whichever
        goals = [after for o in unused if (after := effect(value, o.kind, o.argument)[0]) is not None]
    for goal in dict.fromkeys(goals):
        for chain in _chains(value, goal, unused):
            yield goal, chain


def _before_incr(result: Value) -> list[Value]:
    return [None, 0] if result == 1 else [(result or 0) - 1]


def _chains(value: Value, goal: Value, unused: list[Operation]) -> Iterator[frozenset[Operation]]:
    """The sets of lost operations that turn `value` into `goal`, found backwards; of those that do the same (INCR,
    INCR) only the first called is tried.
    """
    if value == goal:
        yield frozenset()
        return
    for operation in {(o.kind, o.argument): o for o in reversed(unused)}.values():
        for prior in _priors(operation, goal):
            rest = [o for o in unused if o is not operation]
            chains = [frozenset()] if prior is ANY else _chains(value, prior, rest)
            for chain in chains:
                yield chain | {operation}


def _priors(operation: Operation, goal: Value) -> list[Any]:
    """The values from which `operation` leads to `goal`."""
    match operation.kind:
        case "delete":
            return [ANY] if goal is None else []
        case "incr":
            return _before_incr(goal) if goal is not None else []
        case "setnx":
            return [None] if operation.argument == goal else []
        case _:
            return [ANY] if operation.argument == goal else []
