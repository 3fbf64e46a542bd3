"""Compare, then change: the conditions of SET and DELEX, and DIGEST, which makes a short operand for them.

A digest is XXH3 with 64 bits in hexadecimal, which clients can compute for themselves.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_64_hexdigest

from keystead.commands.declaration import command, wrong_number
from keystead.commands.lookups import read_string
from keystead.commands.value_types import STRING_TYPES, string
from keystead.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.values import Value
    from keystead.execution.session import Session

string_command = partial(command, group="string", since="8.4.0")

BAD_DIGEST = "ERR must be exactly 16 hexadecimal characters"


def digest_of(value: bytes | bytearray) -> bytes:
    """Sixteen hexadecimal digits."""
    return xxh3_64_hexdigest(value).encode()


def _has_digest(value: bytes | bytearray, digest: bytes) -> bool:
    if len(digest) != 16:
        raise CommandError(BAD_DIGEST)
    return digest_of(value) == digest.lower()


def _is_equal(old: Value | None, operand: bytes) -> bool:
    return string(old) == operand


def _has_equal_digest(old: Value | None, operand: bytes) -> bool:
    value = string(old)
    return value is not None and _has_digest(value, operand)


CONDITIONS: dict[str, Callable[[Value | None, Any], bool]] = {
    "nx": lambda old, _: old is None,
    "xx": lambda old, _: old is not None,
    "ifeq": _is_equal,
    "ifne": lambda old, operand: not _is_equal(old, operand),
    "ifdeq": _has_equal_digest,
    "ifdne": lambda old, operand: not _has_equal_digest(old, operand),
}
"""(present value, operand) -> whether the change is wanted. An absent key differs from everything. Those with an
operand raise CommandError for a value that is no string, and for a digest that cannot be one."""


@string_command(
    "DIGEST key",
    flags="readonly fast",
    keys="RO ACCESS",
    reads="durable",
    complexity="O(N) where N is the length of the string value.",
    summary="Returns the XXH3 hash of a string value.",
)
def digest(session: Session, key: bytes) -> bytes | None:
    value = read_string(session, key)
    return None if value is None else digest_of(value)


def _delex_flags(args: list[bytes]) -> tuple[str, ...]:
    """A condition on the value tells whether one has guessed it."""
    return ("RW", "DELETE") if len(args) == 2 else ("RW", "ACCESS", "DELETE")


@string_command(
    "DELEX key [IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]",
    flags="write fast",
    keys="RW DELETE VARIABLE_FLAGS",
    keys_exactly=_delex_flags,
    takes="args",
    complexity="O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.",
    summary="Deletes a key if its value, or the hash of it, is or is not the given one.",
)
def delex(session: Session, args: list[bytes]) -> int:
    keyspace = session.db.keyspace
    if len(args) == 2:
        return int(keyspace.delete(args[1]))
    if len(args) != 4:
        raise CommandError(wrong_number("delex"))
    _, key, option, operand = args
    value = keyspace.get(key)
    if value is None:
        return 0
    if not isinstance(value, STRING_TYPES):
        raise CommandError("ERR Key should be of string type if conditions are specified")
    condition = option.lower().decode("latin-1")
    if condition not in ("ifeq", "ifne", "ifdeq", "ifdne"):
        raise CommandError("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")
    return int(CONDITIONS[condition](value, operand) and keyspace.delete(key))
