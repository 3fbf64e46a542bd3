"""Cases for reading the past, which Redis does not have. Sequence numbers and times differ from run to run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cases.case import Family, first_words, kind, on, seen, wait
from cases.strings import SYNTAX, arity
from wire import Reply

family = Family("history")
case = partial(family.case, oracle=False)

NO_MOMENT = (
    "is no moment; write one like 2026-11-26T10:15:00Z, '2026-11-26 10:15', -10m, 'yesterday 18:00', 18:00, now,"
)


def maps(replies: list[Reply]) -> list[dict[str, Any]]:
    """Maps of RESP3, or the arrays that RESP2 makes of them."""
    found = []
    for reply in replies:
        parts = reply.value
        found.append({name.value.decode(): value.value for name, value in zip(parts[::2], parts[1::2], strict=True)})
    return found


def told(*names: str) -> Callable[[Reply], list[tuple[Any, ...]]]:
    """Of each of an array of maps: what stands under these names."""

    def view(reply: Reply) -> Any:
        if reply.kind != "*":
            return reply
        return [tuple(each.get(name) for name in names) for each in maps(reply.value)]

    return view


def under(name: str, *names: str) -> Callable[[Reply], Any]:
    """The same of the array that stands under *name* in a map."""

    def view(reply: Reply) -> Any:
        if reply.kind not in "*%":
            return reply
        inner = maps([reply])[0][name]
        return told(*names)(Reply("*", inner)) if names else [part.value for part in inner]

    return view


def folded(reply: Reply) -> Any:
    """Names and numbers of KS.FOLDERS."""
    if reply.kind not in "*%":
        return reply
    return [tuple(part.value for part in each.value) for each in maps([reply])[0]["folders"]]


def equal(view: Callable[[Reply], Any], value: Any) -> Callable[[Reply], bool]:
    return lambda reply: bool(view(reply) == value)


def states(line: str, view: Callable[[Reply], Any], value: Any, on: str = "main") -> Any:
    return seen(line, view, equal(view, value), on)


def refused(line: str, words: str) -> Any:
    return seen(line, first_words(4), lambda reply: reply.kind == "-" and words.encode() in reply.value)


# ---- KS.HISTORY ------------------------------------------------------------------------------------------------------

case(
    "KS.HISTORY has the changes of a key, newest first",
    "SET k one",
    "APPEND k +",
    "SET k two EX 100",
    "PERSIST k",
    "DEL k",
    states(
        "KS.HISTORY k COUNT 5",
        told("operation", "value", "size"),
        [
            (b"delete", None, None),
            (b"persist", b"two", 3),
            (b"put", b"two", 3),
            (b"patch", b"one+", 4),
            (b"put", b"one", 3),
        ],
    ),
    states("ks.history k count 2", told("value"), [(None,), (b"two",)]),
    states("KS.HISTORY k COUNT 1 NOVALUES", told("operation", "value"), [(b"delete", None)]),
    states("KS.HISTORY k BEFORE 0", told("value"), []),
    states("KS.HISTORY never-was", told("value"), []),
)
case(
    "KS.HISTORY sees what others have written",
    on("other", "SET k of-another"),
    states("KS.HISTORY k COUNT 1", told("value", "user"), [(b"of-another", b"default")]),
)
case(
    "KS.HISTORY tells a flush, and of another database nothing",
    "SET k v",
    "FLUSHALL",
    states("KS.HISTORY k COUNT 2", told("operation", "value"), [(b"flush", None), (b"put", b"v")]),
    "SELECT 1",
    "SET k w",
    states("KS.HISTORY k COUNT 1", told("value"), [(b"w",)]),
)
case(
    "KS.HISTORY: wrong arguments",
    ("KS.HISTORY", arity("ks.history")),
    ("KS.HISTORY k COUNT", SYNTAX),
    ("KS.HISTORY k COUNT 0", "-ERR COUNT must be greater than 0"),
    ("KS.HISTORY k COUNT x", "-ERR value is not an integer or out of range"),
    ("KS.HISTORY k BEFORE -1", "-ERR value is out of range, must be positive"),
    ("KS.HISTORY k NOVALUE", SYNTAX),
)

# ---- KS.MOMENT -------------------------------------------------------------------------------------------------------

case(
    "KS.MOMENT has the last transaction by then",
    "SET k v",
    seen("KS.MOMENT now", kind, lambda reply: maps([reply])[0]["sequence"] > 0),
    ("KS.MOMENT 0", {b"sequence": 0, b"time-ms": 0}),
    refused("KS.MOMENT soon", f"ERR 'soon' {NO_MOMENT}"),
    ("KS.MOMENT", arity("ks.moment")),
)

# ---- KS.GET ----------------------------------------------------------------------------------------------------------

case(
    "KS.GET reads a key as it was",
    "SET k v",
    ("KS.GET k AT now", b"v"),
    ("ks.get k at 0", None),
    ("KS.GET k AT 1970-01-02", None),
    ("KS.GET never-was AT now", None),
)
case(
    "KS.GET: wrong arguments",
    ("KS.GET k", arity("ks.get")),
    ("KS.GET k now", arity("ks.get")),
    ("KS.GET k ON now", SYNTAX),
    ("KS.GET k AT now x", arity("ks.get")),
    refused("KS.GET k AT tomorrow", f"ERR 'tomorrow' {NO_MOMENT}"),
    refused("KS.GET k AT 99999999999", "ERR that has not happened: the last transaction is "),
    refused("KS.GET k AT 9999-12-31", "ERR '9999-12-31' is yet to come: it is 20"),
)

# ---- KS.KEYS ---------------------------------------------------------------------------------------------------------

case(
    "KS.KEYS has pages in order",
    "MSET p:2 b p:1 a p:3 c other x",
    states("KS.KEYS AT now PREFIX p: COUNT 2", under("keys"), [b"p:1", b"p:2"]),
    states("KS.KEYS AT now PREFIX p: AFTER p:2", under("keys"), [b"p:3"]),
    seen("KS.KEYS AT now PREFIX p: COUNT 2", kind, lambda reply: maps([reply])[0]["next"] == b"p:2"),
    seen("KS.KEYS AT now PREFIX p: COUNT 3", kind, lambda reply: maps([reply])[0]["next"] is None),
    states("KS.KEYS AT 0", under("keys"), []),
)
case(
    "KS.FOLDERS has folders with their numbers of keys, and the keys beside them",
    "MSET a:1 x a:2 x a:b:3 x b x c: x",
    states("KS.FOLDERS AT now DELIMITER :", folded, [(b"a:", 3), (b"b", None), (b"c:", 1)]),
    states("KS.FOLDERS AT now DELIMITER : PREFIX a:", folded, [(b"a:1", None), (b"a:2", None), (b"a:b:", 1)]),
    states("KS.FOLDERS AT now DELIMITER : COUNT 1", folded, [(b"a:", 3)]),
    states("KS.FOLDERS AT now DELIMITER : AFTER a:", folded, [(b"b", None), (b"c:", 1)]),
    states("KS.FOLDERS AT now DELIMITER : AFTER b", folded, [(b"c:", 1)]),
    states("KS.FOLDERS AT 0 DELIMITER :", folded, []),
    seen("KS.FOLDERS AT now DELIMITER : COUNT 1", kind, lambda reply: maps([reply])[0]["next"] == b"a:"),
    seen("KS.FOLDERS AT now DELIMITER : COUNT 3", kind, lambda reply: maps([reply])[0]["next"] is None),
    seen("KS.FOLDERS AT now DELIMITER : PREFIX a:", kind, lambda reply: maps([reply])[0]["total"] == 3),
    refused('KS.FOLDERS AT now DELIMITER ""', "ERR the delimiter must not be empty"),
)
case(
    "KS.KEYS shows values and expiries when told so",
    "SET k v",
    "SET short-lived w PXAT 9000000000000",
    seen(
        "KS.KEYS AT now VALUES",
        kind,
        lambda reply: (
            [[part.value for part in item.value] for item in maps([reply])[0]["keys"]]
            == [[b"k", b"v", None], [b"short-lived", b"w", 9_000_000_000_000]]
        ),
    ),
)

# ---- KS.DIFF ---------------------------------------------------------------------------------------------------------

case(
    "KS.DIFF has the keys that are not the same",
    "MSET a 1 b 2",
    states("KS.DIFF 0 now", under("changes", "key", "before", "after"), [(b"a", None, b"1"), (b"b", None, b"2")]),
    states("KS.DIFF now 0 PREFIX b", under("changes", "key", "before", "after"), [(b"b", b"2", None)]),
    states("KS.DIFF 0 now COUNT 1", under("changes", "key"), [(b"a",)]),
    states("KS.DIFF 0 now AFTER a", under("changes", "key"), [(b"b",)]),
    states("KS.DIFF now now", under("changes", "key"), []),
    refused("KS.DIFF 0 then", f"ERR 'then' {NO_MOMENT}"),
    ("KS.DIFF 0", arity("ks.diff")),
)

# ---- KS.DELETED ------------------------------------------------------------------------------------------------------

case(
    "KS.DELETED has what is gone, the last first, with its value",
    "MSET gone:1 a gone:2 b gone:3 c",
    "DEL gone:1",
    "DEL gone:2",
    states(
        "KS.DELETED PREFIX gone: COUNT 2",
        under("keys", "key", "operation", "value"),
        [(b"gone:2", b"delete", b"b"), (b"gone:1", b"delete", b"a")],
    ),
    "SET gone:2 back",
    states("KS.DELETED PREFIX gone: COUNT 1", under("keys", "key"), [(b"gone:1",)]),
    ("KS.DELETED BEFORE x", "-ERR value is not an integer or out of range"),
)

# ---- KS.LOG ----------------------------------------------------------------------------------------------------------


def keys_told(reply: Reply) -> list[list[bytes]]:
    """Of each transaction of a page."""
    found = maps(maps([reply])[0]["transactions"])
    return [[each["key"] for each in maps(transaction["operations"])] for transaction in found]


case(
    "KS.LOG has who did what",
    "CLIENT SETNAME importer",
    "MSET l:1 a l:2 b",
    seen(
        "KS.LOG AUTHOR importer FROM -1m PREFIX l:",
        kind,
        lambda reply: (
            (last := maps(maps([reply])[0]["transactions"])[-1])["client"] == b"importer"
            and told("operation", "db", "key", "size")(Reply("*", last["operations"]))
            == [(b"put", 0, b"l:1", 1), (b"put", 0, b"l:2", 1)]
        ),
    ),
    states("KS.LOG AUTHOR nobody-at-all", under("transactions"), []),
    "SET l:3 c",
    states("KS.LOG REV COUNT 1", under("transactions", "client"), [(b"importer",)]),
    states("KS.LOG BEFORE now AUTHOR importer PREFIX l: COUNT 2", keys_told, [[b"l:3"], [b"l:1", b"l:2"]]),
    states("KS.LOG REV FROM -1m AUTHOR importer PREFIX l: COUNT 2", keys_told, [[b"l:3"], [b"l:1", b"l:2"]]),
    states("KS.LOG REV AUTHOR nobody-at-all", under("transactions"), []),
    states("KS.LOG BEFORE 0", under("transactions"), []),
    ("KS.LOG BEFORE 1 REV", "-ERR syntax error"),
    refused("KS.LOG BEFORE whenever", f"ERR 'whenever' {NO_MOMENT}"),
    refused("KS.LOG FROM whenever", f"ERR 'whenever' {NO_MOMENT}"),
)

# ---- KS.UNDO ---------------------------------------------------------------------------------------------------------

case(
    "KS.UNDO undoes no transaction that has not happened",
    refused("KS.UNDO 99999999999", "NOTFOUND that has not happened: the last transaction is "),
    refused("KS.UNDO 99999999999 FORCE", "NOTFOUND that has not happened: the last transaction is "),
)
case(
    "KS.UNDO: wrong arguments",
    ("KS.UNDO", arity("ks.undo")),
    ("KS.UNDO first", "-ERR value is not an integer or out of range"),
    ("KS.UNDO -1", "-ERR value is out of range, must be positive"),
    ("KS.UNDO 1 ASK", SYNTAX),
    ("KS.UNDO 1 SKIP FORCE", SYNTAX),
    ("KS.UNDO 1 LIST REFUSE", SYNTAX),
)

# ---- KS.RESTORE ------------------------------------------------------------------------------------------------------


def restored(line: str, count: int = 1, without_expiry: int = 0, on: str = "main") -> Any:
    def view(reply: Reply) -> Any:
        if reply.kind not in "*%":
            return reply
        found = maps([reply])[0]
        return found["restored"], found["skipped"], len(found["without-expiry"])

    return states(line, view, (count, [], without_expiry), on)


case(
    "KS.RESTORE LAST brings back what a key had before it was removed",
    "SET k one",
    "SET k two EX 1000",
    "DEL k",
    restored("KS.RESTORE k LAST"),
    ("GET k", b"two"),
    seen("TTL k", kind, lambda reply: 990 < reply.value <= 1000),
    refused("KS.RESTORE k LAST", "CONFLICT the key exists; name the moment whose value it shall have"),
    refused("KS.RESTORE never-was LAST", "NOTFOUND there is no such key in what is kept of the past"),
)
case(
    "KS.RESTORE LAST brings back what has expired or was flushed, the one without its expiry",
    "SET k one",
    "FLUSHDB",
    restored("ks.restore k last"),
    ("GET k", b"one"),
    "SET k two PX 1",
    wait(0.05),
    restored("KS.RESTORE k LAST", without_expiry=1),
    ("GET k", b"two"),
    ("TTL k", -1),
)
case(
    "KS.RESTORE AT replaces what a key has now, and never deletes",
    "SET k v",
    restored("KS.RESTORE k AT now"),
    ("GET k", b"v"),
    refused("KS.RESTORE k AT 0", "NOTFOUND the key did not exist then"),
    ("GET k", b"v"),
)
case(
    "KS.RESTORE: wrong arguments",
    ("KS.RESTORE k", arity("ks.restore")),
    ("KS.RESTORE k AT", SYNTAX),
    ("KS.RESTORE k FIRST", SYNTAX),
    ("KS.RESTORE k LAST x", SYNTAX),
    refused("KS.RESTORE k AT tomorrow", f"ERR 'tomorrow' {NO_MOMENT}"),
    refused("KS.RESTORE k AT 99999999999", "ERR that has not happened: the last transaction is "),
)

# ---- In transactions, and for restricted users -----------------------------------------------------------------------

case(
    "the past is not read within MULTI",
    "MULTI",
    ("KS.HISTORY k", "-ERR Command not allowed inside a transaction"),
    seen("EXEC", first_words(1), lambda reply: reply.value.startswith(b"EXECABORT")),
)
case(
    "nothing is undone within MULTI",
    "MULTI",
    ("KS.UNDO 1", "-ERR Command not allowed inside a transaction"),
    ("KS.RESTORE k LAST", "-ERR Command not allowed inside a transaction"),
    seen("EXEC", first_words(1), lambda reply: reply.value.startswith(b"EXECABORT")),
)
case(
    "a restricted user brings back what it may write",
    "MSET open:1 a secret:1 b",
    "DEL open:1 secret:1",
    "ACL SETUSER writer on nopass ~open:* +@all",
    on("writer", "AUTH writer x", "OK"),
    seen("KS.RESTORE secret:1 LAST", first_words(1), lambda reply: reply.value.startswith(b"NOPERM"), on="writer"),
    restored("KS.RESTORE open:1 LAST", on="writer"),
    ("MGET open:1 secret:1", [b"a", None]),
    "ACL SETUSER writer -@write",
    seen("KS.RESTORE open:1 AT now", first_words(1), lambda reply: reply.value.startswith(b"NOPERM"), on="writer"),
    cleanup=("ACL DELUSER writer",),
)
case(
    "a restricted user sees the past of what it may read",
    "MSET open:1 a secret:1 b",
    "DEL open:1 secret:1",
    "MSET open:2 c secret:2 d",
    "ACL SETUSER reader on nopass ~open:* +@read +auth",
    on("reader", "AUTH reader x", "OK"),
    seen("KS.HISTORY secret:2", first_words(1), lambda reply: reply.value.startswith(b"NOPERM"), on="reader"),
    seen("KS.GET secret:2 AT now", first_words(1), lambda reply: reply.value.startswith(b"NOPERM"), on="reader"),
    states("KS.HISTORY open:2 COUNT 1", told("value"), [(b"c",)], on="reader"),
    states("KS.KEYS AT now COUNT 1", under("keys"), [b"open:2"], on="reader"),
    seen(
        "KS.FOLDERS AT now DELIMITER :",
        first_words(1),
        lambda reply: reply.value.startswith(b"NOPERM a folder's number"),
        on="reader",
    ),
    states("KS.DIFF 0 now", under("changes", "key"), [(b"open:2",)], on="reader"),
    seen(
        "KS.DELETED COUNT 1",
        kind,
        lambda reply: told("key")(Reply("*", maps([reply])[0]["keys"])) == [(b"open:1",)],
        on="reader",
    ),
    seen(
        "KS.LOG FROM -1m PREFIX open: COUNT 1000",
        kind,
        lambda reply: b"secret" not in repr(reply).encode() and b"open" in repr(reply).encode(),
        on="reader",
    ),
    cleanup=("ACL DELUSER reader",),
)

HISTORY_CASES = family.cases
