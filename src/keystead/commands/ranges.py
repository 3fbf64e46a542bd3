"""Parts of strings: APPEND, STRLEN, GETRANGE, SETRANGE, and what two strings have in common (LCS).

What changes a part records a patch: APPEND of ten bytes to ten megabytes logs ten bytes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from keystead.commands.declaration import command
from keystead.commands.lcs import LARGEST_TABLE_CELLS, Match, lcs_length, lcs_matches, lcs_text, table_cells
from keystead.commands.lookups import read, read_text
from keystead.commands.value_types import STRING_TYPES, string, text
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session

string_command = partial(command, group="string")

READ = "RO ACCESS"

TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"


def refuse_beyond_limit(session: Session, length: int) -> None:
    """No command may make a string longer than the largest one that a client can send."""
    if length > session.executor.settings.max_value_bytes:
        raise CommandError(TOO_LONG)


@string_command(
    "APPEND key value",
    since="2.0.0",
    flags="write denyoom fast",
    keys="RW INSERT",
    summary="Appends a string to the value of a key. Creates the key if it doesn't exist.",
)
def append(session: Session, key: bytes, value: bytes) -> int:
    keyspace = session.db.keyspace
    old = string(keyspace.get(key))
    if old is None:
        keyspace.put(key, value)
        return len(value)
    refuse_beyond_limit(session, len(old) + len(value))
    return keyspace.patch(key, len(old), value)


@string_command(
    "STRLEN key",
    since="2.2.0",
    flags="readonly fast",
    keys="RO",
    reads="durable",
    summary="Returns the length of a string value.",
)
def strlen(session: Session, key: bytes) -> int:
    return len(read_text(session, key))


def getrange(session: Session, key: bytes, start: int, end: int) -> bytes | bytearray:
    """Both ends are included; negative ones count from the end of the string."""
    value = read_text(session, key)
    if start < 0 and end < 0 and start > end:
        return b""
    first, last = (max(0, offset + len(value)) if offset < 0 else offset for offset in (start, end))
    return value[first : last + 1]


string_command(
    "GETRANGE key start end",
    since="2.4.0",
    flags="readonly",
    keys=READ,
    reads="durable",
    complexity="O(N) where N is the length of the returned string. The complexity is ultimately determined by the "
    "returned length, but because creating a substring from an existing string is very cheap, it can be considered "
    "O(1) for small strings.",
    summary="Returns a substring of the string stored at a key.",
)(getrange)

string_command(
    "SUBSTR key start end",
    since="1.0.0",
    flags="readonly",
    keys=READ,
    reads="durable",
    complexity="O(N) where N is the length of the returned string. The complexity is ultimately determined by the "
    "returned length, but because creating a substring from an existing string is very cheap, it can be considered "
    "O(1) for small strings.",
    deprecated=("2.0.0", "`GETRANGE`"),
    summary="Returns a substring from a string value.",
)(getrange)


@string_command(
    "SETRANGE key offset value",
    since="2.2.0",
    flags="write denyoom",
    keys="RW UPDATE",
    complexity="O(1), not counting the time taken to copy the new string in place. Usually, this string is very small "
    "so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
    summary="Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.",
)
def setrange(session: Session, key: bytes, offset: int, value: bytes) -> int:
    if offset < 0:
        raise CommandError("ERR offset is out of range")
    keyspace = session.db.keyspace
    old = text(keyspace.get(key))
    if not value:
        return len(old)
    refuse_beyond_limit(session, offset + len(value))
    return keyspace.patch(key, offset, value)


@string_command(
    "LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    since="7.0.0",
    flags="readonly",
    keys=READ,
    reads="durable",
    complexity="O(N*M) where N and M are the lengths of s1 and s2, respectively",
    summary="Finds the longest common substring.",
)
def lcs(
    session: Session,
    key1: bytes,
    key2: bytes,
    *,
    len_: bool = False,
    idx: bool = False,
    minmatchlen: int = 0,
    withmatchlen: bool = False,
) -> bytes | int | dict[bytes, Any]:
    values = [read(session, key) or b"" for key in (key1, key2)]
    if not all(isinstance(value, STRING_TYPES) for value in values):
        raise CommandError("ERR The specified keys must contain string values")
    if len_ and idx:
        raise CommandError("ERR If you want both the length and indexes, please just use IDX.")
    a, b = map(bytes, values)
    if table_cells(a, b) > LARGEST_TABLE_CELLS:
        raise CommandError("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    if len_:
        return lcs_length(a, b)
    matches = lcs_matches(a, b)
    if not idx:
        return lcs_text(a, matches)
    shown = [_match_reply(match, withmatchlen) for match in matches if match.length >= minmatchlen]
    return {b"matches": shown, b"len": sum(match.length for match in matches)}


def _match_reply(match: Match, with_length: bool) -> list[Any]:
    ranges: list[Any] = [[start, start + match.length - 1] for start in (match.a, match.b)]
    return [*ranges, match.length] if with_length else ranges
