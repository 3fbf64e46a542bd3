"""INFO: the state of the server in sections of `field:value` lines.

The fields are those of Redis that exporters and dashboards read and about which there is something true to say. Where a
Redis word stands for a mechanism of ours: `aof_*` is the log, `rdb_*` and `aof_rewrite_*` are checkpoints.
"""

from __future__ import annotations

import os
import platform
import resource
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeAlias

from keystead import __version__, resp
from keystead.commands.connection import REDIS_VERSION
from keystead.commands.declaration import command

if TYPE_CHECKING:
    from keystead.engine.keyspace import Keyspace
    from keystead.execution.executor import Executor
    from keystead.execution.local import LocalExecutor
    from keystead.execution.session import Session

Fields: TypeAlias = dict[str, object]

HOUSEKEEPINGS_A_SECOND = 10
RUN_ID = secrets.token_hex(20)


def server_section(executor: Executor) -> Fields:
    uptime_s = int(time.time() - executor.started_at_s)
    system = os.uname()
    return {
        "redis_version": REDIS_VERSION,
        "keystead_version": __version__,
        "redis_mode": "standalone",
        "os": f"{system.sysname} {system.release} {system.machine}",
        "arch_bits": 64 if sys.maxsize > 1 << 32 else 32,
        "python_version": platform.python_version(),
        "process_id": os.getpid(),
        "run_id": RUN_ID,
        "tcp_port": executor.settings.port,
        "server_time_usec": time.time_ns() // 1000,
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s // 86400,
        "hz": HOUSEKEEPINGS_A_SECOND,
        "configured_hz": HOUSEKEEPINGS_A_SECOND,
        "executable": sys.executable,
        "config_file": executor.settings.config_file or "",
    }


def clients_section(executor: Executor) -> Fields:
    sessions = executor.sessions.values()
    buffered = [session.peer.buffer_sizes() for session in sessions]
    return {
        "connected_clients": len(sessions),
        "cluster_connections": 0,
        "maxclients": executor.settings.max_clients,
        "client_recent_max_input_buffer": max((unexecuted for unexecuted, _ in buffered), default=0),
        "client_recent_max_output_buffer": max((unread for _, unread in buffered), default=0),
        "blocked_clients": sum(session.waiting_for is not None for session in sessions),
        "tracking_clients": 0,
    }


def memory_section(executor: LocalExecutor) -> Fields:
    facts = executor.memory()
    sizes = {
        "used_memory": facts.used_bytes,
        "used_memory_rss": facts.resident_bytes,
        "used_memory_peak": facts.peak_bytes,
    }
    fields: Fields = {}
    for name, size in sizes.items():
        fields |= {name: size, f"{name}_human": human(size)}
    maxmemory = executor.settings.maxmemory_bytes
    return fields | {
        "used_memory_overhead": facts.used_bytes - facts.dataset_bytes,
        "used_memory_dataset": facts.dataset_bytes,
        "total_system_memory": facts.system_bytes,
        "total_system_memory_human": human(facts.system_bytes),
        "maxmemory": maxmemory,
        "maxmemory_human": human(maxmemory),
        "maxmemory_policy": "noeviction",
        "mem_fragmentation_ratio": f"{facts.resident_bytes / facts.used_bytes if facts.used_bytes else 0:.2f}",
        "mem_fragmentation_bytes": facts.resident_bytes - facts.used_bytes,
        "mem_clients_normal": facts.client_bytes,
        "mem_clients_slaves": 0,
        "lazyfree_pending_objects": executor.engine.pending_frees,
    }


