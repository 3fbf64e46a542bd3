"""Cases for what is newer than Debian's redis-server (7.0), by recorded replies; the source of each is named.

[SET], [DELEX], [DIGEST], [WAITAOF]: the pages of the commands at redis.io/docs/latest/commands.
[string.tcl]: tests/unit/type/string.tcl of redis/redis 8.4.
[14502]: redis/redis pull request 14502 (digests are always sixteen hexadecimal characters, compared without case).
[wait.tcl], [introspection.tcl]: tests/unit of redis/redis 7.2.
Digests are XXH3-64 with seed 0, in hexadecimal: [DIGEST] gives b6acb9d84a38ff74 for "Hello world".
"""

from __future__ import annotations

from functools import partial

from cases.case import Family, kind, lines_with, on, seen, values_of
from cases.strings import SYNTAX, WRONGTYPE, arity

family = Family("recorded")
case = partial(family.case, oracle=False)

HELLO = "9555e8555c62dcfd"  # of b"hello"
OTHER = "0000000000000000"
NO_DIGEST = "-ERR must be exactly 16 hexadecimal characters"

# ---- DIGEST [DIGEST] [14502] -----------------------------------------------------------------------------------------

case(
    "DIGEST",
    'SET k "Hello world"',
    ("DIGEST k", b"b6acb9d84a38ff74"),
    ("DIGEST absent", None),
    "SET k hello",
    ("digest k", HELLO.encode()),
    'SET k ""',
    ("DIGEST k", b"2d06800538d394c2"),
    "SET k v8",
    ("DIGEST k", b"0cc76dbb41381419"),
    "SET k v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd",
    ("DIGEST k", b"00006c38adf31777"),
    "SET k 122",
    "INCR k",
    ("DIGEST k", b"404a763b3f4c8c9a"),
    "SET k hell",
    "APPEND k o",
    ("DIGEST k", HELLO.encode()),
    "SET k jello",
    "SETRANGE k 0 h",
    ("DIGEST k", HELLO.encode()),
)
case("DIGEST: wrong number of arguments", ("DIGEST", arity("digest")), ("DIGEST a b", arity("digest")))
case("DIGEST refuses a list", "RPUSH l a", ("DIGEST l", WRONGTYPE), needs="collections")

# ---- SET IFEQ IFNE IFDEQ IFDNE [SET] [string.tcl] --------------------------------------------------------------------

for option, right, wrong in (
    ("IFEQ", "hello", "different"),
    ("IFNE", "different", "hello"),
    ("IFDEQ", HELLO, OTHER),
    ("IFDNE", OTHER, HELLO),
    ("ifdeq", HELLO.upper(), OTHER),
    ("IfDne", OTHER, HELLO.upper()),
):
    creates = option.upper() in ("IFNE", "IFDNE")
    case(
        f"SET {option} {right}",
        "SET k hello EX 100",
        (f"SET k world {option} {wrong}", None),
        ("GET k", b"hello"),
        seen("TTL k", kind, lambda reply: reply.value > 0),
        (f"SET k world {option} {wrong} GET", b"hello"),
        ("GET k", b"hello"),
        (f"SET k hello {option} {right}", "OK"),
        ("TTL k", -1),
        (f"SET k world GET {option} {right}", b"hello"),
        ("GET k", b"world"),
    )
    case(
        f"SET {option} {right} of an absent key",
        (f"SET k world {option} {right}", "OK" if creates else None),
        ("EXISTS k", int(creates)),
        "DEL k",
        (f"SET k world {option} {right} GET", None),
        ("EXISTS k", int(creates)),
    )
    case(
        f"SET {option} {right} with an expiry",
        "SET k hello",
        (f"SET k hello {option} {right} EX 100", "OK"),
        seen("TTL k", kind, lambda reply: 90 < reply.value <= 100),
        (f"SET k hello PX 50000 {option} {right}", "OK"),
        seen("TTL k", kind, lambda reply: 40 < reply.value <= 50),
        (f"SET k hello {option} {right} KEEPTTL", "OK"),
        seen("TTL k", kind, lambda reply: 40 < reply.value <= 50),
    )
