"""Drives a server from several clients at once and records what each called, when, and what it was told.

A client is a thread with a connection of its own that has one operation under way. At most eight clients a key: the
search of `linearizability` grows fast beyond.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from durability.linearizability import NEVER, UNKNOWN, Kind, Operation, Value
from wire import Reply, SocketConnection, encode

COMMANDS: dict[Kind, Callable[[bytes, Value], tuple[bytes, ...]]] = {
    "get": lambda key, _: (b"GET", key),
    "set": lambda key, value: (b"SET", key, b"%d" % value),
    "delete": lambda key, _: (b"DEL", key),
    "incr": lambda key, _: (b"INCR", key),
    "setnx": lambda key, value: (b"SETNX", key, b"%d" % value),
    "getset": lambda key, value: (b"GETSET", key, b"%d" % value),
}
MIX: list[Kind] = ["get"] * 8 + ["set"] * 4 + ["incr"] * 4 + ["delete", "setnx", "getset"]
WITH_ARGUMENT = ("set", "setnx", "getset")
NOT_EXECUTED: Any = "not executed"


class RecordingClient(threading.Thread):
    """Sends random operations on `keys` until `operations` are done, `stop` is set or the connection ends.

    Numbers it writes are unique (below a base of its own, steps of a thousand for the increments between), so that a
    value read tells who wrote it.
    """

    mix = MIX

    def __init__(
        self,
        address: tuple[str, int],
        keys: list[bytes],
        rng: random.Random,
        base: int,
        operations: int | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.history: list[Operation] = []
        self.stop = threading.Event()
        self._connection = SocketConnection(address)
        self._keys, self._rng, self._left = keys, rng, operations
        self._next_number = base

    def run(self) -> None:
        try:
            while not self.stop.is_set() and self._left != 0 and self._step():
                if self._left is not None:
                    self._left -= 1
        finally:
            self._connection.close()

    def _step(self) -> bool:
        """One operation; False when the connection ended, which ends this client."""
        kind = self._rng.choice(self.mix)
        key = self._rng.choice(self._keys)
        argument = None
        if kind in WITH_ARGUMENT:
            self._next_number += 1000
            argument = self._next_number
        command = encode(COMMANDS[kind](key, argument))
        called_at = time.monotonic_ns()
        try:
            self._connection.send(command)
            reply = self._connection.receive()
        except OSError:
            reply = Reply("closed", None)
        result = self._result(kind, reply)
        returned_at = NEVER if result is UNKNOWN else time.monotonic_ns()
        if result is not NOT_EXECUTED:
            self.history.append(Operation(key, kind, argument, result, called_at, returned_at, self.name))
        return reply.kind != "closed"

    def _result(self, kind: Kind, reply: Reply) -> Value:
        """What the checker is told: the model's result, UNKNOWN, or NOT_EXECUTED for what need not be recorded."""
        return UNKNOWN if reply.kind == "closed" else understood(kind, reply)


def understood(kind: Kind, reply: Reply) -> Value:
    """The result of an operation as the checker's model gives it. Raises ValueError for an error."""
    if reply.kind == "-":
        raise ValueError(reply.value.decode())
    if kind == "set":
        return None
    return None if reply.value is None else int(reply.value)


def record(address: tuple[str, int], keys: list[bytes], clients: int, operations: int, seed: int) -> list[Operation]:
    """The history of so many clients a group of keys, each with so many operations. The keys are deleted first."""
    control = SocketConnection(address)
    control.call(b"DEL", *keys)
    control.close()
    crew = [
        RecordingClient(address, keys, random.Random(f"{seed}:{number}"), number * 1_000_000_000, operations)
        for number in range(clients)
    ]
    for client in crew:
        client.start()
    for client in crew:
        client.join()
    return [operation for client in crew for operation in client.history]