def human(size: int) -> str:
    """A size as people read it: 1.50M."""
    power = min(max(size.bit_length() - 1, 0) // 10, 5)
    return f"{size / (1 << 10 * power):.2f}{'BKMGTP'[power]}" if power else f"{size}B"


def persistence_section(executor: LocalExecutor) -> Fields:
    engine = executor.engine
    facts = engine.info()
    checkpoint = engine.maintenance.manifest.current.checkpoint
    status = "err" if facts.checkpoint_failed else "ok"
    maintenance = engine.maintenance
    took_s = maintenance.last_checkpoint_took_ms // 1000
    runs_since_s = (engine.clock.now_ms - maintenance.checkpoint_began_ms) // 1000 if facts.checkpoint_running else -1
    return {
        "loading": 0,
        "async_loading": 0,
        "rdb_changes_since_last_save": facts.next_sequence - (checkpoint.sequence if checkpoint else 1),
        "rdb_bgsave_in_progress": int(facts.checkpoint_running),
        "rdb_last_save_time": engine.maintenance.last_checkpoint_ms // 1000,
        "rdb_last_bgsave_status": status,
        "rdb_last_bgsave_time_sec": took_s,
        "rdb_current_bgsave_time_sec": runs_since_s,
        "rdb_saves": facts.checkpoints,
        "aof_enabled": 1,
        "aof_rewrite_in_progress": int(facts.checkpoint_running),
        "aof_rewrite_scheduled": int(engine.maintenance.busy and not facts.checkpoint_running),
        "aof_last_rewrite_time_sec": took_s,
        "aof_current_rewrite_time_sec": runs_since_s,
        "aof_last_bgrewrite_status": status,
        "aof_rewrites": facts.checkpoints,
        "aof_last_write_status": "err" if engine.log.holding else "ok",
        "aof_current_size": facts.stored_bytes,
        "aof_base_size": facts.checkpoint_bytes,
        "aof_pending_rewrite": 0,
        "aof_buffer_length": engine.log.held_bytes,
        "aof_pending_bio_fsync": int(engine.log.sync_under_way),
        "log_position": facts.log_position,
        "log_durable_position": facts.durable_position,
        "log_syncs": facts.syncs,
        "log_torn_bytes_at_start": facts.torn_bytes,
    }


def history_section(executor: LocalExecutor) -> Fields:
    engine = executor.engine
    kept = engine.maintenance.kept_history()
    settings = executor.settings
    left_ms = max(0, kept.next_drop_ms - engine.clock.now_ms) if kept.next_drop_ms else 0
    return {
        "history_generations": kept.generations,
        "history_bytes": kept.stored_bytes,
        "history_bytes_human": human(kept.stored_bytes),
        "history_index_bytes": kept.index_bytes,
        "history_first_sequence": kept.first_sequence,
        "history_last_sequence": engine.log.next_sequence - 1,
        "history_oldest_time_ms": kept.oldest_ms,
        "history_max_age_sec": settings.history_max_age_s,
        "history_max_bytes": settings.history_max_bytes,
        "history_next_drop_bytes": kept.next_drop_bytes,
        "history_next_drop_sec": left_ms // 1000 if kept.next_drop_ms else -1,
        "history_forgetting": engine.maintenance.forgetting,
    }


def stats_section(executor: LocalExecutor) -> Fields:
    statistics = executor.statistics
    return stats_fields(
        executor,
        expired_keys=executor.engine.expired_keys - statistics.expired_before,
        evicted_keys=0,
        hits=statistics.keyspace_hits,
        misses=statistics.keyspace_misses,
    )


def stats_fields(executor: Executor, *, expired_keys: int, evicted_keys: int, hits: int, misses: int) -> Fields:
    """The section, with figures of the data from whoever has it."""
    statistics = executor.statistics
    return {
        "total_connections_received": statistics.connections_received,
        "total_commands_processed": statistics.commands_processed,
        "instantaneous_ops_per_sec": statistics.ops_per_second,
        "total_net_input_bytes": statistics.net_input_bytes,
        "total_net_output_bytes": statistics.net_output_bytes,
        "rejected_connections": statistics.connections_rejected,
        **{
            f"acl_access_denied_{short}": statistics.denials[reason]
            for short, reason in (("auth", "auth"), ("cmd", "command"), ("key", "key"), ("channel", "channel"))
        },
        "client_query_buffer_limit_disconnections": statistics.query_buffer_disconnections,
        "client_output_buffer_limit_disconnections": statistics.output_buffer_disconnections,
        "expired_keys": expired_keys,
        "evicted_keys": evicted_keys,
        "keyspace_hits": hits,
        "keyspace_misses": misses,
        "pubsub_channels": 0,
        "pubsub_patterns": 0,
        "latest_fork_usec": 0,
        "total_forks": 0,
        "total_error_replies": sum(statistics.errors.values()),
    }


def replication_section(executor: LocalExecutor) -> Fields:
    """There is no replication: the identity is that of the data directory, the offset stays 0 as in a Redis alone."""
    return {
        "role": "master",
        "connected_slaves": 0,
        "master_failover_state": "no-failover",
        "master_replid": f"{executor.engine.maintenance.manifest.store_id:040x}",
        "master_replid2": "0" * 40,
        "master_repl_offset": 0,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
    }


def cpu_section(executor: Executor) -> Fields:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "used_cpu_sys": f"{own.ru_stime:.6f}",
        "used_cpu_user": f"{own.ru_utime:.6f}",
        "used_cpu_sys_children": f"{children.ru_stime:.6f}",
        "used_cpu_user_children": f"{children.ru_utime:.6f}",
    }


