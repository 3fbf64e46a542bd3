"""Clients of a front door while nodes fail: they know what each answer allows, and refuse every other.

An answer is one of three: it was done; it was certainly not done (CLUSTERDOWN and the like); nobody knows
(UNKNOWNOUTCOME, or the connection ended). Anything else is a wrong answer, which ends the client with `error`.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from durability.linearizability import UNKNOWN, Kind, Value
from durability.recorder import NOT_EXECUTED, RecordingClient, understood
from failover.ledger import Ledger
from wire import CLOSED, Reply, SocketConnection, encode

Outcome = Literal["done", "refused", "unknown"]
Address = tuple[str, int]

REFUSALS = (b"CLUSTERDOWN", b"TRYAGAIN", b"LOADING", b"MASTERDOWN", b"NOREPLICAS", b"EXECABORT")
PROBES_EACH_SECONDS = 0.02
KEYS_OF_A_KIND = 12
WRITES: list[Kind] = ["set", "set", "incr", "incr", "incr", "delete", "setnx", "getset"]
COMES_BACK_SECONDS = 30.0
ANSWER_SECONDS = 60.0  # a door that does not answer for that long is a wrong answer


def outcome(reply: Reply) -> Outcome | None:
    """None when the reply is an error that has no place here."""
    if reply.kind == "closed":
        return "unknown"
    if reply.kind != "-":
        return "done"
    word = reply.value.partition(b" ")[0]
    if word == b"UNKNOWNOUTCOME":
        return "unknown"
    return "refused" if word in REFUSALS else None


@dataclass(frozen=True)
class Move:
    """Commands sent in one piece, of which the last reply tells; what that reply must be; the keys, all written or all
    read."""

    commands: list[tuple[bytes, ...]]
    keys: list[bytes]
    expected: Callable[[Reply], bool]
    writes: bool = True


class Writer(threading.Thread):
    """Sends batches of moves on the keys of its ledger until `stop` is set.

    When nothing was promised (`lossy`), an answer that tells of a loss is none that ends it: the key is left alone, so
    that the loss is counted in the end. A loss that a later write covers is not.
    """

    def __init__(
        self, address: Address, ledger: Ledger, rng: random.Random, deepest: int = 16, *, lossy: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.error: str | None = None
        self.unknown = self.refused = 0
        self._address, self._ledger, self._rng, self._deepest, self._lossy = address, ledger, rng, deepest, lossy
        self._pools: dict[str, list[bytes]] = {"value": [], "counter": [], "pair": []}

    def run(self) -> None:
        try:
            while not self.stop.is_set() and self.error is None:
                self._converse(_connected(self._address))
        except OSError as error:
            self.error = f"{self._ledger.name}: {error!r}"

    def _converse(self, connection: SocketConnection) -> None:
        """Until the connection ends, or this client."""
        try:
            while not self.stop.is_set() and self.error is None and self._batch(connection):
                pass
        finally:
            connection.close()

    def _batch(self, connection: SocketConnection) -> bool:
        """Moves on different keys, in one write; False when the connection ended."""
        count = self._rng.choice((1, 1, 2, 4, self._deepest))
        moves: list[Move] = []
        used: set[bytes] = set()
        for _ in range(count):
            self._add_move(moves, used)
        with contextlib.suppress(ConnectionError):  # how far it came is told by the replies
            connection.send(b"".join(encode(command) for move in moves for command in move.commands))
        ended = False
        for move in moves:
            reply = CLOSED if ended else [connection.receive() for _ in move.commands][-1]
            ended = ended or reply is CLOSED
            self._take(move, reply)
        return not ended

    def _take(self, move: Move, reply: Reply) -> None:
        told = outcome(reply)
        if told == "done" and move.expected(reply):
            if move.writes:
                self._ledger.acknowledge(move.keys)
        elif told == "refused":
            self.refused += 1
        elif told == "unknown":
            self.unknown += 1
            if move.writes:
                self._ledger.doubt(move.keys)
        else:
            self._ledger.doubt(move.keys)
            if not self._lossy or told is None:
                said = repr(reply)[:200]
                self.error = self.error or f"{self._ledger.name}: {move.commands[-1][:2]} answered {said}"

    # ---- moves

    def _add_move(self, moves: list[Move], used: set[bytes]) -> None:
        ledger, kind = self._ledger, self._rng.choices(("put", "count", "pair", "spread", "read"), (4, 3, 2, 1, 2))[0]
        if kind == "pair":
            one = self._key("pair", used)
            pair = [one, ledger.pairs[one]]
            puts = [self._put(key) for key in pair]
            moves.append(Move([(b"MULTI",), *puts, (b"EXEC",)], pair, lambda reply: reply.kind == "*"))
        elif kind == "count":
            key = self._key("counter", used)
            reached = Reply(":", ledger.versions[key] + 1)
            moves.append(Move([(b"INCR", key)], [key], lambda reply: reply == reached))
        elif kind == "spread":
            keys = [self._key("value", used) for _ in range(3)]
            words = [word for key in keys for word in self._put(key)[1:]]
            moves.append(Move([(b"MSET", *words)], keys, _is_ok))
        elif kind == "put":
            key = self._key("value", used)
            moves.append(Move([self._put(key)], [key], _is_ok))
        else:
            key = self._key("value", used)
            version = ledger.versions[key]
            held = Reply("$", ledger.value(key, version) if version else None)
            moves.append(Move([(b"GET", key)], [key], lambda reply: reply == held, writes=False))

    def _put(self, key: bytes) -> tuple[bytes, ...]:
        return b"SET", key, self._ledger.value(key, self._ledger.versions[key] + 1)

    def _key(self, kind: str, used: set[bytes]) -> bytes:
        """One of which no write is in doubt and none under way, of a small stock that is filled up."""
        pool = self._pools[kind]
        pool[:] = [key for key in pool if self._ledger.usable(key)]
        while len(pool) < KEYS_OF_A_KIND:
            pool.append(self._ledger.new_pair()[0] if kind == "pair" else self._ledger.new_key(kind))
        free = [key for key in pool if key not in used]
        if not free:
            pool.append(self._ledger.new_pair()[0] if kind == "pair" else self._ledger.new_key(kind))
            free = pool[-1:]
        key = self._rng.choice(free)
        used.add(key)
        return key


class Contender(RecordingClient):
    """Writes keys that others write too, and records what it was told for the check of linearizability.

    It does not read: that what a read shows survives is not promised by a cluster. What a write answers is.
    """

    mix = WRITES

    def __init__(self, address: Address, keys: list[bytes], rng: random.Random, base: int) -> None:
        super().__init__(address, keys, rng, base)
        self.error: str | None = None
        self._connection.socket.settimeout(ANSWER_SECONDS)

    def _result(self, kind: Kind, reply: Reply) -> Value:
        match outcome(reply):
            case "done":
                return understood(kind, reply)
            case "refused":
                return NOT_EXECUTED
            case None:
                self.error = self.error or f"{kind} answered {reply!r}"
        return UNKNOWN


class Prober(threading.Thread):
    """Reads (GET) or writes (INCR) one key again and again, to see for how long its slot is without that."""

    def __init__(self, address: Address, command: bytes, key: bytes) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self._address, self._command, self._key = address, command, key
        self._served_at: list[float] = []

    def run(self) -> None:
        while not self.stop.is_set():
            connection = _connected(self._address)
            try:
                self._probe(connection)
            finally:
                connection.close()

    def _probe(self, connection: SocketConnection) -> None:
        """Until the connection ends, or this client."""
        with contextlib.suppress(ConnectionError):
            while not self.stop.wait(PROBES_EACH_SECONDS):
                reply = connection.call(self._command, self._key)
                if reply is CLOSED:
                    return
                if reply.kind != "-":
                    self._served_at.append(time.monotonic())

    def longest_gap_s(self) -> float:
        """Between two replies that were no error."""
        gaps = (later - earlier for earlier, later in itertools.pairwise(self._served_at))
        return max(gaps, default=float("inf"))


def _is_ok(reply: Reply) -> bool:
    return reply == Reply("+", b"OK")


def _connected(address: Address) -> SocketConnection:
    """A connection; a door that was killed is given the time to come back."""
    deadline = time.monotonic() + COMES_BACK_SECONDS
    while True:
        try:
            connection = SocketConnection(address)
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            connection.socket.settimeout(ANSWER_SECONDS)
            return connection
