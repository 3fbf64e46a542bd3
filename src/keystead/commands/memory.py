"""MEMORY: what the data takes. Estimates are those by which `maxmemory` is enforced."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.declaration import command, container
from keystead.commands.numbers import integer
from keystead.commands.placement import NODES_REMEMBER
from keystead.engine.expiries import EXPIRY_OVERHEAD_BYTES
from keystead.engine.values import KEY_OVERHEAD_BYTES, value_bytes
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session

container("MEMORY", group="server", since="4.0.0", summary="A container for memory diagnostics commands.")

memory_command = partial(command, group="server", since="4.0.0")
SHARDS = "request_policy:all_shards"


@memory_command(
    "MEMORY USAGE key [SAMPLES count]",
    flags="readonly",
    keys="RO",
    complexity="O(1)",
    types={"count": lambda text: _samples(text)},
    summary="Estimates the memory usage of a key.",
)
def memory_usage(session: Session, key: bytes, *, samples: int = 5) -> int | None:
    keyspace = session.db.keyspace
    value = keyspace.get(key)
    if value is None:
        return None
    expiry_bytes = EXPIRY_OVERHEAD_BYTES if keyspace.expires_at_ms(key) else 0
    return KEY_OVERHEAD_BYTES + len(key) + value_bytes(value) + expiry_bytes


def _samples(text: bytes) -> int:
    count = integer(text)
    if count < 0:
        raise CommandError("ERR syntax error")
    return count


@memory_command(
    "MEMORY STATS",
    reads="nothing",
    hints=f"nondeterministic_output {SHARDS} response_policy:special",
    cluster=NODES_REMEMBER,
    summary="Returns details about memory usage.",
)
def memory_stats(session: Session) -> dict[bytes, object]:
    """The fields of Redis of which there is something true to say."""
    facts = session.local.memory()
    stats: dict[bytes, object] = {
        b"peak.allocated": facts.peak_bytes,
        b"total.allocated": facts.used_bytes,
        b"replication.backlog": 0,
        b"clients.slaves": 0,
        b"clients.normal": facts.client_bytes,
    }
    for database in session.engine.databases:
        keyspace = database.keyspace
        if len(keyspace):
            stats[b"db.%d" % database.number] = {
                b"overhead.hashtable.main": len(keyspace) * KEY_OVERHEAD_BYTES,
                b"overhead.hashtable.expires": keyspace.expiring_count() * EXPIRY_OVERHEAD_BYTES,
            }
    share = facts.dataset_bytes / facts.used_bytes if facts.used_bytes else 0.0
    return stats | {
        b"overhead.total": facts.used_bytes - facts.dataset_bytes,
        b"keys.count": facts.keys,
        b"keys.bytes-per-key": facts.used_bytes // facts.keys if facts.keys else 0,
        b"dataset.bytes": facts.dataset_bytes,
        b"dataset.percentage": share * 100,
        b"peak.percentage": facts.used_bytes * 100 / facts.peak_bytes if facts.peak_bytes else 100.0,
        b"process.resident": facts.resident_bytes,
    }


@memory_command(
    "MEMORY DOCTOR",
    reads="nothing",
    hints=f"nondeterministic_output {SHARDS} response_policy:special",
    cluster=NODES_REMEMBER,
    summary="Outputs a memory problems report.",
)
def memory_doctor(session: Session) -> resp.Verbatim:
    facts = session.local.memory()
    maxmemory = session.executor.settings.maxmemory_bytes
    found = []
    if maxmemory and facts.used_bytes > 0.9 * maxmemory:
        found.append(
            f"The data takes {facts.used_bytes * 100 // maxmemory} % of maxmemory; at 100 % writes that add data are "
            "refused."
        )
    if facts.client_bytes > max(64 << 20, facts.used_bytes // 4):
        found.append(f"Clients hold {facts.client_bytes >> 20} MB of requests and unread replies.")
    if facts.resident_bytes > 3 * facts.used_bytes and facts.resident_bytes > 1 << 30:
        found.append(
            f"The process holds {facts.resident_bytes >> 20} MB for {facts.used_bytes >> 20} MB of data: either much "
            "was deleted, or the estimate is wrong for this data."
        )
    return resp.Verbatim("\n".join(found or ["No memory problem was found."]).encode() + b"\n")


@memory_command(
    "MEMORY PURGE",
    reads="nothing",
    hints=f"{SHARDS} response_policy:all_succeeded",
    summary="Asks the allocator to release memory. It does that by itself here.",
)
def memory_purge(session: Session) -> str:
    return "OK"


@memory_command(
    "MEMORY MALLOC-STATS",
    reads="nothing",
    hints=f"nondeterministic_output {SHARDS} response_policy:special",
    cluster="here",
    summary="Returns the allocator statistics.",
)
def memory_malloc_stats(session: Session) -> resp.Verbatim:
    return resp.Verbatim(b"Stats not supported for the current allocator")
