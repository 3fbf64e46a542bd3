"""What a value looks like in the store: the codecs to choose from at `open(values=…)`, and the two kinds of key.

Owns: from Python values to bytes and back, and what is refused. Must not know: stores, locks, servers.

The untyped functions of a codec are C functions wherever possible, because they run for every get and set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from keystead.errors import ValueRefused

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

VALUE_MAX_BYTES: Final = 512 << 20
"""The largest value, as in Redis."""

INTEGER: Final = re.compile(rb"-?(0|[1-9][0-9]*)", re.ASCII)
INTEGER_MIN: Final = -(1 << 63)
INTEGER_MAX: Final = (1 << 63) - 1


class Codec(Generic[V]):
    """How values of type V are stored. `encode` and `decode` may raise anything; the store makes it ValueRefused.

    *decimal* says that an integer is stored as its decimal digits, which is what a server can add to.
    """

    __slots__ = ("decimal", "decode", "encode", "name")

    def __init__(
        self, name: str, encode: Callable[[V], bytes], decode: Callable[[bytes], V], *, decimal: bool = False
    ) -> None:
        self.name = name
        self.encode = encode
        self.decode = decode
        self.decimal = decimal

    def __repr__(self) -> str:
        return f"keystead.{self.name}"

    def read_integer(self, data: bytes) -> int:
        """The integer that *data* stands for. ValueRefused when it is none of 64 bits."""
        if self.decimal:
            number: object = int(data) if INTEGER.fullmatch(data) else None
        else:
            number = self.decode(data)
        if type(number) is not int or not INTEGER_MIN <= number <= INTEGER_MAX:
            raise ValueRefused("the value is not an integer of 64 bits")
        return number

    def write_integer(self, number: int) -> bytes:
        """The bytes that stand for *number*. ValueRefused when it needs more than 64 bits."""
        if not INTEGER_MIN <= number <= INTEGER_MAX:
            raise ValueRefused("the sum does not fit into 64 bits")
        return b"%d" % number if self.decimal else self.encode(cast(V, number))


class TypedCodec(Codec[Any]):
    """A codec that can also be called with a type, `keystead.msgpack(User)`: values are then of that type only."""

    __slots__ = ("_decoder",)

    def __init__(
        self,
        name: str,
        encode: Callable[[Any], bytes],
        decoder: Callable[[Any], Callable[[bytes], Any]],
        *,
        decimal: bool = False,
    ) -> None:
        super().__init__(name, encode, decoder(Any), decimal=decimal)
        self._decoder = decoder

    def __call__(self, kind: type[T]) -> Codec[T]:
        """The codec for values of type *kind*: a dataclass, a msgspec Struct, or any type that msgspec knows."""
        encode_any = self.encode
        decode = self._decoder(kind)
        instance = kind if isinstance(kind, type) else object

        def encode(value: T) -> bytes:
            if not isinstance(value, instance):
                raise TypeError(f"expected {instance.__qualname__}, got {type(value).__qualname__}")
            data = encode_any(value)
            decode(data)  # encoding checks no field: what could not be read back must not be written
            return data

        return Codec(f"{self.name}({getattr(kind, '__qualname__', kind)})", encode, decode, decimal=self.decimal)


def _pickle() -> Codec[Any]:
    def encode(value: Any) -> bytes:
        from pickle import HIGHEST_PROTOCOL, dumps

        return dumps(value, HIGHEST_PROTOCOL)

    def decode(data: bytes) -> Any:
        from pickle import loads

        return loads(data)

    return Codec("pickle", encode, decode)


raw: Final[Codec[bytes]] = Codec("raw", bytes.__bytes__, bytes.__bytes__, decimal=True)
"""Bytes as they are; `values=bytes` means this."""

text: Final[Codec[str]] = Codec("text", str.encode, bytes.decode, decimal=True)
"""`str`, stored as UTF-8."""

json: Final = TypedCodec(
    "json", msgspec.json.Encoder().encode, lambda kind: msgspec.json.Decoder(kind).decode, decimal=True
)
"""Whatever JSON can say, or one type: `keystead.json(User)`. Tuples come back as lists, keys of dicts as str."""

msgpack: Final = TypedCodec(
    "msgpack", msgspec.msgpack.Encoder().encode, lambda kind: msgspec.msgpack.Decoder(kind).decode
)
"""As `json`, smaller and quicker, and with bytes; or one type: `keystead.msgpack(User)`."""

pickle: Final[Codec[Any]] = _pickle()
"""Any Python object. Whoever can write into such a store can run code in every program that reads from it."""


class KeyCodec(Generic[K]):
    """How keys are stored. *encode* raises TypeError for any other kind."""

    __slots__ = ("decode", "encode", "kind")

    def __init__(self, kind: type[K], encode: Callable[[K], bytes], decode: Callable[[bytes], K]) -> None:
        self.kind = kind
        self.encode = encode
        self.decode = decode


STR_KEYS: Final = KeyCodec(str, str.encode, bytes.decode)
BYTES_KEYS: Final = KeyCodec(bytes, bytes.__bytes__, bytes.__bytes__)


def key_codec(keys: object) -> KeyCodec[Any]:
    """What *keys* of open() and connect() stands for. ValueRefused when for nothing."""
    if keys in ("str", str):
        return STR_KEYS
    if keys in ("bytes", bytes):
        return BYTES_KEYS
    raise ValueRefused(f'keys are "str" or "bytes", not {keys!r}')


def value_codec(values: object) -> Codec[Any]:
    """What *values* of open() and connect() stands for. ValueRefused when for nothing."""
    if values is bytes:
        return raw
    if isinstance(values, Codec):
        return values
    raise ValueRefused(
        "values are bytes, keystead.text, keystead.json, keystead.msgpack or keystead.pickle, "
        f"or keystead.msgpack(SomeType); not {values!r}"
    )


class Coding(Generic[K, V]):
    """The keys' and the values' codec together, with the sentences for what they refuse."""

    __slots__ = ("keys", "values")

    def __init__(self, keys: KeyCodec[K], values: Codec[V]) -> None:
        self.keys = keys
        self.values = values

    def key(self, key: K) -> bytes:
        """The key's bytes. ValueRefused."""
        try:
            return self.keys.encode(key)
        except Exception as error:
            raise self.refused_key(key, error) from error

    def value(self, value: V) -> bytes:
        """The value's bytes. ValueRefused."""
        try:
            data = self.values.encode(value)
        except Exception as error:
            raise self.refused_value(value, error) from error
        if len(data) > VALUE_MAX_BYTES:
            raise ValueRefused(f"a value has at most {VALUE_MAX_BYTES} bytes, this one has {len(data)}")
        return data

    def decoded_key(self, raw_key: bytes) -> K:
        """The key for its bytes. ValueRefused for a stored key that this kind of keys cannot say."""
        try:
            return self.keys.decode(raw_key)
        except ValueError as error:
            raise ValueRefused(f"the stored key {raw_key!r} is not UTF-8; open the store with keys=bytes") from error

    def decoded(self, data: bytes | bytearray) -> V:
        """The value for its bytes. ValueRefused for what another codec has written."""
        try:
            return self.values.decode(bytes(data))
        except Exception as error:
            raise ValueRefused(f"a stored value cannot be read as {self.values!r}: {error}") from error

    def refusal(self, key: object, value: object, error: Exception) -> ValueRefused:
        """What to raise when either was refused with *error*."""
        try:
            self.keys.encode(cast(K, key))
        except Exception:
            return self.refused_key(key, error)
        return self.refused_value(value, error)

    def refused_key(self, key: object, error: Exception) -> ValueRefused:
        """What to raise for a key that was refused with *error*."""
        if isinstance(key, self.keys.kind):
            return ValueRefused(f"a key is UTF-8, which {key!r} cannot be: {error}")
        return ValueRefused(f"keys of this store are {self.keys.kind.__name__}, not {type(key).__name__}: {key!r:.80}")

    def refused_value(self, value: object, error: Exception) -> ValueRefused:
        """What to raise for a value that was refused with *error*."""
        if self.values is raw:
            return ValueRefused(
                f"values of this store are bytes, not {type(value).__name__}; "
                "for others open it with values=keystead.text, json, msgpack or pickle"
            )
        return ValueRefused(f"{self.values!r} cannot store this {type(value).__name__}: {error}")
