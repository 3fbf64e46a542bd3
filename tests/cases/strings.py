"""Strings: SET and its relatives, counters, ranges, LCS."""

from __future__ import annotations

from cases.case import Family, kind, seen, wait

family = Family("strings")
case = family.case

NO_INTEGER = "-ERR value is not an integer or out of range"
NO_FLOAT = "-ERR value is not a valid float"
SYNTAX = "-ERR syntax error"
WRONGTYPE = "-WRONGTYPE Operation against a key holding the wrong kind of value"

# Written as Redis would never write a number; Python's int() takes several of them.
NOT_INTEGERS = (
    '""', "abc", "1_0", '" 1"', '"1 "', "+1", "0x10", "0b1", "0o7", "1.0", "1e3", "-", "--1", "01", "-0", "00", "-01",
    "9223372036854775808", "-9223372036854775809", "99999999999999999999999", r'"1\x00"', r'"\x00"', r'"1\n"', "½",
    r'"\xd9\xa1"',
)  # fmt: skip


def arity(command: str) -> str:
    return f"-ERR wrong number of arguments for '{command}' command"


# ---- SET, GET --------------------------------------------------------------------------------------------------------

case("GET of what SET stored", ("SET k v", "OK"), ("GET k", b"v"), ("GET absent", None), ("STRLEN k", 1))
case("names in any case", "set k v", "Get k", "gEt k", "SeT k w nX", "GET k", "set k w xX gEt", "GET k")
case("empty key, empty value", ('SET "" ""', "OK"), ('GET ""', b""), ('EXISTS ""', 1), ('STRLEN ""', 0))
case(
    "binary keys and values",
    (r'SET "\x00\xff\r\n" "\x00\x01\r\n\xfe"', "OK"),
    (r'GET "\x00\xff\r\n"', b"\x00\x01\r\n\xfe"),
    r'GET "\x00\xff"',
    (r'STRLEN "\x00\xff\r\n"', 5),
    "KEYS *",
)
case("invalid UTF-8 in key, value and command", r'SET "\xc3\x28" "\xed\xa0\x80"', r'GET "\xc3\x28"', r'"\xc3\x28" x')
case("SET replaces and drops the expiry", "SET k 1 EX 100", "TTL k", ("SET k 2", "OK"), ("TTL k", -1))
case(
    "SET KEEPTTL keeps it",
    "SET k 1 EX 100",
    ("SET k 2 KEEPTTL", "OK"),
    "TTL k",
    "GET k",
    "SET new v keepttl",
    "TTL new",
)
case("SET NX leaves an existing value", "SET k v", ("SET k w NX", None), ("GET k", b"v"), ("SET n w NX", "OK"), "GET n")
case("SET XX wants an existing value", ("SET k v XX", None), ("EXISTS k", 0), "SET k v", ("SET k w XX", "OK"), "GET k")
case(
    "SET GET answers the old value",
    ("SET k v GET", None),
    ("SET k w GET", b"v"),
    ("GET k", b"w"),
    ("SET k x NX GET", b"w"),
    ("GET k", b"w"),
    ("SET n x NX GET", None),
    ("GET n", b"x"),
    ("SET k y XX GET", b"w"),
    ("SET m y XX GET", None),
    ("EXISTS m", 0),
)
for option in ("EX 100", "PX 100000", "EXAT 33177117420", "PXAT 33177117420000", "ex 100", "Px 100000"):
    case(f"SET {option}", (f"SET k v {option}", "OK"), "TTL k", "PTTL k", "GET k")
case(
    "SET options in any order",
    "SET k v EX 100 NX",
    "TTL k",
    "SET k v XX EX 50 GET",
    "TTL k",
    "SET k v GET PX 9000 XX",
    "PTTL k",
)
case(
    "SET refuses conflicting options",
    *[
        (f"SET k v {options}", SYNTAX)
        for options in (
            "NX XX", "XX NX", "EX 1 PX 1", "EX 1 KEEPTTL", "KEEPTTL EX 1", "PX 1 EXAT 9", "EXAT 1 PXAT 1",
            "PXAT 1 KEEPTTL",
            "EX", "PX", "EXAT", "PXAT", "NX EX", "FOO", "NX FOO", "GET EX", '""', "EX 1 FOO", "1 EX", "IFEQ",
        )
    ],
    ("EXISTS k", 0),
)  # fmt: skip
case(
    "SET takes an option twice when it says the same",
    "SET k v NX NX",
    "SET k v XX XX",
    "SET k v GET GET",
    "SET k v KEEPTTL KEEPTTL",
    "SET k v EX 100 EX 200",
    "TTL k",
)
for option in ("EX", "PX", "EXAT", "PXAT"):
    case(
        f"SET {option} refuses what is no time",
        *[(f"SET k v {option} {number}", NO_INTEGER) for number in NOT_INTEGERS if number != "-0"],
        *[
            (f"SET k v {option} {number}", "-ERR invalid expire time in 'set' command")
            for number in ("0", "-1", "-9223372036854775808")
        ],
        f"SET k v {option} -0",
        f"SET k v {option} 9223372036854775807",
        f"SET k v {option} 9223372036854775",
        f"SET k v {option} 9223372036854776",
        "EXISTS k",
    )
