"""Users and permissions: ACL, AUTH and HELLO as users, what a restricted user is refused and how it is logged.

Passwords are shown as their hashes, which differ (ours are scrypt); a view leaves them out. `ON` makes a user who logs
in without one, since only that a password fits matters to most cases.
"""

from __future__ import annotations

from typing import Any

from cases.case import Family, help_text, kind, on, seen, send, unordered
from cases.connection import NO_AUTH, WRONG_PASS, hello
from cases.strings import arity
from wire import Reply

family = Family("acl")
case = family.case

GONE = ("ACL DELUSER u v", "ACL SETUSER default on nopass", "ACL LOG RESET")
ON = "on nopass"
NO_KEY = "-NOPERM this user has no permissions to access one of the keys used as arguments"
BY_HASH = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"  # SHA-256 of "password"


def no_command(name: str) -> str:
    return f"-NOPERM this user has no permissions to run the '{name}' command"


def wrong_rule(word: str, reason: str) -> str:
    return f"-ERR Error in ACL SETUSER modifier '{word}': {reason}"


UNKNOWN = "Unknown command or category name in ACL"
WRONG_SYNTAX = "Syntax error"
NOT_A_HASH = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"


def lines(reply: Reply) -> Any:
    """ACL LIST without passwords, and without the switch of RESTORE, which `reset` shows or not."""
    words = [line.value.split() for line in reply.value]
    return [[word for word in line if word[:1] != b"#" and word != b"sanitize-payload"] for line in words]


def user(reply: Reply) -> Any:
    """ACL GETUSER: of passwords only how many."""
    if reply.kind not in "*%" or reply.value is None:
        return reply
    parts = dict(zip([name.value for name in reply.value[::2]], reply.value[1::2], strict=True))
    flags = [flag.value for flag in parts.pop(b"flags").value if flag.value != b"sanitize-payload"]
    # Redis shows single commands in the order of a hash table whose seed is another in each process.
    rules = sorted(parts.pop(b"commands").value.split())
    return reply.kind, flags, len(parts.pop(b"passwords").value), rules, parts


def entries(reply: Reply) -> Any:
    """ACL LOG: what was refused to whom, and which fields of Redis 7.0 there are."""
    if reply.kind != "*":
        return reply
    found = []
    for entry in reply.value:
        fields = {name.value: value for name, value in zip(entry.value[::2], entry.value[1::2], strict=True)}
        told = [fields[name] for name in (b"count", b"reason", b"context", b"object", b"username")]
        client = {word.split(b"=")[0] for word in fields[b"client-info"].value.split()} & {b"id", b"addr", b"user"}
        found.append((entry.kind, told, fields[b"age-seconds"].kind, client))
    return found


# ---- describing users ------------------------------------------------------------------------------------------------

