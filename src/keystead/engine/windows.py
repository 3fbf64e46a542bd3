"""The frames of a file, read a window at a time: the file may be as large as the memory of the machine.

Must not know: what frames mean, which files there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from keystead.engine.format import FILE_HEADER, Frame, decode_frame, frame_bytes

if TYPE_CHECKING:
    from keystead.engine.files import File

WINDOW_BYTES = 1 << 20


def frames_in_file(file: File, salt: int, size: int) -> Iterator[Frame]:
    """The chain of good frames in the first *size* bytes; it ends before the first bytes that are not one."""
    offset = FILE_HEADER.size
    while offset < size:
        window = memoryview(file.read_at(offset, min(WINDOW_BYTES, size - offset)))
        if frame_bytes(window, 0) > len(window):
            window = memoryview(file.read_at(offset, min(frame_bytes(window, 0), size - offset)))
        end = offset
        while (frame := decode_frame(salt, window, end - offset, offset)) is not None:
            yield frame
            end = frame.end
        if end == offset:
            return
        offset = end
