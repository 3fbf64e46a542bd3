"""Strings as numbers: INCR and its relatives. An expiry stays as it is.

INCR, DECR, INCRBY and DECRBY are raw handlers: rate limiters and counters live on them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead.commands.declaration import command
from keystead.commands.long_doubles import add_long_doubles, format_long_double, long_double
from keystead.commands.numbers import INT64_MAX, INT64_MIN, integer
from keystead.commands.value_types import string
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session

counter_command = partial(command, group="string", flags="write denyoom fast", keys="RW ACCESS UPDATE", raw=True)


def _add(session: Session, key: bytes, increment: int) -> bytes:
    session.must_wait = True
    keyspace = session.db.keyspace
    value, expires_at_ms = keyspace.get_with_expiry(key)
    old = string(value)
    number = increment if old is None else integer(old) + increment
    if not INT64_MIN <= number <= INT64_MAX:
        raise CommandError("ERR increment or decrement would overflow")
    digits = b"%d" % number
    keyspace.put(key, digits, expires_at_ms)
    return b":%b\r\n" % digits


@counter_command(
    "INCR key",
    since="1.0.0",
    summary="Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
)
def incr(session: Session, args: list[bytes]) -> bytes:
    _, key = args
    return _add(session, key, 1)


@counter_command(
    "DECR key",
    since="1.0.0",
    summary="Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
)
def decr(session: Session, args: list[bytes]) -> bytes:
    _, key = args
    return _add(session, key, -1)


@counter_command(
    "INCRBY key increment",
    since="1.0.0",
    summary="Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
)
def incrby(session: Session, args: list[bytes]) -> bytes:
    _, key, increment = args
    return _add(session, key, integer(increment))


@counter_command(
    "DECRBY key decrement",
    since="1.0.0",
    summary="Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist.",
)
def decrby(session: Session, args: list[bytes]) -> bytes:
    _, key, decrement = args
    number = integer(decrement)
    if number == INT64_MIN:  # cannot be negated in 64 bits
        raise CommandError("ERR decrement would overflow")
    return _add(session, key, -number)


@command(
    "INCRBYFLOAT key increment",
    group="string",
    since="2.6.0",
    flags="write denyoom fast",
    keys="RW ACCESS UPDATE",
    types={"increment": bytes},
    summary="Increment the floating point value of a key by a number. Uses 0 as initial value if the key "
    "doesn't exist.",
)
def incrbyfloat(session: Session, key: bytes, increment: bytes) -> bytes:
    keyspace = session.db.keyspace
    value, expires_at_ms = keyspace.get_with_expiry(key)
    old = string(value)
    rounded = add_long_doubles(long_double(b"0" if old is None else old), long_double(increment))
    if rounded is None:  # an infinity was given, or reached
        raise CommandError("ERR increment would produce NaN or Infinity")
    digits = format_long_double(rounded)
    keyspace.put(key, digits, expires_at_ms)
    return digits
