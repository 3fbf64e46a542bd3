"""Keys, whatever they hold: DEL to SCAN, COPY and MOVE, databases, OBJECT, glob patterns."""

from __future__ import annotations

from cases.case import Family, help_text, kind, on, scanned, seen, unordered, wait
from cases.strings import NO_INTEGER, NOT_INTEGERS, SYNTAX, arity

family = Family("keys")
case = family.case

NO_KEY = "-ERR no such key"
NO_DB = "-ERR DB index is out of range"
NO_CURSOR = "-ERR invalid cursor"

case(
    "wrong number of arguments for keys",
    *[
        (line, arity(line.split()[0].lower()))
        for line in (
            "DEL", "UNLINK", "EXISTS", "TYPE", "TYPE a b", "TOUCH", "RENAME a", "RENAME a b c", "RENAMENX a",
            "RENAMENX a b c", "COPY a",
            "MOVE a", "MOVE a 1 2", "KEYS", "KEYS a b", "SCAN", "RANDOMKEY a", "DBSIZE a", "SWAPDB 0", "SWAPDB 0 1 2",
            "OBJECT", "SELECT",
            "SELECT 0 1",
        )
    ],
)  # fmt: skip

# ---- DEL, UNLINK, EXISTS, TYPE, TOUCH --------------------------------------------------------------------------------

for command in ("DEL", "UNLINK"):
    case(
        command,
        "MSET a 1 b 2 c 3",
        (f"{command} a", 1),
        (f"{command} a", 0),
        (f"{command} a b b c absent", 2),
        ("DBSIZE", 0),
        'SET "" v',
        (f'{command} ""', 1),
        "SET k v PX 5",
        wait(0.02),
        (f"{command} k", 0),
    )
case(
    "EXISTS counts each mention",
    "MSET a 1 b 2",
    ("EXISTS a", 1),
    ("EXISTS a a b absent", 3),
    "SET e v PX 5",
    wait(0.02),
    ("EXISTS e a", 1),
)
case("TOUCH", "MSET a 1 b 2", ("TOUCH a b absent a", 3), ("TOUCH absent", 0))
case("TYPE", "SET k v", ("TYPE k", "string"), ("TYPE absent", "none"), "SETBIT k 3 1", "TYPE k", "APPEND k x", "TYPE k")
case(
    "TYPE of collections",
    "RPUSH l a",
    "HSET h f v",
    "SADD s a",
    "ZADD z 1 a",
    "TYPE l",
    "TYPE h",
    "TYPE s",
    "TYPE z",
    needs="collections",
)

# ---- RENAME, RENAMENX, COPY, MOVE ------------------------------------------------------------------------------------

