"""Bits of strings: SETBIT GETBIT BITCOUNT BITPOS BITOP BITFIELD BITFIELD_RO."""

from __future__ import annotations

from cases.case import Family
from cases.strings import NO_INTEGER, NOT_INTEGERS, SYNTAX, WRONGTYPE, arity

family = Family("bits")
case = family.case

NO_OFFSET = "-ERR bit offset is not an integer or out of range"
NO_BIT = "-ERR bit is not an integer or out of range"
NO_TYPE = "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."

case(
    "wrong number of arguments for bits",
    *[
        (line, arity(line.split()[0].lower()))
        for line in (
            "SETBIT", "SETBIT k", "SETBIT k 0", "SETBIT k 0 1 2", "GETBIT", "GETBIT k", "GETBIT k 0 1", "BITCOUNT",
            "BITPOS", "BITPOS k",
            "BITOP", "BITOP AND", "BITOP AND d", "BITFIELD", "BITFIELD_RO",
        )
    ],
)  # fmt: skip

# ---- SETBIT, GETBIT --------------------------------------------------------------------------------------------------

case(
    "SETBIT and GETBIT",
    ("SETBIT k 7 1", 0),
    ("GET k", b"\x01"),
    ("SETBIT k 7 0", 1),
    ("GET k", b"\x00"),
    ("SETBIT k 0 1", 0),
    ("GET k", b"\x80"),
    ("GETBIT k 0", 1),
    ("GETBIT k 1", 0),
    ("GETBIT k 1000", 0),
    ("GETBIT absent 0", 0),
    ("SETBIT n 20 0", 0),
    ("GET n", b"\x00\x00\x00"),
    "SETBIT k 4095 1",
    "STRLEN k",
)
case(
    "SETBIT on text and numbers",
    "SET k foobar",
    "SETBIT k 6 1",
    "GET k",
    "SET n 10",
    "SETBIT n 7 0",
    ("GET n", b"00"),
    "INCR n",
    "SETBIT m 2 1",
    "SETBIT m 3 1",
    ("INCR m", 1),
)
case("SETBIT keeps the expiry", "SET k v EX 100", "SETBIT k 1 0", "TTL k")
case(
    "SETBIT and GETBIT refuse",
    *[
        (f"SETBIT k {n} 1", NO_OFFSET)
        for n in (*NOT_INTEGERS, "-1", "4294967296", "9223372036854775807", "-9223372036854775808")
    ],
    *[(f"GETBIT k {n}", NO_OFFSET) for n in (*NOT_INTEGERS, "-1", "4294967296", "9223372036854775807")],
    *[(f"SETBIT k 0 {n}", NO_BIT) for n in (*NOT_INTEGERS, "2", "-1", "11", "9223372036854775807")],
    "SETBIT k x y",
    ("EXISTS k", 0),
    "GETBIT k 4294967295",
)

# ---- BITCOUNT --------------------------------------------------------------------------------------------------------

_RANGES = (
    "0 0", "1 1", "0 -1", "-2 -1", "-100 100", "2 1", "10 20", "-1 -2", "0 100", "-100 -50", "5 5", "6 6", "0 5",
    "1 -2", "3 3", "-6 -6",
    "0 9223372036854775807", "-9223372036854775808 9223372036854775807", "9223372036854775807 9223372036854775807",
)  # fmt: skip
case(
    "BITCOUNT",
    "SET k foobar",
    ("BITCOUNT k", 26),
    ("BITCOUNT k 0 0", 4),
    ("BITCOUNT k 1 1", 6),
    ("BITCOUNT absent", 0),
    'SET e ""',
    "BITCOUNT e",
)
case(
    "BITCOUNT ranges",
    "SET k foobar",
    *[f"BITCOUNT k {r}" for r in _RANGES],
    *[f"BITCOUNT k {r} BYTE" for r in _RANGES],
    *[f"BITCOUNT k {r} BIT" for r in _RANGES],
    ("BITCOUNT k 5 30 BIT", 17),
    "BITCOUNT k 1 46 bit",
    "BITCOUNT k 7 8 BIT",
    "BITCOUNT k -47 -2 BIT",
    "BITCOUNT k -1 -1 BIT",
    "BITCOUNT absent 0 0",
    "BITCOUNT absent 5 3 BIT",
)
case("BITCOUNT of a number", "SET n 12345", "BITCOUNT n", "BITCOUNT n 1 2", "BITCOUNT n 3 17 BIT")
case(
    "BITCOUNT refuses",
    "SET k v",
    *[(f"BITCOUNT k {rest}", SYNTAX) for rest in ("0", "0 1 BYTES", "0 1 BIT 1", '0 1 ""', "0 1 2 3", "x")],
    *[(f"BITCOUNT k {n} 1", NO_INTEGER) for n in NOT_INTEGERS],
    *[(f"BITCOUNT k 0 {n}", NO_INTEGER) for n in NOT_INTEGERS],
    "BITCOUNT k x 1 FOO",
    "BITCOUNT k 0 x BIT",
)

