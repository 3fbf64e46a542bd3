"""Connections: PING ECHO HELLO AUTH RESET QUIT CLIENT, unknown commands."""

from __future__ import annotations

from typing import Any

from cases.case import (
    Family,
    Step,
    first_words,
    help_text,
    kind,
    lines_with,
    nothing,
    on,
    receive,
    seen,
    send,
    values_of,
    wait,
)
from cases.strings import SYNTAX, arity
from wire import Reply

family = Family("connection")
case = family.case

NO_AUTH = "-NOAUTH Authentication required."
WRONG_PASS = "-WRONGPASS invalid username-password pair or user is disabled."


def hello(reply: Reply) -> Any:
    """HELLO's answer without version and id, which differ."""
    if reply.kind == "-":
        return reply
    names, values = reply.value[::2], reply.value[1::2]
    return reply.kind, [
        (name, kind(value) if name.value in (b"version", b"id") else value)
        for name, value in zip(names, values, strict=True)
    ]


# ---- PING, ECHO, QUIT, unknown commands ------------------------------------------------------------------------------

case(
    "PING and ECHO",
    ("PING", "PONG"),
    ("PING hi", b"hi"),
    ('PING ""', b""),
    ("ECHO x", b"x"),
    r'ECHO "\x00\r\n\xff"',
    "ping",
    "eCHo É",
)
case(
    "wrong number of arguments for connections",
    *[
        (line, arity(line.split()[0].lower()))
        for line in ("PING a b", "ECHO", "ECHO a b", "AUTH", "SELECT", "RESET x", "CLIENT")
    ],
)
case(
    "unknown commands",
    ("nosuch", "-ERR unknown command 'nosuch', with args beginning with: "),
    ("NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
    '"" a',
    '""',
    "nosuch " + "x" * 200,
    "nosuch " + " ".join(["abcdefghij"] * 20),
    "n" * 200,
    r'nosuch "a\r\nb" "\x00c" "\xff"',
    r'"no\r\nsuch" a',
    r'"no\x00such" a',
    "GETT k",
    "SETT k v",
    '"GET " k',
)
case("QUIT", ("QUIT", "OK"), receive("main", lambda reply: reply.kind == "closed"))
case(
    "QUIT answers what came before",
    send("main", "SET k v"),
    send("main", "QUIT"),
    send("main", "SET k w"),
    receive("main", "OK"),
    receive("main", "OK"),
    receive("main"),
    on("b", "GET k", b"v"),
)
case("QUIT with arguments", "QUIT now", receive("main"))

# ---- HELLO, RESET ----------------------------------------------------------------------------------------------------

case(
    "HELLO tells",
    seen("HELLO", hello),
    seen("hello", hello),
    seen("HELLO 2", hello),
    "GET absent",
    seen("HELLO 3", hello),
    ("GET absent", None),
)
case(
    "HELLO switches the protocol back and forth",
    seen("HELLO 3", hello),
    "LCS a b IDX",
    seen("HELLO 2", hello),
    "LCS a b IDX",
    "GET absent",
)
case(
    "HELLO refuses",
    ("HELLO 1", "-NOPROTO unsupported protocol version"),
    "HELLO 4",
    "HELLO 0",
    "HELLO -1",
    ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
    'HELLO ""',
    "HELLO 3.0",
    "HELLO 99999999999999999999",
    ("HELLO 2 FOO", "-ERR Syntax error in HELLO option 'FOO'"),
    "HELLO 2 SETNAME",
    "HELLO 2 AUTH",
    "HELLO 2 AUTH default",
    "HELLO 2 SETNAME a b",
    'HELLO 2 SETNAME "a b"',
    ("HELLO 2 AUTH nobody x", WRONG_PASS),
    "HELLO AUTH default x",
    "HELLO 4 AUTH default x",
    "CLIENT GETNAME",
    "GET absent",
)
case(
    "HELLO with AUTH and SETNAME",
    seen("HELLO 2 SETNAME app", hello),
    ("CLIENT GETNAME", b"app"),
    seen("HELLO 3 AUTH default anything SETNAME app2", hello),
    ("CLIENT GETNAME", b"app2"),
    seen("HELLO 3 setname app3 auth default x", hello),
    "CLIENT GETNAME",
    seen("HELLO 3 SETNAME a SETNAME b", hello),
    "CLIENT GETNAME",
    seen('HELLO 2 SETNAME ""', hello),
    "CLIENT GETNAME",
)
case(
    "RESET makes the connection new",
    "SELECT 5",
    "CLIENT SETNAME app",
    seen("HELLO 3", hello),
    ("RESET", "RESET"),
    "SET k v",
    "CLIENT GETNAME",
    "GET absent",
    "SELECT 0",
    ("EXISTS k", 1),
    ("RESET", "RESET"),
)
case(
    "RESET ends MONITOR",
    on("b", "MONITOR", "OK"),
    on("b", "RESET", view=nothing),
    wait(0.01),
    on("c", "PING"),
)

hello_first = first_words(8)  # 7.2 says "HELLO <proto> AUTH", 7.0 "HELLO AUTH"

# ---- AUTH ------------------------------------------------------------------------------------------------------------

PASSWORD_OFF = ('CONFIG SET requirepass ""',)
case(
    "AUTH without a password set",
    seen(
        "AUTH x",
        kind,
        "-ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?",
    ),
    ("AUTH default x", "OK"),
    ("AUTH nobody x", WRONG_PASS),
    ("AUTH a b c", SYNTAX),
)
case(
    "a password is asked for",
    ("CONFIG SET requirepass sesame", "OK"),
    ("GET k", None),
    on("b", "GET k", NO_AUTH),
    on("b", "PING", NO_AUTH),
    on("b", "nosuch", view=kind),
    on("b", "SELECT 1"),
    on("b", "MULTI"),
    on("b", "CLIENT ID"),
    on("b", "COMMAND COUNT"),
    on("b", "CONFIG GET maxmemory"),
    on("b", "INFO"),
    on("b", "GET"),
    on("b", "GET a b"),
    on("b", "AUTH"),
    on("b", "AUTH wrong", WRONG_PASS),
    on("b", "AUTH default wrong", WRONG_PASS),
    on("b", "AUTH nobody sesame", WRONG_PASS),
    on("b", 'AUTH ""'),
    on("b", "GET k"),
    on("b", "RESET", "RESET"),
    on("b", "AUTH sesame", "OK"),
    on("b", "GET k", None),
    on("b", "AUTH wrong", WRONG_PASS),
    on("b", "GET k"),
    on("b", "AUTH default sesame", "OK"),
    on("b", "RESET"),
    on("b", "GET k", NO_AUTH),
    cleanup=PASSWORD_OFF,
)
case(
    "HELLO before login",
    "CONFIG SET requirepass sesame",
    on("b", "HELLO", view=hello_first),
    on("b", "HELLO 3", view=hello_first),
    on("b", "HELLO 3 SETNAME x", view=hello_first),
    on("b", "HELLO 9"),
    on("b", "HELLO 3 FOO"),
    on("b", "HELLO 3 AUTH default wrong", WRONG_PASS),
    on("b", "HELLO 3 AUTH default sesame SETNAME app", view=hello),
    on("b", "CLIENT GETNAME"),
    on("b", "GET k"),
    on("c", "HELLO 2 AUTH default sesame", view=hello),
    on("c", "GET k"),
    on("d", "QUIT", "OK"),
    cleanup=PASSWORD_OFF,
)  # fmt: skip
case(
    "a changed password",
    "CONFIG SET requirepass one",
    "CONFIG SET requirepass two",
    on("b", "AUTH one", WRONG_PASS),
    on("b", "AUTH two", "OK"),
    "PING",
    ("CONFIG GET requirepass", {b"requirepass": b"two"}),
    cleanup=PASSWORD_OFF,
)

# ---- CLIENT ----------------------------------------------------------------------------------------------------------

case(
    "CLIENT SETNAME and GETNAME",
    ("CLIENT GETNAME", None),
    ("CLIENT SETNAME app", "OK"),
    ("CLIENT GETNAME", b"app"),
    ('CLIENT SETNAME ""', "OK"),
    ("CLIENT GETNAME", None),
    ('CLIENT SETNAME "a b"', "-ERR Client names cannot contain spaces, newlines or special characters."),
    r'CLIENT SETNAME "a\nb"',
    r'CLIENT SETNAME "\xff"',
    r'CLIENT SETNAME "a\x00"',
    "CLIENT SETNAME !~",
    "client getname",
)
case(
    "subcommands of CLIENT: wrong number of arguments",
    *[
        f"CLIENT {rest}"
        for rest in (
            "ID x", "INFO x", "SETNAME", "SETNAME a b", "GETNAME x", "KILL", "PAUSE", "UNPAUSE x", "REPLY",
            "REPLY ON x", "NO-EVICT", "NO-EVICT ON x",
            "GETREDIR x", "UNBLOCK", "CACHING", "TRACKING", "TRACKINGINFO x",
        )
    ],
)  # fmt: skip
case(
    "subcommands of CLIENT that are none",
    ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
    'CLIENT ""',
    "client foo bar",
    r'CLIENT "a\r\nb"',
    "CLIENT " + "x" * 200,
)
case("CLIENT HELP", seen("CLIENT HELP", help_text), "CLIENT HELP x")
case("CLIENT ID grows", seen("CLIENT ID", kind), on("b", "CLIENT ID", view=kind))

_FIELDS = (
    "id", "addr", "laddr", "fd", "name", "age", "idle", "flags", "db", "sub", "psub", "multi", "qbuf", "qbuf-free",
    "obl", "oll", "omem", "events", "cmd", "user", "resp",
)  # fmt: skip
case(
    "CLIENT INFO and LIST",
    "SELECT 3",
    "CLIENT SETNAME app",
    seen("CLIENT INFO", lines_with(*_FIELDS)),
    seen("CLIENT INFO", values_of("name", "flags", "db", "sub", "psub", "multi", "cmd", "user")),
    seen("CLIENT LIST", lines_with(*_FIELDS)),
    seen("client list id {id:main}", values_of("name", "db", "cmd", "resp")),
    seen("CLIENT LIST TYPE normal", kind),
    seen("CLIENT LIST TYPE pubsub", values_of("id")),
    seen("CLIENT LIST TYPE master", kind, b""),
    seen("CLIENT LIST TYPE REPLICA", kind, b""),
    "CLIENT LIST ID 99999999",
    seen("CLIENT LIST ID 99999999 {id:main} 99999998", values_of("name", "db")),
)
case(
    "CLIENT LIST shows one in MULTI",
    on("b", "CLIENT SETNAME bee"),
    seen("CLIENT LIST ID {id:b}", values_of("name", "flags", "multi", "cmd")),
    on("b", "MULTI"),
    on("b", "SET k v"),
    on("b", "GET k"),
    seen("CLIENT LIST ID {id:b}", values_of("name", "flags", "multi", "cmd")),
    on("b", "EXEC"),
    seen("CLIENT LIST ID {id:b}", values_of("name", "flags", "multi", "cmd")),
    seen("CLIENT LIST ID {id:b} {id:main}", lambda reply: reply.value.count(b"\n")),
)
case(
    "CLIENT LIST refuses",
    ("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'"),
    "CLIENT LIST TYPE",
    "CLIENT LIST ID",
    ("CLIENT LIST ID x", "-ERR Invalid client ID"),
    "CLIENT LIST ID 1 x",
    "CLIENT LIST ID 0",
    "CLIENT LIST ID -1",
    "CLIENT LIST FOO",
    "CLIENT LIST FOO bar",
    "CLIENT LIST TYPE normal ID 1",
)
case(
    "CLIENT KILL",
    on("b", "PING"),
    ("CLIENT KILL ID {id:b}", 1),
    receive("b"),
    on("c", "PING"),
    ("CLIENT KILL {addr:c}", "OK"),
    receive("c"),
    on("d", "PING"),
    ("CLIENT KILL ADDR {addr:d} ID {id:d} TYPE normal SKIPME yes", 1),
    receive("d"),
    on("e", "PING"),
    ("CLIENT KILL ADDR {addr:e} ID {id:main}", 0),
    on("e", "PING"),
    ("CLIENT KILL ID {id:main}", 0),
    ("CLIENT KILL ID {id:e} USER default", 1),
    receive("e"),
    ("CLIENT KILL ID {id:main} SKIPME no", 1),
    receive("main"),
)
case("CLIENT KILL of oneself the old way", "CLIENT KILL {addr:main}", receive("main"))
case(
    "CLIENT KILL refuses",
    ("CLIENT KILL 1.2.3.4:5", "-ERR No such client"),
    "CLIENT KILL x",
    'CLIENT KILL ""',
    "CLIENT KILL ADDR",
    ("CLIENT KILL ID x", "-ERR client-id should be greater than 0"),
    "CLIENT KILL ID 0",
    "CLIENT KILL ID -1",
    ("CLIENT KILL ID 99999999", 0),
    "CLIENT KILL ADDR 1.2.3.4:5",
    "CLIENT KILL LADDR 1.2.3.4:5",
    ("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'"),
    "CLIENT KILL TYPE pubsub",
    "CLIENT KILL USER nobody",
    "CLIENT KILL ID 99999999 SKIPME maybe",
    "CLIENT KILL FOO bar",
    "CLIENT KILL ID 99999999 FOO",
    "CLIENT KILL ID 99999999 ADDR",
    "CLIENT KILL SKIPME yes ID 99999999",
)
case(
    "CLIENT REPLY OFF, ON, SKIP",
    send("main", "CLIENT REPLY OFF"),
    send("main", "SET k 1"),
    send("main", "GET k"),
    send("main", "nosuch"),
    ("CLIENT REPLY ON", "OK"),
    ("GET k", b"1"),
    send("main", "CLIENT REPLY SKIP"),
    send("main", "SET k 2"),
    ("GET k", b"2"),
    send("main", "client reply skip"),
    send("main", "client reply skip"),
    send("main", "SET k 3"),
    ("GET k", b"3"),
    ("CLIENT REPLY on", "OK"),
    ("CLIENT REPLY FOO", SYNTAX),
)
case("CLIENT REPLY OFF in MULTI", "MULTI", "CLIENT REPLY ON", "GET k", "EXEC")
UNPAUSE = (Step("CLIENT UNPAUSE", [b"CLIENT", b"UNPAUSE"], on="last"),)
case(
    "CLIENT PAUSE WRITE holds writers only",
    "SET k 1",
    ("CLIENT PAUSE 60000 WRITE", "OK"),
    on("b", "GET k", b"1"),
    on("b", "PING"),
    on("b", "EXISTS k"),
    send("c", "SET k 2"),
    send("d", "DEL x"),
    wait(0.02),
    on("b", "GET k", b"1"),
    ("CLIENT UNPAUSE", "OK"),
    receive("c", "OK"),
    receive("d", 0),
    on("b", "GET k", b"2"),
    cleanup=UNPAUSE,
)
case(
    "CLIENT PAUSE WRITE holds EXEC with writes",
    on("b", "MULTI"),
    on("b", "SET k 1"),
    "CLIENT PAUSE 60000 WRITE",
    send("b", "EXEC"),
    on("c", "MULTI"),
    on("c", "GET k"),
    on("c", "EXEC"),
    wait(0.02),
    on("d", "GET k", None),
    "CLIENT UNPAUSE",
    receive("b"),
    on("d", "GET k"),
    cleanup=UNPAUSE,
)
case(
    "a pause ends by itself",
    "CLIENT PAUSE 20",
    "PING",
    "CLIENT PAUSE 20 ALL",
    "SET k v",
    "client pause 20 write",
    "SET k w",
    "GET k",
    cleanup=UNPAUSE,
)
case(
    "pipelined commands behind a paused one keep their order",
    "CLIENT PAUSE 60000 WRITE",
    send("b", "PING one"),
    send("b", "SET k 1"),
    send("b", "PING two"),
    receive("b", b"one"),
    wait(0.02),
    "CLIENT UNPAUSE",
    receive("b", "OK"),
    receive("b", b"two"),
    cleanup=UNPAUSE,
)
case(
    "CLIENT PAUSE refuses",
    ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range"),
    "CLIENT PAUSE 1.5",
    'CLIENT PAUSE ""',
    ("CLIENT PAUSE -1", "-ERR timeout is negative"),
    ("CLIENT PAUSE 0 FOO", "-ERR CLIENT PAUSE mode must be WRITE or ALL"),
    "CLIENT PAUSE 0 ALL x",
    ("CLIENT PAUSE 0", "OK"),
    ("CLIENT UNPAUSE", "OK"),
    "CLIENT UNPAUSE",
    cleanup=UNPAUSE,
)
case("CLIENT NO-EVICT", ("CLIENT NO-EVICT ON", "OK"), "client no-evict off", ("CLIENT NO-EVICT FOO", SYNTAX))
case(
    "CLIENT SETINFO and MAINT_NOTIFICATIONS are errors or fine, never silence",
    seen(
        "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none",
        lambda reply: reply.kind,
        lambda reply: reply.kind == "-",
    ),
    "PING",
)

# ---- pub/sub commands that clients send without a subscription -------------------------------------------------------

case(
    "UNSUBSCRIBE without a subscription answers normally",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "UNSUBSCRIBE a",
    "punsubscribe a*",
    "PING",
)
