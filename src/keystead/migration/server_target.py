"""A server, or a cluster, that keys are moved to.

Owns: the commands that make facts so; each may be executed twice. Must not know: where facts come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keystead.engine.clock import wall_clock_ms
from keystead.errors import CommandError
from keystead.migration.connection import Command
from keystead.migration.server_keys import ServerKeys, Servers, answered
from keystead.migration.source import STRING, Delete, Expire, Record
from keystead.migration.target import Fact, TargetRefused

SHOWN_BYTES = 64


class ServerTarget:
    """One database of a server, or a cluster."""

    strings_only = False

    def __init__(
        self, servers: Servers, name: str, database: int, close: Callable[[], None],
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:  # fmt: skip
        self._servers = servers
        self._name = name
        self.keys = ServerKeys(servers, database)
        self._now_ms = now_ms
        self.close = close

    def describe(self) -> str:
        """As Target."""
        return self._name

    def count(self) -> int:
        """As Target."""
        return self.keys.count()

    def apply(self, facts: Sequence[Fact]) -> list[bytes]:
        """As Target."""
        now_ms = self._now_ms()
        replies = self._servers.run([_command(fact, now_ms) for fact in facts])
        missing = []
        for fact, reply in zip(facts, replies, strict=True):
            if isinstance(reply, CommandError):
                raise TargetRefused(_refused(self._name, fact, reply))
            if isinstance(fact, Expire) and not reply:
                missing.append(fact.key)
        return missing

    def flush(self) -> None:
        """As Target."""
        for place in self._servers.places():
            for reply in place.run([(b"FLUSHDB",)]):
                answered(reply)

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        """As Target."""
        return self.keys.look(keys)

    def scan(self) -> Iterator[list[Record]]:
        """As Target."""
        return self.keys.scan()

    def contents(self, key: bytes, kind: str) -> Any:
        """As ServerKeys."""
        return self.keys.contents(key, kind)


def _command(fact: Fact, now_ms: int) -> Command:
    if isinstance(fact, Delete):
        return (b"DEL", fact.key)
    if isinstance(fact, Expire):
        return (b"PEXPIREAT", fact.key, b"%d" % fact.at_ms)
    if 0 < fact.expires_at_ms <= now_ms:  # a server may refuse to set what is over already
        return (b"DEL", fact.key)
    if fact.kind != STRING:
        return (b"RESTORE", fact.key, b"%d" % fact.expires_at_ms, fact.value, b"REPLACE", b"ABSTTL")
    if fact.expires_at_ms:
        return (b"SET", fact.key, fact.value, b"PXAT", b"%d" % fact.expires_at_ms)
    return (b"SET", fact.key, fact.value)


def _refused(name: str, fact: Fact, error: CommandError) -> str:
    kind = fact.kind if isinstance(fact, Record) else "key"
    text = f"{name} does not take the {kind} {fact.key[:SHOWN_BYTES]!r}: {error}"
    if "DUMP payload version" in error.text:
        text += (
            ". The source is of a newer version than the target, or of another kind: "
            "a target of the same version or a later one takes it"
        )
    return text