# ---- BITPOS ----------------------------------------------------------------------------------------------------------

case(
    "BITPOS",
    r'SET k "\xff\xf0\x00"',
    ("BITPOS k 0", 12),
    ("BITPOS k 1", 0),
    r'SET z "\x00\xff\xf0"',
    ("BITPOS z 1", 8),
    ("BITPOS z 1 2", 16),
    r'SET full "\xff\xff\xff"',
    ("BITPOS full 0", 24),
    ("BITPOS full 0 0", 24),
    ("BITPOS full 0 0 -1", -1),
    ("BITPOS full 0 1 2", -1),
    r'SET none "\x00\x00\x00"',
    ("BITPOS none 1", -1),
    ("BITPOS none 0", 0),
    ("BITPOS absent 0", 0),
    ("BITPOS absent 1", -1),
    ("BITPOS absent 0 0 -1", 0),
    "BITPOS absent 1 5 9",
    'SET e ""',
    "BITPOS e 0",
    "BITPOS e 1",
    "BITPOS e 0 0 -1",
)
case(
    "BITPOS ranges",
    r'SET k "\x00\xff\xf0\x0f\xff\x00"',
    r'SET f "\xff\xff\xff"',
    *[f"BITPOS {k} {bit} {r}{unit}" for k in "kf" for bit in "01" for r in _RANGES for unit in ("", " BYTE", " BIT")],
    *[
        f"BITPOS {k} {bit} {start}"
        for k in "kf"
        for bit in "01"
        for start in ("0", "1", "2", "3", "-1", "-2", "-3", "10", "-10")
    ],
    *[
        f"BITPOS k {bit} {r} bit"
        for bit in "01"
        for r in ("7 15", "8 8", "9 20", "12 27", "20 27", "21 -1", "-20 -9", "15 16")
    ],
)
case(
    "BITPOS refuses",
    *[(f"BITPOS k {n}", NO_INTEGER) for n in NOT_INTEGERS],
    ("BITPOS k 2", "-ERR The bit argument must be 1 or 0."),
    ("BITPOS k -1", "-ERR The bit argument must be 1 or 0."),
    "SET k v",
    *[f"BITPOS k 1 {n}" for n in NOT_INTEGERS],
    *[f"BITPOS k 1 0 {n}" for n in NOT_INTEGERS],
    *[f"BITPOS k 1 {rest}" for rest in ("0 1 BYTES", "0 1 BIT 2", "0 BIT", '0 1 ""')],
)

# ---- BITOP -----------------------------------------------------------------------------------------------------------