case("SET EXAT in the past deletes", "SET k v", ("SET k w EXAT 1", "OK"), ("GET k", None), ("EXISTS k", 0), "DBSIZE")
case(
    "SET PXAT in the past deletes",
    "SET k v",
    ("SET k w PXAT 1 GET", b"v"),
    ("GET k", None),
    "SET k w NX PXAT 1",
    "TTL k",
)
case("SET errors before it looks at the key", "SET k v", "SET k w NX EX 0", "SET k w NX EX abc", ("GET k", b"v"))
case(
    "SET PX ends on time",
    "SET k v PX 250",
    ("GET k", b"v"),
    wait(0.26),
    ("GET k", None),
    ("EXISTS k", 0),
    ("TTL k", -2),
)
case(
    "wrong number of arguments for strings",
    *[
        (line, arity(line.split()[0].lower()))
        for line in (
            "SET", "SET k", "GET", "GET a b", "SETNX", "SETNX k", "SETNX k v w", "SETEX", "SETEX k", "SETEX k 1",
            "SETEX k 1 v w",
            "PSETEX k 1", "GETSET k", "GETSET k v w", "GETDEL", "GETDEL a b", "GETEX", "MGET", "MSET", "MSET k",
            "MSET a 1 b",
            "MSETNX", "MSETNX a", "MSETNX a 1 b", "APPEND k", "APPEND k v w", "STRLEN", "STRLEN a b", "GETRANGE k 0",
            "GETRANGE k 0 1 2",
            "SUBSTR k 0", "SETRANGE k 0", "SETRANGE k 0 v w", "INCR", "INCR a b", "DECR", "DECR a b", "INCRBY k",
            "INCRBY k 1 2",
            "DECRBY k", "DECRBY k 1 2", "INCRBYFLOAT k", "INCRBYFLOAT k 1 2", "LCS", "LCS a",
        )
    ],
)  # fmt: skip
case("the name in an arity error is the declared one", ("gEt", arity("get")), ("SeTnX k", arity("setnx")), "mSeT a 1 b")

# ---- SETNX, SETEX, PSETEX, GETSET, GETDEL, GETEX ---------------------------------------------------------------------

case("SETNX", ("SETNX k v", 1), ("SETNX k w", 0), ("GET k", b"v"), "TTL k")
case("SETNX on an expired key", "SET k v PX 10", wait(0.02), ("SETNX k w", 1), ("GET k", b"w"), ("TTL k", -1))
case("SETEX and PSETEX", ("SETEX k 100 v", "OK"), "TTL k", "GET k", ("PSETEX k 9000 w", "OK"), "PTTL k", "GET k")
for command in ("SETEX", "PSETEX"):
    case(
        f"{command} refuses what is no time",
        *[(f"{command} k {number} v", NO_INTEGER) for number in NOT_INTEGERS if number != "-0"],
        *[
            f"{command} k {number} v"
            for number in ("-0", "0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854776")
        ],
        "EXISTS k",
    )
case(
    "GETSET", ("GETSET k v", None), ("GETSET k w", b"v"), ("GET k", b"w"), "SET k x EX 100", "GETSET k y", ("TTL k", -1)
)
case("GETDEL", "SET k v", ("GETDEL k", b"v"), ("GETDEL k", None), ("EXISTS k", 0))
case(
    "GETEX without options reads only",
    "SET k v EX 100",
    ("GETEX k", b"v"),
    "TTL k",
    ("GETEX absent", None),
    ("GETEX absent EX 10", None),
    "EXISTS absent",
)
for option in ("EX 50", "PX 50000", "EXAT 33177117420", "PXAT 33177117420000", "ex 50"):
    case(f"GETEX {option}", "SET k v", (f"GETEX k {option}", b"v"), "TTL k", "PTTL k")
