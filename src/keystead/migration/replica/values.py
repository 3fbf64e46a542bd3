"""Where the value of each type ends in a snapshot, so that it can be handed on as it stands.

A value is not interpreted: it becomes what DUMP would have answered, for RESTORE. Such a payload names a version of the
format, and a server refuses one that is newer than its own; so the version named is the one in which the type came up,
and an old server takes from a new one whatever it can read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from keystead.migration.replica.crc64 import crc64
from keystead.migration.replica.failures import DamagedSnapshot
from keystead.migration.replica.incoming import Incoming

STRING_TYPE: Final = 0
MODULE_TYPE: Final = 7

_STREAM_ID_BYTES: Final = 16
_TIME_BYTES: Final = 8
_NOT_A_NUMBER: Final = 253  # and the two infinities above it: a score that has no digits
_MODULE_NAME: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class ValueType(NamedTuple):
    """One type byte of the format."""

    kind: str
    """As `TYPE` has it."""
    since: int
    """The version of the format with which it came up."""
    skip: Callable[[Incoming], bool]
    """Passes a value; whether it has anything in it. Servers pass over empty ones, which a bug of long ago left."""


def dump_payload(type_code: int, since: int, body: bytes) -> bytes:
    """What DUMP would answer for the value."""
    payload = b"%c%b%b" % (type_code, body, since.to_bytes(2, "little"))
    return payload + crc64(payload).to_bytes(8, "little")


def module_kind(incoming: Incoming) -> str:
    """The name of the module's type, as `TYPE` has it. Nine letters and the version of its encoding in 64 bits."""
    number = incoming.length() >> 10
    return bytes(_MODULE_NAME[number >> 6 * place & 63] for place in range(8, -1, -1)).decode()


def skip_module_values(incoming: Incoming) -> bool:
    """What a module wrote, up to its end: each piece says its own type."""
    while piece := incoming.length():
        if piece in (1, 2):
            incoming.length()
        elif piece == 3:
            incoming.skip(4)
        elif piece == 4:
            incoming.skip(8)
        elif piece == 5:
            incoming.skip_string()
        else:
            raise DamagedSnapshot(f"the snapshot has a module's piece of the unknown type {piece}")
    return True


def _string(incoming: Incoming) -> bool:
    incoming.skip_string()
    return True


def _strings(each: int) -> Callable[[Incoming], bool]:
    def skip(incoming: Incoming) -> bool:
        count = incoming.length()
        for _ in range(count * each):
            incoming.skip_string()
        return count > 0

    return skip


def _scored_by_text(incoming: Incoming) -> bool:
    count = incoming.length()
    for _ in range(count):
        incoming.skip_string()
        digits = incoming.byte()
        if digits < _NOT_A_NUMBER:
            incoming.skip(digits)
    return count > 0


def _scored(incoming: Incoming) -> bool:
    count = incoming.length()
    for _ in range(count):
        incoming.skip_string()
        incoming.skip(8)
    return count > 0


def _nodes(incoming: Incoming) -> bool:
    count = incoming.length()
    for _ in range(count):
        incoming.length()
        incoming.skip_string()
    return count > 0


def _fields_that_expire(incoming: Incoming) -> bool:
    count = incoming.length()
    for _ in range(count):
        incoming.length()
        incoming.skip_string()
        incoming.skip_string()
    return count > 0


def _after_time(skip: Callable[[Incoming], bool]) -> Callable[[Incoming], bool]:
    """The earliest expiry of a field stands before the rest."""

    def skip_both(incoming: Incoming) -> bool:
        incoming.skip(_TIME_BYTES)
        return skip(incoming)

    return skip_both


def _valkey_fields(incoming: Incoming) -> bool:
    count = incoming.length()
    for _ in range(count):
        incoming.skip_string()
        incoming.skip_string()
        incoming.skip(_TIME_BYTES)
    return count > 0


def _stream(form: int) -> Callable[[Incoming], bool]:
    """Entries, numbers, and groups with what is pending; a stream may be empty. *form* counts its three layouts."""

    def skip(incoming: Incoming) -> bool:
        for _ in range(incoming.length()):
            incoming.skip_string()
            incoming.skip_string()
        for _ in range(3 if form == 1 else 8):  # length, last id; first id, greatest deleted one, ever added
            incoming.length()
        for _ in range(incoming.length()):
            _skip_group(incoming, form)
        return True

    return skip


def _skip_group(incoming: Incoming, form: int) -> None:
    incoming.skip_string()
    for _ in range(2 if form == 1 else 3):  # last id, entries read
        incoming.length()
    for _ in range(incoming.length()):
        incoming.skip(_STREAM_ID_BYTES + _TIME_BYTES)
        incoming.length()
    for _ in range(incoming.length()):
        incoming.skip_string()
        incoming.skip(_TIME_BYTES if form < 3 else 2 * _TIME_BYTES)  # seen, active
        incoming.skip(_STREAM_ID_BYTES * incoming.length())


_SHARED: Final = {
    1: ValueType("list", 6, _strings(1)),
    2: ValueType("set", 6, _strings(1)),
    3: ValueType("zset", 6, _scored_by_text),
    4: ValueType("hash", 6, _strings(2)),
    5: ValueType("zset", 8, _scored),
    7: ValueType("", 8, skip_module_values),
    9: ValueType("hash", 6, _string),  # zipmap
    10: ValueType("list", 6, _string),  # ziplists
    11: ValueType("set", 6, _string),  # intset
    12: ValueType("zset", 6, _string),
    13: ValueType("hash", 6, _string),
    14: ValueType("list", 7, _strings(1)),  # quicklist of ziplists
    15: ValueType("stream", 9, _stream(1)),
    16: ValueType("hash", 10, _string),  # listpacks
    17: ValueType("zset", 10, _string),
    18: ValueType("list", 10, _nodes),  # quicklist of listpacks and plain nodes
    19: ValueType("stream", 10, _stream(2)),
    20: ValueType("set", 11, _string),
    21: ValueType("stream", 11, _stream(3)),
}
REDIS_TYPES: Final = _SHARED | {
    22: ValueType("hash", 12, _fields_that_expire),  # release candidates of 7.4
    23: ValueType("hash", 12, _string),
    24: ValueType("hash", 12, _after_time(_fields_that_expire)),
    25: ValueType("hash", 12, _after_time(_string)),
}
VALKEY_TYPES: Final = _SHARED | {22: ValueType("hash", 80, _valkey_fields)}
"""The two have gone separate ways since version 11, and gave the same numbers to different things."""