case(
    "RENAME",
    "SET a 1 EX 100",
    ("RENAME a b", "OK"),
    ("EXISTS a", 0),
    ("GET b", b"1"),
    "TTL b",
    "SET c 3",
    ("RENAME c b", "OK"),
    ("TTL b", -1),
    ("RENAME absent x", NO_KEY),
    ("RENAME absent absent", NO_KEY),
    ("RENAME b b", "OK"),
    ("GET b", b"3"),
    'RENAME b ""',
    'GET ""',
)
case(
    "RENAMENX",
    "MSET a 1 b 2",
    ("RENAMENX a b", 0),
    ("RENAMENX a c", 1),
    ("MGET a b c", [None, b"2", b"1"]),
    ("RENAMENX absent x", NO_KEY),
    ("RENAMENX c c", 0),
    ("RENAMENX absent absent", NO_KEY),
    "SET e v PX 5",
    wait(0.02),
    ("RENAMENX b e", 1),
    ("TTL e", -1),
    "RENAMENX b x",
)
case("RENAME to an expired name", "SET e v PX 5", "SET a 1", wait(0.02), "RENAME a e", ("TTL e", -1), "DBSIZE")
case(
    "COPY",
    "SET a 1 EX 100",
    ("COPY a b", 1),
    ("GET b", b"1"),
    "TTL b",
    "SET c 3",
    ("COPY a c", 0),
    ("GET c", b"3"),
    ("COPY a c REPLACE", 1),
    "TTL c",
    ("COPY absent d", 0),
    ("COPY absent c REPLACE", 0),
    ("GET c", b"1"),
    "APPEND a x",
    ("GET b", b"1"),
)
case(
    "COPY DB",
    "SET a 1 EX 100",
    ("COPY a a DB 1", 1),
    ("COPY a a DB 1", 0),
    ("COPY a b db 2 replace", 1),
    "COPY a b REPLACE DB 2",
    "SELECT 1",
    ("GET a", b"1"),
    "TTL a",
    "SELECT 2",
    "GET b",
    "COPY b b DB 2",
)
case(
    "COPY refuses",
    "SET a 1",
    ("COPY a a", "-ERR source and destination objects are the same"),
    "COPY a a DB 0",
    "COPY a a REPLACE",
    "COPY absent absent",
    ("COPY a b DB 16", NO_DB),
    "COPY a b DB -1",
    "COPY a b DB x",
    *[f"COPY a b DB {n}" for n in NOT_INTEGERS],
    "COPY a b DB",
    ("COPY a b FOO", SYNTAX),
    "COPY a b REPLACE REPLACE",
    "COPY a b DB 1 DB 2",
    "COPY a b DB 2147483648",
    ("COPY a b DB 16 FOO", NO_DB),
    ("COPY a b FOO DB 16", SYNTAX),
    "COPY a b DB x FOO",
    "EXISTS b",
)
case(
    "MOVE",
    "SET a 1 EX 100",
    ("MOVE a 1", 1),
    ("MOVE a 1", 0),
    ("EXISTS a", 0),
    "SELECT 1",
    ("GET a", b"1"),
    "TTL a",
    "SELECT 0",
    "SET a 2",
    ("MOVE a 1", 0),
    ("GET a", b"2"),
    ("MOVE absent 1", 0),
)
case(
    "MOVE refuses",
    "SET a 1",
    ("MOVE a 0", "-ERR source and destination objects are the same"),
    ("MOVE a 16", NO_DB),
    "MOVE a -1",
    "MOVE a x",
    "MOVE absent 0",
    "MOVE absent 99",
    *[f"MOVE a {n}" for n in NOT_INTEGERS],
    "MOVE a 4294967296",
)

# ---- databases -------------------------------------------------------------------------------------------------------

case(
    "SELECT keeps databases apart",
    "SET a 0",
    ("SELECT 1", "OK"),
    ("GET a", None),
    "SET a 1",
    "SELECT 0",
    ("GET a", b"0"),
    "DBSIZE",
    "SELECT 15",
)
case(
    "SELECT refuses",
    ("SELECT 16", NO_DB),
    ("SELECT -1", NO_DB),
    ("SELECT x", "-ERR value is not an integer or out of range"),
    *[f"SELECT {n}" for n in NOT_INTEGERS],
    "SELECT 4294967296",
    "SELECT 2147483647",
    "SET still here",
)
case(
    "SELECT is each connection's own",
    "SELECT 3",
    on("b", "SET a b"),
    "GET a",
    "SET a 3",
    on("b", "GET a"),
    on("b", "SELECT 3"),
    on("b", "GET a"),
)
case("DBSIZE", ("DBSIZE", 0), "MSET a 1 b 2", ("DBSIZE", 2), "SELECT 1", ("DBSIZE", 0))
case(
    "FLUSHDB empties one database",
    "SET a 0",
    "SELECT 1",
    "SET a 1 EX 100",
    ("FLUSHDB", "OK"),
    ("DBSIZE", 0),
    "SELECT 0",
    ("GET a", b"0"),
    "FLUSHDB SYNC",
    "DBSIZE",
    "flushdb async",
    "SET a 1",
    ("TTL a", -1),
)
case(
    "FLUSHALL empties all",
    "SET a 0",
    "SELECT 9",
    "SET a 9",
    ("FLUSHALL", "OK"),
    "DBSIZE",
    "SELECT 0",
    "DBSIZE",
    "FLUSHALL ASYNC",
    "flushall sync",
)
case(
    "FLUSHDB and FLUSHALL refuse",
    ("FLUSHDB FOO", SYNTAX),
    "FLUSHDB ASYNC SYNC",
    "FLUSHALL FOO",
    "FLUSHALL SYNC 1",
    'FLUSHDB ""',
    "SET a 1",
    "FLUSHALL x",
    "DBSIZE",
)
case(
    "SWAPDB",
    "SET a 0 EX 100",
    "SELECT 1",
    "SET a 1",
    on("b", "SELECT 1"),
    ("SWAPDB 0 1", "OK"),
    ("GET a", b"0"),
    "TTL a",
    on("b", "GET a", b"0"),
    "SELECT 0",
    ("GET a", b"1"),
    "SWAPDB 0 0",
    "GET a",
    "SWAPDB 1 0",
    "GET a",
)
case(
    "SWAPDB refuses",
    ("SWAPDB x 0", "-ERR invalid first DB index"),
    ("SWAPDB 0 x", "-ERR invalid second DB index"),
    ("SWAPDB 0 16", NO_DB),
    "SWAPDB 16 0",
    "SWAPDB -1 0",
    "SWAPDB 0 -1",
    "SWAPDB x y",
    "SWAPDB 1_0 0",
    "SWAPDB 99999999999999999999 0",
)

