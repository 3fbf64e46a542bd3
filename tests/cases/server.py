"""The server itself: COMMAND, CONFIG, INFO, DEBUG, SLOWLOG, MEMORY, LATENCY, MONITOR, WAIT, saving."""

from __future__ import annotations

import re
from typing import Any

from cases.case import (
    Family,
    first_words,
    help_text,
    kind,
    lines_with,
    near,
    nothing,
    on,
    receive,
    sections,
    seen,
    send,
    shape,
    unordered,
    values_of,
    wait,
)
from cases.strings import NO_INTEGER, SYNTAX, arity
from wire import Reply

family = Family("server")
case = family.case

case(
    "wrong number of arguments for the server",
    *[
        (line, arity(line.split()[0].lower()))
        for line in (
            "CONFIG", "SLOWLOG", "MEMORY", "LATENCY", "DEBUG", "SAVE x", "LASTSAVE x", "TIME x", "ROLE x", "WAIT",
            "WAIT 0", "WAIT 0 0 0",
            "BGREWRITEAOF x", "MONITOR x",
        )
    ],
)  # fmt: skip
case(
    "wrong number of arguments for subcommands",
    *[
        (line, f"-ERR wrong number of arguments for '{line.split()[0].lower()}|{line.split()[1].lower()}' command")
        for line in (
            "CONFIG GET", "CONFIG SET", "CONFIG SET maxmemory", "CONFIG RESETSTAT x", "CONFIG REWRITE x",
            "COMMAND COUNT x", "COMMAND GETKEYS",
            "SLOWLOG LEN x", "SLOWLOG RESET x", "MEMORY USAGE", "MEMORY DOCTOR x", "LATENCY LATEST x",
            "LATENCY HISTORY", "LATENCY GRAPH",
        )
    ],
)  # fmt: skip
case(
    "subcommands that are none",
    *[
        (f"{c} FOO", f"-ERR unknown subcommand 'FOO'. Try {c} HELP.")
        for c in ("COMMAND", "CONFIG", "SLOWLOG", "MEMORY", "LATENCY")
    ],
)
case("HELP", *[seen(f"{c} HELP", help_text) for c in ("COMMAND", "CONFIG", "SLOWLOG", "MEMORY", "LATENCY", "DEBUG")])

# ---- COMMAND ---------------------------------------------------------------------------------------------------------

# Every command of this piece of work that Redis 7.0 has.
COMMANDS = [
    "set",
    "get",
    "setnx",
    "setex",
    "psetex",
    "getset",
    "getdel",
    "getex",
    "mget",
    "mset",
    "msetnx",
    "append",
    "strlen",
    "getrange",
    "substr",
    "setrange",
    "incr",
    "decr",
    "incrby",
    "decrby",
    "incrbyfloat",
    "lcs",
    "setbit",
    "getbit",
    "bitcount",
    "bitpos",
    "bitop",
    "bitfield",
    "bitfield_ro",
    "del",
    "unlink",
    "exists",
    "type",
    "touch",
    "expire",
    "pexpire",
    "expireat",
    "pexpireat",
    "ttl",
    "pttl",
    "expiretime",
    "pexpiretime",
    "persist",
    "rename",
    "renamenx",
    "copy",
    "move",
    "keys",
    "scan",
    "randomkey",
    "dbsize",
    "flushdb",
    "flushall",
    "swapdb",
    "object",
    "multi",
    "exec",
    "discard",
    "watch",
    "unwatch",
    "ping",
    "echo",
    "hello",
    "auth",
    "select",
    "reset",
    "quit",
    "client",
    "command",
    "info",
    "config",
    "save",
    "bgsave",
    "bgrewriteaof",
    "lastsave",
    "time",
    "shutdown",
    "slowlog",
    "monitor",
    "memory",
    "latency",
    "role",
    "wait",
    "debug",
]
WEIGHTY_FLAGS = {b"write", b"readonly", b"denyoom", b"blocking"}


