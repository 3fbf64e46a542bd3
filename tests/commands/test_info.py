"""INFO as redis_exporter reads it: what its published dashboards and alerts show must be there, as numbers."""

from __future__ import annotations

import re

import pytest

from executors import Client, Stage

FIELDS = {
    "Server": "uptime_in_seconds process_id",
    "Clients": "connected_clients blocked_clients maxclients",
    "Memory": "used_memory used_memory_rss used_memory_peak maxmemory mem_fragmentation_ratio",
    "Persistence": "loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time aof_enabled "
    "rdb_last_bgsave_time_sec aof_rewrite_in_progress aof_last_rewrite_time_sec aof_current_size aof_base_size",
    "Stats": "total_connections_received total_commands_processed rejected_connections total_net_input_bytes "
    "total_net_output_bytes expired_keys evicted_keys keyspace_hits keyspace_misses pubsub_channels pubsub_patterns",
    "Replication": "connected_slaves master_repl_offset",
    "CPU": "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children",
}
STATUSES = {"rdb_last_bgsave_status": "ok", "aof_last_bgrewrite_status": "ok", "aof_last_write_status": "ok"}
LABELS = [
    "role",
    "redis_version",
    "redis_mode",
    "os",
    "maxmemory_policy",
    "tcp_port",
    "run_id",
    "process_id",
    "master_replid",
]


def sections(client: Client) -> dict[str, dict[str, str]]:
    """INFO ALL, cut as the exporter cuts it: a section is what stands behind "# "."""
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in client.text("INFO ALL").split("\r\n"):
        if line.startswith("# "):
            section = line[2:]
        elif ":" in line:
            name, _, value = line.partition(":")
            found.setdefault(section, {})[name] = value
    return found


@pytest.fixture
def client(executor_stage: Stage) -> Client:
    return executor_stage.client()


def test_every_figure_of_the_dashboards_is_a_number_in_its_section(client: Client) -> None:
    found = sections(client)
    for section, names in FIELDS.items():
        for name in names.split():
            assert re.fullmatch(r"-?\d+(\.\d+)?", found[section][name]), (section, name)


def test_statuses_are_in_the_words_that_count_as_one_and_zero(client: Client) -> None:
    found = sections(client)["Persistence"]
    assert {name: found[name] for name in STATUSES} == STATUSES


def test_the_labels_of_an_instance_are_there(client: Client) -> None:
    found = {name: value for section in sections(client).values() for name, value in section.items()}
    assert [name for name in LABELS if not found.get(name)] == []


def test_databases_are_counted_in_the_form_that_is_understood(client: Client) -> None:
    for line in ("SET a 1", "SET b 1 EX 100", "SELECT 3", "SET c 1"):
        client(line)
    keyspace = sections(client)["Keyspace"]
    assert set(keyspace) == {"db0", "db3"}
    assert re.fullmatch(r"keys=2,expires=1,avg_ttl=\d+", keyspace["db0"])


def test_commands_errors_and_percentiles_are_in_the_form_that_is_understood(client: Client) -> None:
    for line in ("CONFIG SET latency-tracking yes", "SET k v", "INCR k"):
        client(line)
    found = sections(client)
    number = r"\d+(\.\d+)?"
    calls = rf"calls=1,usec=\d+,usec_per_call={number},rejected_calls=0,failed_calls="
    assert re.fullmatch(calls + "0", found["Commandstats"]["cmdstat_set"])
    assert re.fullmatch(calls + "1", found["Commandstats"]["cmdstat_incr"])
    assert found["Errorstats"] == {"errorstat_ERR": "count=1"}
    percentiles = found["Latencystats"]["latency_percentiles_usec_set"]
    assert re.fullmatch(rf"p50={number},p99={number},p99.9={number}", percentiles)


@pytest.mark.parametrize("line", ["CONFIG GET *", "SLOWLOG LEN", "SLOWLOG GET 1", "LATENCY LATEST", "CLIENT LIST"])
def test_what_else_the_exporter_asks_is_answered(client: Client, line: str) -> None:
    assert not client.text(line).startswith("-")
