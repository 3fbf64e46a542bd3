"""Strings as rows of bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD.

A changed bit records its byte alone. As in Redis, a string grows to the last bit that a command writes, and some
arguments are looked at only when there is a key.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from keystead.commands.bit_fields import FieldType, as_assigned, fit, read_field, written_field
from keystead.commands.bit_strings import combine_bits, count_bits, find_bit, get_bit
from keystead.commands.declaration import command
from keystead.commands.grammar import SYNTAX_ERROR
from keystead.commands.lookups import current_string, read_string, read_text
from keystead.commands.numbers import integer, integer_or_none
from keystead.commands.value_types import text
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.engine.keyspace import Keyspace
    from keystead.execution.session import Session

bit_command = partial(command, group="bitmap")

READ = "RO ACCESS"
READ_WRITE = "RW ACCESS UPDATE"

NO_OFFSET = "ERR bit offset is not an integer or out of range"
NO_BIT = "ERR bit is not an integer or out of range"
NO_TYPE = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."


def _bit_offset(session: Session, argument: bytes, width: int = 1) -> int:
    """An offset in bits; `#3` is three times *width* bits."""
    offset = integer(argument, NO_OFFSET) * width
    if offset < 0 or offset >> 3 >= session.executor.settings.max_value_bytes:
        raise CommandError(NO_OFFSET)
    return offset


# --- single bits -----------------------------------------------------------------------------------------------------


@bit_command(
    "SETBIT key offset value",
    since="2.2.0",
    flags="write denyoom",
    keys=READ_WRITE,
    types={"offset": bytes},
    summary="Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
)
def setbit(session: Session, key: bytes, offset: bytes, value: bytes) -> int:
    at = _bit_offset(session, offset)
    bit = integer(value, NO_BIT)
    if bit not in (0, 1):
        raise CommandError(NO_BIT)
    keyspace = session.db.keyspace
    data = text(keyspace.get(key))
    byte = at >> 3
    old = get_bit(data, at)
    if old != bit or byte >= len(data):
        mask = 0x80 >> (at & 7)
        kept = data[byte] & ~mask if byte < len(data) else 0
        keyspace.patch(key, byte, bytes((kept | mask * bit,)))
    return old


@bit_command(
    "GETBIT key offset",
    since="2.2.0",
    flags="readonly fast",
    keys=READ,
    reads="durable",
    types={"offset": bytes},
    summary="Returns a bit value by offset.",
)
def getbit(session: Session, key: bytes, offset: bytes) -> int:
    at = _bit_offset(session, offset)
    return get_bit(read_text(session, key), at)


# --- ranges of bits --------------------------------------------------------------------------------------------------


@bit_command(
    "BITCOUNT key [start end [BYTE | BIT]]",
    since="2.6.0",
    flags="readonly",
    keys=READ,
    reads="durable",
    takes="args",
    complexity="O(N)",
    history=(("7.0.0", "Added the `BYTE|BIT` option."),),
    summary="Counts the number of set bits (population counting) in a string.",
)
def bitcount(session: Session, args: list[bytes]) -> int:
    data = read_string(session, args[1])
    if data is None:
        return 0
    if len(args) == 2:
        return count_bits(data, 0, 8 * len(data) - 1)
    if len(args) not in (4, 5):
        raise CommandError(SYNTAX_ERROR)
    start, end = integer(args[2]), integer(args[3])
    if start < 0 and end < 0 and start > end:
        return 0
    return count_bits(data, *_bit_range(data, start, end, _counts_bits(args[4:])))


@bit_command(
    "BITPOS key bit [start [end [BYTE | BIT]]]",
    since="2.8.7",
    flags="readonly",
    keys=READ,
    reads="durable",
    takes="args",
    complexity="O(N)",
    history=(("7.0.0", "Added the `BYTE|BIT` option."),),
    summary="Finds the first set (1) or clear (0) bit in a string.",
)
def bitpos(session: Session, args: list[bytes]) -> int:
    bit = integer(args[2])
    if bit not in (0, 1):
        raise CommandError("ERR The bit argument must be 1 or 0.")
    data = read_string(session, args[1])
    if data is None:
        return -bit
    if len(args) > 6:
        raise CommandError(SYNTAX_ERROR)
    start = integer(args[3]) if len(args) > 3 else 0
    in_bits = _counts_bits(args[5:])
    end = integer(args[4]) if len(args) > 4 else -1
    first, last = _bit_range(data, start, end, in_bits)
    if first > last:
        return -1
    found = find_bit(data, bit, first, last)
    # Without an end the string is taken to go on with zeros.
    return 8 * len(data) if found < 0 and not bit and len(args) < 5 else found


def _counts_bits(unit: list[bytes]) -> bool:
    """Whether a range is given in bits; bytes are the default."""
    if not unit or unit[0].upper() == b"BYTE":
        return False
    if unit[0].upper() == b"BIT":
        return True
    raise CommandError(SYNTAX_ERROR)


def _bit_range(data: bytes | bytearray, start: int, end: int, in_bits: bool) -> tuple[int, int]:
    """First and last bit of a range whose negative ends count from the end of the string; empty if first > last."""
    unit = 1 if in_bits else 8
    length = 8 * len(data) // unit
    start, end = (max(0, offset + length) if offset < 0 else offset for offset in (start, end))
    return start * unit, min(end, length - 1) * unit + unit - 1


@bit_command(
    "BITOP <AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
    since="2.6.0",
    flags="write denyoom",
    keys="OW UPDATE / RO ACCESS",
    complexity="O(N)",
    history=(("8.2.0", "Added the `DIFF`, `DIFF1`, `ANDOR` and `ONE` operations."),),
    summary="Performs bitwise operations on multiple strings, and stores the result.",
)
def bitop(session: Session, operation: str, destination: bytes, sources: list[bytes]) -> int:
    if operation == "NOT" and len(sources) != 1:
        raise CommandError("ERR BITOP NOT must be called with a single source key.")
    if operation in ("DIFF", "DIFF1", "ANDOR") and len(sources) == 1:
        raise CommandError(f"ERR BITOP {operation} must be called with at least two source keys.")
    keyspace = session.db.keyspace
    result = combine_bits(operation, [current_string(session, key) or b"" for key in sources])
    if result:
        keyspace.put(destination, result)
    else:
        keyspace.delete(destination)
    return len(result)


# --- fields ----------------------------------------------------------------------------------------------------------


class FieldOperation(NamedTuple):
    """One GET, SET or INCRBY of a BITFIELD; `number` is the value or the increment."""

    name: bytes
    kind: FieldType
    offset: int
    number: int
    overflow: str

    @property
    def last_byte(self) -> int:
        return self.offset + self.kind.bits - 1 >> 3


_ARGUMENTS_AFTER = {b"get": 2, b"set": 3, b"incrby": 3, b"overflow": 1}


def _field_operations(session: Session, args: list[bytes]) -> list[FieldOperation]:
    found = []
    overflow = "WRAP"
    at = 2
    while at < len(args):
        name = args[at].lower()
        operands = args[at + 1 : at + 1 + _ARGUMENTS_AFTER.get(name, len(args))]
        if len(operands) != _ARGUMENTS_AFTER.get(name):
            raise CommandError(SYNTAX_ERROR)
        at += 1 + len(operands)
        if name == b"overflow":
            overflow = _overflow(operands[0])
            continue
        kind = _field_type(operands[0])
        is_scaled = operands[1].startswith(b"#")
        offset = _bit_offset(session, operands[1][is_scaled:], kind.bits if is_scaled else 1)
        number = integer(operands[2]) if name != b"get" else 0
        found.append(FieldOperation(name, kind, offset, number, overflow))
    return found


def _overflow(argument: bytes) -> str:
    name = argument.upper()
    if name not in (b"WRAP", b"SAT", b"FAIL"):
        raise CommandError("ERR Invalid OVERFLOW type specified")
    return name.decode()


def _field_type(argument: bytes) -> FieldType:
    bits = integer_or_none(argument[1:])
    signed = argument.startswith(b"i")
    if bits is None or not 1 <= bits <= 63 + signed or not argument.startswith((b"i", b"u")):
        raise CommandError(NO_TYPE)
    return FieldType(signed, bits)


BITFIELD_ARGUMENTS = (
    "[<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] "
    "<SET encoding offset value | INCRBY encoding offset increment>> "
    "[<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] "
    "<SET encoding offset value | INCRBY encoding offset increment>> ...]]"
)


def _bitfield_flags(args: list[bytes]) -> tuple[str, ...]:
    """With nothing but well-formed GETs it only reads."""
    at = 2
    while at < len(args):
        word = args[at].lower()
        if word == b"get" and at + 2 < len(args):
            at += 3
        elif word == b"overflow" and at + 1 < len(args):
            at += 2
        else:
            return ("RW", "ACCESS", "UPDATE")
    return ("RO", "ACCESS")


@bit_command(
    f"BITFIELD key {BITFIELD_ARGUMENTS}",
    since="3.2.0",
    flags="write denyoom",
    keys="RW ACCESS UPDATE VARIABLE_FLAGS",
    keys_exactly=_bitfield_flags,
    takes="args",
    complexity="O(1) for each subcommand specified",
    summary="Performs arbitrary bitfield integer operations on strings.",
)
def bitfield(session: Session, args: list[bytes]) -> list[int | None]:
    operations = _field_operations(session, args)
    keyspace, key = session.db.keyspace, args[1]
    data = text(keyspace.get(key))
    last_bytes = [operation.last_byte for operation in operations if operation.name != b"get"]
    if last_bytes and max(last_bytes) >= len(data):
        keyspace.patch(key, max(last_bytes), b"\0")  # also when no operation comes to write, as in Redis
    return [_run(keyspace, key, operation) for operation in operations]


def _run(keyspace: Keyspace, key: bytes, operation: FieldOperation) -> int | None:
    name, kind, offset, number, overflow = operation
    data = text(keyspace.get(key))
    old = read_field(data, offset, kind)
    if name == b"get":
        return old
    new = fit(kind, old + number if name == b"incrby" else as_assigned(kind, number), overflow)
    if new is None:
        return None
    keyspace.patch(key, offset >> 3, written_field(data, offset, kind, new))
    return new if name == b"incrby" else old


@bit_command(
    "BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]",
    since="6.0.0",
    flags="readonly fast",
    keys=READ,
    reads="durable",
    takes="args",
    complexity="O(1) for each subcommand specified",
    summary="Performs arbitrary read-only bitfield integer operations on strings.",
)
def bitfield_ro(session: Session, args: list[bytes]) -> list[int]:
    operations = _field_operations(session, args)
    if any(operation.name != b"get" for operation in operations):
        raise CommandError("ERR BITFIELD_RO only supports the GET subcommand")
    data = read_text(session, args[1])
    return [read_field(data, operation.offset, operation.kind) for operation in operations]
