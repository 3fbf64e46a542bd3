"""Snapshots: what a store was at one moment, and which objects of a repository hold its files. Follows docs/backup.md.

Owns: the model, its bytes, the names of objects. Must not know: places, how a snapshot comes about.
"""

from __future__ import annotations

import time

import msgspec
from xxhash import xxh3_64_hexdigest

from keystead.backup.failures import Damage, DamagedBackup
from keystead.engine import manifest as manifests
from keystead.engine.manifest import Manifest
from keystead.errors import DamagedData, UnknownFormat

OBJECTS = "objects"
SNAPSHOTS = "snapshots"
_TITLE = "keystead snapshot"
_VERSION = "1"
_SUFFIX = ".json"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object, and what it must be."""

    object: str
    length: int
    checksum: str


class StoredFile(msgspec.Struct, forbid_unknown_fields=True):
    """A file of the store: the parts joined."""

    file: str
    parts: list[Part]


class Snapshot(msgspec.Struct, forbid_unknown_fields=True):
    """A store as it was. The transactions up to *sequence* are in it; *time_ms* is when that one was committed (0: none
    was), *taken_ms* when the store was looked at: all that was acknowledged before is in it.
    """

    taken_ms: int
    sequence: int
    time_ms: int
    digest: str
    """Of the whole view (digests.py); "" where it was not computed."""
    manifest: str
    """As in the store's directory, but with the end of the log sealed."""
    files: list[StoredFile]
    id: str = ""
    """The time at which it was begun, and its name; in the object's name, not in the object."""

    def parsed_manifest(self) -> Manifest:
        """The manifest. DamagedData, UnknownFormat."""
        return manifests.parse(self.manifest.encode(), snapshot_name(self.id))

    @property
    def known_until_ms(self) -> int:
        """Up to this time there is no transaction but those in it. Store time may be ahead of a clock that was set."""
        return max(self.taken_ms, self.time_ms)

    def objects(self) -> dict[str, Part]:
        """Every part by its object's name."""
        return {part.object: part for file in self.files for part in file.parts}


def snapshot_name(identifier: str) -> str:
    """The name of the object that a snapshot is."""
    return f"{SNAPSHOTS}/{identifier}{_SUFFIX}"


def snapshot_id(name: str) -> str:
    """The snapshot that an object of that name is. Ids, not names, are in the order of time."""
    return name.removeprefix(f"{SNAPSHOTS}/").removesuffix(_SUFFIX)


def new_snapshot_id(now_ms: int, others: list[str]) -> str:
    """An id that sorts behind all *others*, whatever the clock says."""
    identifier = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_ms // 1000)) + f".{now_ms % 1000:03}Z"
    newest = max(others, default="")
    return identifier if identifier > newest else f"{newest}-"


def object_name(file: str, offset: int, length: int, checksum: str) -> str:
    """The name of an object with these bytes of *file*: the same name is the same bytes, whoever wrote them when."""
    stem, _, extension = file.rpartition(".")
    return f"{OBJECTS}/{stem}-{offset:010}-{length:010}-{checksum}.{extension}"


def render(snapshot: Snapshot) -> bytes:
    """The snapshot's bytes."""
    fields = {name: getattr(snapshot, name) for name in Snapshot.__struct_fields__ if name != "id"}
    body = msgspec.json.format(msgspec.json.encode(fields), indent=1) + b"\n"
    return f"{_TITLE} {_VERSION} {xxh3_64_hexdigest(body)}\n".encode() + body


def parse(data: bytes, name: str) -> Snapshot:
    """The snapshot in *data*, the object *name*. DamagedBackup, UnknownFormat."""
    title, _, body = data.partition(b"\n")
    words = title.decode("ascii", "replace").rsplit(" ", 2)
    if len(words) == 3 and words[0] == _TITLE and words[1] != _VERSION and words[1].isdigit():
        raise UnknownFormat(name, f"snapshot version {words[1]}", f"version {_VERSION}")
    if title != f"{_TITLE} {_VERSION} {xxh3_64_hexdigest(body)}".encode():
        raise DamagedBackup([Damage(name, "the checksum in the first line does not match")])
    try:
        snapshot = msgspec.json.decode(body, type=Snapshot)
        snapshot.id = snapshot_id(name)
        snapshot.parsed_manifest()
    except (msgspec.DecodeError, DamagedData) as error:
        raise DamagedBackup([Damage(name, str(error))]) from error
    return snapshot