def essentials(reply: Reply) -> Any:
    """Of COMMAND INFO: name, arity, the flags that clients act on, key positions; of the rest the types."""
    if reply.kind != "*":
        return reply
    return [_essentials(entry) for entry in reply.value]


def _essentials(entry: Reply) -> Any:
    if entry.value is None:
        return entry
    name, count, flags, first, last, step, categories, tips, specs, subcommands = entry.value
    weighty = sorted(flag.value for flag in flags.value if flag.value in WEIGHTY_FLAGS)
    return name, count, flags.kind, weighty, first, last, step, [x.kind for x in (categories, tips, specs, subcommands)]


for name in COMMANDS:
    case(f"COMMAND INFO {name}", seen(f"COMMAND INFO {name}", essentials))
case(
    "COMMAND INFO",
    seen("COMMAND INFO get nosuch SET", essentials),
    seen("COMMAND INFO client|id object|encoding config|get client|nosuch", essentials),
    "COMMAND INFO nosuch",
    'COMMAND INFO ""',
    seen("command info GET", essentials),
)
case(
    "COMMAND COUNT and COMMAND",
    seen("COMMAND COUNT", kind),
    seen("COMMAND", kind),
    seen("COMMAND INFO", kind),
    seen("COMMAND LIST", kind),
)
case(
    "COMMAND GETKEYS",
    ("COMMAND GETKEYS GET k", [b"k"]),
    ("COMMAND GETKEYS mset a 1 b 2", [b"a", b"b"]),
    "COMMAND GETKEYS SET k v EX 10",
    "COMMAND GETKEYS DEL a b c",
    "COMMAND GETKEYS RENAME a b",
    "COMMAND GETKEYS COPY a b DB 1",
    "COMMAND GETKEYS BITOP AND d a b",
    "COMMAND GETKEYS OBJECT ENCODING k",
    "COMMAND GETKEYS MEMORY USAGE k",
    "COMMAND GETKEYS LCS a b",
    "COMMAND GETKEYS WATCH a b",
    "COMMAND GETKEYS BITFIELD k GET u8 0",
    "COMMAND GETKEYS MSETNX a 1 b 2",
    "COMMAND GETKEYS MGET a b",
    "COMMAND GETKEYS EXISTS a a",
    "COMMAND GETKEYS PING",
    "COMMAND GETKEYS SELECT 1",
    "COMMAND GETKEYS KEYS *",
    "COMMAND GETKEYS CONFIG GET x",
    ("COMMAND GETKEYS nosuch k", "-ERR Invalid command specified"),
    "COMMAND GETKEYS GET",
    ("COMMAND GETKEYS GET a b", "-ERR Invalid number of arguments specified for command"),
    "COMMAND GETKEYS OBJECT",
    "COMMAND GETKEYS OBJECT FOO k",
    "COMMAND GETKEYS MSET a",
)


def documented(reply: Reply) -> Any:
    """Of COMMAND DOCS: what clients look for, and the arguments without their names."""
    if reply.kind not in "*%":
        return reply
    return reply.kind, sorted((name.value, _documented(entry)) for name, entry in _pairs(reply))


def _documented(entry: Reply) -> Any:
    parts = {name.value: value for name, value in _pairs(entry)}
    required = [parts[name].kind for name in (b"summary", b"since", b"group")]
    return entry.kind, required, [_argument(argument) for argument in parts[b"arguments"].value]


def _argument(argument: Reply) -> Any:
    parts = {name.value: value.value for name, value in _pairs(argument)}
    nested = [_argument(part) for part in parts.get(b"arguments", [])]
    return argument.kind, parts[b"type"], parts.get(b"token"), parts.get(b"flags"), nested


def _pairs(reply: Reply) -> list[tuple[Reply, Reply]]:
    return list(zip(reply.value[::2], reply.value[1::2], strict=True))


