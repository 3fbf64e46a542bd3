"""What is to be erased from a store's files, and what came of it. Plain data, for the store and for the process that
does it (`forgetting.py`). Must not know: files, frames.
"""

from __future__ import annotations

import msgspec

from keystead.engine.keyspace import SYSTEM_KEYSPACE
from keystead.engine.manifest import CheckpointRecord, Manifest, SegmentRecord
from keystead.engine.operations import Bind, Filler


class Erasure(msgspec.Struct):
    """Some keys of one database, up to the transaction *through*: there they do not exist."""

    database: int
    keys: list[bytes]
    through: int
    system_prefix: bytes = b""
    """All keys of the system keyspace that begin with it are erased as well; none exists there. Empty: nothing is."""

    def words(self) -> list[bytes]:
        """Bytes without one of which no payload can have anything that is to be erased."""
        return [*self.keys, self.system_prefix] if self.system_prefix else self.keys

    def names(self, keyspace: int, key: bytes, keyspaces: set[int]) -> bool:
        """Whether that key is to be erased; *keyspaces* are those that the database has shown."""
        if keyspace == SYSTEM_KEYSPACE:
            return bool(self.system_prefix) and key.startswith(self.system_prefix)
        return keyspace in keyspaces and key in self.keys

    def erases(self, operation: object, keyspaces: set[int]) -> bool:
        """Whether that operation is on such a key."""
        if isinstance(operation, Bind | Filler):
            return False
        return self.names(operation.keyspace, operation.key, keyspaces)  # type: ignore[attr-defined]


class Rewritten(msgspec.Struct):
    """The records of the files that take the place of those of the same number, and how much was erased."""

    segments: list[SegmentRecord] = []
    checkpoints: list[CheckpointRecord] = []
    operations: int = 0
    """How many became fillers."""

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self.segments) + len(self.checkpoints)

    @property
    def stored_bytes(self) -> int:
        """Of all of them."""
        segments = sum(record.length or 0 for record in self.segments)
        return segments + sum(record.length for record in self.checkpoints)

    def put_into(self, manifest: Manifest) -> None:
        """Let the manifest name these files."""
        segments = {record.number: record for record in self.segments}
        checkpoints = {record.number: record for record in self.checkpoints}
        for generation in manifest.generations:
            generation.segments = [segments.get(record.number, record) for record in generation.segments]
            if generation.checkpoint is not None:
                generation.checkpoint = checkpoints.get(generation.checkpoint.number, generation.checkpoint)


class Forgetting:
    """A wish to forget, from its transaction to the last sync. Then `rewritten` is set, or `failure`, which says why
    what was is still in the files."""

    def __init__(self, erasure: Erasure, last_segment: int) -> None:
        self.erasure = erasure
        self.last_segment = last_segment
        """Has the transaction *through*: everything up to it must be sealed first."""
        self.rewritten: Rewritten | None = None
        self.failure = ""

    @property
    def done(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.rewritten is not None or bool(self.failure)
