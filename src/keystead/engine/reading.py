"""Reading a stored file: its header, and its chain of good frames a window at a time.

Must not know: what frames mean, what a bad one says about the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from keystead.engine.format import (
    ERASED_VERSION,
    FileHeader,
    Frame,
    OtherVersion,
    decode_file_header,
    decode_frame,
    frame_bytes,
)
from keystead.errors import DamagedData, UnknownFormat

if TYPE_CHECKING:
    from keystead.engine.files import File

WINDOW_BYTES = 1 << 20
"""A file may be as large as the memory of the machine; and a buffer of this size stays in the processor's cache."""
FRAME_BYTES = 1 << 12
"""So much is read at once where one frame is wanted: nearly all are shorter."""


def read_header(path: str, store_id: int, magic: bytes, data: memoryview) -> FileHeader:
    """The header of the file at *path*. BadHeader; UnknownFormat when it is good, but of an unknown version."""
    try:
        return decode_file_header(store_id, magic, data)
    except OtherVersion as error:
        raise UnknownFormat(path, f"version {error.version}", f"versions up to {ERASED_VERSION}") from error


def frames_in(file: File, salt: int, offset: int, size: int, window_bytes: int = WINDOW_BYTES) -> Iterator[Frame]:
    """The chain of good frames from *offset* on, within the first *size* bytes of *file*."""
    while offset < size:
        window = memoryview(file.read_at(offset, min(window_bytes, size - offset)))
        if frame_bytes(window, 0) > len(window):
            window = memoryview(file.read_at(offset, min(frame_bytes(window, 0), size - offset)))
        end = offset
        while (frame := decode_frame(salt, window, end - offset, offset)) is not None:
            yield frame
            end = frame.end
        if end == offset:
            return
        offset = end


def read_frame(path: str, file: File, salt: int, offset: int) -> Frame:
    """The one frame at *offset*, which was found to be good before. DamagedData."""
    data = memoryview(file.read_at(offset, FRAME_BYTES))
    length = frame_bytes(data, 0)
    if length > len(data):
        data = memoryview(file.read_at(offset, length))
    frame = decode_frame(salt, data, 0, offset)
    if frame is None:
        raise DamagedData(path, offset, "a frame's checksum does not match")
    return frame
