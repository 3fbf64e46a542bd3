"""The keys of a server, or of all primaries of a cluster: looking at some, reading all, how many there are.

Owns: which commands that takes. Must not know: sockets, who wants to know. Every command has its key first, so whoever
runs them knows where it goes. Needs PEXPIRETIME, which came with Redis 7.0: a time to live that is rounded would be
another one each time it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from keystead.errors import CommandError, KeysteadError
from keystead.migration.connection import Command
from keystead.migration.source import STRING, Record

SCAN_COUNT = 500
LOOK_KEYS = 500
"""So many keys at most are asked for in one piece."""
LOOK_BYTES = 4 << 20
"""About so much is to come back for them."""
NO_KEY, NO_EXPIRY = -2, -1
DROP_CLIENTS = (b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes")

T = TypeVar("T")


class UnexpectedReply(KeysteadError):
    """A server answers with an error where none should be; what was moved stays, and it can be resumed."""


class Place(Protocol):
    """One server, be it a primary of a cluster."""

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """The reply of each, CommandErrors among them. ServerUnreachable."""


class Servers(Protocol):
    """Where commands go."""

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Each by the server that has its key: the first argument. CommandErrors are among the replies.
        ServerUnreachable."""

    def places(self) -> Sequence[Place]:
        """All servers that have keys."""


class ServerKeys:
    """The keys of one database."""

    def __init__(self, servers: Servers, database: int) -> None:
        self._servers = servers
        self.database = database
        """The one that the connections have selected; here it is only noted in records."""
        self._page_keys = LOOK_KEYS

    def count(self) -> int:
        """How many there are; those whose time is up may be counted."""
        return sum(int(answered(reply)) for (reply,) in self._everywhere((b"DBSIZE",)))

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        """Each key as it is; None: it is not there."""
        found: list[Record | None] = []
        while len(found) < len(keys):
            some = self._look(keys[len(found) : len(found) + self._page_keys])
            found += some
            size = sum(len(record.value) for record in some if record is not None)
            # Values may be large; after such ones fewer are asked for, and slowly more again.
            self._page_keys = min(LOOK_KEYS, 2 * self._page_keys, max(1, LOOK_BYTES * len(some) // (size + 1)))
        return found

    def _look(self, keys: Sequence[bytes]) -> list[Record | None]:
        replies = self._servers.run([command for key in keys for command in ((b"GET", key), (b"PEXPIRETIME", key))])
        found: list[Record | None] = []
        others: list[int] = []
        for i, key in enumerate(keys):
            value, expires_at_ms = replies[2 * i], answered(replies[2 * i + 1])
            if isinstance(value, CommandError) and value.prefix == "WRONGTYPE":
                others.append(i)
                value = b""
            value = answered(value)
            there = value is not None and expires_at_ms != NO_KEY
            found.append(Record(self.database, key, STRING, value, max(0, expires_at_ms)) if there else None)
        for i, record in zip(others, self._dumped([keys[i] for i in others]), strict=True):
            found[i] = record
        return found

    def _dumped(self, keys: Sequence[bytes]) -> list[Record | None]:
        if not keys:
            return []
        names = (b"TYPE", b"DUMP", b"PEXPIRETIME")
        replies = [answered(reply) for reply in self._servers.run([(name, key) for key in keys for name in names])]
        return [
            None if dump is None or expires_at_ms == NO_KEY else
            Record(self.database, key, text(kind), dump, max(0, expires_at_ms))
            for key, (kind, dump, expires_at_ms) in zip(keys, sliced(replies, len(names)), strict=True)
        ]  # fmt: skip

    def scan(self) -> Iterator[list[Record]]:
        """All keys, some at a time; one that changes meanwhile as it was or is, or twice."""
        for keys in self.names():
            yield [record for record in self.look(keys) if record is not None]

    def names(self) -> Iterator[list[bytes]]:
        """The names of all keys, some at a time."""
        for _, keys in self._names():
            yield keys

    def _names(self) -> Iterator[tuple[Place, list[bytes]]]:
        for place in self._servers.places():
            cursor = b"0"
            while True:
                (reply,) = place.run([(b"SCAN", cursor, b"COUNT", b"%d" % SCAN_COUNT)])
                cursor, keys = answered(reply)
                if keys:
                    yield place, keys
                if cursor == b"0":
                    break

    def kinds(self) -> dict[str, int]:
        """How many keys there are of each type."""
        counted: Counter[str] = Counter()
        for place, keys in self._names():
            counted.update(text(answered(reply)) for reply in place.run([(b"TYPE", key) for key in keys]))
        del counted["none"]
        return dict(counted)

    def contents(self, key: bytes, kind: str) -> Any:
        """What is in a key of another type than string, in an order that does not depend on how it is stored."""
        commands = _CONTENTS.get(kind, ((b"DUMP",),))
        replies = self._servers.run([(name, key, *rest) for name, *rest in commands])
        return [_ordered(kind, answered(reply)) for reply in replies]

    def _everywhere(self, *commands: Command) -> list[list[Any]]:
        return [place.run(commands) for place in self._servers.places()]


_CONTENTS: dict[str, tuple[tuple[bytes, ...], ...]] = {
    "hash": ((b"HGETALL",),),
    "set": ((b"SMEMBERS",),),
    "list": ((b"LRANGE", b"0", b"-1"),),
    "zset": ((b"ZRANGE", b"0", b"-1", b"WITHSCORES"),),
    "stream": ((b"XRANGE", b"-", b"+"),),
}


def _ordered(kind: str, reply: Any) -> Any:
    if kind == "hash":
        return sorted(zip(reply[::2], reply[1::2], strict=True))
    return sorted(reply) if kind == "set" else reply


def answered(reply: Any) -> Any:
    """The reply, unless it is an error. UnexpectedReply."""
    if isinstance(reply, CommandError):
        raise UnexpectedReply(f"a server answered: {reply}")
    return reply


def sliced(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    return (items[i : i + length] for i in range(0, len(items), length))


def text(reply: Any) -> str:
    """A status, whichever way it was parsed."""
    return reply.decode() if isinstance(reply, bytes) else str(reply)