case(
    "BITOP",
    r'MSET a "\x0f\xf0\xff" b "\x33\x33" c "\xff" n 123',
    ("BITOP AND d a b", 3),
    ("GET d", b"\x03\x30\x00"),
    ("BITOP OR d a b", 3),
    ("GET d", b"\x3f\xf3\xff"),
    ("BITOP XOR d a b c", 3),
    "GET d",
    ("BITOP NOT d a", 3),
    ("GET d", b"\xf0\x0f\x00"),
    "BITOP and d a absent",
    "GET d",
    "BITOP Or d absent a",
    "GET d",
    "BITOP xor d a a",
    "GET d",
    "BITOP AND d n c",
    "GET d",
    "BITOP AND a a",
    "BITOP NOT a a",
    "GET a",
)
case(
    "BITOP of nothing deletes the destination",
    "SET d v EX 100",
    ("BITOP AND d x y", 0),
    ("EXISTS d", 0),
    "SET d v",
    "BITOP NOT d x",
    "EXISTS d",
)
case("BITOP drops the expiry of the destination", "SET d v EX 100", "SET a 1", "BITOP OR d a", ("TTL d", -1))
case(
    "BITOP of empty strings",
    'SET e ""',
    "SET d v",
    ("BITOP OR d e", 0),
    ("EXISTS d", 0),
    "SET a x",
    "BITOP AND d e a",
    "GET d",
)
case(
    "BITOP over long strings",
    "SET a " + "ab" * 500,
    "SET b " + "xyz" * 300,
    *[x for op in ("AND", "OR", "XOR") for x in (f"BITOP {op} d a b", "GET d")],
)
case(
    "BITOP refuses",
    ("BITOP FOO d a", SYNTAX),
    'BITOP "" d a',
    ("BITOP NOT d a b", "-ERR BITOP NOT must be called with a single source key."),
    "BITOP NAND d a",
    ("EXISTS d", 0),
)

# ---- BITFIELD --------------------------------------------------------------------------------------------------------

case(
    "BITFIELD",
    ("BITFIELD k", []),
    ("EXISTS k", 0),
    ("BITFIELD k GET u8 0", [0]),
    ("EXISTS k", 0),
    ("BITFIELD k SET u8 0 255 GET u8 0 GET u4 4 GET i8 0", [0, 255, 15, -1]),
    ("GET k", b"\xff"),
    ("BITFIELD k SET i8 8 -128 GET i8 8", [0, -128]),
    ("BITFIELD k INCRBY u8 0 1", [0]),
    ("BITFIELD k set u8 #1 7 get u8 #1 Get u8 #0", [128, 7, 0]),
    "GET k",
    ("BITFIELD k INCRBY i5 100 1 GET u4 0", [1, 0]),
    "GET k",
    "BITFIELD k SET i64 0 -1 GET i64 0 GET u63 0 GET u63 1 GET u1 3 GET i1 3",
    "BITFIELD k SET i64 #2 9223372036854775807 GET i64 #2",
    "BITFIELD k SET u63 3 9223372036854775807 GET u63 3",
    "GET k",
    "STRLEN k",
)
case("BITFIELD keeps the expiry", "SET k v EX 100", "BITFIELD k SET u8 0 1", "TTL k")
case("BITFIELD on a number", "SET n 100", "BITFIELD n GET u8 0 INCRBY u8 #2 1", "GET n", ("INCR n", 102))
case(
    "BITFIELD GET beyond the end",
    "SET k ab",
    "BITFIELD k GET u8 8 GET u16 8 GET i64 8 GET u8 1000 GET i63 12",
    "STRLEN k",
)
for overflow in ("WRAP", "SAT", "FAIL"):
    case(
        f"BITFIELD OVERFLOW {overflow}",
        f"BITFIELD k OVERFLOW {overflow} SET u8 0 250",
        *[
            f"BITFIELD k OVERFLOW {overflow} {change}"
            for change in (
                "INCRBY u8 0 10", "INCRBY u8 0 -20", "SET u8 0 256", "SET u8 0 -1", "SET i8 8 127", "INCRBY i8 8 1",
                "SET i8 8 -128",
                "INCRBY i8 8 -1", "SET i8 8 128", "SET i8 8 -129", "SET i8 8 1000", "INCRBY u2 100 3",
                "INCRBY u2 100 1", "INCRBY u2 102 -1",
                "SET i64 128 9223372036854775807", "INCRBY i64 128 1", "INCRBY i64 128 9223372036854775807",
                "SET i64 128 -9223372036854775808",
                "INCRBY i64 128 -1", "INCRBY i64 128 -9223372036854775808", "SET u63 192 9223372036854775807",
                "INCRBY u63 192 1",
                "INCRBY u63 192 9223372036854775807", "SET u63 192 -1", "INCRBY i1 300 1", "INCRBY u1 301 1",
                "INCRBY u1 301 1",
                "SET u8 0 9223372036854775807", "INCRBY i5 320 40", "INCRBY i5 320 -100",
                "INCRBY u8 0 9223372036854775807",
            )
        ],
        "GET k",
        "STRLEN k",
    )  # fmt: skip
