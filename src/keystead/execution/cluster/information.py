"""INFO in front of a cluster: what the front door knows of itself, and of the nodes what they say.

Sections of the nodes are asked for only when they are wanted. A primary that does not answer within a second is left
out of the sums, and is in the Cluster section as what it is there: INFO is asked for when something is wrong.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from keystead.cluster.request import Request
from keystead.commands import info
from keystead.errors import CommandError
from keystead.execution.cluster.promises import NodeReply
from keystead.execution.cluster.routes import packed
from keystead.execution.cluster.ways import way
from keystead.execution.memory import resident_bytes
from keystead.resp.reading import read_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keystead.cluster.topology import Node
    from keystead.commands.declaration import Command
    from keystead.commands.info import Fields
    from keystead.commands.table import Run
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.execution.session import Session

PATIENCE_S: Final = 1.0

Said: TypeAlias = dict[str, dict[str, str]]
"""By node: the fields of its INFO. Only of those that have answered."""


def _sum(said: Said, field: str) -> int:
    return sum(int(fields.get(field, 0)) for fields in said.values())


def _same(said: Said, field: str) -> str:
    """What all say; "mixed" when they do not agree."""
    values = {fields.get(field, "") for fields in said.values()}
    return values.pop() if len(values) == 1 else "mixed" if values else ""


def _worst(said: Said, field: str) -> str:
    return "err" if any(fields.get(field) == "err" for fields in said.values()) else "ok"


def memory_section(executor: ClusterExecutor, said: Said) -> Fields:
    """Of the primaries together; beside it what this process takes."""
    fields: Fields = {}
    for name in ("used_memory", "used_memory_rss", "used_memory_peak", "used_memory_dataset", "maxmemory"):
        size = _sum(said, name)
        fields |= {name: size, f"{name}_human": info.human(size)}
    own = resident_bytes()
    clients = sum(sum(session.peer.buffer_sizes()) for session in executor.sessions.values())
    used, resident = _sum(said, "used_memory"), _sum(said, "used_memory_rss")
    return fields | {
        "total_system_memory": _sum(said, "total_system_memory"),
        "maxmemory_policy": _same(said, "maxmemory_policy"),
        "mem_fragmentation_ratio": f"{resident / used if used else 0:.2f}",
        "front_door_rss": own,
        "front_door_rss_human": info.human(own),
        "mem_clients_normal": clients,
    }


def persistence_section(executor: ClusterExecutor, said: Said) -> Fields:
    """Of the primaries: how many do, what is worst."""
    counted = ("rdb_changes_since_last_save", "rdb_bgsave_in_progress", "aof_enabled", "aof_rewrite_in_progress")
    judged = ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")
    saved = [int(fields.get("rdb_last_save_time", 0)) for fields in said.values()]
    return {
        "loading": _sum(said, "loading"),
        **{name: _sum(said, name) for name in counted},
        "rdb_last_save_time": min(saved, default=0),
        **{name: _worst(said, name) for name in judged},
    }


def replication_section(executor: ClusterExecutor, said: Said) -> Fields:
    """To its clients the front door is a primary, and its replicas are those of all primaries."""
    return {
        "role": "master",
        "connected_slaves": _sum(said, "connected_slaves"),
        "master_replid": info.RUN_ID,
        "master_repl_offset": _sum(said, "master_repl_offset"),
    }


def stats_section(executor: ClusterExecutor, said: Said) -> Fields:
    """The front door's; what became of keys, as the primaries have counted it."""
    return info.stats_fields(
        executor,
        expired_keys=_sum(said, "expired_keys"),
        evicted_keys=_sum(said, "evicted_keys"),
        hits=_sum(said, "keyspace_hits"),
        misses=_sum(said, "keyspace_misses"),
    )


def cluster_section(executor: ClusterExecutor, said: Said) -> Fields:
    """`cluster_enabled` is what clients look at to find out whether they must route themselves: here they need not."""
    client = executor.client
    topology, status = client.topology, client.status
    fields: Fields = {
        "cluster_enabled": 0,
        "cluster_state": "ok" if status.ready else "down",
        "cluster_detail": status.detail,
        "cluster_slots_assigned": topology.slots_covered,
        "cluster_known_nodes": len(topology.nodes),
        "cluster_size": len(topology.primaries),
    }
    for number, node in enumerate(topology.nodes.values()):
        fields[f"node{number}"] = _node_line(node, said.get(node.id, {}))
    return fields


