"""The primaries that have the keys: one server, or those of a cluster, as CLUSTER NODES tells them.

Owns: where the primary of some slots is now; whether slots are being moved. Must not know: what is followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from keystead.errors import CommandError, KeysteadError, ServerUnreachable
from keystead.migration.addresses import ServerAddress
from keystead.migration.connection import Connection
from keystead.migration.replica.handshake import NotReady
from keystead.migration.source import FollowingRefused, SourceFailed

_PATIENCE_S: Final = 2.0
_FAILED: Final = frozenset({"fail", "noaddr", "handshake"})


class Primary(NamedTuple):
    """One that has keys."""

    host: str
    port: int
    slots: str
    """As CLUSTER NODES has them, such as "0-100,200"; "" for a server that is no cluster."""


class Nodes:
    """One server, or the nodes of a cluster, asked by commands that need no particular one."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._known = list(address.hosts)

    def primaries(self) -> list[Primary]:
        """Each that has keys now. ServerUnreachable, SourceFailed, FollowingRefused."""
        if not self._address.cluster:
            return [self._single()]
        found = sorted(self._tell(), key=lambda primary: _first_slot(primary.slots))
        if not found:
            raise SourceFailed(f"no node of {self._address} has any slots")
        self._known = [*dict.fromkeys([(primary.host, primary.port) for primary in found] + self._known)]
        return found

    def where(self, slots: str) -> tuple[str, int]:
        """The primary of these slots; "": of all. NotReady: there is none now."""
        if not slots:
            return self._address.hosts[0]
        try:
            for primary in self.primaries():
                if primary.slots == slots:
                    return primary.host, primary.port
        except ServerUnreachable as error:
            raise NotReady(str(error)) from error
        raise NotReady(f"slots {slots} of {self._address} have no primary now")

    def _single(self) -> Primary:
        host, port = self._address.hosts[0]
        with Asking(self._address, host, port) as asking:
            if b"cluster_enabled:1" in asking(b"INFO", b"cluster"):
                raise SourceFailed(f"{host}:{port} is a node of a cluster; name all of it by cluster://{host}:{port}")
            told = dict(line.partition(b":")[::2] for line in asking(b"INFO", b"replication").splitlines())
        if told.get(b"role") == b"slave":
            primary = f"{told.get(b'master_host', b'').decode()}:{told.get(b'master_port', b'').decode()}"
            raise SourceFailed(
                f"{host}:{port} is a replica of {primary}; name that one: its writers have to wait when all is cut over"
            )
        return Primary(host, port, "")

    def _tell(self) -> list[Primary]:
        failure: KeysteadError = SourceFailed(f"{self._address} names no node")
        for host, port in list(self._known):
            try:
                with Asking(self._address, host, port) as asking:
                    return list(primaries_of(asking(b"CLUSTER", b"NODES").decode(), host))
            except ServerUnreachable as error:
                failure = error
        raise failure


class Asking:
    """One connection for questions. Use it as a context manager, or close it."""

    def __init__(self, address: ServerAddress, host: str, port: int) -> None:
        """ServerUnreachable, SourceFailed."""
        only = address._replace(hosts=((host, port),), cluster=False, database=0)
        try:
            self._connection = Connection(only, patience_s=_PATIENCE_S)
        except CommandError as error:
            raise SourceFailed(f"{host}:{port} does not accept the password: {error}") from error

    def __call__(self, *words: bytes) -> Any:
        """The reply. CommandError, ServerUnreachable, SourceFailed, FollowingRefused."""
        try:
            return self._connection.ask(*words)
        except CommandError as error:
            if error.prefix == "NOAUTH":
                raise SourceFailed(f"{self._connection.address} wants a password: {error}") from error
            if error.prefix == "NOPERM":
                said = f"{self._connection.address} does not let itself be followed: {error}"
                raise FollowingRefused(said) from error
            raise

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def primaries_of(nodes: str, asked: str) -> Iterator[Primary]:
    """The primaries among the lines of CLUSTER NODES, which the node at the host *asked* told."""
    for line in nodes.splitlines():
        fields = line.split()
        flags = set(fields[2].split(","))
        slots = [slot for slot in fields[8:] if not slot.startswith("[")]
        if "master" in flags and slots and not flags & _FAILED:
            host, _, port = fields[1].partition("@")[0].rpartition(":")
            yield Primary(host or asked, int(port), ",".join(slots))


def is_moving_slots(nodes: str) -> bool:
    """Whether the node that told these lines gives slots away, or takes any: it tells this of itself only."""
    return any(field.startswith("[") for line in nodes.splitlines() for field in line.split()[8:])


def _first_slot(slots: str) -> int:
    return int(slots.partition(",")[0].partition("-")[0])
