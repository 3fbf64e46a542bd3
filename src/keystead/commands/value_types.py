"""What a value is to Redis: its type's name, and the refusal of a wrong one.

Every command asks here, so that collections, whose Python types join later, are refused where a string is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.engine.values import Value

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"

STRING_TYPES = (bytes, bytearray)

TYPE_NAMES: dict[type, str] = dict.fromkeys(STRING_TYPES, "string")
"""Redis' name for each Python type of a value."""


def string(value: Value | None) -> bytes | bytearray | None:
    """The value of a key that must hold a string or be absent (None). Raises CommandError for other types."""
    if value is None or isinstance(value, STRING_TYPES):
        return value
    raise CommandError(WRONG_TYPE)


def text(value: Value | None) -> bytes | bytearray:
    """Like `string`; an absent key reads as the empty string."""
    return string(value) or b""


def type_name(value: Value | None) -> str:
    """As TYPE has it; "none" for an absent key."""
    return "none" if value is None else TYPE_NAMES[type(value)]