case(
    "SET IFEQ compares bytes",
    "SET k 0123",
    ("SET k x IFEQ 123", None),
    ("SET k 10", "OK"),
    "INCR k",
    ("SET k 12 IFEQ 11", "OK"),
    'SET e ""',
    ('SET e x IFEQ ""', "OK"),
    r'SET b "\x00\xff"',
    (r'SET b x IFEQ "\x00\xff"', "OK"),
    ("SET e y IFNE x", None),
)
case(
    "SET with two conditions",
    "SET k hello",
    *[
        (f"SET k v {options}", SYNTAX)
        for options in (
            "NX IFEQ hello", "IFEQ hello NX", "XX IFEQ hello", "IFEQ hello XX", "IFEQ hello IFNE x",
            f"IFDEQ {HELLO} IFEQ hello", f"NX IFDNE {OTHER}",
            f"IFDNE {OTHER} XX", "IFEQ", "IFNE", "IFDEQ", "IFDNE", "IFEQ hello EX", "EX 10 IFEQ",
        )
    ],
    ("GET k", b"hello"),
)  # fmt: skip
case(
    "SET IFDEQ wants sixteen characters",
    "SET k hello",
    *[
        (f"SET k v {option} {digest}", NO_DIGEST)
        for option in ("IFDEQ", "IFDNE")
        for digest in ('""', "0123", HELLO[1:], "0" + HELLO)
    ],
    ("GET k", b"hello"),
)
case(
    "SET IFEQ refuses a list",
    "RPUSH l a",
    *[(f"SET l v {c} {x}", WRONGTYPE) for c, x in (("IFEQ", "a"), ("IFNE", "a"), ("IFDEQ", OTHER), ("IFDNE", OTHER))],
    needs="collections",
)
case(
    "SET IFEQ touches a watched key only when it sets",
    "SET k hello",
    "WATCH k",
    on("b", "SET k world IFEQ other"),
    "MULTI",
    ("EXEC", []),
    "WATCH k",
    on("b", "SET k world IFEQ hello"),
    "MULTI",
    ("EXEC", None),
)

# ---- DELEX [DELEX] [string.tcl] --------------------------------------------------------------------------------------

case("DELEX without a condition is DEL of one key", ("DELEX k", 0), "SET k v", ("DELEX k", 1), ("EXISTS k", 0))
for option, right, wrong in (
    ("IFEQ", "hello", "other"),
    ("ifne", "other", "hello"),
    ("IFDEQ", HELLO, OTHER),
    ("IFDNE", OTHER, HELLO),
    ("ifdeq", HELLO.upper(), OTHER),
    ("ifdeq", HELLO, "z" * 16),
):
    case(
        f"DELEX {option} {right}, not {wrong}",
        (f"DELEX k {option} {right}", 0),
        "SET k hello",
        (f"DELEX k {option} {wrong}", 0),
        ("GET k", b"hello"),
        (f"DELEX k {option} {right}", 1),
        ("EXISTS k", 0),
    )
