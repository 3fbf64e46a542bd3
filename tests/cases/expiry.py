"""Times to live: EXPIRE and its three sisters with NX XX GT LT, TTL and its, PERSIST, and what an expired key is."""

from __future__ import annotations

from cases.case import Family, on, seen, wait
from cases.strings import NO_INTEGER, NOT_INTEGERS, arity

family = Family("expiry")
case = family.case

COMMANDS = ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT")
IN_100_SECONDS = {"EXPIRE": "100", "PEXPIRE": "100000", "EXPIREAT": "33177117420", "PEXPIREAT": "33177117420000"}
SOONER = {"EXPIRE": "50", "PEXPIRE": "50000", "EXPIREAT": "33177117320", "PEXPIREAT": "33177117320000"}
LATER = {"EXPIRE": "200", "PEXPIRE": "200000", "EXPIREAT": "33177117520", "PEXPIREAT": "33177117520000"}

case(
    "wrong number of arguments for expiry",
    *[
        (line, arity(line.split()[0].lower()))
        for line in (
            "EXPIRE", "EXPIRE k", "PEXPIRE k", "EXPIREAT k", "PEXPIREAT k", "TTL", "TTL a b", "PTTL", "PTTL a b",
            "EXPIRETIME", "EXPIRETIME a b",
            "PEXPIRETIME", "PERSIST", "PERSIST a b",
        )
    ],
)  # fmt: skip
for command in COMMANDS:
    first, later = IN_100_SECONDS[command], LATER[command]
    case(
        command,
        (f"{command} absent {first}", 0),
        ("EXISTS absent", 0),
        "SET k v",
        (f"{command} k {first}", 1),
        "TTL k",
        "PTTL k",
        "EXPIRETIME k",
        "PEXPIRETIME k",
        (f"{command} k {later}", 1),
        "TTL k",
        ("GET k", b"v"),
    )
    case(
        f"{command} NX XX GT LT",
        "SET k v",
        (f"{command} k {first} XX", 0),
        (f"{command} k {first} GT", 0),
        ("TTL k", -1),
        (f"{command} k {first} NX", 1),
        (f"{command} k {later} NX", 0),
        (f"{command} k {SOONER[command]} GT", 0),
        (f"{command} k {later} GT", 1),
        (f"{command} k {first} gt", 0),
        "TTL k",
        (f"{command} k {later} LT", 0),
        (f"{command} k {first} lt", 1),
        "TTL k",
        (f"{command} k {later} xx", 1),
        (f"{command} k {first} XX LT", 1),
        (f"{command} k {later} GT XX", 1),
        f"{command} k {later} XX XX",
        "PERSIST k",
        (f"{command} k {first} LT", 1),
        f"{command} absent {first} NX",
        "TTL k",
    )
    case(
        f"{command} refuses conflicting options",
        "SET k v",
        (f"{command} k {first} NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
        f"{command} k {first} NX GT",
        f"{command} k {first} LT NX",
        (f"{command} k {first} GT LT", "-ERR GT and LT options at the same time are not compatible"),
        f"{command} k {first} XX GT LT",
        (f"{command} k {first} FOO", "-ERR Unsupported option FOO"),
        f"{command} k {first} NX foo",
        f'{command} k {first} ""',
        f"{command} k x FOO",
        f"{command} absent {first} FOO",
        f"{command} absent x",
        ("TTL k", -1),
    )
    case(
        f"{command} refuses what is no time",
        "SET k v",
        *[(f"{command} k {n}", NO_INTEGER) for n in NOT_INTEGERS if n != "-0"],
        ("TTL k", -1),
    )
    overflow = f"-ERR invalid expire time in '{command.lower()}' command"
    case(
        f"{command} of huge times",
        "SET k v",
        f"{command} k 9223372036854775807",
        f"{command} k -9223372036854775808" if command in ("EXPIRE", "EXPIREAT") else "EXISTS k",
        *[f"{command} k {n}" for n in ("9223372036854775", "9223372036854776", "9223372036854774807")],
        "EXISTS k",
        *([(f"{command} k 9223372036854775807", overflow)] if command != "PEXPIREAT" else []),
        "PERSIST k",
    )
    case(
        f"{command} in the past deletes",
        "SET k v",
        (f"{command} k {'-1' if command in ('EXPIRE', 'PEXPIRE') else '1'}", 1),
        ("EXISTS k", 0),
        ("DBSIZE", 0),
        (f"{command} k -1", 0),
        "SET k v",
        (f"{command} k 0", 1),
        ("GET k", None),
        "SET k v",
        (f"{command} k -1000 NX", 1),
        ("EXISTS k", 0),
        "SET k v EX 100",
        (f"{command} k -1 GT", 0),
        "EXISTS k",
        (f"{command} k -1 LT", 1),
        ("EXISTS k", 0),
    )
case(
    "TTL and its sisters without an expiry or a key",
    "SET k v",
    *[x for c in ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME") for x in ((f"{c} k", -1), (f"{c} absent", -2))],
)
case(
    "TTL rounds, EXPIRETIME too",
    "SET k v PX 1500",
    "TTL k",
    "SET k v PXAT 33177117420499",
    ("EXPIRETIME k", 33177117420),
    ("PEXPIRETIME k", 33177117420499),
    "SET k v PXAT 33177117420500",
    "EXPIRETIME k",
)
case("PERSIST", "SET k v", ("PERSIST k", 0), "EXPIRE k 100", ("PERSIST k", 1), ("TTL k", -1), ("PERSIST absent", 0))
case(
    "a key ends when its time has come",
    "SET a v PX 20",
    "SET b v",
    ("PEXPIRE b 20", 1),
    wait(0.04),
    ("GET a", None),
    ("GET b", None),
    ("EXISTS a b", 0),
    ("TTL a", -2),
    ("PERSIST a", 0),
    ("EXPIRE a 100", 0),
    ("TYPE a", "none"),
    ("DEL a", 0),
    ("MGET a b", [None, None]),
    ("STRLEN a", 0),
    ("RENAME a c", "-ERR no such key"),
    ("COPY a c", 0),
    ("MOVE a 1", 0),
    ("TOUCH a", 0),
    ("OBJECT ENCODING a", None),
    ("GETDEL a", None),
    ("GETEX a", None),
    ("APPEND a x", 1),
    ("TTL a", -1),
    on("b", "GET b", None),
)
case(
    "a write gives an expired key no second life",
    *[
        x
        for write in (
            "INCR k",
            "SETBIT k 0 1",
            "SETRANGE k 1 x",
            "BITFIELD k SET u8 0 65",
            "GETSET k v",
            "SETNX k v",
            "INCRBYFLOAT k 1",
        )
        for x in ("SET k 77 PX 8", wait(0.015), write, "GET k", ("TTL k", -1), "DEL k")
    ],
)
case(
    "expiry survives being copied and renamed",
    "SET a v EX 100",
    "COPY a b",
    "RENAME a c",
    "MOVE c 1",
    "SELECT 1",
    "TTL c",
    "SELECT 0",
    "TTL b",
)
case(
    "TIME",
    seen("TIME", lambda reply: (reply.kind, [(part.kind, part.value.isdigit()) for part in reply.value])),
    ("TIME x", arity("time")),
)
case(
    "the expiry of a key set with KEEPTTL over an expired one",
    "SET k v PX 8",
    wait(0.015),
    "SET k w KEEPTTL",
    ("TTL k", -1),
)
