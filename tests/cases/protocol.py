"""The protocol as bytes: inline commands, odd framing, what Redis refuses and closes on.

(That the parser answers the same however the bytes are cut, and what garbage costs, is tested beside resp.)
"""

from __future__ import annotations

from cases.case import Family, on, raw
from wire import Reply

family = Family("protocol")
case = family.case


def closes(text: str) -> list[object]:
    """An error, then the end of the connection."""
    return [text, lambda reply: reply.kind == "closed"]


def ending(reply: Reply) -> Reply:
    """How it ended; Redis drops the replies that came before."""
    last: Reply = reply.value[-1]
    return last


case(
    "inline commands",
    raw(b"PING\r\n", 1, ["PONG"]),
    raw(b"SET k v\r\nGET k\r\n", 2, ["OK", b"v"]),
    raw(b"ping\n"),
    raw(b"  GET   k  \r\n"),
    raw(b"\r\n\r\nPING\r\n"),
    raw(b"\tPING\r\n"),
)
case(
    "quotes in inline commands",
    raw(b'SET k "a b\\n\\x00\\"c"\r\nGET k\r\n', 2, ["OK", b'a b\n\x00"c']),
    raw(b"SET k 'a \\' \\n b'\r\nGET k\r\n", 2),
    raw(b'SET "" ""\r\nGET ""\r\n', 2),
    raw(b'"PING"\r\n'),
    raw(b"SET k \xff\xfe\r\nGET k\r\n", 2),
    raw(b'SET k "\\xzz\\q"\r\nGET k\r\n', 2),
)
for bad in (b'SET k "abc\r\n', b"SET k 'abc\r\n", b'SET k "a"b\r\n', b"SET k 'a'b\r\n", b'"\r\n', b'SET k a"b\r\n'):
    case(f"unbalanced quotes {bad!r}", raw(bad, 2), on("b", "GET k"))
case(
    "an inline command without arguments, of NUL, of spaces",
    raw(b"   \r\nPING\r\n"),
    raw(b"nosuch\r\n"),
    raw(b"GET\r\n"),
)
case(
    "pipelined arrays and inline commands mixed",
    raw(b"*1\r\n$4\r\nPING\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nECHO x\r\n", 4),
)
case(
    "one command many times over",
    raw(b"".join(b"*3\r\n$3\r\nSET\r\n$2\r\nk%d\r\n$3\r\nv%d%d\r\n" % (n, n, n) for n in range(10)), 10, ["OK"] * 10),
    raw(
        b"".join(b"*2\r\n$3\r\nGET\r\n$2\r\nk%d\r\n" % n for n in range(10)), 10, [b"v%d%d" % (n, n) for n in range(10)]
    ),
    "SET k3 longer",
    "DEL k4",
    "SETBIT k5 9 1",
    "SET k6 expiring EX 100",
    raw(b"".join(b"*2\r\n$3\r\nget\r\n$2\r\nk%d\r\n" % n for n in range(10)), 10),
    raw(b"*3\r\n$3\r\nSET\r\n$2\r\nk6\r\n$2\r\nxx\r\n" * 10, 10),
    "TTL k6",
    "MULTI",
    raw(b"*2\r\n$3\r\nGET\r\n$2\r\nk6\r\n" * 10, 10, ["QUEUED"] * 10),
    ("EXEC", [b"xx"] * 10),
)
case("arrays of nothing are skipped", raw(b"*0\r\n*-1\r\n*-10\r\n*1\r\n$4\r\nPING\r\n", 1, ["PONG"]))
case("empty bulks", raw(b"*1\r\n$0\r\n\r\n"), raw(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", 1, [None]))
case("lengths with zeros and signs in front", raw(b"*02\r\n$3\r\nGET\r\n$1\r\nk\r\n", 1), on("b", "PING"))
for text, data in {
    "invalid multibulk length": [
        b"*%s\r\n" % n for n in (b"x", b"1_0", b" 1", b"+1", b"", b"1.0", b"2147483648", b"99999999999999999999", b"1 ")
    ],
    "invalid bulk length": [
        b"*1\r\n$%s\r\n" % n for n in (b"x", b"-1", b"", b"4 ", b"+4", b"536870913", b"99999999999999999999", b"1_0")
    ],
    "expected '$', got ':'": [b"*1\r\n:4\r\n"],
    "expected '$', got '*'": [b"*1\r\n*1\r\n$4\r\nPING\r\n"],
    "expected '$', got 'P'": [b"*1\r\nPING\r\n"],
}.items():
    for piece in data:
        case(f"{text}: {piece!r}", raw(piece, 2, closes(f"-ERR Protocol error: {text}")), on("b", "PING"))
for piece in (b"*1\r\n\r\n", b"*1\r\n_\r\n", b"*2\r\n$3\r\nGET\r\n#t\r\n", b"*1\r\n+PING\r\n", b"*1\r\n\xff\r\n"):
    case(f"a bulk that is none: {piece!r}", raw(piece, 2))
case("a null argument is refused", raw(b"*2\r\n$3\r\nGET\r\n$-1\r\n", 2), on("b", "PING"))
case(
    "commands before garbage are answered",
    raw(b"SET k 1\r\n*1\r\n$4\r\nPING\r\n*1\r\n:1\r\nSET k 2\r\n", 4),
    on("b", "GET k", b"1"),
)
case("MULTI before garbage is dropped", raw(b"MULTI\r\nSET k 1\r\n*x\r\n", 4), on("b", "EXISTS k", 0))
case("an inline request without an end", raw(b"x" * 70_000, 2, closes("-ERR Protocol error: too big inline request")))
case(
    "an array length without an end",
    raw(b"*" + b"1" * 70_000, 2, closes("-ERR Protocol error: too big mbulk count string")),
)
case(
    "a bulk length without an end",
    raw(b"*1\r\n$" + b"1" * 70_000, 2, closes("-ERR Protocol error: too big bulk count string")),
)
case("a browser is shown the door", raw(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 1, closes("x")[1:]), on("b", "PING"))
case("a Host header is shown the door", raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 2, view=ending), on("b", "PING"))
case("post and host: as arrays too", raw(b"*1\r\n$4\r\nPOST\r\n"), on("b", "post"), on("c", "host:"))
case(
    "before login little is listened to",
    "CONFIG SET requirepass sesame",
    raw(b"*10\r\n" + b"$1\r\na\r\n" * 10, 1, on="b"),
    raw(b"*11\r\n", 2, closes("-ERR Protocol error: unauthenticated multibulk length"), on="c"),
    raw(b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", 2, closes("-ERR Protocol error: unauthenticated bulk length"), on="d"),
    raw(b"*2\r\n$4\r\nAUTH\r\n$16384\r\n" + b"x" * 16384 + b"\r\n", 1, on="e"),
    raw(b"AUTH sesame\r\nPING\r\n", 2, ["OK", "PONG"], on="e"),
    cleanup=('CONFIG SET requirepass ""',),
)
case("many arguments", raw(b"*3000\r\n$3\r\nDEL\r\n" + b"$1\r\nk\r\n" * 2999, 1, [0]))
case("binary command names", raw(b"*1\r\n$3\r\n\x00\r\n\r\n"), raw(b"*2\r\n$4\r\nPI\r\n\r\n$1\r\nx\r\n"))