case(
    "DELEX IFEQ compares bytes",
    "SET k 0123",
    ("DELEX k IFEQ 123", 0),
    ("DELEX k IFNE 123", 1),
    'SET e ""',
    ('DELEX e IFEQ ""', 1),
    "SET n 1",
    "INCR n",
    ("DELEX n IFEQ 2", 1),
)
case(
    "DELEX refuses",
    "SET k hello",
    ("DELEX", arity("delex")),
    ("DELEX k IFEQ", arity("delex")),
    ("DELEX k IFEQ hello extra", arity("delex")),
    ("DELEX k FOO hello", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"),
    ("DELEX k IF hello", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"),
    *[
        (f"DELEX k {option} {digest}", NO_DIGEST)
        for option in ("IFDEQ", "IFDNE")
        for digest in ('""', "0123", HELLO[1:], "0" + HELLO)
    ],
    ("GET k", b"hello"),
)
case(
    "DELEX of a list",
    "RPUSH l a",
    ("DELEX l IFEQ a", "-ERR Key should be of string type if conditions are specified"),
    ("DELEX l", 1),
    needs="collections",
)
case(
    "DELEX touches a watched key",
    "SET k hello",
    "WATCH k",
    on("b", "DELEX k IFEQ hello"),
    "MULTI",
    "PING",
    ("EXEC", None),
)

# ---- WAITAOF [WAITAOF] [wait.tcl] ------------------------------------------------------------------------------------

case(
    "WAITAOF: this log is synced, there are no replicas",
    "SET k v",
    ("WAITAOF 1 0 0", [1, 0]),
    ("WAITAOF 0 0 0", [1, 0]),
    ("WAITAOF 1 1 20", [1, 0]),
    ("WAITAOF 0 1 20", [1, 0]),
)
case(
    "WAITAOF refuses",
    ("WAITAOF 1 0", arity("waitaof")),
    ("WAITAOF", arity("waitaof")),
    ("WAITAOF 2 0 0", "-ERR value is out of range, value must between 0 and 1"),
    ("WAITAOF -1 0 0", "-ERR value is out of range, value must between 0 and 1"),
    ("WAITAOF 0 -1 0", "-ERR value is out of range, must be positive"),
    ("WAITAOF 0 0 -1", "-ERR timeout is negative"),
    ("WAITAOF 0 0 x", "-ERR timeout is not an integer or out of range"),
)
case(
    "WAITAOF inside MULTI does not block",
    "MULTI",
    "SET k v",
    "WAITAOF 0 1 0",
    seen("EXEC", kind, lambda reply: len(reply.value) == 2 and reply.value[1].value[1].value == 0),
)

# ---- CLIENT SETINFO, NO-TOUCH [introspection.tcl] --------------------------------------------------------------------

case(
    "CLIENT SETINFO",
    seen("CLIENT INFO", lines_with("lib-name", "lib-ver"), lambda reply: b"lib-name= lib-ver=" in reply.value),
    ("CLIENT SETINFO LIB-NAME redis-py", "OK"),
    ("client setinfo lib-ver 1.2.3", "OK"),
    seen("CLIENT INFO", values_of("lib-name"), lambda reply: b"lib-name=redis-py lib-ver=1.2.3" in reply.value),
    ("CLIENT SETINFO lib-name", "-ERR wrong number of arguments for 'client|setinfo' command"),
    ("CLIENT SETINFO lib-name a b", "-ERR wrong number of arguments for 'client|setinfo' command"),
    ('CLIENT SETINFO lib-name "redis py"', "-ERR lib-name cannot contain spaces, newlines or special characters."),
    (r'CLIENT SETINFO LIB-VER "1\n2"', "-ERR LIB-VER cannot contain spaces, newlines or special characters."),
    ("CLIENT SETINFO badger hamster", "-ERR Unrecognized option 'badger'"),
    seen("CLIENT LIST", values_of("lib-name"), lambda reply: b"lib-name=redis-py lib-ver=1.2.3" in reply.value),
    ('CLIENT SETINFO LIB-NAME ""', "OK"),
    seen("CLIENT INFO", values_of("lib-name"), lambda reply: b"lib-name= lib-ver=1.2.3" in reply.value),
)
case(
    "CLIENT NO-TOUCH",
    ("CLIENT NO-TOUCH ON", "OK"),
    ("client no-touch off", "OK"),
    ("CLIENT NO-TOUCH FOO", SYNTAX),
    ("CLIENT NO-TOUCH", "-ERR wrong number of arguments for 'client|no-touch' command"),
)

RECORDED_CASES = family.cases