# ---- KEYS, RANDOMKEY -------------------------------------------------------------------------------------------------

_NAMES = (
    "hello hallo hxllo hllo heeello heello a ab abc b c - ^ [ ] \\ * ? a* a? a[b] user:1 user:2 user:10 User:1 "
    "é a-c z hallo2"
)
GLOBS = (
    "*", "**", "***", "?", "??", "h?llo", "h*llo", "h[ae]llo", "h[^e]llo", "h[a-b]llo", "h[b-a]llo", "user:*",
    "user:?", "user:1*", "USER:*",
    "[a-", "[a", "[", "[]", "[^]", "[^", "[]a]", "[^a]", "[^a-b]", "[a-]", "[-a]", "[a-c", "a[", "*[", r'"\\"',
    r'"\\\\"', r'"\\*"', r'"\\?"', r'"a\\*"',
    r'"a\\?"', r'"a\\["', r'"a\\[b\\]"', r'"[\\]]"', r'"[\\\\]"', r'"[\\-a]"', r'"*\\"', r'"\\a"', '""', "a*c",
    "a*b*c", "*a*b*c*", "*a", "a*", "*l*l*o", "*llo",
    "?*", "*?", "*??", "[*]", "[?]", "[[]", "[]]", r'"*\n*"', r'"\xff*"', r'"\x00"', "é", "?é", "[é]", "h[a-z]llo",
    "[a-z]", "[A-z]*", "[z-a]", "*[2]",
    "*o*2", "a-c", "a[+--]c", "[^]]", "h*l*", "*h*l*l*o*", "x", "hello ", '"h llo"', '"h*l *"', "h[]llo", "h[^]llo",
    "h[ae", "h[a-", "h[a-e", "*]",
)  # fmt: skip
_ODD_NAMES = ('""', r'"\n"', r'"a\nb"', r'"\xff\xfe"', r'"\x00"', '"h llo"', r'"\\"', '"[]"', '"[a"', '"]"')
case(
    "KEYS with every sort of pattern",
    "MSET " + " ".join(f"{name} v" for name in _NAMES.split()),
    *[f"SET {name} v" for name in _ODD_NAMES],
    *[seen(f"KEYS {glob}", unordered) for glob in GLOBS],
    *[seen(f"SCAN 0 COUNT 1000 MATCH {glob}", scanned) for glob in GLOBS],
)
case("a pattern of several stars on a long key", "SET " + "a" * 60 + " v", "KEYS " + "*a" * 9, "KEYS " + "a*" * 3 + "b")
case("KEYS of nothing", ("KEYS *", []), "KEYS a", "SET e v PX 5", wait(0.02), ("KEYS *", []))
case(
    "RANDOMKEY",
    ("RANDOMKEY", None),
    "SET only v",
    ("RANDOMKEY", b"only"),
    "SET e v PX 5",
    wait(0.02),
    ("RANDOMKEY", b"only"),
)

# ---- SCAN ------------------------------------------------------------------------------------------------------------

