"""MULTI EXEC DISCARD WATCH UNWATCH."""

from __future__ import annotations

from cases.case import Family, first_words, kind, on, receive, seen, send, shape, wait
from cases.strings import arity

family = Family("transactions")
case = family.case

ABORTED = "-EXECABORT Transaction discarded because of previous errors."

case(
    "wrong number of arguments for transactions",
    *[(line, arity(line.split()[0].lower())) for line in ("MULTI x", "DISCARD x", "WATCH", "UNWATCH x")],
    ("EXEC x", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"),
)
case(
    "MULTI queues, EXEC runs",
    ("MULTI", "OK"),
    ("SET k 1", "QUEUED"),
    ("INCR k", "QUEUED"),
    ("GET k", "QUEUED"),
    on("b", "GET k", None),
    ("EXEC", ["OK", 2, b"2"]),
    ("GET k", b"2"),
)
case("an empty transaction", "MULTI", ("EXEC", []))
case("names in any case in MULTI", "multi", "set k v", "Exec", "muLti", "diScard")
case(
    "DISCARD forgets",
    "SET k 1",
    "MULTI",
    "SET k 2",
    ("DISCARD", "OK"),
    ("GET k", b"1"),
    ("EXEC", "-ERR EXEC without MULTI"),
)
case(
    "EXEC and DISCARD without MULTI",
    ("EXEC", "-ERR EXEC without MULTI"),
    ("DISCARD", "-ERR DISCARD without MULTI"),
    "PING",
)
case(
    "nested MULTI",
    "MULTI",
    ("MULTI", "-ERR MULTI calls can not be nested"),
    ("SET k 1", "QUEUED"),
    "EXEC",
    "GET k",
)
case(
    "WATCH inside MULTI",
    "MULTI",
    ("WATCH k", "-ERR WATCH inside MULTI is not allowed"),
    ("SET k 1", "QUEUED"),
    "EXEC",
)
case("UNWATCH inside MULTI is queued", "WATCH k", "MULTI", ("UNWATCH", "QUEUED"), "SET k v", ("EXEC", ["OK", "OK"]))
case(
    "an error while queueing aborts EXEC",
    "MULTI",
    "SET k 1",
    ("SET k", arity("set")),
    ("GET k", "QUEUED"),
    ("EXEC", ABORTED),
    ("EXISTS k", 0),
    ("EXEC", "-ERR EXEC without MULTI"),
    "MULTI",
    seen("NOSUCH a b", kind),
    ("EXEC", ABORTED),
    "MULTI",
    "OBJECT FOO k",
    ("EXEC", ABORTED),
    "MULTI",
    "CLIENT",
    "EXEC",
    "MULTI",
    "GET",
    ("DISCARD", "OK"),
    "MULTI",
    "EXEC x",
    "EXEC",
    "MULTI",
    "DISCARD x",
    "EXEC",
)
case(
    "an error while executing stops nothing",
    "SET s text",
    "MULTI",
    "INCR s",
    "SET k 1 EX abc",
    "SET k 2 NX XX",
    "SET k 3",
    "EXPIRE k x",
    "LCS k",
    "SET k 4",
    "EXEC",
    "GET k",
)
case(
    "every reply type inside EXEC",
    "SET a 1",
    "MULTI",
    "GET absent",
    "GET a",
    "MGET a absent",
    "INCR a",
    "SET a x",
    "TYPE a",
    "BITFIELD a GET u8 0",
    "LCS a a IDX",
    "SET a y NX",
    "KEYS nothing*",
    "INCRBYFLOAT f 1.5",
    "PING",
    "PING hi",
    "ECHO x",
    "DBSIZE",
    "EXEC",
)
case("SELECT inside MULTI", "MULTI", "SELECT 1", "SET k v", "SELECT 99", "EXEC", "GET k", "SELECT 0", "GET k")
case("FLUSHALL inside MULTI", "SET a 1", "MULTI", "SET b 2", "FLUSHALL", "SET c 3", "EXEC", "KEYS *")
case(
    "SWAPDB inside MULTI",
    "SET a 0",
    "MULTI",
    "SWAPDB 0 1",
    "GET a",
    "SET b 0",
    "SELECT 1",
    "GET a",
    "EXEC",
    "GET b",
    "SELECT 0",
    "GET b",
)
case("expiry inside MULTI", "MULTI", "SET k v EX 100", "PERSIST k", "EXPIRE k -1", "EXISTS k", "EXEC", "TTL k")
case("RESET inside MULTI ends it", "MULTI", "SET k 1", ("RESET", "RESET"), "EXEC", "EXISTS k", protocols=(2,))
case(
    "HELLO and AUTH inside MULTI", "MULTI", seen("HELLO 2", kind), "AUTH x", seen("EXEC", shape), "PING", protocols=(2,)
)
case("QUIT inside MULTI", "MULTI", "SET k 1", ("QUIT", "OK"), on("b", "EXISTS k"))
case("a closed connection's queue is forgotten", on("b", "MULTI"), on("b", "SET k 1"), on("b", "QUIT"), ("EXISTS k", 0))
case(
    "MULTI belongs to its connection",
    "MULTI",
    "SET k 1",
    on("b", "SET k 2", "OK"),
    on("b", "EXEC"),
    "EXEC",
    on("b", "GET k", b"1"),
)
case(
    "commands refused inside MULTI",
    "MULTI",
    "MONITOR",
    "SHUTDOWN FOO",
    "SAVE",
    "BGREWRITEAOF x",
    "CLIENT REPLY FOO",
    "PING",
    "DISCARD",
)
case("WAIT inside MULTI does not block", "MULTI", "SET k v", "WAIT 1 0", ("EXEC", ["OK", 0]))

# ---- WATCH -----------------------------------------------------------------------------------------------------------

UNTOUCHED, DIRTY = ["OK"], None
for touch in (
    "SET k 2", "DEL k", "UNLINK k", "INCR k", "APPEND k x", "EXPIRE k 100", "PEXPIREAT k 33177117420000", "RENAME k z",
    "RENAME other k",
    "MSET a 1 k 2", "GETSET k v", "GETDEL k", "GETEX k EX 10", "SETRANGE k 0 x", "SETBIT k 1 1",
    "BITFIELD k SET u8 0 1", "BITOP NOT k other",
    "MOVE k 1", "COPY other k REPLACE", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "SWAPDB 1 0", "INCRBYFLOAT k 1",
    "SET k 1", "EXPIRE k -1",
    "SETEX k 10 v", "PSETEX k 10000 v", "EXPIRE k 100 NX",
):  # fmt: skip
    case(
        f"a watched key touched by {touch}",
        "MSET k 1 other 1",
        ("WATCH k", "OK"),
        on("b", touch),
        "MULTI",
        "SET done 1",
        ("EXEC", DIRTY),
        ("EXISTS done", 0),
        "MULTI",
        "SET done 1",
        ("EXEC", UNTOUCHED),
    )
for leave in (
    "GET k", "SET other 2", "TTL k", "TOUCH k", "DEL absent", "SET k 2 NX", "EXPIRE k 100 XX", "SETNX k 2",
    "MSETNX k 2", "PERSIST k", "GETEX k",
    "RENAMENX other k", "COPY other k", "SWAPDB 2 3", 'APPEND other ""', "OBJECT ENCODING k", "BITFIELD k GET u8 0",
    'SETRANGE k 0 ""', "EXPIRE k 9 GT",
    "MOVE absent 1", "SET k 5 XX EX 0",
):  # fmt: skip
    case(
        f"a watched key left alone by {leave}",
        "MSET k 1 other 1",
        "WATCH k",
        on("b", leave),
        "MULTI",
        "SET done 1",
        ("EXEC", UNTOUCHED),
    )
case(
    "what APPEND of nothing and SETBIT of the same do to a watched key",
    "SET k A",
    "WATCH k",
    on("b", 'APPEND k ""'),
    "MULTI",
    "EXEC",
    "WATCH k",
    on("b", "SETBIT k 1 1"),
    "MULTI",
    "EXEC",
    "WATCH k",
    on("b", "SWAPDB 0 0"),
    "MULTI",
    "EXEC",
)
case("an absent watched key that appears", "WATCH k", on("b", "SET k 1"), "MULTI", "PING", ("EXEC", None))
case(
    "an absent watched key, database flushed",
    "WATCH k",
    on("b", "SET x 1"),
    on("b", "FLUSHDB"),
    "MULTI",
    "PING",
    ("EXEC", ["PONG"]),
)
case(
    "an absent watched key that the swapped database has",
    on("b", "SELECT 1"),
    on("b", "SET k 1"),
    "WATCH k",
    on("b", "SWAPDB 0 1"),
    "MULTI",
    "PING",
    ("EXEC", None),
)
case(
    "an absent watched key that neither database has",
    "WATCH k",
    on("b", "SET x 1"),
    on("b", "SWAPDB 0 1"),
    "MULTI",
    "PING",
    "EXEC",
)
case("a watched key touched by its own connection", "SET k 1", "WATCH k", "SET k 2", "MULTI", "PING", ("EXEC", None))
case(
    "a watched key set inside the transaction",
    "SET k 1",
    "WATCH k",
    "MULTI",
    "SET k 2",
    "SET k 3",
    ("EXEC", ["OK", "OK"]),
)
case(
    "a watched key in another database",
    "SELECT 1",
    "WATCH k",
    on("b", "SET k 1"),
    "MULTI",
    "PING",
    ("EXEC", ["PONG"]),
    "WATCH k",
    on("b", "SELECT 1"),
    on("b", "SET k 1"),
    "SELECT 0",
    "MULTI",
    "PING",
    ("EXEC", None),
)
case("a watched key that expires", "SET k v PX 300", "WATCH k", wait(0.32), "MULTI", "PING", ("EXEC", None))
case(
    "a watched key that had expired before", "SET k v PX 10", wait(0.02), "WATCH k", "MULTI", "PING", ("EXEC", ["PONG"])
)
case(
    "UNWATCH forgets", "WATCH k", on("b", "SET k 1"), ("UNWATCH", "OK"), "MULTI", "PING", ("EXEC", ["PONG"]), "UNWATCH"
)
case("DISCARD unwatches", "WATCH k", on("b", "SET k 1"), "MULTI", "DISCARD", "MULTI", "PING", ("EXEC", ["PONG"]))
case(
    "EXEC unwatches, an aborted one too",
    "WATCH k",
    on("b", "SET k 1"),
    "MULTI",
    "GET",
    "EXEC",
    "MULTI",
    "PING",
    ("EXEC", ["PONG"]),
    "WATCH k",
    "MULTI",
    "PING",
    "EXEC",
    on("b", "SET k 2"),
    "MULTI",
    "PING",
    ("EXEC", ["PONG"]),
)
case("RESET unwatches", "WATCH k", on("b", "SET k 1"), "RESET", "MULTI", "PING", ("EXEC", ["PONG"]), protocols=(2,))
case(
    "WATCH of several keys, also twice",
    ("WATCH a b a", "OK"),
    "WATCH b",
    on("b", "SET b 1"),
    "MULTI",
    ("EXEC", None),
    "WATCH a",
    "MULTI",
    ("EXEC", []),
)
case(
    "two connections watch one key",
    "SET k 1",
    "WATCH k",
    on("b", "WATCH k"),
    on("b", "MULTI"),
    on("b", "INCR k"),
    on("b", "EXEC", [2]),
    "MULTI",
    "INCR k",
    ("EXEC", None),
    "GET k",
)
case(
    "a dirty EXEC with queueing errors says EXECABORT", "WATCH k", on("b", "SET k 1"), "MULTI", "GET", ("EXEC", ABORTED)
)
case(
    "WATCH after a change that was earlier",
    "SET k 1",
    on("b", "SET k 2"),
    "WATCH k",
    "MULTI",
    "GET k",
    ("EXEC", [b"2"]),
)
case(
    "a pipelined transaction",
    send("main", "MULTI"),
    send("main", "SET k 1"),
    send("main", "GET k"),
    send("main", "EXEC"),
    receive("main", "OK"),
    receive("main", "QUEUED"),
    receive("main", "QUEUED"),
    receive("main", ["OK", b"1"]),
)
case("an unknown command inside MULTI", "MULTI", seen("nosuch", first_words(3)), "EXEC")