case(
    "a new user may do nothing",
    ("ACL SETUSER u", "OK"),
    ("ACL USERS", [b"default", b"u"]),
    ("ACL LIST", [b"user default on nopass ~* &* +@all", b"user u off resetchannels -@all"]),
    seen("ACL GETUSER u", user),
    on("b", "AUTH u x", WRONG_PASS),
    ("ACL DELUSER u nosuch", 1),
    ("ACL GETUSER u", None),
    cleanup=GONE,
)
case(
    "rules are kept and shown",
    "ACL SETUSER u on +@all -@write +set ~a ~b* %R~c %W~d &ch",
    seen("ACL GETUSER u", user),
    seen("ACL LIST", lines),
    "ACL SETUSER u %W~c %R~d allchannels -@all +@read +client -client|id",
    seen("ACL GETUSER u", user),
    "ACL SETUSER u resetkeys resetchannels nocommands +Select|1 +GET",
    seen("ACL GETUSER u", user),
    "ACL SETUSER u allkeys allcommands",
    seen("ACL GETUSER u", user),
    "ACL SETUSER u resetkeys %rw~a %R %w~b",
    seen("ACL GETUSER u", user),
    "ACL SETUSER u ON nopass",
    seen("ACL GETUSER u", user),
    "ACL SETUSER u >one >two >one",
    seen("ACL GETUSER u", user),
    f"ACL SETUSER u #{BY_HASH} <one",
    seen("ACL GETUSER u", user),
    f"ACL SETUSER u !{BY_HASH} resetpass",
    seen("ACL GETUSER u", user),
    "ACL SETUSER u reset",
    seen("ACL GETUSER u", user),
    cleanup=GONE,
)
case(
    "selectors are kept and shown",
    'ACL SETUSER u "(+get ~a)" (%R~b +set &ch) +ping',
    seen("ACL GETUSER u", user),
    seen("ACL LIST", lines),
    "ACL SETUSER u ()",
    seen("ACL GETUSER u", user),
    "ACL SETUSER u clearselectors",
    seen("ACL GETUSER u", user),
    ("ACL SETUSER u (+get ~a", "-ERR Unmatched parenthesis in acl selector starting at '(+get'."),
    ("ACL SETUSER u (on)", wrong_rule("(on)", WRONG_SYNTAX)),
    cleanup=GONE,
)
case(
    "words that make no sense change nothing",
    "ACL SETUSER u on +get",
    *[
        (f"ACL SETUSER u +set {word}", wrong_rule(word, reason))
        for word, reason in (
            ("nosuch", WRONG_SYNTAX),
            ("+nosuch", UNKNOWN),
            ("-nosuch", UNKNOWN),
            ("+@nosuch", UNKNOWN),
            ("-@nosuch", UNKNOWN),
            ("+", UNKNOWN),
            ("-", UNKNOWN),
            ("+@", UNKNOWN),
            ("|", WRONG_SYNTAX),
            ("+config|nosuch", UNKNOWN),
            ("-select|1", UNKNOWN),
            ("+select|", WRONG_SYNTAX),
            ("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
            ("%X~a", WRONG_SYNTAX),
            ("%RR~a", WRONG_SYNTAX),
            ("%RWx~a", WRONG_SYNTAX),
            ("#12", NOT_A_HASH),
            ("!12", NOT_A_HASH),
            (f"#{BY_HASH.upper()}", NOT_A_HASH),
            ("<nosuch", "The password you are trying to remove from the user does not exist"),
            (f"!{BY_HASH}", "The password you are trying to remove from the user does not exist"),
        )
    ],
    'ACL SETUSER u "~a b"',
    'ACL SETUSER u "&a b"',
    "ACL SETUSER u ~* ~a",
    "ACL SETUSER u &* &a",
    'ACL SETUSER u ""',
    seen("ACL GETUSER u", user),
    ('ACL SETUSER "a b"', "-ERR Usernames can't contain spaces or null characters"),
    r'ACL SETUSER "a\x00b"',
    ("ACL DELUSER u default", "-ERR The 'default' user cannot be removed"),
    ("ACL USERS", [b"default", b"u"]),
    cleanup=GONE,
)
case(
    "subcommands of ACL: wrong number of arguments",
    *[
        (f"ACL {name}", arity(f"acl|{name.split()[0].lower()}"))
        for name in ("SETUSER", "GETUSER", "GETUSER a b", "DELUSER", "LIST x", "USERS x", "WHOAMI x", "DRYRUN u")
    ],
    "ACL CAT read x",
    "ACL GENPASS 1 2",
    "ACL LOG 1 2",
    "ACL nosuch",
    "ACL",
    seen("ACL HELP", help_text),
)
case(
    "ACL CAT and GENPASS",
    seen("ACL CAT", unordered),
    seen("ACL CAT transaction", unordered),
    seen("ACL CAT BITMAP", unordered),
    ("ACL CAT nosuch", "-ERR Unknown category 'nosuch'"),
    seen("ACL GENPASS", kind, lambda reply: len(reply.value) == 64),
    seen("ACL GENPASS 5", kind, lambda reply: len(reply.value) == 2),
    seen("ACL GENPASS 4096", kind, lambda reply: len(reply.value) == 1024),
    "ACL GENPASS 0",
    "ACL GENPASS -1",
    "ACL GENPASS 4097",
    "ACL GENPASS x",
)

# ---- logging in ------------------------------------------------------------------------------------------------------

case(
    "a user logs in by password",
    "ACL SETUSER u on >one >two +@all ~*",
    on("b", "AUTH u one", "OK"),
    on("b", "ACL WHOAMI", b"u"),
    on("b", "AUTH u three", WRONG_PASS),
    on("b", "ACL WHOAMI", b"u"),
    on("b", "RESET", "RESET"),
    on("b", "ACL WHOAMI", b"default"),
    on("b", "HELLO 3 AUTH u two SETNAME app", view=hello),
    on("b", "ACL WHOAMI", b"u"),
    on("b", "CLIENT GETNAME", b"app"),
    "ACL SETUSER u <one",
    on("c", "AUTH u one", WRONG_PASS),
    on("b", "ACL WHOAMI", b"u"),
    f"ACL SETUSER u resetpass #{BY_HASH}",
    on("c", "AUTH u two", WRONG_PASS),
    on("c", "AUTH u password", "OK"),
    "ACL SETUSER u off",
    on("c", "ACL WHOAMI", b"u"),
    on("d", "AUTH u password", WRONG_PASS),
    cleanup=GONE,
)
case(
    "HELLO with several logins takes them one by one",
    f"ACL SETUSER u {ON} +@all",
    f"ACL SETUSER v {ON} +@all",
    on("b", "HELLO 2 AUTH u x AUTH v x", view=hello),
    on("b", "ACL WHOAMI", b"v"),
    on("b", "HELLO 2 AUTH u x SETNAME a AUTH nobody x", WRONG_PASS),
    on("b", "ACL WHOAMI", b"u"),
    on("b", "CLIENT GETNAME", b"a"),
    on("b", 'HELLO 2 AUTH v x SETNAME "a b"'),
    on("b", "ACL WHOAMI", b"v"),
    cleanup=GONE,
)
case(
    "the default user may be shut, and opened again",
    "ACL SETUSER default off",
    on("b", "PING", NO_AUTH),
    on("b", "AUTH default x", WRONG_PASS),
    "ACL WHOAMI",
    "ACL SETUSER default on resetpass >secret",
    on("b", "PING", NO_AUTH),
    on("b", "AUTH secret", "OK"),
    on("c", "PING", NO_AUTH),
    "ACL SETUSER default nopass",
    on("c", "PING", "PONG"),
    on("c", "ACL WHOAMI", b"default"),
    cleanup=GONE,
)
case(
    "requirepass is the default user's password",
    "CONFIG SET requirepass sesame",
    seen("ACL GETUSER default", user),
    on("b", "AUTH default sesame", "OK"),
    "ACL SETUSER default >other",
    on("c", "AUTH other", "OK"),
    "CONFIG SET requirepass third",
    on("d", "AUTH other", WRONG_PASS),
    on("d", "AUTH third", "OK"),
    'CONFIG SET requirepass ""',
    seen("ACL GETUSER default", user),
    cleanup=('CONFIG SET requirepass ""', *GONE),
)

# ---- what a restricted user may do -----------------------------------------------------------------------------------

case(
    "commands that are not allowed",
    f"ACL SETUSER u {ON} ~* +@read +client|id +config -config|set",
    on("b", "AUTH u x"),
    on("b", "GET k", None),
    on("b", "get k", None),
    on("b", "SET k v", no_command("set")),
    on("b", "sEt k v", no_command("set")),
    on("b", "SET k", arity("set")),
    on("b", "nosuch", view=kind),
    on("b", "CLIENT ID", view=kind),
    on("b", "CLIENT GETNAME", no_command("client|getname")),
    on("b", "CLIENT nosuch"),
    on("b", "CLIENT", arity("client")),
    on("b", "CONFIG GET maxmemory-policy"),
    on("b", "CONFIG SET maxmemory 0", no_command("config|set")),
    on("b", "COMMAND", no_command("command")),
    on("b", "COMMAND COUNT", no_command("command|count")),
    on("b", "ACL WHOAMI", no_command("acl|whoami")),
    on("b", "PING", no_command("ping")),
    on("b", "AUTH nobody x", WRONG_PASS),
    on("b", "HELLO 2", view=hello),
    on("b", "RESET", "RESET"),
    on("b", "SET k v", "OK"),
    cleanup=GONE,
)
case(
    "a first argument may be allowed of a command that is not",
    f"ACL SETUSER u {ON} ~* +get +select|1",
    on("b", "AUTH u x"),
    on("b", "SELECT 1", "OK"),
    on("b", "SELECT 0", no_command("select")),
    "ACL SETUSER u -select",
    on("b", "SELECT 1", no_command("select")),
    cleanup=GONE,
)
case(
    "keys that are not allowed",
    "MSET a 1 b 2",
    f"ACL SETUSER u {ON} ~a* +@all",
    on("b", "AUTH u x"),
    on("b", "GET a", b"1"),
    on("b", "GET b", NO_KEY),
    on("b", "MGET a b", NO_KEY),
    on("b", "MSET a 1 b 2", NO_KEY),
    on("b", "MSET a 1 a2 2", "OK"),
    on("b", "RENAME a b", NO_KEY),
    on("b", "RENAME b a", NO_KEY),
    on("b", "DEL a b", NO_KEY),
    on("b", "EXISTS b", NO_KEY),
    on("b", "WATCH b", NO_KEY),
    on("b", "OBJECT ENCODING b", NO_KEY),
    on("b", "BITOP AND a b", NO_KEY),
    on("b", "DBSIZE", view=kind),
    on("b", "KEYS *", view=kind),
    cleanup=GONE,
)
case(
    "keys to read and keys to write",
    "MSET r 1 w 2",
    f"ACL SETUSER u {ON} %R~r %W~w +@all",
    on("b", "AUTH u x"),
    on("b", "GET r", b"1"),
    on("b", "GET w", NO_KEY),
    on("b", "SET r 1", NO_KEY),
    on("b", "SET w 1", "OK"),
    on("b", "SET w 1 GET", NO_KEY),
    on("b", "SET w get", "OK"),
    on("b", "APPEND w 1"),
    on("b", "INCR w"),
    on("b", "GETDEL w"),
    on("b", "GETEX r"),
    on("b", "EXISTS r w"),
    on("b", "TYPE w"),
    on("b", "TTL w"),
    on("b", "STRLEN w"),
    on("b", "COPY r w"),
    on("b", "COPY w r"),
    on("b", "BITFIELD r GET u8 0"),
    on("b", "BITFIELD w GET u8 0"),
    on("b", "BITFIELD r SET u8 0 1"),
    on("b", "BITOP NOT w r"),
    on("b", "EXPIRE w 100"),
    on("b", "EXPIRE r 100"),
    on("b", "DEL w"),
    on("b", "DEL r"),
    on("b", "TOUCH r w"),
    on("b", "UNLINK r"),
    cleanup=GONE,
)
case(
    "which keys a call reads or writes",
    "COMMAND GETKEYSANDFLAGS SET k v",
    "COMMAND GETKEYSANDFLAGS SET k v GET",
    "COMMAND GETKEYSANDFLAGS SET k v EX 10",
    "COMMAND GETKEYSANDFLAGS BITFIELD k GET u8 0",
    "COMMAND GETKEYSANDFLAGS BITFIELD k GET u8 0 SET u8 0 1",
    "COMMAND GETKEYSANDFLAGS BITFIELD k INCRBY u8 0",
    "COMMAND GETKEYSANDFLAGS BITFIELD set GET u8 0",
    "COMMAND GETKEYSANDFLAGS RENAME a b",
)
case(
    "a selector must allow all of a call",
    "MSET a 1 b 2",
    f"ACL SETUSER u {ON} +get ~a (+set ~b)",
    on("b", "AUTH u x"),
    on("b", "GET a", b"1"),
    on("b", "GET b", NO_KEY),
    on("b", "SET b 1", "OK"),
    on("b", "SET a 1", NO_KEY),
    on("b", "DEL a", no_command("del")),
    "ACL SETUSER u (+@all ~* &*)",
    on("b", "DEL a b", 2),
    cleanup=GONE,
)
case(
    "a changed user's clients follow at once",
    f"ACL SETUSER u {ON} +@all ~*",
    on("b", "AUTH u x"),
    on("b", "SET k 1", "OK"),
    "ACL SETUSER u -set",
    on("b", "SET k 1", no_command("set")),
    "ACL SETUSER u resetkeys ~a",
    on("b", "GET k", NO_KEY),
    "ACL SETUSER u allcommands allkeys",
    on("b", "SET k 2", "OK"),
    cleanup=GONE,
)
case(
    "a deleted user's clients are disconnected",
    f"ACL SETUSER u {ON} +@all ~*",
    on("b", "AUTH u x"),
    on("c", "AUTH u x"),
    on("c", "ACL DELUSER u", 1),
    on("c", "PING", lambda reply: reply.kind == "closed"),
    on("b", "PING", lambda reply: reply.kind == "closed"),
    cleanup=GONE,
    needs="sockets",
)
case(
    "CLIENT shows and kills users",
    f"ACL SETUSER u {ON} +@all ~*",
    on("b", "AUTH u x"),
    ("CLIENT KILL USER nosuch", "-ERR No such user 'nosuch'"),
    ("CLIENT KILL USER u", 1),
    on("b", "PING", lambda reply: reply.kind == "closed"),
    cleanup=GONE,
    needs="sockets",
)

# ---- transactions ----------------------------------------------------------------------------------------------------

case(
    "what is not allowed is refused while queueing",
    f"ACL SETUSER u {ON} ~a +get +multi +exec",
    on("b", "AUTH u x"),
    on("b", "MULTI", "OK"),
    on("b", "GET a", "QUEUED"),
    on("b", "SET a 1", no_command("set")),
    on("b", "EXEC", "-EXECABORT Transaction discarded because of previous errors."),
    on("b", "MULTI"),
    on("b", "GET b", NO_KEY),
    on("b", "EXEC"),
    on("b", "MULTI"),
    on("b", "DISCARD", no_command("discard")),
    on("b", "EXEC"),
    on("b", "MULTI"),
    on("b", "GET a"),
    on("b", "EXEC", [None]),
    cleanup=GONE,
)
case(
    "what is not allowed any more is refused at EXEC",
    f"ACL SETUSER u {ON} ~* +@all",
    on("b", "AUTH u x"),
    on("b", "MULTI"),
    on("b", "SET a 1"),
    on("b", "SET b 1"),
    on("b", "CONFIG GET maxmemory-policy"),
    on("b", "PING"),
    "ACL SETUSER u resetkeys ~a -config|get",
    on("b", "EXEC"),
    on("b", "MULTI"),
    on("b", "PING"),
    "ACL SETUSER u -exec",
    on("b", "EXEC"),
    on("b", "GET a"),
    seen("ACL LOG", entries),
    cleanup=GONE,
)
case(
    "logging in within a transaction changes what the rest of it may do",
    f"ACL SETUSER u {ON} ~* +@all -set",
    "MULTI",
    "AUTH u x",
    "SET k 1",
    "ACL WHOAMI",
    "EXEC",
    "ACL WHOAMI",
    cleanup=(on("admin", GONE[0]), on("admin", GONE[1]), on("admin", GONE[2])),
)
case(
    "users are changed within a transaction",
    "MULTI",
    f"ACL SETUSER u {ON} >x +@all",
    "ACL SETUSER u nosuch",
    "ACL DELUSER v",
    "ACL USERS",
    "EXEC",
    on("b", "AUTH u x"),
    cleanup=GONE,
)

# ---- MONITOR, CLIENT REPLY -------------------------------------------------------------------------------------------

case(
    "a restricted user may be silent and may listen",
    f"ACL SETUSER u {ON} ~* +@all -set",
    on("b", "AUTH u x"),
    send("b", "CLIENT REPLY OFF"),
    send("b", "SET k 1"),
    send("b", "INCR n"),
    on("b", "CLIENT REPLY ON", "OK"),
    on("b", "GET n", b"1"),
    on("b", "GET k", None),
    on("c", "AUTH u x"),
    on("c", "MONITOR", "OK"),
    on("c", "SET k 1", no_command("set")),
    on("c", "GET", arity("get")),
    on("c", "GET k"),
    on("c", "RESET", "RESET"),
    on("c", "SET k 1", "OK"),
    cleanup=GONE,
)

# ---- DRYRUN and LOG --------------------------------------------------------------------------------------------------

case(
    "ACL DRYRUN",
    "ACL SETUSER u +get +mget +config|get ~a",
    ("ACL DRYRUN u GET a", "OK"),
    ("ACL DRYRUN u get b", b"This user has no permissions to access the 'b' key"),
    ("ACL DRYRUN u mget a b", b"This user has no permissions to access the 'b' key"),
    ("ACL DRYRUN u set a b", b"This user has no permissions to run the 'set' command"),
    ("ACL DRYRUN u config set a b", b"This user has no permissions to run the 'config|set' command"),
    ("ACL DRYRUN u auth x", "OK"),
    ("ACL DRYRUN nosuch get a", "-ERR User 'nosuch' not found"),
    ("ACL DRYRUN u nosuch", "-ERR Command 'nosuch' not found"),
    ("ACL DRYRUN u config nosuch", "-ERR Command 'config' not found"),
    ("ACL DRYRUN u get", arity("get")),
    ("ACL DRYRUN u config get", arity("config|get")),
    ("ACL DRYRUN default flushall", "OK"),
    cleanup=GONE,
)
case(
    "ACL LOG tells what was refused",
    ("ACL LOG RESET", "OK"),
    ("ACL LOG", []),
    f"ACL SETUSER u {ON} ~a +get +multi +exec",
    on("b", "auth u x"),
    on("b", "GET b"),
    on("b", "GET b"),
    on("b", "SET a 1"),
    on("b", "CONFIG GET x"),
    on("b", "AUTH nobody secret"),
    on("b", "auth u x"),
    on("b", "MULTI"),
    on("b", "GET b"),
    on("b", "EXEC"),
    on("b", "GET b"),
    on("b", "HELLO 2 AUTH nobody secret"),
    on("b", "SET a", arity("set")),
    seen("ACL LOG", entries),
    seen("ACL LOG 2", entries),
    seen("ACL LOG 100", entries),
    ("ACL LOG 0", []),
    ("ACL LOG -1", []),
    "ACL LOG x",
    "ACL LOG reset",
    ("ACL LOG", []),
    cleanup=GONE,
)
case(
    "ACL LOG keeps as many entries as the setting says",
    "ACL LOG RESET",
    "CONFIG SET acllog-max-len 2",
    *[on("b", f"AUTH nobody{number} x", WRONG_PASS) for number in range(3)],
    seen("ACL LOG", entries),
    "CONFIG SET acllog-max-len 1",
    on("b", "AUTH nobody9 x", WRONG_PASS),
    seen("ACL LOG", entries),
    "CONFIG GET acllog-max-len",
    cleanup=("CONFIG SET acllog-max-len 128", *GONE),
)
case("channels of a new user", ("CONFIG GET acl-pubsub-default", {b"acl-pubsub-default": b"resetchannels"}))
