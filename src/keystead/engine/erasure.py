"""What is to be erased from a store's files, and what came of it. Plain data, for the store and for the process that
does it (`forgetting.py`). Must not know: files, frames.
"""

from __future__ import annotations

import msgspec

from keystead.engine.manifest import CheckpointRecord, Manifest, SegmentRecord


class Erasure(msgspec.Struct):
    """Some keys of one database, up to the transaction *through*: there they do not exist."""

    database: int
    keys: list[bytes]
    through: int
    system_prefix: bytes = b""
    """All keys of the system keyspace that begin with it are erased as well; none exists there. Empty: nothing is."""


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

    def names(self) -> list[str]:
        """Of the files."""
        return [record.file for record in self.segments] + [record.file for record in self.checkpoints]

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
