"""From what people write to a source and a target.

Owns: which kinds there are, and what is refused before anything is read. Must not know: the order of a migration.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from keystead.engine.engine import Options
from keystead.engine.manifest import MANIFEST_NAME
from keystead.errors import DirectoryUnusable, KeysteadError
from keystead.migration.addresses import ServerAddress
from keystead.migration.connection import Connection
from keystead.migration.directory_source import DirectorySource
from keystead.migration.directory_target import DirectoryTarget
from keystead.migration.replica.feed import ReplicaFeed
from keystead.migration.server_source import ServerSource
from keystead.migration.server_target import ServerTarget
from keystead.migration.source import Source
from keystead.migration.target import Target

WITHOUT_BOUND = 1 << 62
OLDEST_REDIS = 7
"""It has PEXPIRETIME; Valkey says to be Redis 7.2."""
Acknowledge = Literal["replicated", "async"]


class Unsuitable(KeysteadError):
    """The source and the target do not go together. Nothing was changed; says what to do."""


class End(NamedTuple):
    """A path, or a server."""

    path: str
    server: ServerAddress | None


def open_source(
    end: End, database: int, *, follow: bool, spool: str | None = None, controlled_by: ServerAddress | None = None
) -> Source:
    """*follow*: or its keys are copied by SCAN. *spool*: a directory for changes that wait. *controlled_by*: the
    server that has the directory open, to tell its writers to wait. Unsuitable, ServerUnreachable, and what a directory
    raises."""
    if end.server is None:
        return _directory_source(end.path, database, controlled_by)
    if end.server.cluster:
        from keystead.migration.cluster_servers import ClusterServers

        servers: Connection | ClusterServers = ClusterServers(end.server, acknowledge="async")
    else:
        servers = _single(end.server._replace(database=database), follow=follow)
    feed = ReplicaFeed(end.server, spool) if follow else None
    return ServerSource(servers, str(end.server._replace(database=database)), database, feed, servers.close)


def _single(server: ServerAddress, *, follow: bool = False) -> Connection:
    connection = Connection(server)
    info: bytes = connection.ask(b"INFO", b"server")
    fields = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
    major, _, _ = fields.get(b"redis_version", b"").partition(b".")
    trouble = ""
    if fields.get(b"redis_mode") == b"cluster":
        trouble = f"is a node of a cluster: write {str(server).replace('redis', 'cluster', 1)}"
    elif major.isdigit() and int(major) < OLDEST_REDIS:
        trouble = f"is of version {fields[b'redis_version'].decode()}; versions from {OLDEST_REDIS}.0 on are supported"
    elif follow and b"keystead_version" in fields:
        trouble = (
            "is a Keystead server, which has no replicas: move its data directory, with "
            f"--source-server {server}, or do without following by --copy"
        )
    if trouble:
        connection.close()
        raise Unsuitable(f"{server} {trouble}")
    return connection


def _directory_source(path: str, database: int, server: ServerAddress | None) -> DirectorySource:
    if not os.path.isdir(path):
        raise DirectoryUnusable(path, "there is no such directory")
    if server is None:
        return DirectorySource(path, database)
    connection = Connection(server)
    source = DirectorySource(path, database, connection)
    replication = connection.ask(b"INFO", b"replication").decode()
    if f"master_replid:{int(source.identity(), 16):040x}" not in replication.split():
        source.close()
        raise Unsuitable(f"the server on {server} serves another directory than {path}")
    return source


def open_target(end: End, acknowledge: Acknowledge) -> Target:
    """Unsuitable, ServerUnreachable, and what a directory raises."""
    server = end.server
    if server is None:
        return _directory_target(end.path)
    if server.cluster:
        from keystead.migration.cluster_servers import ClusterServers

        servers = ClusterServers(server, acknowledge=acknowledge)
        if acknowledge == "replicated" and (alone := servers.without_replicas()):
            servers.close()
            raise Unsuitable(
                f"{', '.join(alone)} of {server} has no replica, so no write there counts as done: "
                "give it one, or say --acknowledge async"
            )
        return ServerTarget(servers, str(server), 0, servers.close)
    connection = _single(server)
    return ServerTarget(connection, str(server), server.database, connection.close)


def _directory_target(path: str) -> DirectoryTarget:
    if os.path.isdir(path) and MANIFEST_NAME not in (names := os.listdir(path)) and names:
        raise DirectoryUnusable(path, "it is not empty, and there is no Keystead data in it")
    # How much history is kept is for whoever serves the store to say.
    return DirectoryTarget(path, 0, Options(history_max_age_ms=WITHOUT_BOUND, history_max_bytes=WITHOUT_BOUND))


def refuse_same(source: End, target: End) -> None:
    """Raise when both are one store. Unsuitable."""
    if source.server is None or target.server is None:
        if source.server is target.server and os.path.realpath(source.path) == os.path.realpath(target.path):
            raise Unsuitable("source and target are the same directory")
        return
    if source.server.hosts == target.server.hosts and source.server.database == target.server.database:
        raise Unsuitable("source and target are the same server")


def refuse_other_databases(source: Source, chosen: int | None, cluster: bool) -> None:
    """Raise when there are keys in a database that would be left behind, and nobody said so. Unsuitable."""
    counts = source.databases()
    left = {number: count for number, count in counts.items() if number != (chosen or 0)}
    if chosen is None and left:
        listed = ", ".join(f"{count:,} keys in database {number}" for number, count in sorted(counts.items()))
        why = "a cluster has no numbered databases" if cluster else "one database is moved at a time"
        raise Unsuitable(f"{source.describe()} has {listed}, and {why}: say which one by --database N")


def refuse_other_types(source: Source, target: Target) -> None:
    """Raise when there are keys of types that the target does not have. Unsuitable."""
    if not target.strings_only:
        return
    counts = {kind: count for kind, count in source.kinds().items() if kind != "string"}
    if counts:
        listed = ", ".join(f"{count:,} of type {kind}" for kind, count in sorted(counts.items()))
        raise Unsuitable(
            f"{source.describe()} has keys that a data directory does not hold yet: {listed}. "
            "Nothing was changed. Remove them there, or move to redis:// or cluster://"
        )