def modules_section(executor: Executor) -> Fields:
    return {}


def commandstats_section(executor: Executor) -> Fields:
    fields: Fields = {}
    for name, times in executor.call_times.by_name.items():
        if times.calls or times.rejected:
            microseconds = times.nanoseconds // 1000
            fields[f"cmdstat_{name}"] = (
                f"calls={times.calls},usec={microseconds},usec_per_call={microseconds / max(1, times.calls):.2f},"
                f"rejected_calls={times.rejected},failed_calls={times.failed}"
            )
    return fields


def errorstats_section(executor: Executor) -> Fields:
    errors = executor.statistics.errors
    return {f"errorstat_{prefix}": f"count={count}" for prefix, count in sorted(errors.items())}


PERCENTILES = (50.0, 99.0, 99.9)


def latencystats_section(executor: Executor) -> Fields:
    fields: Fields = {}
    for name, times in executor.call_times.by_name.items():
        if times.calls:
            values = zip(PERCENTILES, times.percentiles_us(PERCENTILES), strict=True)
            fields[f"latency_percentiles_usec_{name}"] = ",".join(f"p{at:g}={value:.3f}" for at, value in values)
    return fields


def cluster_section(executor: Executor) -> Fields:
    return {"cluster_enabled": 0}


def keyspace_section(executor: LocalExecutor) -> Fields:
    return {
        f"db{database.number}": f"keys={len(keyspace)},expires={keyspace.expiring_count()},"
        f"avg_ttl={average_ttl_ms(keyspace, executor.engine.clock.now_ms)}"
        for database in executor.engine.databases
        if len(keyspace := database.keyspace)
    }


_SAMPLED_EXPIRIES = 1000


def average_ttl_ms(keyspace: Keyspace, now_ms: int) -> int:
    """The average time to live of a sample of the keys that have one, as Redis' figure is."""
    by_shard = (expires.in_order() for expires in keyspace.expires if expires is not None)
    sample = list(islice(chain.from_iterable(by_shard), _SAMPLED_EXPIRIES))
    return sum(max(0, at_ms - now_ms) for at_ms in sample) // len(sample) if sample else 0


Section: TypeAlias = Callable[["LocalExecutor"], Fields]

SECTIONS: dict[str, tuple[str, Section]] = {
    "server": ("Server", server_section),
    "clients": ("Clients", clients_section),
    "memory": ("Memory", memory_section),
    "persistence": ("Persistence", persistence_section),
    "history": ("History", history_section),
    "stats": ("Stats", stats_section),
    "replication": ("Replication", replication_section),
    "cpu": ("CPU", cpu_section),
    "modules": ("Modules", modules_section),
    "commandstats": ("Commandstats", commandstats_section),
    "errorstats": ("Errorstats", errorstats_section),
    "latencystats": ("Latencystats", latencystats_section),
    "cluster": ("Cluster", cluster_section),
    "keyspace": ("Keyspace", keyspace_section),
}
EVERYTHING = tuple(SECTIONS)
ALL = tuple(name for name in SECTIONS if name != "modules")
DEFAULT = tuple(name for name in SECTIONS if name not in ("commandstats", "latencystats"))


@command(
    "INFO [section [section ...]]",
    group="server",
    since="1.0.0",
    flags="loading stale",
    acl="dangerous",
    reads="nothing",
    hints="nondeterministic_output request_policy:all_shards response_policy:special",
    cluster="own",
    history=(("7.0.0", "Added support for taking multiple section arguments."),),
    summary="Returns information and statistics about the server.",
)
def info(session: Session, names: list[bytes]) -> resp.Verbatim:
    wanted = chosen(names)
    return rendered((title, section(session.local)) for name, (title, section) in SECTIONS.items() if name in wanted)


def chosen(names: list[bytes]) -> set[str]:
    """The sections that the arguments of a call ask for."""
    return {section for name in names or [b"default"] for section in _sections(name)}


def _sections(name: bytes) -> tuple[str, ...]:
    text = name.lower().decode("utf-8", "replace")
    several = {"default": DEFAULT, "all": ALL, "everything": EVERYTHING}
    return several.get(text, (text,))


def rendered(sections: Iterable[tuple[str, Fields]]) -> resp.Verbatim:
    """The text, of titles and what stands below them."""
    texts = [
        f"# {title}\r\n" + "".join(f"{name}:{value}\r\n" for name, value in fields.items())
        for title, fields in sections
    ]
    return resp.Verbatim("\r\n".join(texts).encode("utf-8", "surrogateescape"))