case("GETEX PERSIST", "SET k v EX 100", ("GETEX k PERSIST", b"v"), ("TTL k", -1), ("GETEX k persist", b"v"))
case(
    "GETEX in the past deletes",
    "SET k v",
    ("GETEX k EXAT 1", b"v"),
    ("EXISTS k", 0),
    "SET k v",
    "GETEX k PXAT 1",
    "EXISTS k",
)
case(
    "GETEX refuses",
    "SET k v",
    *[
        (f"GETEX k {options}", SYNTAX)
        for options in ("EX", "FOO", "EX 1 PX 1", "EX 1 PERSIST", "PERSIST EX 1", "NX", "KEEPTTL", "GET", '""')
    ],
    *[f"GETEX k EX {number}" for number in (*NOT_INTEGERS, "0", "-1", "9223372036854775807", "9223372036854775")],
    *[f"GETEX k PXAT {number}" for number in ("0", "-1", "x", "9223372036854775808")],
    "GETEX absent EX 0",
    "GETEX absent EX abc",
    "GETEX absent FOO",
    "GETEX k PERSIST PERSIST",
    ("TTL k", -1),
)

# ---- MGET, MSET, MSETNX ----------------------------------------------------------------------------------------------

case("MGET", "MSET a 1 b 2", ("MGET a b absent a", [b"1", b"2", None, b"1"]), "MGET absent", 'MGET "" a')
case("MSET", ("MSET a 1 b 2 a 3", "OK"), ("GET a", b"3"), "SET a x EX 100", "MSET a y", ("TTL a", -1))
case(
    "MSETNX is all or nothing",
    ("MSETNX a 1 b 2", 1),
    ("MSETNX b 3 c 4", 0),
    ("EXISTS c", 0),
    ("GET b", b"2"),
    "MSETNX d 1 d 2",
    "GET d",
)
case("MSETNX over an expired key", "SET a 1 PX 10", wait(0.02), ("MSETNX a 2 b 3", 1), "MGET a b", "TTL a")
case(
    "MSET with many keys",
    "MSET " + " ".join(f"k{n} {n}" for n in range(300)),
    "DBSIZE",
    "MGET " + " ".join(f"k{n}" for n in range(301)),
)

# ---- APPEND, STRLEN, ranges ------------------------------------------------------------------------------------------

case(
    "APPEND",
    ("APPEND k ab", 2),
    ("APPEND k cd", 4),
    ("GET k", b"abcd"),
    ('APPEND k ""', 4),
    ('APPEND n ""', 0),
    "EXISTS n",
    "TYPE n",
)
case("APPEND keeps the expiry", "SET k v EX 100", "APPEND k w", "TTL k", "GET k")
case("APPEND to a number makes text", "SET k 12", "APPEND k 3", ("INCR k", 124), "APPEND k x", ("INCR k", NO_INTEGER))
case("STRLEN", 'SET k "héllo"', ("STRLEN k", 6), ("STRLEN absent", 0))
_RANGES = (
    "0 -1",
    "0 0",
    "1 3",
    "-3 -1",
    "-100 100",
    "3 1",
    "10 20",
    "-1 -3",
    "0 100",
    "5 5",
    "4 4",
    "-5 -5",
    "-6 -6",
    "-100 -50",
    "0 -6",
)
case(
    "GETRANGE",
    "SET k Hello",
    *[f"GETRANGE k {r}" for r in _RANGES],
    *[f"SUBSTR k {r}" for r in _RANGES],
    ("GETRANGE absent 0 -1", b""),
    "GETRANGE k 9223372036854775807 9223372036854775807",
    "GETRANGE k -9223372036854775808 -9223372036854775808",
    "GETRANGE k -9223372036854775808 9223372036854775807",
    "SET n 12345",
    ("GETRANGE n 1 2", b"23"),
    'SET e ""',
    ("GETRANGE e 0 -1", b""),
)
case(
    "GETRANGE refuses what is no integer",
    *[(f"GETRANGE k {n} 1", NO_INTEGER) for n in NOT_INTEGERS],
    *[(f"GETRANGE k 0 {n}", NO_INTEGER) for n in NOT_INTEGERS],
)
case(
    "SETRANGE",
    "SET k Hello",
    ("SETRANGE k 1 ipp", 5),
    ("GET k", b"Hippo"),
    ("SETRANGE k 5 s", 6),
    ("SETRANGE k 8 !", 9),
    ("GET k", b"Hippos\x00\x00!"),
    ("SETRANGE absent 3 x", 4),
    ("GET absent", b"\x00\x00\x00x"),
    ('SETRANGE none 0 ""', 0),
    ('SETRANGE none 5 ""', 0),
    ("EXISTS none", 0),
    ('SETRANGE k 2 ""', 9),
    ('SETRANGE k 100 ""', 9),
)
case(
    "SETRANGE keeps the expiry",
    "SET k v EX 100",
    "SETRANGE k 0 w",
    "TTL k",
    "SET n 100",
    "SETRANGE n 1 9",
    ("INCR n", 191),
)
case(
    "SETRANGE refuses",
    *[(f"SETRANGE k {n} v", NO_INTEGER) for n in NOT_INTEGERS],
    ("SETRANGE k -1 v", "-ERR offset is out of range"),
    'SETRANGE k -1 ""',
    "SET k v",
    'SETRANGE k -1 ""',
    "SETRANGE k -9223372036854775808 v",
    "SETRANGE k 536870911 ab",
    "SETRANGE k 536870912 a",
    "SETRANGE k 4294967296 a",
    "SETRANGE k 9223372036854775807 a",
    'SETRANGE k 9223372036854775807 ""',
    ("GET k", b"v"),
)

