"""Bytes pulled out of whatever arrives, with the primitives of the snapshot format.

Memory is taken only for bytes that have arrived, never for a length that was declared. Checksums are made of whole
chunks when they are used up, not of each piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from keystead.migration.replica.crc64 import crc64
from keystead.migration.replica.failures import DamagedSnapshot, ValueTooLarge
from keystead.migration.replica.lzf import decompress

MAX_VALUE_BYTES: Final = 512 << 20
"""What a server takes as one argument unless told otherwise (`proto-max-bulk-len`); so nothing larger can be moved."""

_INT_BYTES: Final = (1, 2, 4)
_LZF: Final = 3


class Incoming:
    """A place in the bytes that arrive."""

    def __init__(self, receive: Callable[[], bytes], max_value_bytes: int = MAX_VALUE_BYTES) -> None:
        """*receive* gives the next chunk; b"" when there will be none."""
        self._receive = receive
        self._max_value_bytes = max_value_bytes
        self._buffer = b""
        self._at = 0
        self._before = 0  # bytes used up in earlier chunks
        self._checksum = 0
        self._summed = 0  # how much of the buffer is in the checksum
        self._parts: list[bytes] = []  # of the capture under way
        self._captured_bytes = 0
        self._capture_from = -1  # in the buffer; -1: no capture

    @property
    def taken(self) -> int:
        """How many bytes were taken."""
        return self._before + self._at

    def checksum(self) -> int:
        """Of all bytes that were taken."""
        self._sum_up()
        return self._checksum

    def rest(self) -> bytes:
        """What has arrived and was not taken; it is handed over."""
        rest = self._buffer[self._at :]
        self._buffer = self._buffer[: self._at]
        return rest

    # One piece each.

    def byte(self) -> int:
        """The next byte."""
        if self._at == len(self._buffer):
            self._refill()
        value = self._buffer[self._at]
        self._at += 1
        return value

    def take(self, count: int) -> bytes:
        """The next *count* bytes. ValueTooLarge, DamagedSnapshot."""
        end = self._at + count
        if end > len(self._buffer):
            return self._take_over_chunks(count)
        piece = self._buffer[self._at : end]
        self._at = end
        return piece

    def skip(self, count: int) -> None:
        """Pass *count* bytes."""
        while count > len(self._buffer) - self._at:
            count -= len(self._buffer) - self._at
            self._at = len(self._buffer)
            self._refill()
        self._at += count

    def length(self) -> int:
        """A length, or a number written like one."""
        return self._length_after(self.byte())

    def string(self) -> bytes:
        """A string, however it is written."""
        first = self.byte()
        if first < 0xC0:
            return self.take(self._length_after(first))
        form = first & 63
        if form < _LZF:
            return b"%d" % int.from_bytes(self.take(_INT_BYTES[form]), "little", signed=True)
        if form > _LZF:
            raise DamagedSnapshot(f"the snapshot has a string of the unknown form {form}")
        packed, unpacked = self.length(), self.length()
        if unpacked > self._max_value_bytes:
            raise self._too_large(unpacked)
        try:
            return decompress(self.take(packed), unpacked)
        except ValueError as error:
            raise DamagedSnapshot(f"the snapshot has a compressed string with {error}") from error

    def skip_string(self) -> None:
        """Pass a string without making it."""
        first = self.byte()
        if first < 0xC0:
            self.skip(self._length_after(first))
        elif (form := first & 63) < _LZF:
            self.skip(_INT_BYTES[form])
        elif form == _LZF:
            packed = self.length()
            self.length()
            self.skip(packed)
        else:
            raise DamagedSnapshot(f"the snapshot has a string of the unknown form {form}")

    # What is passed, kept as it stands.

    def begin_capture(self) -> None:
        """Keep what is taken from here on."""
        self._parts, self._captured_bytes, self._capture_from = [], 0, self._at

    def end_capture(self) -> bytes:
        """What was taken since."""
        captured = b"".join([*self._parts, self._buffer[self._capture_from : self._at]])
        self._parts, self._capture_from = [], -1
        return captured

    def _length_after(self, first: int) -> int:
        if first < 0x40:
            return first
        if first < 0x80:
            return (first & 0x3F) << 8 | self.byte()
        if first == 0x80:
            return int.from_bytes(self.take(4), "big")
        if first == 0x81:
            return int.from_bytes(self.take(8), "big")
        raise DamagedSnapshot(f"the snapshot has byte {first} where a length should be")

    def _take_over_chunks(self, count: int) -> bytes:
        if count > self._max_value_bytes:
            raise self._too_large(count)
        pieces = []
        while count:
            if self._at == len(self._buffer):
                self._refill()
            piece = self._buffer[self._at : self._at + count]
            self._at += len(piece)
            count -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _refill(self) -> None:
        """The next chunk, in place of one that is used up."""
        self._sum_up()
        if self._capture_from >= 0:
            self._parts.append(self._buffer[self._capture_from :])
            self._captured_bytes += len(self._parts[-1])
            if self._captured_bytes > self._max_value_bytes:
                raise self._too_large(self._captured_bytes)
            self._capture_from = 0
        self._before += len(self._buffer)
        self._buffer, self._at, self._summed = self._receive(), 0, 0
        if not self._buffer:
            raise DamagedSnapshot("the snapshot ends in the middle")

    def _sum_up(self) -> None:
        self._checksum = crc64(self._buffer[self._summed : self._at], self._checksum)
        self._summed = self._at

    def _too_large(self, size: int) -> ValueTooLarge:
        return ValueTooLarge(f"a value takes {size:,} bytes, more than the {self._max_value_bytes:,} that one may have")
