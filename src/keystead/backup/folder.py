"""A repository's place in the file system: a directory of directories, each object a file.

Owns: the order of writes that makes an object appear whole. Must not know: what is kept there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from keystead.backup.failures import PlaceFailure
from keystead.engine.files import Directory, System, make_directory
from keystead.errors import DiskFailure

PARTIAL = ".partial"
"""The end of the name of a file that is being written."""
_CHUNK_BYTES = 1 << 20


class Folder:
    """A `Place` (places.py)."""

    def __init__(self, path: str, system: System | None = None) -> None:
        self.address = os.path.abspath(path)
        self._root = Directory(self.address, system)

    def sizes(self, kind: str) -> dict[str, int]:
        """Names and sizes; a directory that is not there is empty."""
        directory = self._directory(kind)
        found = {}
        with self._failing():
            try:
                names = directory.names()
            except FileNotFoundError:
                return {}
            for name in names:
                if not name.endswith(PARTIAL):
                    with contextlib.suppress(FileNotFoundError), directory.open_to_read(name) as file:
                        found[f"{kind}/{name}"] = file.size()
        return found

    def read(self, name: str) -> Iterator[bytes]:
        """The file, a megabyte at a time."""
        directory, base = self._split(name)
        with self._failing(), directory.open_to_read(base) as file:
            offset = 0
            while chunk := file.read_at(offset, _CHUNK_BYTES):
                yield chunk
                offset += len(chunk)

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Temporary file → its sync → rename → the directory's sync."""
        directory, base = self._split(name)
        temporary = base + PARTIAL
        with self._failing():
            make_directory(self._root.system, directory.path)
            directory.remove(temporary)
            file = directory.create(temporary)
        try:
            offset = 0
            for chunk in chunks:
                with self._failing():
                    file.write_at(offset, chunk)
                offset += len(chunk)
            with self._failing():
                file.sync()
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):
                directory.remove(temporary)
            raise
        file.close()
        with self._failing():
            directory.rename(temporary, base)
            directory.sync()

    def link(self, name: str, source: str) -> None:
        """Let the object be another name of the file *source*, which must be on the same disk and never change."""
        directory, base = self._split(name)
        with self._failing():
            make_directory(self._root.system, directory.path)
            directory.remove(base)
            self._root.system.link(source, f"{directory.path}/{base}")
            directory.sync()

    def remove(self, name: str) -> None:
        """Unlink the file; that it is gone need not survive a power cut."""
        directory, base = self._split(name)
        with self._failing(), contextlib.suppress(FileNotFoundError):
            directory.remove(base)

    def remove_unfinished(self, kind: str) -> None:
        """Remove what interrupted puts left; nobody may be writing."""
        directory = self._directory(kind)
        with self._failing(), contextlib.suppress(FileNotFoundError):
            for name in directory.names():
                if name.endswith(PARTIAL):
                    directory.remove(name)

    def _directory(self, kind: str) -> Directory:
        return Directory(f"{self.address}/{kind}", self._root.system)

    def _split(self, name: str) -> tuple[Directory, str]:
        kind, _, base = name.partition("/")
        return self._directory(kind), base

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except DiskFailure as error:
            raise PlaceFailure(self.address, str(error)) from error
        except OSError as error:
            raise PlaceFailure(self.address, error.strerror or str(error)) from error