def _node_line(node: Node, said: dict[str, str]) -> str:
    slots = sum(last - first + 1 for first, last in node.slots)
    line = f"id={node.id},address={node.shown_address},role={node.role},health={node.health},slots={slots}"
    if said:
        keys = _keyspace(said).get("keys", 0)
        line += f",keys={keys},used_memory={said.get('used_memory', 0)},replicas={said.get('connected_slaves', 0)}"
    return line


def keyspace_section(executor: ClusterExecutor, said: Said) -> Fields:
    """All primaries' keys together; the time to live is the mean of theirs, by how many keys have one."""
    all_counted = [_keyspace(fields) for fields in said.values()]
    keys, expires = (sum(counted.get(name, 0) for counted in all_counted) for name in ("keys", "expires"))
    if not keys:
        return {}
    weighted = sum(counted.get("avg_ttl", 0) * counted.get("expires", 0) for counted in all_counted)
    return {"db0": f"keys={keys},expires={expires},avg_ttl={weighted // expires if expires else 0}"}


def _keyspace(said: dict[str, str]) -> dict[str, int]:
    pairs = (pair.partition("=") for pair in said.get("db0", "").split(",") if pair)
    return {name: int(value) for name, _, value in pairs if value.isdigit()}


Section: TypeAlias = "Callable[[ClusterExecutor, Said], Fields]"

SECTIONS: dict[str, tuple[str, Section]] = {
    "server": ("Server", lambda executor, _: info.server_section(executor)),
    "clients": ("Clients", lambda executor, _: info.clients_section(executor)),
    "memory": ("Memory", memory_section),
    "persistence": ("Persistence", persistence_section),
    "stats": ("Stats", stats_section),
    "replication": ("Replication", replication_section),
    "cpu": ("CPU", lambda executor, _: info.cpu_section(executor)),
    "modules": ("Modules", lambda executor, _: info.modules_section(executor)),
    "commandstats": ("Commandstats", lambda executor, _: info.commandstats_section(executor)),
    "errorstats": ("Errorstats", lambda executor, _: info.errorstats_section(executor)),
    "latencystats": ("Latencystats", lambda executor, _: info.latencystats_section(executor)),
    "cluster": ("Cluster", cluster_section),
    "keyspace": ("Keyspace", keyspace_section),
}
OF_NODES: Final = frozenset(("memory", "persistence", "stats", "replication", "cluster", "keyspace"))


@way("INFO", "here; what is about data is asked of every primary and summed")
def info_way(executor: ClusterExecutor, command: Command) -> Run:
    def run(session: Session, args: list[bytes]) -> bytes | NodeReply:
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
        chosen = info.chosen(args[1:]) & SECTIONS.keys()

        def text(said: Said) -> bytes:
            return session.encode(
                info.rendered(
                    (title, section(executor, said)) for name, (title, section) in SECTIONS.items() if name in chosen
                )
            )

        if not chosen & OF_NODES:
            return text({})
        whole = NodeReply(executor.statistics)
        ask_primaries(executor, lambda said: whole.resolve(text(said)))
        return whole

    return run


def ask_primaries(executor: ClusterExecutor, done: Callable[[Said], None], *arguments: bytes) -> None:
    """What the primaries say in INFO; *done* is called when all have answered, or after `PATIENCE_S`. The requests are
    sent with the batch that is being put together."""
    said: Said = {}
    waiting = {node.id for node in executor.client.topology.primaries}
    requests: list[Request] = []

    def told(node_id: str, reply: bytes) -> None:
        if reply[:1] != b"-":
            said[node_id] = fields_of(read_reply(reply).value)
        waiting.discard(node_id)
        if not waiting:
            timer.cancel()
            done(said)

    def give_up() -> None:
        for request in requests:
            request.cancel()
        done(said)

    timer = executor.call_later(PATIENCE_S if waiting else 0.0, give_up)
    data = packed([b"INFO", *arguments])
    requests += [Request(node_id, data, partial(told, node_id)) for node_id in sorted(waiting)]
    executor.outgoing += requests


def fields_of(text: bytes) -> dict[str, str]:
    """The lines of an INFO."""
    lines: Iterable[str] = text.decode("utf-8", "replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}
