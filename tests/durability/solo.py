"""A client that alone writes some keys, keeps a model of them, and knows which states a crash may leave.

It sends batches (one to a few commands in one write: a pipeline). After a crash its keys must be as they were after its
last acknowledged command or after any later one of the batch under way: nothing acknowledged lost, nothing half done (a
MULTI … EXEC is one step), nothing out of order, nothing that was never sent.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from wire import Reply, SocketConnection, encode

Command = tuple[bytes, ...]
Entry = tuple[bytes, int]  # a value, and when it expires in milliseconds; -1 is never, as PEXPIRETIME says
State = dict[bytes, Entry]  # by key; those of other databases than 0 as b"<number>/<key>"
Change = Callable[[State], None]
NEVER_EXPIRES = -1
EXPIRES_AT_MS = 33177117420000


@dataclass(frozen=True)
class Move:
    """What a client sends as one indivisible step, and what it does to the model."""

    commands: list[Command]
    apply: Change


@dataclass
class Ledger:
    """Every state that may still be found after a crash, oldest first: the last acknowledged and those sent since."""

    name: str
    databases: tuple[int, int] = (1, 2)  # two besides database 0 that nobody else uses: flushed and swapped
    states: list[State] = field(default_factory=lambda: [{}])
    acknowledged: int = 0
    seen_tick: int = 0

    @property
    def tick_key(self) -> bytes:
        return b"%s:tick" % self.name.encode()

    def sent(self, move: Move) -> None:
        state = dict(self.states[-1])
        move.apply(state)
        self.states.append(state)

    def acknowledge(self) -> None:
        del self.states[0]
        self.acknowledged += 1

    def observed(self, tick: int) -> None:
        """Somebody was shown the counter at `tick`: from now on a crash may not take that back."""
        self.seen_tick = max(self.seen_tick, tick)

    def verify(self, found: State) -> str | None:
        """None when `found` is a state that a crash may leave, which then is the one to go on from; else what is
        wrong.
        """
        if found not in self.states:
            return f"{self.name}: {_difference(found, self.states)}"
        tick = int(found.get(self.tick_key, (b"0", NEVER_EXPIRES))[0])
        if tick < self.seen_tick:
            return f"{self.name}: the counter was shown as {self.seen_tick} to another client and is {tick} now"
        self.states = [found]
        return None


def _difference(found: State, allowed: list[State]) -> str:
    nearest = min(allowed, key=lambda state: len(state.items() ^ found.items()))
    keys = sorted({key for key, _ in nearest.items() ^ found.items()})
    shown = [f"{key!r} is {_short(found.get(key))}, nearest allowed {_short(nearest.get(key))}" for key in keys[:3]]
    return f"none of {len(allowed)} allowed states; " + "; ".join(shown)


def _short(entry: Entry | None) -> str:
    if entry is None or len(entry[0]) < 60:
        return repr(entry)
    return f"{entry[0][:40]!r}… ({len(entry[0])} bytes, expires {entry[1]})"


class SoloClient(threading.Thread):
    """Sends batches of random moves on its own keys until `stop` is set or the connection ends."""

    def __init__(self, address: tuple[str, int], ledger: Ledger, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.error: str | None = None
        self.ledger = ledger
        self._connection = SocketConnection(address)
        self._rng = rng
        self._keys = [b"%s:%d" % (ledger.name.encode(), number) for number in range(5)]

    def run(self) -> None:
        try:
            while not self.stop.is_set() and self.error is None and self._batch():
                pass
        finally:
            self._connection.close()

    def _batch(self) -> bool:
        """Send a few moves in one write and take their replies; False when the connection ended."""
        moves = [self._move() for _ in range(self._rng.choice((1, 1, 1, 2, 5, 16)))]
        for move in moves:
            self.ledger.sent(move)
        try:
            self._connection.send(b"".join(encode(command) for move in moves for command in move.commands))
            return all(self._take_reply(move) for move in moves)
        except OSError:
            return False

    def _take_reply(self, move: Move) -> bool:
        replies = [self._connection.receive() for _ in move.commands]
        if Reply("closed", None) in replies:
            return False
        errors = [reply for reply in replies if reply.kind == "-"]
        if errors:
            self.error = f"{self.ledger.name}: {move.commands[0][:2]} answered {errors[0]!r}"
            return False
        self.ledger.acknowledge()
        return True

    # ---- moves: each command's meaning in one line of Python

    def _move(self) -> Move:
        rng = self._rng
        if rng.random() < 0.3:
            return self._tick()
        if rng.random() < 0.15:
            return self._transaction()
        if rng.random() < 0.1:
            return self._whole_database()
        command, apply = self._change()
        return Move([command], apply)

    def _tick(self) -> Move:
        key = self.ledger.tick_key

        def apply(state: State) -> None:
            state[key] = b"%d" % (int(state[key][0] if key in state else 0) + 1), NEVER_EXPIRES

        return Move([(b"INCR", key)], apply)

    def _transaction(self) -> Move:
        changes = [self._change() for _ in range(self._rng.randint(2, 4))]

        def apply(state: State) -> None:
            for _, change in changes:
                change(state)

        return Move([(b"MULTI",), *(command for command, _ in changes), (b"EXEC",)], apply)

    def _whole_database(self) -> Move:
        """What binds a database to another keyspace, and something in it to be seen afterwards."""
        one, other = self.ledger.databases
        value = self._value()
        match self._rng.randrange(4):
            case 0:
                return Move([(b"SWAPDB", b"%d" % one, b"%d" % other)], lambda state: _swap(state, one, other))
            case 1:
                return Move(_within(one, (b"FLUSHDB",)), lambda state: _flush(state, one))
            case _:
                key = self._rng.choice(self._keys)
                put = {b"%d/%s" % (one, key): (value, NEVER_EXPIRES)}
                return Move(_within(one, (b"SET", key, value)), lambda state: state.update(put))

    def _change(self) -> tuple[Command, Change]:
        rng = self._rng
        key, other = rng.sample(self._keys, 2)
        value = self._value()
        match rng.randrange(10):
            case 0 | 1:
                return (b"SET", key, value), lambda state: state.update({key: (value, NEVER_EXPIRES)})
            case 2:
                at = b"%d" % EXPIRES_AT_MS
                return (b"SET", key, value, b"PXAT", at), lambda state: state.update({key: (value, EXPIRES_AT_MS)})
            case 3:
                return (b"DEL", key), lambda state: _delete(state, key)
            case 4:
                piece = value[:30]
                return (b"APPEND", key, piece), lambda state: _rewrite(state, key, lambda old: old + piece)
            case 5:
                offset, piece = rng.randrange(50), value[:20]
                command = (b"SETRANGE", key, b"%d" % offset, piece)
                return command, lambda state: _rewrite(state, key, lambda old: _overlaid(old, offset, piece))
            case 6:
                entry = value, NEVER_EXPIRES
                return (b"MSET", key, value, other, value), lambda state: state.update({key: entry, other: entry})
            case 7:
                return (b"COPY", key, other, b"REPLACE"), lambda state: _copy(state, key, other)
            case 8:
                return (b"GETDEL", key), lambda state: _delete(state, key)
            case _:
                command = rng.choice(((b"PERSIST", key), (b"PEXPIREAT", key, b"%d" % EXPIRES_AT_MS)))
                expires_at_ms = NEVER_EXPIRES if command[0] == b"PERSIST" else EXPIRES_AT_MS
                return command, lambda state: _expire(state, key, expires_at_ms)

    def _value(self) -> bytes:
        """Mostly short; now and then over 64 KiB, which travels in part frames."""
        length = self._rng.choices((20, 300, 5_000, 70_000), (800, 150, 45, 5))[0]
        return (b"%016x" % self._rng.getrandbits(64)) * (length // 16 + 1)


def _within(database: int, command: Command) -> list[Command]:
    return [(b"SELECT", b"%d" % database), command, (b"SELECT", b"0")]


def _flush(state: State, database: int) -> None:
    for key in [key for key in state if key.startswith(b"%d/" % database)]:
        del state[key]


def _swap(state: State, one: int, other: int) -> None:
    names = {b"%d" % one: b"%d" % other, b"%d" % other: b"%d" % one}
    split = [(key.partition(b"/"), key) for key in state]
    moved = {names[number] + b"/" + name: state.pop(key) for (number, _, name), key in split if number in names}
    state.update(moved)


def _delete(state: State, key: bytes) -> None:
    state.pop(key, None)


def _rewrite(state: State, key: bytes, edit: Callable[[bytes], bytes]) -> None:
    value, expires_at_ms = state.get(key, (b"", NEVER_EXPIRES))
    state[key] = edit(value), expires_at_ms


def _overlaid(old: bytes, offset: int, piece: bytes) -> bytes:
    old = old.ljust(offset, b"\x00")
    return old[:offset] + piece + old[offset + len(piece) :]


def _copy(state: State, key: bytes, other: bytes) -> None:
    if key in state:
        state[other] = state[key]


def _expire(state: State, key: bytes, expires_at_ms: int) -> None:
    if key in state:
        state[key] = state[key][0], expires_at_ms


class Observer(threading.Thread):
    """Looks at the solo clients' counters in every way a client may be shown a value, and remembers what it was
    shown.
    """

    def __init__(self, address: tuple[str, int], ledgers: list[Ledger], rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.looks = 0
        self._connection = SocketConnection(address)
        self._ledgers, self._rng = ledgers, rng
        self.seen = {ledger.name: 0 for ledger in ledgers}

    def run(self) -> None:
        try:
            while not self.stop.is_set() and self._look():
                self.looks += 1
        except OSError:
            pass  # the server was killed while asked: nothing was shown
        finally:
            self._connection.close()

    def _look(self) -> bool:
        ledger = self._rng.choice(self._ledgers)
        key = ledger.tick_key
        commands, pick = self._rng.choice(
            [
                ([(b"GET", key)], _first),
                ([(b"MGET", key)], lambda replies: replies[0].value[0]),
                ([(b"GETRANGE", key, b"0", b"-1")], _first),
                ([(b"GETEX", key)], _first),
                ([(b"MULTI",), (b"GET", key), (b"EXEC",)], lambda replies: replies[2].value[0]),
            ]
        )
        self._connection.send(b"".join(map(encode, commands)))
        replies = [self._connection.receive() for _ in commands]
        if replies[-1].kind == "closed":
            return False
        self.seen[ledger.name] = max(self.seen[ledger.name], int(pick(replies).value or 0))
        return True


def _first(replies: list[Reply]) -> Reply:
    return replies[0]
