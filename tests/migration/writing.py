"""A client that writes through a whole migration, cut-over included, and knows what every key must be."""

from __future__ import annotations

import select
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from random import Random

from clusters import SLOTS, Cluster, slot_of
from wire import CLOSED, Reply, SocketConnection, encode

State = tuple[bytes, int]
Ask = Callable[..., Reply]
"""Sends one command, and returns its reply."""
KEYS = 300
LONG_MS = 3_600_000


class EndedHere(Exception):
    """The writer is to stop, and its last command was not answered."""


class Writer:
    """Writes until it is stopped. What was sent and not answered when `switch` is called is sent again elsewhere: a
    server that lets writers wait has not executed it, and drops it with the connection."""

    def __init__(self, connection: SocketConnection, seed: int) -> None:
        self._connection: SocketConnection | None = connection
        self._random = Random(seed)
        self._other: Ask | None = None
        self._stopping = threading.Event()
        self.keys: dict[bytes, State] = {}
        self.writes = 0
        self.flushes = 0
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def switch(self, ask: Ask) -> None:
        """From now on write to another store."""
        self._other = ask

    def end_here(self) -> None:
        """Write no more, not even what was not answered."""
        self._stopping.set()

    def stop(self) -> dict[bytes, State]:
        """Stop, and return what must be there now: value and expiry by key, but for those whose time is up."""
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.failure is not None:
            raise self.failure
        if self._connection is not None:
            self._connection.close()
        return self.keys

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._write()
                self.writes += 1
                time.sleep(0.0005)  # others want to have the processor too
        except EndedHere:
            return
        except BaseException as error:  # shown by stop()
            self.failure = error

    def _write(self) -> None:
        random, keys = self._random, self.keys
        key, now_ms = b"key:%d" % random.randrange(KEYS), time.time_ns() // 1_000_000
        choice = random.randrange(100)
        if choice < 30:
            self._put(key, b"%d" % self.writes, 0)
        elif choice < 40:
            self._put(key, b"%d" % self.writes, now_ms + LONG_MS)
        elif choice < 55:
            self._put(
                b"short:%d" % (self.writes % KEYS), b"s%d" % self.writes, now_ms + random.choice((100, 2000, LONG_MS))
            )
        elif choice < 65:
            self._ask(b"DEL", key)
            keys.pop(key, None)
        elif choice < 75:
            value, at_ms = keys.get(key, (b"", 0))
            self._ask(b"APPEND", key, b"+")
            keys[key] = value + b"+", at_ms
        elif choice < 85:
            counter = b"counter:%d" % random.randrange(10)
            value = int(keys.get(counter, (b"0", 0))[0]) + 1
            assert self._ask(b"INCR", counter) == Reply(":", value)
            keys[counter] = b"%d" % value, 0
        elif choice < 90:
            if self._ask(b"PEXPIREAT", key, b"%d" % (now_ms + LONG_MS)).value:
                keys[key] = keys[key][0], now_ms + LONG_MS
        elif choice < 94:
            if self._ask(b"PERSIST", key).value:
                keys[key] = keys[key][0], 0
        elif choice < 99:
            if self._connection is not None and key in keys:  # in a cluster the two are elsewhere
                other = b"key:%d" % random.randrange(KEYS)
                if (
                    self._ask(b"RENAME", key, other, refusal=b"CROSSSLOT").kind != "-"
                ):  # the cluster may be asked by now
                    keys[other] = keys.pop(key)
        elif self.writes % 5 == 0:
            self._ask(b"FLUSHALL")
            keys.clear()
            self.flushes += 1

    def _put(self, key: bytes, value: bytes, expires_at_ms: int) -> None:
        options = (b"PXAT", b"%d" % expires_at_ms) if expires_at_ms else ()
        self._ask(b"SET", key, value, *options)
        self.keys[key] = value, expires_at_ms

    def _ask(self, *words: bytes, refusal: bytes = b"none") -> Reply:
        reply = None if self._connection is None else self._asked_of_first(self._connection, words)
        if reply is None:
            if self._other is None:
                raise EndedHere
            reply = self._other(*words)
        assert reply is not CLOSED
        assert reply.kind != "-" or reply.value.startswith(refusal), (words, reply)
        return reply

    def _asked_of_first(self, connection: SocketConnection, words: tuple[bytes, ...]) -> Reply | None:
        """The reply; None when it was told to write elsewhere before there was one, or was cut off while it waited."""
        connection.send(encode(words))
        reply = None
        while self._other is None and not self._stopping.is_set() and reply is None:
            if select.select([connection.socket], [], [], 0.02)[0]:
                reply = connection.receive()
                if reply is not CLOSED:
                    return reply
        connection.close()
        self._connection = None
        while self._other is None and not self._stopping.is_set():
            time.sleep(0.01)
        return None


class ClusterDoor:
    """Asks the primary that has the key; for a cluster that stays as it is."""

    def __init__(self, cluster: Cluster) -> None:
        self._connections = [SocketConnection((node.host, node.port)) for node in cluster.primaries()]
        count = len(self._connections)
        self._last_slots = [SLOTS * edge // count - 1 for edge in range(1, count + 1)]

    def ask(self, *words: bytes) -> Reply:
        if words[0] in (b"FLUSHALL", b"DBSIZE"):
            replies = [connection.call(*words) for connection in self._connections]
            return replies[0] if words[0] == b"FLUSHALL" else Reply(":", sum(reply.value for reply in replies))
        return self._connections[bisect_left(self._last_slots, slot_of(words[1]))].call(*words)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def differences(keys: dict[bytes, State], ask: Ask) -> list[str]:
    """What is not as it must be."""
    found = []
    alive = 0
    for key, (value, at_ms) in keys.items():
        now_ms = time.time_ns() // 1_000_000
        got, expiry = ask(b"GET", key).value, ask(b"PEXPIRETIME", key).value
        if at_ms and abs(at_ms - now_ms) < 1000:
            continue  # it may end while we look
        if 0 < at_ms < now_ms:
            if got is not None:
                found.append(f"{key!r} lives on, until {expiry}, and should have ended at {at_ms}")
            continue
        alive += 1
        if (got, expiry) != (value, at_ms or -1):
            found.append(f"{key!r} is {got!r} until {expiry} instead of {value!r} until {at_ms or -1}")
    count = ask(b"DBSIZE").value
    return found if alive <= count <= len(keys) else [*found, f"{count} keys instead of {alive} to {len(keys)}"]
