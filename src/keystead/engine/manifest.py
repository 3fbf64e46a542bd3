"""The manifest: which files belong to the store, in generations. Follows docs/format.md, "Manifest".

Owns the model and its bytes. Must not know when it changes: that is maintenance's business.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
from xxhash import xxh3_64_intdigest

from keystead.engine.format import index_name, segment_name
from keystead.errors import DamagedData, UnknownFormat

if TYPE_CHECKING:
    from keystead.engine.files import Directory

MANIFEST_NAME = "MANIFEST"
_TITLE = "keystead manifest"
_VERSION = "2"
_REVISED_VERSION = "3"
"""Of a manifest that names a revision of a file: an older Keystead must refuse it."""
_KNOWN_VERSIONS = ("1", _VERSION, _REVISED_VERSION)


class SegmentRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A segment. *time_ms* (of its last commit), *length* and *checksum* are known once it is sealed."""

    number: int
    salt: str
    time_ms: int = 0
    length: int | None = None
    checksum: str | None = None
    revision: int | msgspec.UnsetType = msgspec.UNSET
    """How often it was written again without what was erased."""

    @property
    def file(self) -> str:
        """Its file name."""
        return segment_name(self.number, self.revision or 0)


class CheckpointRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A checkpoint: the view after segment *number*; the log goes on at *position* with transaction *sequence*."""

    file: str
    number: int
    length: int
    checksum: str
    position: int
    sequence: int
    time_ms: int
    revision: int | msgspec.UnsetType = msgspec.UNSET
    """As of a segment; *file* is the name of this one."""


class Generation(msgspec.Struct, forbid_unknown_fields=True):
    """A checkpoint (none in the first generation) and the segments after it."""

    checkpoint: CheckpointRecord | None
    segments: list[SegmentRecord]

    def stored_bytes(self) -> int:
        """Bytes of its files, as far as they are sealed."""
        segments = sum(segment.length or 0 for segment in self.segments)
        return segments + (self.checkpoint.length if self.checkpoint else 0)

    @property
    def is_revised(self) -> bool:
        """Whether a file of it was written again."""
        revisions = [segment.revision for segment in self.segments]
        return any(revisions) or bool(self.checkpoint and self.checkpoint.revision)

    def last_ms(self) -> int:
        """The latest commit time that only this generation holds (0: none is known)."""
        return max((segment.time_ms for segment in self.segments), default=0)


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """All files of a store; the last generation is the one that start-up reads."""

    store: str
    hash_seed: str
    generations: list[Generation]
    history: str = ""
    """In one history a sequence number never means anything else; "" in a manifest of version 1."""
    unsynced: bool = False
    """Commits may have been acknowledged before they were synced since the last clean stop."""

    @property
    def store_id(self) -> int:
        """The store's id as the number that seeds header checksums."""
        return int(self.store, 16)

    @property
    def seed(self) -> int:
        """The seed of the shard hash."""
        return int(self.hash_seed, 16)

    @property
    def current(self) -> Generation:
        """The newest generation."""
        return self.generations[-1]

    def files(self) -> set[str]:
        """Names of all files without which the store is not whole."""
        names = {segment.file for segment in self.segments()}
        return names | {generation.checkpoint.file for generation in self.generations if generation.checkpoint}

    def all_files(self) -> set[str]:
        """The same, and the names that indexes of its sealed segments have if they are there."""
        sealed = (segment for segment in self.segments() if segment.length is not None)
        return self.files() | {index_name(segment.file) for segment in sealed}

    def segments(self) -> list[SegmentRecord]:
        """The segments of all generations, in order."""
        return [segment for generation in self.generations for segment in generation.segments]


def new_id() -> str:
    """A random id of 16 hex digits."""
    return f"{secrets.randbits(64):016x}"


def render(manifest: Manifest) -> bytes:
    """The manifest's bytes."""
    body = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    version = _REVISED_VERSION if any(generation.is_revised for generation in manifest.generations) else _VERSION
    return _title(version, body) + b"\n" + body


def _title(version: str, body: bytes) -> bytes:
    """The first line. From version 3 on a flipped bit in the version is noticed by the checksum, too."""
    seed = int(version) if int(version) > 2 else 0
    return f"{_TITLE} {version} {xxh3_64_intdigest(body, seed):016x}".encode()


def parse(data: bytes, path: str) -> Manifest:
    """The manifest in *data*. DamagedData and UnknownFormat name *path*."""
    title, _, body = data.partition(b"\n")
    words = title.decode("ascii", "replace").rsplit(" ", 2)
    if len(words) == 3 and words[0] == _TITLE and words[1] not in _KNOWN_VERSIONS and words[1].isdigit():
        raise UnknownFormat(path, f"manifest version {words[1]}", f"versions up to {_REVISED_VERSION}")
    if title not in [_title(version, body) for version in _KNOWN_VERSIONS]:
        raise DamagedData(path, 0, "the checksum in the first line does not match")
    try:
        return msgspec.json.decode(body, type=Manifest)
    except msgspec.DecodeError as error:
        raise DamagedData(path, len(title) + 1, str(error)) from error


def load(directory: Directory) -> Manifest | None:
    """The directory's manifest; None when it has none."""
    try:
        data = directory.read(MANIFEST_NAME)
    except FileNotFoundError:
        return None
    return parse(data, f"{directory.path}/{MANIFEST_NAME}")


def store(directory: Directory, manifest: Manifest) -> None:
    """Replace the directory's manifest; durable when this returns."""
    directory.replace(MANIFEST_NAME, render(manifest))