case(
    "COMMAND DOCS has the shape clients read",
    seen("COMMAND DOCS get", documented),
    seen("COMMAND DOCS GET nosuch mget", documented),
    seen("COMMAND DOCS getex expire copy bitpos", documented),
    "COMMAND DOCS nosuch",
    seen("COMMAND DOCS", kind),
)
case(
    "COMMAND LIST",
    seen("COMMAND LIST FILTERBY PATTERN getr*", unordered),
    seen("COMMAND LIST FILTERBY PATTERN GETR*", unordered),
    seen("COMMAND LIST FILTERBY PATTERN [mp]set*", unordered),
    seen("COMMAND LIST filterby pattern nosuch*", unordered),
    "COMMAND LIST FILTERBY MODULE nosuch",
    "COMMAND LIST FILTERBY ACLCAT nosuch",
    seen("COMMAND LIST FILTERBY ACLCAT string", kind),
    ("COMMAND LIST FILTERBY FOO x", SYNTAX),
    "COMMAND LIST FOO",
    "COMMAND LIST FILTERBY",
    "COMMAND LIST FILTERBY PATTERN",
    "COMMAND LIST FILTERBY PATTERN a b",
)

# ---- CONFIG ----------------------------------------------------------------------------------------------------------


def pairs(reply: Reply) -> Any:
    """A map in any order, RESP2's flat one too."""
    if reply.kind not in "*%":
        return reply
    return reply.kind, sorted(_pairs(reply))