case(
    "SCAN of a small keyspace ends at once",
    ("SCAN 0", [b"0", []]),
    "MSET a 1 b 2 c 3",
    seen("SCAN 0 COUNT 100", scanned),
    seen("SCAN 0 MATCH a* COUNT 100", scanned),
    seen("SCAN 0 COUNT 100 MATCH [bc]", scanned),
    seen("scan 0 count 100 type string", scanned),
    seen("SCAN 0 TYPE STRING COUNT 100", scanned),
    seen("SCAN 0 TYPE list COUNT 100", scanned),
    seen("SCAN 0 TYPE zset MATCH * COUNT 100", scanned),
    seen("SCAN 0 MATCH a MATCH b COUNT 5 COUNT 100", scanned),
    seen('SCAN 0 MATCH "" COUNT 100', scanned),
    "SET e v PX 5",
    wait(0.02),
    seen("SCAN 0 COUNT 100", scanned),
)
case(
    "SCAN leaves an expired key out",
    "SET e v PX 5",
    "SET a 1",
    wait(0.02),
    ("SCAN 0 COUNT 100", [b"0", [b"a"]]),
    "EXISTS e",
)
case(
    "SCAN refuses",
    *[
        (f"SCAN {cursor}", NO_CURSOR)
        for cursor in ("x", "-x", "1_0", "1.5", "0x10", '"1 "', "99999999999999999999999", "18446744073709551616", "½")
    ],
    *[seen(f"SCAN {cursor}", kind) for cursor in ("-1", '""', '" 1"', "+1", "18446744073709551615", "01")],
    "SCAN 0 COUNT",
    ("SCAN 0 COUNT 0", SYNTAX),
    "SCAN 0 COUNT -5",
    "SCAN 0 COUNT -9223372036854775808",
    ("SCAN 0 COUNT x", NO_INTEGER),
    *[f"SCAN 0 COUNT {n}" for n in NOT_INTEGERS if n != "-0"],
    "SCAN 0 COUNT -0",
    ("SCAN 0 FOO", SYNTAX),
    "SCAN 0 FOO 1",
    "SCAN 0 MATCH",
    "SCAN 0 TYPE",
    "SCAN 0 TYPE nosuchtype",
    "SCAN 0 MATCH a COUNT 1 FOO",
    "SCAN x FOO",
)
case("SCAN of an empty database takes any cursor", seen("SCAN 12345", kind), seen("SCAN 9223372036854775808", kind))

# ---- OBJECT ----------------------------------------------------------------------------------------------------------

case(
    "OBJECT ENCODING",
    "SET i 123",
    ("OBJECT ENCODING i", b"int"),
    "SET s hello",
    ("OBJECT ENCODING s", b"embstr"),
    "SET l " + "x" * 44,
    ("OBJECT ENCODING l", b"embstr"),
    "SET l " + "x" * 45,
    ("OBJECT ENCODING l", b"raw"),
    "SET n -9223372036854775808",
    "OBJECT ENCODING n",
    "SET n 9223372036854775808",
    "OBJECT ENCODING n",
    "SET n 007",
    "OBJECT ENCODING n",
    'SET n ""',
    "OBJECT ENCODING n",
    "SET n 1.5",
    "object encoding n",
    "OBJECT Encoding absent",
)
case(
    "OBJECT ENCODING of a changed value is raw",
    "SET k a",
    "APPEND k b",
    ("OBJECT ENCODING k", b"raw"),
    "SETRANGE n 0 x",
    "OBJECT ENCODING n",
    "SETBIT b 1 1",
    "OBJECT ENCODING b",
    "INCR c",
    "OBJECT ENCODING c",
    "INCRBYFLOAT f 1.5",
    "OBJECT ENCODING f",
)
case(
    "OBJECT REFCOUNT",
    "SET k hello",
    ("OBJECT REFCOUNT k", 1),
    "OBJECT REFCOUNT absent",
)
case(
    "OBJECT FREQ needs a policy that counts",
    "SET k v",
    (
        "OBJECT FREQ k",
        "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
        "between policies at runtime LRU and LFU data will take some time to adjust.",
    ),
    "OBJECT FREQ absent",
)
case(
    "OBJECT refuses",
    ("OBJECT FOO k", "-ERR unknown subcommand 'FOO'. Try OBJECT HELP."),
    "OBJECT FOO",
    ("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"),
    "OBJECT ENCODING a b",
    "OBJECT REFCOUNT",
    "OBJECT IDLETIME a b",
    "OBJECT FREQ",
    "OBJECT HELP x",
    'OBJECT ""',
)
case("OBJECT HELP", seen("object help", help_text))
