"""A server's snapshot (RDB) as records, while it streams in: Redis up to 8, Valkey up to 9.

One value at a time is in memory. Strings come out as they are; every other type as what DUMP would answer (see values).
The checksum of the whole stands at its end, so what was told before is only known to be right when all was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keystead.migration.replica.failures import DamagedSnapshot, UnknownSnapshot
from keystead.migration.replica.incoming import Incoming
from keystead.migration.replica.values import (
    MODULE_TYPE,
    REDIS_TYPES,
    STRING_TYPE,
    VALKEY_TYPES,
    ValueType,
    dump_payload,
    module_kind,
    skip_module_values,
)
from keystead.migration.source import STRING, Record, SourceFailed

_MAGIC: Final = re.compile(rb"(?:REDIS(?P<redis>[0-9]{4})|VALKEY(?P<valkey>[0-9]{3}))").fullmatch
_MAGIC_BYTES: Final = 9
_NEWEST_REDIS: Final = 13
_NEWEST_VALKEY: Final = 80
_CHECKSUM_SINCE: Final = 5

_SLOT_IMPORT_OR_KEY_METADATA: Final = 243  # Valkey's, Redis' meaning
_SLOT_INFO: Final = 244
_FUNCTION: Final = 245
_MODULE_AUX: Final = 247
_IDLE: Final = 248
_FREQUENCY: Final = 249
_AUX: Final = 250
_RESIZE: Final = 251
_EXPIRES_MS: Final = 252
_EXPIRES_S: Final = 253
_SELECT: Final = 254
_END: Final = 255


class Snapshot:
    """One snapshot, read once."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._types: dict[int, ValueType] = REDIS_TYPES
        self._database = 0
        self._expires_at_ms = 0  # of the key that comes next
        self.functions = 0
        """How many libraries of functions were passed over: they are no keys."""

    def records(self) -> Iterator[Record]:
        """All keys; they are complete, and what they should be, only when it ends without an error: DamagedSnapshot,
        ValueTooLarge, SourceFailed, UnknownSnapshot."""
        version = self._read_magic()
        incoming = self._incoming
        while (code := incoming.byte()) != _END:
            if code >= _SLOT_IMPORT_OR_KEY_METADATA:
                self._take_opcode(code)
                continue
            key = incoming.string()
            expires_at_ms, self._expires_at_ms = self._expires_at_ms, 0
            if code == STRING_TYPE:
                yield Record(self._database, key, STRING, incoming.string(), expires_at_ms)
            else:
                kind, payload = self._value(code, key)
                if payload:
                    yield Record(self._database, key, kind, payload, expires_at_ms)
        if version >= _CHECKSUM_SINCE:
            self._check()

    def _read_magic(self) -> int:
        head = self._incoming.take(_MAGIC_BYTES)
        match = _MAGIC(head)
        if match is None:
            raise DamagedSnapshot(f"a snapshot does not begin with {head!r}")
        if match["valkey"] is not None:
            self._types, version, newest = VALKEY_TYPES, int(match["valkey"]), _NEWEST_VALKEY
        else:
            version, newest = int(match["redis"]), _NEWEST_REDIS
        if not 1 <= version <= newest:
            raise UnknownSnapshot(f"the snapshot has version {version} of its format, {newest} is known")
        return version

    def _value(self, code: int, key: bytes) -> tuple[str, bytes]:
        """The value as DUMP would tell it; b"" for an empty one."""
        known = self._types.get(code)
        if known is None:
            raise UnknownSnapshot(f"the value of {key!r} has type {code}, which is not known here")
        incoming = self._incoming
        incoming.begin_capture()
        kind = module_kind(incoming) if code == MODULE_TYPE else known.kind
        filled = known.skip(incoming)
        body = incoming.end_capture()
        return kind, dump_payload(code, known.since, body) if filled else b""

    def _take_opcode(self, code: int) -> None:
        """What stands between keys."""
        incoming = self._incoming
        if code == _EXPIRES_MS:
            self._expires_at_ms = int.from_bytes(incoming.take(8), "little", signed=True)
        elif code == _EXPIRES_S:
            self._expires_at_ms = int.from_bytes(incoming.take(4), "little", signed=True) * 1000
        elif code == _SELECT:
            self._database = incoming.length()
        elif code == _FREQUENCY:
            incoming.skip(1)
        elif code == _IDLE:
            incoming.length()
        elif code in (_RESIZE, _SLOT_INFO):
            for _ in range(2 if code == _RESIZE else 3):
                incoming.length()
        elif code == _AUX:
            incoming.skip_string()
            incoming.skip_string()
        elif code == _FUNCTION:
            incoming.skip_string()
            self.functions += 1
        elif code == _MODULE_AUX:
            incoming.length()
            skip_module_values(incoming)
        elif code == _SLOT_IMPORT_OR_KEY_METADATA and self._types is VALKEY_TYPES:
            raise SourceFailed("slots are being moved to this node; wait until that is done, then begin again")
        else:
            raise UnknownSnapshot(f"the snapshot has part {code}, which is not known here")

    def _check(self) -> None:
        computed = self._incoming.checksum()
        stored = int.from_bytes(self._incoming.take(8), "little")
        if stored and stored != computed:  # 0: the server was told to write none
            raise DamagedSnapshot("the snapshot does not match its checksum")
