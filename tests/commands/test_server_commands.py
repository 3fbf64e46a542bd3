"""INFO, CONFIG, CLIENT, MEMORY, DEBUG, saving, WAITAOF: what they say is what holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from executors import choose_fsync, stage
from keystead.commands.info import human
from keystead.config import FIXED_PARAMETERS, parameters
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from pathlib import Path

    from executors import Client, Stage


@pytest.fixture
def client(executor_stage: Stage) -> Client:
    return executor_stage.client()


def fields(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("$"))


# --- INFO ------------------------------------------------------------------------------------------------------------


def test_info_counts_what_happened(client: Client) -> None:
    client.pipeline(
        "CONFIG RESETSTAT", "MSET a 1 b 2", "SET c 3 EX 100", "GET a", "GET nosuch", "NOSUCH", "SELECT 3", "SET d 4"
    )
    found = fields(client.text("INFO everything"))
    assert (found["keyspace_hits"], found["keyspace_misses"]) == ("1", "1")
    assert found["errorstat_ERR"] == "count=1"
    assert found["total_error_replies"] == "1"
    assert found["db0"].startswith("keys=3,expires=1,avg_ttl=")
    assert 90_000 < int(found["db0"].rpartition("=")[2]) <= 100_000
    assert found["db3"] == "keys=1,expires=0,avg_ttl=0"
    assert int(found["used_memory_dataset"]) == 8
    assert found["redis_version"] == "7.2.4"
    assert found["connected_clients"] == "1"


def test_ops_per_second_are_those_of_the_last_second(client: Client, executor_stage: Stage) -> None:
    client.pipeline(*["PING"] * 50)
    executor_stage.timers.pass_time(1)
    assert fields(client.text("INFO stats"))["instantaneous_ops_per_sec"] == "50"
    executor_stage.timers.pass_time(2)
    assert fields(client.text("INFO stats"))["instantaneous_ops_per_sec"] == "0"


@pytest.mark.parametrize(
    ("line", "titles"),
    [
        ("INFO server", ["Server"]),
        ("INFO CPU server cpu", ["Server", "CPU"]),
        ("INFO nosuch", []),
        (
            "INFO",
            [
                "Server",
                "Clients",
                "Memory",
                "Persistence",
                "History",
                "Stats",
                "Replication",
                "CPU",
                "Modules",
                "Errorstats",
                "Cluster",
                "Keyspace",
            ],
        ),
    ],
)
def test_sections_are_chosen_by_name(client: Client, line: str, titles: list[str]) -> None:
    assert [text[2:] for text in client.text(line).splitlines() if text.startswith("# ")] == titles


def test_info_is_verbatim_in_resp3(client: Client) -> None:
    client("HELLO 3")
    assert client("INFO cluster") == b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1_572_864, "1.50M"), (1 << 40, "1.00T"), (1 << 62, "4096.00P")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert human(size) == text


# --- CONFIG ----------------------------------------------------------------------------------------------------------


def test_config_get_knows_patterns_and_names_in_any_case(client: Client) -> None:
    assert client("CONFIG GET TimeOut") == b"*2\r\n$7\r\nTimeOut\r\n$1\r\n0\r\n"
    assert client("CONFIG GET nosuch timeou? slowlog-max-len timeout").startswith(b"*4\r\n$7\r\ntimeout")
    assert client("CONFIG GET *").startswith(b"*%d\r\n" % (2 * len(parameters()) + 2 * len(FIXED_PARAMETERS)))
    client("HELLO 3")
    assert client("CONFIG GET timeout") == b"%1\r\n$7\r\ntimeout\r\n$1\r\n0\r\n"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("CONFIG SET nosuch 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
        ("CONFIG SET timeout 1 nosuch 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
        ("CONFIG SET timeout 1 port", "ERR syntax error"),
        (
            "CONFIG SET timeout 1 TIMEOUT 2",
            "ERR CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter",
        ),
        (
            "CONFIG SET databases 3",
            "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
        ),
        ("CONFIG REWRITE", "ERR The server is running without a config file"),
    ],
)
def test_config_refuses_as_redis_does_and_changes_nothing(client: Client, line: str, error: str) -> None:
    assert client(line) == f"-{error}\r\n".encode()
    assert client("CONFIG GET timeout").endswith(b"$1\r\n0\r\n")


# --- CLIENT ----------------------------------------------------------------------------------------------------------


def test_client_list_tells_states(client: Client, executor_stage: Stage) -> None:
    other, waiting = executor_stage.client(addr="[::1]:5"), executor_stage.client()
    other.pipeline("SELECT 2", "CLIENT SETNAME app", "CLIENT SETINFO LIB-NAME py", "MULTI", "SET key value", "HELLO 3")
    waiting("WAIT 1 0")
    other.peer.buffers = (3, 70)
    mine, theirs, third = (
        dict(part.split("=", 1) for part in line.split()) for line in client.text("CLIENT LIST").splitlines()[1:4]
    )
    assert (mine["cmd"], mine["flags"], mine["name"], mine["lib-name"]) == ("client|list", "N", "", "")
    assert (theirs["addr"], theirs["db"], theirs["name"], theirs["flags"], theirs["multi"]) == (
        "[::1]:5",
        "2",
        "app",
        "x",
        "2",
    )
    assert (theirs["qbuf"], theirs["omem"], theirs["events"], theirs["lib-name"]) == ("3", "70", "rw", "py")
    assert (third["flags"], third["cmd"]) == ("b", "wait")


def test_client_kill_closes_those_that_pass_every_filter(client: Client, executor_stage: Stage) -> None:
    one, other = executor_stage.client(addr="1.2.3.4:5"), executor_stage.client()
    assert client("CLIENT KILL ADDR 1.2.3.4:5 ID 9999") == b":0\r\n"
    assert client("CLIENT KILL ADDR 1.2.3.4:5 TYPE normal USER default") == b":1\r\n"
    assert (one.peer.killed, other.peer.killed) == (True, False)
    assert client("CLIENT KILL LADDR 127.0.0.1:7379") == b":2\r\n"
    assert (other.peer.killed, client.peer.killed, client.session.closing) == (True, False, False)
    promise = client(f"CLIENT KILL ID {client.session.id} SKIPME no")
    assert (promise.reply, client.session.closing, client.peer.killed) == (b":1\r\n", True, False)


def test_names_cannot_break_lines(client: Client) -> None:
    error = b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
    for name in ('"a b"', r'"a\nb"', r'"\xff"', r'"\x00"'):
        assert client(f"CLIENT SETNAME {name}") == error
    assert client('CLIENT SETNAME ""') == b"+OK\r\n"
    assert client("CLIENT GETNAME") == b"$-1\r\n"


def test_maintenance_notifications_are_refused_so_that_nobody_waits_for_pushes(client: Client) -> None:
    assert client("CLIENT MAINT_NOTIFICATIONS ON").startswith(b"-ERR unknown subcommand")
    assert client("CLIENT TRACKING ON") == b"-ERR client tracking is not supported\r\n"


def test_leaving_channels_that_nobody_entered_answers(client: Client) -> None:
    assert (
        client("UNSUBSCRIBE a b")
        == b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"
    )
    client("HELLO 3")
    assert client("PUNSUBSCRIBE") == b">3\r\n$12\r\npunsubscribe\r\n_\r\n:0\r\n"


# --- MEMORY, DEBUG ---------------------------------------------------------------------------------------------------


def test_memory_usage_is_what_maxmemory_counts(client: Client, executor_stage: Stage) -> None:
    client.pipeline("SET key " + "v" * 100, "SET expiring v EX 100")
    usage = sum(int(client.text(f"MEMORY USAGE {key}")[1:]) for key in ("key", "expiring"))
    assert usage == executor_stage.executor.engine.used_bytes()
    assert client("MEMORY USAGE nosuch") == b"$-1\r\n"
    assert client("MEMORY USAGE key SAMPLES -1") == b"-ERR syntax error\r\n"


def test_memory_doctor_sees_a_store_that_is_nearly_full(client: Client) -> None:
    assert "No memory problem" in client.text("MEMORY DOCTOR")
    client.pipeline("SET key " + "v" * 1000, "CONFIG SET maxmemory 1200")
    assert "% of maxmemory" in client.text("MEMORY DOCTOR")


def test_debug_is_for_this_machine_only(executor_stage: Stage) -> None:
    stranger = executor_stage.client(is_local=False)
    assert stranger("DEBUG SLEEP 0").startswith(b"-ERR DEBUG command not allowed.")


def test_debug_reload_compares_files_with_memory(client: Client, executor_stage: Stage) -> None:
    client.pipeline("SET a 1", "SETBIT b 7 1", "SELECT 4", "SET c 1 EX 100", "FLUSHDB", "SET d 1", "SWAPDB 4 5")
    assert client("DEBUG RELOAD") == b"+OK\r\n"
    keyspace: Any = executor_stage.executor.engine.databases[0].keyspace
    next(shard for shard in keyspace.shards if b"a" in shard)[b"a"] = b"2"  # behind the log's back
    assert client("DEBUG RELOAD").startswith(b"-ERR Error trying to load")


# --- saving, WAITAOF -------------------------------------------------------------------------------------------------


def test_save_answers_when_there_is_a_checkpoint(client: Client, executor_stage: Stage) -> None:
    client("SET k v")
    engine = executor_stage.executor.engine
    engine.end_turn()
    engine.sync()
    promise = client("SAVE")
    assert isinstance(promise, Promise)
    assert client("BGSAVE") == b"-ERR Background save already in progress\r\n"
    for _ in range(500):
        engine.housekeep(10)
        engine.sync()
        executor_stage.timers.pass_time(0.005)
        time.sleep(0.005)  # it is made by another process
        if promise.is_resolved:
            break
    assert promise.reply == b"+OK\r\n"
    assert engine.info().checkpoints == 1


def test_waitaof_waits_like_any_reply_when_every_write_is_synced(client: Client) -> None:
    client("SET k v")
    client.session.must_wait = False
    assert client("WAITAOF 1 0 0") == b"*2\r\n:1\r\n:0\r\n"
    assert client.session.must_wait


def test_waitaof_waits_for_the_interval_to_sync(client: Client, executor_stage: Stage) -> None:
    engine = executor_stage.executor.engine
    choose_fsync(engine, "interval")
    client("SET k v")
    promise, late = client("WAITAOF 1 0 0"), executor_stage.client()("WAITAOF 1 0 20")
    engine.end_turn()
    executor_stage.timers.pass_time(0.05)
    assert not promise.is_resolved, "appended, not synced"
    assert late.is_resolved, "its time is up"
    engine.sync()
    executor_stage.timers.pass_time(0.05)
    assert promise.reply == b"*2\r\n:1\r\n:0\r\n"
    assert client("WAITAOF 1 0 0") == b"*2\r\n:1\r\n:0\r\n"


def test_config_rewrite_writes_what_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "keystead.toml"
    path.write_text("# mine\n")
    built = stage(tmp_path / "data", config_file=path)
    built.client().pipeline("CONFIG SET timeout 7", "CONFIG REWRITE")
    built.executor.engine.close()
    assert path.read_text() == '# mine\ntimeout = "7"\n'