# ---- counters --------------------------------------------------------------------------------------------------------

case(
    "INCR and DECR",
    ("INCR k", 1),
    ("INCR k", 2),
    ("DECR k", 1),
    ("INCRBY k 10", 11),
    ("DECRBY k 20", -9),
    ("GET k", b"-9"),
    "DECR n",
)
case("counters keep the expiry", "SET k 1 EX 100", "INCR k", "TTL k", "INCRBYFLOAT k 1.5", "TTL k")
case("INCRBY of nothing creates the key", ("INCRBY k 0", 0), ("GET k", b"0"), "DECRBY n 0", "GET n")
case(
    "counters refuse values that are no integers",
    *[
        step
        for n in NOT_INTEGERS
        for step in (f"SET k {n}", ("INCR k", NO_INTEGER), ("INCRBY k 1", NO_INTEGER), "DECR k", "GET k")
    ],
)
case(
    "counters refuse increments that are no integers",
    *[(f"INCRBY k {n}", NO_INTEGER) for n in NOT_INTEGERS],
    *[(f"DECRBY k {n}", NO_INTEGER) for n in NOT_INTEGERS],
    ("EXISTS k", 0),
)
case(
    "counters stop at 64 bits",
    "SET k 9223372036854775807",
    ("INCR k", "-ERR increment or decrement would overflow"),
    "INCRBY k 1",
    "DECRBY k -1",
    "GET k",
    ("INCRBY k -9223372036854775808", -1),
    "SET k -9223372036854775808",
    ("DECR k", "-ERR increment or decrement would overflow"),
    "INCRBY k -1",
    "DECRBY k 1",
    ("DECRBY k -9223372036854775808", "-ERR decrement would overflow"),
    ("INCRBY k 9223372036854775807", -1),
    "GET k",
)
case("INCR on an expired key starts at nothing", "SET k 5 PX 10", wait(0.02), ("INCR k", 1), ("TTL k", -1))

case(
    "INCRBYFLOAT",
    "SET k 10.50",
    ("INCRBYFLOAT k 0.1", b"10.6"),
    ("INCRBYFLOAT k -5", b"5.6"),
    "SET k 5.0e3",
    ("INCRBYFLOAT k 2.0e2", b"5200"),
    ("INCRBYFLOAT n 1.5", b"1.5"),
    ("GET n", b"1.5"),
    "INCRBYFLOAT n -1.5",
    "GET n",
)
case(
    "INCRBYFLOAT writes numbers as Redis does",
    *[
        step
        for value, increment in (
            ("0", "0"), ("0", "-0"), ("1", "0.1"), ("0.1", "0.2"), ("3", "1e-5"), ("0", "1e-10"), ("0", "1e-17"),
            ("0", "1e-18"),
            ("1", "1e17"), ("0", "1e20"), ("0", "123456789.123456789"), ("1.0", "1.0"), ("-1.5", "1.5"),
            ("0", "3.14159265358979"),
            ("0", "5e-1"), ("0", ".5"), ("0", "5."), ("10", "-0.0001"), ("1e3", "1E3"), ("9007199254740993", "0"),
            ("0", "0x10"),
            ("9223372036854775807", "1"), ("0", "1.7"), ("1.1", "1.1"), ("0", "100"), ("0", "-0.0"),
        )
        for step in (f"SET k {value}", f"INCRBYFLOAT k {increment}", "GET k")
    ],
)  # fmt: skip
case(
    "INCRBYFLOAT refuses what is no float",
    *[
        f"INCRBYFLOAT k {n}"
        for n in ('""', "abc", "1_0", '" 1"', '"1 "', "--1", "1e", "nan", "-nan", r'"1\x00"', "1.5.5", "½", "1,5")
    ],
    *[
        step
        for n in ('""', "abc", '" 1"', '"1 "', "nan", "1_0", r'"1\x00"')
        for step in (f"SET v {n}", "INCRBYFLOAT v 1", "GET v")
    ],
    ("INCRBYFLOAT k inf", "-ERR increment would produce NaN or Infinity"),
    "INCRBYFLOAT k -inf",
    "INCRBYFLOAT k +inf",
    "INCRBYFLOAT k Infinity",
    "INCRBYFLOAT k +1",
    "SET v inf",
    "INCRBYFLOAT v 1",
    "GET k",
)

