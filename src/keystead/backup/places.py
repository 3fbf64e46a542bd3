"""The places a repository may be in, behind one small interface: a directory, or object storage.

Owns: the interface, and which words name which place. Must not know: what is kept there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from keystead.backup.failures import PlaceFailure
from keystead.backup.folder import Folder

CHUNK_BYTES = 1 << 20
S3 = "s3://"


class Place(Protocol):
    """Named objects, written whole. Names are "kind/name". PlaceFailure from every call."""

    address: str
    """What people write to name it, absolute."""

    def sizes(self, kind: str) -> dict[str, int]:
        """Names (with the kind) and sizes in bytes of all objects of that kind."""

    def read(self, name: str) -> Iterator[bytes]:
        """The object, in chunks. FileNotFoundError when there is none."""

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Make or replace an object; durable when this returns. Whatever happens it is there whole, or as before:
        an exception from *chunks* leaves no trace."""

    def remove(self, name: str) -> None:
        """Remove an object; harmless when it is gone."""

    def remove_unfinished(self, kind: str) -> None:
        """Remove what interrupted puts left; nobody may be writing."""


def place_at(address: str) -> Place:
    """The place that people call so: `s3://bucket/prefix`, or the path of a directory. PlaceFailure."""
    if address.startswith(S3):
        from keystead.backup.object_storage import ObjectStorage

        return ObjectStorage(address)
    if "://" in address:
        raise PlaceFailure(address, "a backup goes to a directory or to s3://bucket/prefix")
    return Folder(address)


def is_inside(address: str, directory: str | Path) -> bool:
    """Whether that place is in the directory whose backups it would hold, and would be lost with it."""
    return not address.startswith(S3) and Path(address).resolve().is_relative_to(Path(directory).resolve())


def read_whole(place: Place, name: str) -> bytes:
    """A small object. FileNotFoundError, PlaceFailure."""
    return b"".join(place.read(name))
