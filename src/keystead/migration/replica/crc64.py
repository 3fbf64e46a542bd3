"""The checksum at the end of snapshots and of what DUMP answers: CRC-64 with Jones' polynomial."""

from typing import Final

from anycrc import Model  # type: ignore[import-untyped]

_MODEL: Final = Model("CRC64-REDIS")


def crc64(data: bytes, before: int = 0) -> int:
    """The checksum of what had the checksum *before*, with *data* behind it."""
    checksum: int = _MODEL.calc(data, before)
    return checksum
