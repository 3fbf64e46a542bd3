"""Times to live: EXPIRE and its relatives set them, TTL and its relatives tell them.

A key whose time has come is gone at once for every command; its memory is freed, and its end logged, by whatever
meets it next.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead.commands.deadlines import SECOND_MS, invalid_expire_time
from keystead.commands.declaration import command
from keystead.commands.lookups import count
from keystead.commands.numbers import INT64_MAX, INT64_MIN, integer
from keystead.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.execution.session import Session

expiry_command = partial(command, group="generic")
telling_command = partial(expiry_command, flags="readonly fast", keys="RO ACCESS", reads="durable")
setting_command = partial(
    expiry_command,
    flags="write fast",
    keys="RW UPDATE",
    takes="args",
    history=(("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."),),
)

CONDITIONS = (b"nx", b"xx", b"gt", b"lt")


def _expire(session: Session, args: list[bytes], name: str, unit_ms: int, base_ms: int) -> int:
    conditions = _conditions(args[3:])
    number = integer(args[2])
    at_ms = number * unit_ms
    if not (INT64_MIN <= at_ms <= INT64_MAX and at_ms + base_ms <= INT64_MAX):
        raise invalid_expire_time(name)
    at_ms += base_ms
    keyspace = session.db.keyspace
    value, now_at_ms = keyspace.get_with_expiry(args[1])
    if value is None or not _wanted(conditions, at_ms, now_at_ms):
        return 0
    if at_ms <= session.engine.clock.now_ms:
        keyspace.delete(args[1])
    else:
        keyspace.set_expiry(args[1], at_ms)
    return 1


def _conditions(options: list[bytes]) -> set[bytes]:
    found = set()
    for option in options:
        if option.lower() not in CONDITIONS:
            raise CommandError(f"ERR Unsupported option {option.decode('utf-8', 'surrogateescape')}")
        found.add(option.lower())
    if b"nx" in found and len(found) > 1:
        raise CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if found >= {b"gt", b"lt"}:
        raise CommandError("ERR GT and LT options at the same time are not compatible")
    return found


def _wanted(conditions: set[bytes], at_ms: int, now_at_ms: int) -> bool:
    """Whether the new expiry satisfies the conditions; a key without one lives for ever, longer than any other."""
    if now_at_ms:
        return not (
            b"nx" in conditions
            or (b"gt" in conditions and at_ms <= now_at_ms)
            or (b"lt" in conditions and at_ms >= now_at_ms)
        )
    return not conditions & {b"xx", b"gt"}


@setting_command(
    "EXPIRE key seconds [NX | XX | GT | LT]",
    since="1.0.0",
    summary="Sets the expiration time of a key in seconds.",
)
def expire(session: Session, args: list[bytes]) -> int:
    return _expire(session, args, "expire", SECOND_MS, session.engine.clock.now_ms)


@setting_command(
    "PEXPIRE key milliseconds [NX | XX | GT | LT]",
    since="2.6.0",
    summary="Sets the expiration time of a key in milliseconds.",
)
def pexpire(session: Session, args: list[bytes]) -> int:
    return _expire(session, args, "pexpire", 1, session.engine.clock.now_ms)


@setting_command(
    "EXPIREAT key unix-time-seconds [NX | XX | GT | LT]",
    since="1.2.0",
    summary="Sets the expiration time of a key to a Unix timestamp.",
)
def expireat(session: Session, args: list[bytes]) -> int:
    return _expire(session, args, "expireat", SECOND_MS, 0)


@setting_command(
    "PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]",
    since="2.6.0",
    summary="Sets the expiration time of a key to a Unix milliseconds timestamp.",
)
def pexpireat(session: Session, args: list[bytes]) -> int:
    return _expire(session, args, "pexpireat", 1, 0)


@expiry_command(
    "PERSIST key",
    since="2.2.0",
    flags="write fast",
    keys="RW UPDATE",
    summary="Removes the expiration time of a key.",
)
def persist(session: Session, key: bytes) -> int:
    keyspace = session.db.keyspace
    if not keyspace.expires_at_ms(key):
        return 0
    keyspace.set_expiry(key, 0)
    return 1


# --- telling ---------------------------------------------------------------------------------------------------------

NO_EXPIRY, NO_KEY = -1, -2


def _tell(session: Session, key: bytes, show: Callable[[int], int]) -> int:
    value, expires_at_ms = session.db.keyspace.read_with_expiry(key, session)
    count(session, value)
    if value is None:
        return NO_KEY
    return show(expires_at_ms) if expires_at_ms else NO_EXPIRY


def _seconds(milliseconds: int) -> int:
    """Rounded to the nearest, half up, as in Redis."""
    return (milliseconds + SECOND_MS // 2) // SECOND_MS


@telling_command(
    "TTL key",
    since="1.0.0",
    history=(("2.8.0", "Added the -2 reply."),),
    hints="nondeterministic_output",
    summary="Returns the expiration time in seconds of a key.",
)
def ttl(session: Session, key: bytes) -> int:
    now_ms = session.engine.clock.now_ms
    return _tell(session, key, lambda at_ms: _seconds(at_ms - now_ms))


@telling_command(
    "PTTL key",
    since="2.6.0",
    history=(("2.8.0", "Added the -2 reply."),),
    hints="nondeterministic_output",
    summary="Returns the expiration time in milliseconds of a key.",
)
def pttl(session: Session, key: bytes) -> int:
    now_ms = session.engine.clock.now_ms
    return _tell(session, key, lambda at_ms: at_ms - now_ms)


@telling_command("EXPIRETIME key", since="7.0.0", summary="Returns the expiration time of a key as a Unix timestamp.")
def expiretime(session: Session, key: bytes) -> int:
    return _tell(session, key, _seconds)


@telling_command(
    "PEXPIRETIME key",
    since="7.0.0",
    summary="Returns the expiration time of a key as a Unix milliseconds timestamp.",
)
def pexpiretime(session: Session, key: bytes) -> int:
    return _tell(session, key, lambda at_ms: at_ms)
