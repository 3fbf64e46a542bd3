"""Bytes that one thread receives and another reads later: in memory up to a bound, beyond it in temporary files.

A server keeps only so much for a replica that is slow to read (`client-output-buffer-limit`, 256 MB unless told
otherwise), and then cuts it off. So everything is read as fast as it comes, and waits here. Files have no name, so none
is left behind; each is let go of when it was read, so they take what is not read yet and no more.
"""

from __future__ import annotations

from collections import deque
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Final

MEMORY_BYTES: Final = 16 << 20
FILE_BYTES: Final = 64 << 20
READ_BYTES: Final = 1 << 18


class Spool:
    """A pipe without end. Its two ends may be used by two threads."""

    def __init__(
        self, directory: str | None = None, memory_bytes: int = MEMORY_BYTES, file_bytes: int = FILE_BYTES
    ) -> None:
        """Files are made in *directory*; None: where temporary files are."""
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._file_bytes = file_bytes
        self._chunks: deque[bytes] = deque()
        self._in_memory = 0
        self._files: deque[_File] = deque()  # younger than what is in memory; the last one is written to
        self._lock = Lock()
        self.waiting = 0
        """How many bytes were written and not read."""

    def write(self, data: bytes) -> None:
        """Behind all that was written. OSError, as when the disk is full."""
        with self._lock:
            # Once a file has begun, what comes goes behind it: memory holds the older bytes.
            if self._files or self._in_memory + len(data) > self._memory_bytes:
                self._write_to_file(data)
            else:
                self._chunks.append(data)
                self._in_memory += len(data)
            self.waiting += len(data)

    def read(self) -> bytes:
        """The oldest bytes that wait, some at a time; b"": there are none now."""
        with self._lock:
            if self._chunks:
                data = self._chunks.popleft()
                self._in_memory -= len(data)
            elif self._files:
                data = self._read_from_file()
            else:
                data = b""
            self.waiting -= len(data)
            return data

    def close(self) -> None:
        """Let everything go."""
        with self._lock:
            self._chunks.clear()
            while self._files:
                self._files.popleft().close()

    def _write_to_file(self, data: bytes) -> None:
        if not self._files or self._files[-1].written >= self._file_bytes:
            self._files.append(_File(self._directory))
        self._files[-1].write(data)

    def _read_from_file(self) -> bytes:
        file = self._files[0]
        data = file.read()
        if file.read_bytes == file.written:
            self._files.popleft().close()
        return data


class _File:
    """A file without a name, written at its end and read from its beginning."""

    def __init__(self, directory: str | None) -> None:
        self._file: IO[bytes] = TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - closed when it was read
        self.written = 0
        self.read_bytes = 0

    def write(self, data: bytes) -> None:
        self._file.seek(self.written)
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[self._file.write(unwritten) :]
        self.written += len(data)

    def read(self) -> bytes:
        self._file.seek(self.read_bytes)
        data = self._file.read(READ_BYTES)
        self.read_bytes += len(data)
        return data

    def close(self) -> None:
        self._file.close()
