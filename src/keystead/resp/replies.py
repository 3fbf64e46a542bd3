"""Replies: how each Python value is written in RESP2 and in RESP3.

The Python type is the reply's type: None null, bytes a bulk string, str a simple string, int, float, bool, list and
tuple an array, dict and Pairs a map, set and frozenset a set. What has no Python type of its own has a class here.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isinf, isnan
from typing import Any

CRLF = b"\r\n"
OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
QUEUED = b"+QUEUED\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"
NULL2 = b"$-1\r\n"
NULL_ARRAY2 = b"*-1\r\n"
NULL3 = b"_\r\n"
EMPTY_ARRAY = b"*0\r\n"


class Verbatim:
    """A text for people (INFO, CLIENT LIST): a verbatim string in RESP3, a bulk string in RESP2."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


class NullArray:
    """The null that stands for an array (an EXEC that a WATCH undid): `*-1` in RESP2, `_` in RESP3."""

    __slots__ = ()


NULL_ARRAY = NullArray()


class Pairs:
    """A map given as pairs, for keys that Python cannot hash or that come twice."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        self.pairs = pairs


class Members:
    """A set given as a sequence, for members that Python cannot hash or that have an order to be seen."""

    __slots__ = ("members",)

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = members


class Encoded(bytes):
    """Bytes that already are a reply (an error within an array, the replies of EXEC): written as they stand."""

    __slots__ = ()


Reply = Any
_Encoder = Callable[[Any], bytes]


def bulk(value: bytes) -> bytes:
    """A bulk string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def integer(value: int) -> bytes:
    """An integer."""
    return b":%d\r\n" % value


def error(text: str) -> bytes:
    """An error reply. Line ends within `text` become spaces, as in Redis; bytes taken from a client may be in it,
    decoded with `surrogateescape`."""
    line = text.replace("\r", " ").replace("\n", " ")
    return b"-%b\r\n" % line.encode("utf-8", "surrogateescape")


def simple(text: str) -> bytes:
    """A simple string; line ends become spaces, for a line end inside would start another reply."""
    line = text.replace("\r", " ").replace("\n", " ")
    return b"+%b\r\n" % line.encode("utf-8", "surrogateescape")


def format_double(value: float) -> bytes:
    """The shortest text that reads back as `value`, written as Redis writes it."""
    if isinf(value):
        return b"inf" if value > 0 else b"-inf"
    if isnan(value):
        return b"nan"
    if value.is_integer() and abs(value) < 1e17:
        return b"-0" if value == 0 and str(value)[0] == "-" else b"%d" % int(value)
    return repr(value).encode()


class _ByType(dict[type, _Encoder]):
    """Encoders by exact type; a subclass is looked up once along its bases and then remembered."""

    def __missing__(self, kind: type) -> _Encoder:
        for base in kind.__mro__[1:]:
            if base in self:
                self[kind] = self[base]
                return self[kind]
        raise TypeError(f"no reply type for {kind.__name__}")


_RESP2 = _ByType()
_RESP3 = _ByType()


def encode2(value: Reply) -> bytes:
    """`value` as a RESP2 reply. Raises TypeError for a type that has no reply."""
    return _RESP2[type(value)](value)


def encode3(value: Reply) -> bytes:
    """`value` as a RESP3 reply. Raises TypeError for a type that has no reply."""
    return _RESP3[type(value)](value)


def push(values: Sequence[Reply]) -> bytes:
    """An out-of-band message; RESP3 only (RESP2 clients get the same values as an array)."""
    return _items3(b">%d\r\n", len(values), values)


def _items2(count: int, values: Iterable[Reply]) -> bytes:
    table = _RESP2
    return b"*%d\r\n%b" % (count, b"".join([table[type(value)](value) for value in values]))


def _items3(head: bytes, count: int, values: Iterable[Reply]) -> bytes:
    table = _RESP3
    return head % count + b"".join([table[type(value)](value) for value in values])


def _flat(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    return [item for pair in pairs for item in pair]


_RESP2.update(
    {
        type(None): lambda _: NULL2,
        bytes: bulk,
        bytearray: bulk,
        memoryview: bulk,
        int: integer,
        bool: integer,
        str: simple,
        float: lambda value: bulk(format_double(value)),
        list: lambda values: _items2(len(values), values),
        tuple: lambda values: _items2(len(values), values),
        set: lambda values: _items2(len(values), values),
        frozenset: lambda values: _items2(len(values), values),
        dict: lambda pairs: _items2(2 * len(pairs), _flat(pairs.items())),
        Pairs: lambda value: _items2(2 * len(value.pairs), _flat(value.pairs)),
        Members: lambda value: _items2(len(value.members), value.members),
        Verbatim: lambda value: bulk(value.text),
        NullArray: lambda _: NULL_ARRAY2,
        Encoded: bytes,
    }
)
_RESP3.update(
    {
        **_RESP2,
        type(None): lambda _: NULL3,
        bool: lambda value: b"#t\r\n" if value else b"#f\r\n",
        float: lambda value: b",%b\r\n" % format_double(value),
        list: lambda values: _items3(b"*%d\r\n", len(values), values),
        tuple: lambda values: _items3(b"*%d\r\n", len(values), values),
        set: lambda values: _items3(b"~%d\r\n", len(values), values),
        frozenset: lambda values: _items3(b"~%d\r\n", len(values), values),
        dict: lambda pairs: _items3(b"%%%d\r\n", len(pairs), _flat(pairs.items())),
        Pairs: lambda value: _items3(b"%%%d\r\n", len(value.pairs), _flat(value.pairs)),
        Members: lambda value: _items3(b"~%d\r\n", len(value.members), value.members),
        Verbatim: lambda value: b"=%d\r\ntxt:%b\r\n" % (len(value.text) + 4, value.text),
        NullArray: lambda _: NULL3,
    }
)