case(
    "CONFIG GET",
    ("CONFIG GET maxmemory", {b"maxmemory": b"0"}),
    ("CONFIG GET databases", {b"databases": b"16"}),
    ("CONFIG GET maxmemory-policy", {b"maxmemory-policy": b"noeviction"}),
    ("CONFIG GET nosuch", {}),
    "CONFIG GET nosuch*",
    "CONFIG GET MAXMEMORY",
    "CONFIG GET MaxMemor?",
    "CONFIG GET maxmemor[xy]",
    seen("CONFIG GET maxmemory databases nosuch maxmemory", pairs),
    seen("CONFIG GET slowlog-*", pairs),
    seen("config get timeout", kind),
    seen("CONFIG GET appendonly", kind),
    seen("CONFIG GET save", kind),
    seen("CONFIG GET requirepass", pairs),
    seen("CONFIG GET port", kind),
    seen("CONFIG GET dir", kind),
    seen("CONFIG GET maxclients", kind),
    'CONFIG GET ""',
)
case(
    "CONFIG SET",
    ("CONFIG SET slowlog-max-len 77", "OK"),
    ("CONFIG GET slowlog-max-len", {b"slowlog-max-len": b"77"}),
    "config set SLOWLOG-MAX-LEN 78 slowlog-log-slower-than 20000",
    seen("CONFIG GET slowlog-*", pairs),
    "CONFIG SET slowlog-max-len 79 nosuch 1",
    "CONFIG SET slowlog-max-len 80 slowlog-max-len 81",
    "CONFIG SET slowlog-max-len 80 slowlog-log-slower-than x",
    ("CONFIG GET slowlog-max-len", {b"slowlog-max-len": b"78"}),
    cleanup=("CONFIG SET slowlog-max-len 128 slowlog-log-slower-than 10000",),
)
case(
    "CONFIG SET of memory sizes",
    *[
        step
        for size in ("100mb", "1gb", "1G", "5k", "5kb", "1048576b", "10MB", "0")
        for step in (f"CONFIG SET maxmemory {size}", "CONFIG GET maxmemory")
    ],
    *[seen(f"CONFIG SET maxmemory {bad}", first_words(15)) for bad in ("x", "10xb", "1.5gb")],
    cleanup=("CONFIG SET maxmemory 0",),
)
case(
    "CONFIG SET refuses",
    ("CONFIG SET nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
    "CONFIG SET maxmemory 1 x",
    "CONFIG SET databases 3",
    seen("CONFIG SET slowlog-max-len -1", first_words(13)),
    "CONFIG SET slowlog-max-len x",
    seen("CONFIG SET maxmemory-policy nosuch", first_words(7)),
    seen("CONFIG SET dir /tmp", first_words(8)),
    "GET k",
)
case("CONFIG RESETSTAT and REWRITE", ("CONFIG RESETSTAT", "OK"), seen("CONFIG REWRITE", first_words(1)))

# ---- maxmemory -------------------------------------------------------------------------------------------------------

OOM = "-OOM command not allowed when used memory > 'maxmemory'."
case(
    "above maxmemory what may grow is refused, the rest goes on",
    "MSET k 1 d 1 e 1",
    "SET big " + "x" * 4_000_000,
    ("CONFIG SET maxmemory 2mb", "OK"),
    wait(0.15),
    ("SET k 2", OOM),
    ("APPEND k 2", OOM),
    ("SETBIT k 0 1", OOM),
    ("MSET a 1", OOM),
    ("INCR k", OOM),
    ("COPY k z", OOM),
    ("GETSET k 5", OOM),
    ("BITOP AND z k", OOM),
    ("GET k", b"1"),
    ("EXPIRE k 100", 1),
    ("PERSIST k", 1),
    ("RENAME k k2", "OK"),
    ("GETDEL e", b"1"),
    ("DEL d", 1),
    "MULTI",
    ("SET k 3", OOM),
    ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
    "MULTI",
    "GET k2",
    "EXEC",
    ("CONFIG SET maxmemory 0", "OK"),
    ("SET k 2", "OK"),
    cleanup=("CONFIG SET maxmemory 0", "FLUSHALL"),
)

# ---- INFO ------------------------------------------------------------------------------------------------------------

# What exporters and dashboards read (redis_exporter's tables), without what only a fork or replicas would give meaning.
INFO_FIELDS = {
    "server": "redis_version redis_mode os arch_bits process_id run_id tcp_port server_time_usec uptime_in_seconds "
    "uptime_in_days",
    "clients": "connected_clients maxclients blocked_clients",
    "memory": "used_memory used_memory_human used_memory_rss used_memory_peak total_system_memory maxmemory "
    "maxmemory_human maxmemory_policy mem_fragmentation_ratio",
    "persistence": "loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time "
    "rdb_last_bgsave_status aof_enabled aof_rewrite_in_progress aof_last_bgrewrite_status aof_last_write_status",
    "stats": "total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes "
    "total_net_output_bytes rejected_connections expired_keys evicted_keys keyspace_hits keyspace_misses "
    "pubsub_channels pubsub_patterns latest_fork_usec total_error_replies",
    "replication": "role connected_slaves master_replid master_repl_offset",
    "cpu": "used_cpu_sys used_cpu_user",
    "cluster": "cluster_enabled",
}
for section, fields in INFO_FIELDS.items():
    case(
        f"INFO {section} has what exporters read",
        seen(f"INFO {section}", lines_with(*fields.split())),
        seen(f"INFO {section.upper()}", sections),
    )
case(
    "INFO values that are the same everywhere",
    seen(
        "INFO",
        values_of(
            "redis_mode",
            "arch_bits",
            "role",
            "connected_slaves",
            "loading",
            "cluster_enabled",
            "maxmemory",
            "maxmemory_policy",
            "evicted_keys",
        ),
    ),
)
case(
    "INFO keyspace",
    seen("INFO keyspace", kind),
    "MSET a 1 b 2",
    "SET c 3 EX 100",
    "SELECT 3",
    "SET d 4",
    seen("INFO keyspace", lambda reply: re.findall(rb"db\d+:keys=\d+,expires=\d+,avg_ttl=", reply.value)),
    seen("INFO Keyspace", sections),
)
case(
    "INFO of several sections, of none, of unknown ones",
    seen("INFO cpu cpu", sections),
    seen("INFO keyspace cpu", lambda reply: sorted(sections(reply)[1])),
    seen("INFO nosuch", sections),
    seen("INFO nosuch cpu", sections),
)
case(
    "INFO default, all, everything",
    *[
        seen(
            f"INFO {which}".strip(),
            lambda reply: (
                {
                    b"# Server",
                    b"# Clients",
                    b"# Memory",
                    b"# Persistence",
                    b"# Stats",
                    b"# Replication",
                    b"# CPU",
                    b"# Keyspace",
                }
                <= set(sections(reply)[1])
            ),
        )
        for which in ("", "default", "all", "everything", "DEFAULT")
    ],
)
case(
    "INFO stats counts hits and misses",
    "CONFIG RESETSTAT",
    "SET k v",
    "GET k",
    "GET k",
    "GET absent",
    "EXISTS k absent",
    "TTL absent",
    "MGET k absent",
    seen("INFO stats", values_of("keyspace_hits", "keyspace_misses")),
)
case(
    "INFO commandstats counts calls and failures",
    "CONFIG SET latency-tracking yes",
    "CONFIG RESETSTAT",
    "SET k v",
    "GET k",
    "get k",
    "INCR k",
    "GET",
    seen("INFO commandstats", lambda reply: sorted(re.findall(rb"cmdstat_(?:set|get|incr):calls=\d+", reply.value))),
    seen(
        "INFO commandstats",
        lambda reply: sorted(re.findall(rb"cmdstat_(get|incr):.*(rejected_calls=\d+,failed_calls=\d+)", reply.value)),
    ),
)
case(
    "INFO errorstats counts by prefix",
    "CONFIG RESETSTAT",
    "INCR k",
    "SET k v",
    "INCR k",
    "nosuch",
    "AUTH nobody x",
    seen("INFO errorstats", values_of("errorstat_ERR", "errorstat_WRONGPASS")),
    seen("INFO stats", values_of("total_error_replies")),
)

# ---- saving ----------------------------------------------------------------------------------------------------------


REWRITING = b"Background append only file rewriting "


def either(*texts: str) -> Any:
    """One of several rightful answers: whether a save is running depends on the moment."""
    return lambda reply: (reply.kind + reply.value.decode()) in texts


case(
    "SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE",
    seen("SAVE", nothing, either("+OK", "-ERR Background save already in progress")),
    seen("LASTSAVE", near(600)),
    seen("BGREWRITEAOF", nothing, lambda reply: reply.value.startswith((REWRITING, b"ERR " + REWRITING))),
    wait(0.2),
    seen("BGSAVE", nothing, lambda reply: reply.kind == "-" or reply.value.startswith(b"Background saving ")),
    ("BGSAVE FOO", SYNTAX),
    "BGSAVE SCHEDULE x",
)
case(
    "SHUTDOWN refuses",
    ("SHUTDOWN FOO", SYNTAX),
    ("SHUTDOWN SAVE NOSAVE", SYNTAX),
    ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
    "SHUTDOWN ABORT NOSAVE",
    "SHUTDOWN NOW FOO",
    "PING",
)

# ---- SLOWLOG, LATENCY, MONITOR ---------------------------------------------------------------------------------------

SLOWLOG_OFF = ("CONFIG SET slowlog-log-slower-than 10000", "SLOWLOG RESET")


def slow_entries(reply: Reply) -> Any:
    """The commands in the slow log, newest first, and the shape of each entry."""
    if reply.kind != "*":
        return reply
    return [(entry.value[3], [part.kind for part in entry.value], entry.value[5]) for entry in reply.value]


case(
    "SLOWLOG",
    ("SLOWLOG RESET", "OK"),
    ("SLOWLOG LEN", 0),
    ("SLOWLOG GET", []),
    "CLIENT SETNAME app",
    "CONFIG SET slowlog-log-slower-than 0",
    "SET k " + "x" * 200,
    "MSET " + " ".join(f"k{n} {n}" for n in range(30)),
    r'GET "\x00\xff"',
    "nosuch a",
    "GET",
    "CONFIG SET slowlog-log-slower-than -1",
    seen("SLOWLOG GET", slow_entries),
    seen("SLOWLOG GET 2", slow_entries),
    seen("SLOWLOG GET 0", slow_entries),
    seen("SLOWLOG GET -1", lambda reply: len(reply.value)),
    "SLOWLOG LEN",
    ("SLOWLOG GET x", "-ERR count should be greater than or equal to -1"),
    "SLOWLOG GET -2",
    "SLOWLOG GET 1 2",
    "slowlog reset",
    ("SLOWLOG LEN", 0),
    cleanup=SLOWLOG_OFF,
)
case(
    "the slow log has a length",
    "SLOWLOG RESET",
    "CONFIG SET slowlog-max-len 3 slowlog-log-slower-than 0",
    "PING 1",
    "PING 2",
    "PING 3",
    "PING 4",
    "CONFIG SET slowlog-log-slower-than -1",
    ("SLOWLOG LEN", 3),
    seen("SLOWLOG GET 1", slow_entries),
    cleanup=(*SLOWLOG_OFF, "CONFIG SET slowlog-max-len 128"),
)
case(
    "DEBUG SLEEP lands in the slow log",
    "SLOWLOG RESET",
    ("DEBUG SLEEP 0.02", "OK"),
    seen("SLOWLOG GET", slow_entries),
    "SLOWLOG RESET",
)
case(
    "LATENCY",
    seen("LATENCY RESET", kind),
    ("LATENCY LATEST", []),
    ("LATENCY HISTORY command", []),
    ("LATENCY HISTORY nosuch", []),
    "CONFIG SET latency-monitor-threshold 5",
    "DEBUG SLEEP 0.02",
    seen("LATENCY LATEST", shape),
    seen("LATENCY LATEST", lambda reply: reply.value[0].value[0]),
    seen("LATENCY HISTORY command", shape),
    seen("LATENCY DOCTOR", kind),
    ("LATENCY RESET nosuch", 0),
    ("LATENCY RESET command nosuch", 1),
    ("LATENCY LATEST", []),
    "LATENCY GRAPH nosuch",
    cleanup=("CONFIG SET latency-monitor-threshold 0", "LATENCY RESET"),
)
case(
    "LATENCY HISTOGRAM",
    "CONFIG SET latency-tracking yes",
    "CONFIG RESETSTAT",
    "SET k v",
    "SET k v",
    "GET k",
    seen(
        "LATENCY HISTOGRAM set",
        lambda reply: (reply.kind, reply.value[0], reply.value[1].kind, reply.value[1].value[:3]),
    ),
    seen("LATENCY HISTOGRAM set get nosuch", lambda reply: sorted(x.value for x in reply.value[::2])),
    ("LATENCY HISTOGRAM nosuch", {}),
)


def monitored(reply: Reply) -> Any:
    return reply.kind, re.sub(rb"^\d+\.\d+ \[(\d+) [^\]]*\]", rb"TIME [\1 ADDRESS]", reply.value)


case(
    "MONITOR",
    on("m", "MONITOR", "OK"),
    "SET k v",
    receive("m", view=monitored),
    r'SET "a\x00\"\\" "\xff\r\n"',
    receive("m", view=monitored),
    "SELECT 3",
    receive("m", view=monitored),
    "get k",
    receive("m", view=monitored),
    "GET",
    "nosuch",
    "AUTH default secret",
    "PING",
    receive("m", view=monitored),
    receive("m", view=monitored),
    "MULTI",
    "SET k w",
    "EXEC",
    receive("m", view=monitored),
    receive("m", view=monitored),
    receive("m", view=monitored),
)

# ---- MEMORY, ROLE, WAIT, DEBUG ---------------------------------------------------------------------------------------

case(
    "MEMORY USAGE",
    "SET k v",
    seen("MEMORY USAGE k", lambda reply: reply.kind == ":" and reply.value > 0),
    ("MEMORY USAGE absent", None),
    seen("MEMORY USAGE k SAMPLES 5", kind),
    "memory usage absent samples 0",
    ("MEMORY USAGE k FOO", SYNTAX),
    "MEMORY USAGE k SAMPLES",
    ("MEMORY USAGE k SAMPLES x", NO_INTEGER),
    "MEMORY USAGE k SAMPLES -1",
    "MEMORY USAGE k FOO 1",
)
case(
    "MEMORY USAGE grows with the value",
    "SET s " + "x" * 100,
    "SET l " + "x" * 100_000,
    seen("MEMORY USAGE s", lambda reply: 100 < reply.value < 1000),
    seen("MEMORY USAGE l", lambda reply: 100_000 < reply.value < 200_000),
)
case(
    "MEMORY STATS, DOCTOR, PURGE",
    seen(
        "MEMORY STATS",
        lambda reply: (
            reply.kind,
            {b"peak.allocated", b"total.allocated", b"keys.count", b"dataset.bytes"}
            <= {x.value for x in reply.value[::2]},
        ),
    ),
    seen("MEMORY DOCTOR", kind),
    ("MEMORY PURGE", "OK"),
)
case("ROLE of one that stands alone", ("ROLE", [b"master", 0, []]))
case(
    "WAIT without replicas",
    "SET k v",
    ("WAIT 0 0", 0),
    ("WAIT 1 10", 0),
    ("WAIT -1 0", 0),
    ("WAIT 0 100", 0),
    ("WAIT x 0", NO_INTEGER),
    ("WAIT 0 x", "-ERR timeout is not an integer or out of range"),
    ("WAIT 0 -1", "-ERR timeout is negative"),
    "WAIT 1.5 0",
    "WAIT 0 1.5",
)
case(
    "pipelined commands behind WAIT keep their order",
    send("main", "SET k 1"),
    send("main", "WAIT 1 30"),
    send("main", "GET k"),
    receive("main", "OK"),
    receive("main", 0),
    receive("main", b"1"),
)
case(
    "DEBUG",
    ("DEBUG SLEEP 0", "OK"),
    ("DEBUG SLEEP 0.001", "OK"),
    "DEBUG SLEEP",
    ("DEBUG FOO", "-ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP."),
    "debug sleep 0 0",
    ("DEBUG SET-ACTIVE-EXPIRE 0", "OK"),
    ("DEBUG SET-ACTIVE-EXPIRE 1", "OK"),
    "DEBUG SET-ACTIVE-EXPIRE",
    ("DEBUG OBJECT absent", "-ERR no such key"),
    "SET k hello",
    seen("DEBUG OBJECT k", values_of("encoding")),
    seen("DEBUG OBJECT k", lines_with("refcount", "encoding", "serializedlength", "lru_seconds_idle")),
)
case(
    "DEBUG RELOAD keeps everything",
    "SET a 1",
    "SET b 2 EX 1000",
    "SELECT 4",
    "SETBIT c 100 1",
    ("DEBUG RELOAD", "OK"),
    "GET c",
    "SELECT 0",
    ("GET a", b"1"),
    "TTL b",
    "DBSIZE",
    "DEBUG RELOAD FOO",
)
case(
    "DEBUG SET-ACTIVE-EXPIRE 0 leaves expiry to access",
    "DEBUG SET-ACTIVE-EXPIRE 0",
    "SET k v PX 5",
    wait(0.3),
    ("DBSIZE", 1),
    ("GET k", None),
    cleanup=("DEBUG SET-ACTIVE-EXPIRE 1",),
)
case(
    "an expired key that a write meets is counted",
    "CONFIG RESETSTAT",
    "SET k v PX 5",
    "SET l v PX 5",
    wait(0.02),
    "INCR k",
    "DEL l",
    seen("INFO stats", values_of("expired_keys")),
)