case(
    "BITFIELD OVERFLOW holds for what follows it",
    'SET k ""',
    "BITFIELD k SET u8 0 255 OVERFLOW SAT INCRBY u8 0 1 OVERFLOW FAIL INCRBY u8 0 1 SET u8 0 300 "
    "OVERFLOW WRAP INCRBY u8 0 2",
    "GET k",
    "BITFIELD k overflow fail INCRBY u8 0 255 INCRBY u8 0 1 GET u8 0",
    "BITFIELD k OVERFLOW SAT",
    "BITFIELD k OVERFLOW FAIL OVERFLOW SAT INCRBY u8 0 300",
)
case(
    "a failed BITFIELD still lengthens the value",
    ("BITFIELD k OVERFLOW FAIL INCRBY u2 100 5", [None]),
    "STRLEN k",
    "EXISTS k",
)
case(
    "BITFIELD refuses",
    *[
        f"BITFIELD k {rest}"
        for rest in (
            "GET", "GET u8", "SET u8 0", "INCRBY u8 0", "FOO u8 0", "GET u8 0 FOO", "OVERFLOW", "OVERFLOW FOO",
            "OVERFLOW FOO GET u8 0",
            "GET u64 0", "GET i65 0", "GET u0 0", "GET i0 0", "GET x8 0", "GET 8 0", "GET u 0", 'GET "" 0',
            "GET u08 0", "GET u8x 0",
            "GET U8 0", "GET I8 0", "GET u-1 0", "GET u+1 0", 'GET "u 8" 0', "GET u1_0 0", "GET u8 -1", "GET u8 x",
            'GET u8 ""', "GET u8 #",
            "GET u8 #x", "GET u8 #-1", "GET u8 4294967296", "GET u8 4294967288", "GET u8 4294967289",
            "GET u8 #536870912", "GET u8 #536870911",
            "GET u8 9223372036854775807", "GET u8 #9223372036854775807", "GET u8 1_0", "GET u8 +1", "GET u8 01",
            'GET u8 " 1"',
            "SET u8 0 x", 'SET u8 0 ""', "SET u8 0 1.5", "SET u8 0 9223372036854775808", "INCRBY u8 0 x",
            "INCRBY u8 0 -9223372036854775809",
            "SET u8 0 1 SET u8 x 1", "SET u8 0 1 GET u8", "SET u8 0 +1", "SET u8 0 1_0", 'SET u8 0 " 1"',
            "INCRBY u64 0 1", "SET u64 0 1",
        )
    ],
    ("BITFIELD k GET u64 0", NO_TYPE),
    ("BITFIELD k GET u8 -1", NO_OFFSET),
    ("BITFIELD k SET u8 0 x", NO_INTEGER),
    ("BITFIELD k OVERFLOW FOO", "-ERR Invalid OVERFLOW type specified"),
    ("EXISTS k", 0),
)  # fmt: skip
case(
    "BITFIELD_RO",
    "SET k foobar",
    ("BITFIELD_RO k GET u8 0 GET i4 #1 GET u16 40", [102, 6, 29184]),
    "BITFIELD_RO k",
    "bitfield_ro absent get i64 0",
    ("BITFIELD_RO k SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
    "BITFIELD_RO k GET u8 0 INCRBY u8 0 1",
    "BITFIELD_RO k OVERFLOW SAT",
    "BITFIELD_RO k OVERFLOW SAT GET u8 0",
    "BITFIELD_RO k GET u64 0",
    "BITFIELD_RO k GET u8",
    "GET k",
)
case(
    "bit commands refuse a list",
    "RPUSH l a",
    *[
        (line, WRONGTYPE)
        for line in (
            "SETBIT l 0 1", "GETBIT l 0", "BITCOUNT l", "BITCOUNT l 0 1", "BITPOS l 1", "BITPOS l 0 0 1 BIT",
            "BITOP AND d l", "BITOP NOT d l",
            "BITFIELD l GET u8 0", "BITFIELD l SET u8 0 1", "BITFIELD_RO l GET u8 0", "BITFIELD l",
        )
    ],
    needs="collections",
)  # fmt: skip
