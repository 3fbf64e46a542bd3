"""Makes the golden snapshots beside it, by the `redis-server` that is found first:
`python tests/migration/replica/golden_snapshots.py redis-7.0`, or whatever it is called, and options for the server.

Not run by the tests, which read what it made. The state that a snapshot holds is written beside it, as DUMP and TYPE
told it, so that no reader of the format has to be believed. Made so far: Redis 6.2.14 (ziplists), Redis 7.0.15
(listpacks), Redis 7.4.1 (sets of listpacks, fields that expire), Valkey 9.1.2 (its own numbering),
and Redis 7.4.1 with modules.
"""

from __future__ import annotations

import json
import random
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS))

from servers import Server, running, start_redis  # noqa: E402 - after the path is known
from wire import SocketConnection  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
FAR_MS = 4102444800000  # 2100


def fill(server: Server) -> None:
    """A key of every type in every encoding that the server has, in two databases."""
    connection = server.connect()
    _strings(connection)
    _collections(connection)
    _streams(connection)
    _modules(connection)
    call(connection, "SELECT", 9)
    call(connection, "SET", "elsewhere", 1)
    call(connection, "SADD", "set", "elsewhere")
    if has(connection, "FUNCTION"):
        call(connection, "FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
    connection.close()


def _strings(connection: SocketConnection) -> None:
    noise = random.Random(6).randbytes(16_400)
    values = [b"", b"plain", b"0", b"-1", b"127", b"128", b"-129", b"32768", b"2147483648", b"-2147483648", b"007"]
    values += [b"a" * 63, b"b" * 64, noise[:16_383], noise, b"compressible " * 6_000, b"\x00\xff" * 30]
    for number, value in enumerate(values):
        call(connection, "SET", f"string:{number}", value)
        call(connection, "SET", f"expiring:{number}", value, "PXAT", FAR_MS + number)
    call(connection, "SET", noise[:300], "a long key")
    call(connection, "SET", b"12345", "a key like a number")


def _collections(connection: SocketConnection) -> None:
    for limit, size in (("small", 5), ("large", 700)):
        text = [f"{limit}:{n}" for n in range(size)]
        call(connection, "RPUSH", f"list:{limit}", *text)
        call(connection, "SADD", f"set:{limit}", *text)
        call(connection, "SADD", f"set:integers:{limit}", *range(size))
        call(connection, "HSET", f"hash:{limit}", *[word for item in text for word in (item, item * 2)])
        call(connection, "ZADD", f"zset:{limit}", *[w for n, item in enumerate(text) for w in (n / 7, item)])
    call(connection, "ZADD", "zset:infinite", "-inf", "a", "+inf", "b", *[w for n in range(200) for w in (n, n)])
    call(connection, "SADD", "set:integers:wide", -(2**63), 0, 2**63 - 1)
    call(connection, "RPUSH", "list:plain", "x" * 20_000, "y", "z" * 20_000)
    call(connection, "HSET", "hash:wide", "f", "v" * 100)
    call(connection, "PEXPIREAT", "hash:small", FAR_MS)
    call(connection, "PFADD", "hyperloglog", *range(50))
    call(connection, "GEOADD", "geo", 13.4, 52.5, "Berlin")

    if has(connection, "HPEXPIREAT"):
        for key in ("hash:small", "hash:large"):
            call(connection, "HSET", key, "mortal", "v", "immortal", "v")
            call(connection, "HPEXPIREAT", key, FAR_MS, "FIELDS", 1, "mortal")


def _modules(connection: SocketConnection) -> None:
    """Of RedisBloom, RedisJSON and RedisTimeSeries, where they are loaded: every kind of piece that a module writes."""
    commands = [
        ("BF.ADD", "module:bloom", "member"),
        ("CMS.INITBYDIM", "module:sketch", 20, 5),
        ("TOPK.RESERVE", "module:top", 5),
        ("TDIGEST.CREATE", "module:quantiles"),
        ("JSON.SET", "module:document", "$", '{"a": [1, 2.5, "x", null]}'),
        ("TS.ADD", "module:series", 1000, 1.5),
    ]
    for command in commands:
        if has(connection, command[0]):  # type: ignore[arg-type]
            call(connection, *command)  # type: ignore[arg-type]


def _streams(connection: SocketConnection) -> None:
    for n in range(1, 301):
        call(connection, "XADD", "stream", f"{n}-1", "field", f"value {n}", "other", n)
    call(connection, "XDEL", "stream", "7-1")
    for group in ("readers", "idle"):
        call(connection, "XGROUP", "CREATE", "stream", group, "0")
    for consumer in ("one", "two"):
        call(connection, "XREADGROUP", "GROUP", "readers", consumer, "COUNT", 5, "STREAMS", "stream", ">")
    call(connection, "XACK", "stream", "readers", "1-1", "2-1")
    call(connection, "XGROUP", "CREATE", "stream:empty", "g", "$", "MKSTREAM")


def has(connection: SocketConnection, name: str) -> bool:
    """Whether the server knows the command."""
    return connection.call("COMMAND", "INFO", name).value[0].value is not None


def call(connection: SocketConnection, *words: bytes | str | float) -> object:
    """The content of the reply; an error ends the program."""
    reply = connection.call(*[word if isinstance(word, bytes) else str(word) for word in words])
    if reply.kind == "-":
        raise SystemExit(f"{words[:3]}: {reply.value!r}")
    return reply.value


def state(server: Server) -> list[list[object]]:
    """Database, key in hex, type, expiry and `told` of each key."""
    connection, states = server.connect(), []
    for database in range(16):
        call(connection, "SELECT", database)
        for reply in sorted(call(connection, "KEYS", "*"), key=lambda reply: reply.value):  # type: ignore[call-overload]
            key = reply.value
            kind = call(connection, "TYPE", key).decode()  # type: ignore[attr-defined]
            value = call(connection, "GET" if kind == "string" else "DUMP", key)
            expires = _expiry(key) if call(connection, "PTTL", key) != -1 else 0
            states.append([database, key.hex(), kind, told(kind, value), expires])  # type: ignore[arg-type]
    connection.close()
    return states


def _expiry(key: bytes) -> int:
    """As `fill` set it: servers before 7.0 cannot be asked."""
    name, _, number = key.partition(b":")
    return FAR_MS + (int(number) if name == b"expiring" else 0)


def told(kind: str, value: bytes) -> str:
    """Names a string's bytes, and of any other type what DUMP says but for its version and checksum."""
    return sha256(value if kind == "string" else value[:-10]).hexdigest()


def make(name: str, *options: str) -> None:
    """One snapshot, and its state."""
    with TemporaryDirectory() as directory, running(start_redis(Path(directory) / "data", *options)) as server:
        fill(server)
        connection = server.connect()
        call(connection, "SAVE")
        connection.close()
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"{name}.rdb").write_bytes((server.directory / "dump.rdb").read_bytes())
        (GOLDEN / f"{name}.json").write_text(json.dumps(state(server), indent=0))


if __name__ == "__main__":
    name, *options = sys.argv[1:]
    make(name, *options)
    if name == "redis-7.0":
        make(f"{name}-uncompressed-without-checksum", "--rdbcompression", "no", "--rdbchecksum", "no")
        tiny = [f"--{kind}-max-listpack-entries" for kind in ("hash", "zset")] + ["--set-max-intset-entries"]
        make(f"{name}-no-listpacks", *[word for option in tiny for word in (option, "0")])