# ---- LCS -------------------------------------------------------------------------------------------------------------

case(
    "LCS",
    "MSET a ohmytext b mynewtext",
    ("LCS a b", b"mytext"),
    ("LCS a b LEN", 6),
    ("LCS a absent", b""),
    ("LCS x y LEN", 0),
    "LCS a a",
)
case(
    "LCS IDX",
    "MSET a ohmytext b mynewtext",
    ("LCS a b IDX", {b"matches": [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], b"len": 6}),
    ("LCS a b IDX MINMATCHLEN 4", {b"matches": [[[4, 7], [5, 8]]], b"len": 6}),
    ("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", {b"matches": [[[4, 7], [5, 8], 4]], b"len": 6}),
    "LCS a b IDX WITHMATCHLEN",
    "LCS a b withmatchlen idx minmatchlen 3",
    "LCS a b IDX MINMATCHLEN 0",
    "LCS a b IDX MINMATCHLEN -5",
    "LCS a b IDX MINMATCHLEN 100",
    "LCS a absent IDX",
    "LCS a b MINMATCHLEN 4",
    "LCS a b WITHMATCHLEN",
    "LCS a b LEN WITHMATCHLEN MINMATCHLEN 2",
)
case(
    "LCS of harder texts",
    "MSET a abcbdabxyz b bdcabaxz c aaaa d aa e 12345 f 54321",
    *[
        f"LCS {x} {y}{o}"
        for x, y in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("e", "f"), ("a", "c"))
        for o in ("", " LEN", " IDX WITHMATCHLEN")
    ],
)
case(
    "LCS refuses",
    "MSET a 1 b 2",
    ("LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX."),
    ("LCS a b FOO", SYNTAX),
    "LCS a b MINMATCHLEN",
    "LCS a b MINMATCHLEN x",
    "LCS a b IDX MINMATCHLEN 1 2",
    "LCS absent absent FOO",
)

# ---- the wrong type --------------------------------------------------------------------------------------------------

case(
    "string commands refuse a list",
    "RPUSH l a b",
    *[
        (line, WRONGTYPE)
        for line in (
            "GET l", "GETSET l v", "GETDEL l", "GETEX l", "GETEX l EX 10", "APPEND l v", "STRLEN l", "GETRANGE l 0 1",
            "SUBSTR l 0 1",
            "SETRANGE l 0 v", "INCR l", "DECR l", "INCRBY l 1", "DECRBY l 1", "INCRBYFLOAT l 1", "SET l v GET",
            "SET l v NX GET",
        )
    ],
    ("LCS l l", "-ERR The specified keys must contain string values"),
    ("SETNX l v", 0),
    ("SET l v NX", None),
    ("MGET l", [None]),
    ("MSETNX l v", 0),
    ("SET l v", "OK"),
    ("TYPE l", "string"),
    needs="collections",
)  # fmt: skip
case(
    "SETEX and MSET replace a list",
    "RPUSH l a",
    "SETEX l 100 v",
    "TYPE l",
    "DEL l",
    "RPUSH l a",
    "MSET l v",
    "TYPE l",
    needs="collections",
)
case(
    "a long value",
    "SET k " + "x" * 100_000,
    "STRLEN k",
    "APPEND k " + "y" * 100_000,
    "GETRANGE k 99998 100001",
    seen("GET k", kind),
)
