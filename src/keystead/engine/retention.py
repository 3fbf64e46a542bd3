"""How much history is kept: what the user wants, what there is, what goes next. Changes nothing.

Owns: the rule by which generations are let go. Must not know: when that is done (`maintenance.py`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from keystead.engine.format import FILE_HEADER, SEGMENT_MAGIC, BadHeader, OtherVersion, decode_file_header
from keystead.engine.history.transactions import floor_of

if TYPE_CHECKING:
    from keystead.engine.files import Directory
    from keystead.engine.manifest import Generation, Manifest

INDEX_SUFFIX = ".idx"


class Retention(NamedTuple):
    """How much history is kept beside the newest generation."""

    max_age_ms: int
    max_bytes: int

    @property
    def keeps_nothing(self) -> bool:
        """Whether history is turned off."""
        return not (self.max_age_ms and self.max_bytes)

    def expired(self, manifest: Manifest, now_ms: int) -> int:
        """How many of the oldest generations are to be let go; never the newest."""
        old = manifest.generations[:-1]
        oldest_ms = now_ms - self.max_age_ms
        kept_bytes = sum(generation.stored_bytes() for generation in old)
        dropped = 0
        for generation in old:
            if generation.last_ms() >= oldest_ms and kept_bytes <= self.max_bytes:
                break
            kept_bytes -= generation.stored_bytes()
            dropped += 1
        return dropped


class KeptHistory(NamedTuple):
    """What is kept of the past, and what it costs."""

    generations: int
    """The newest one included."""
    stored_bytes: int
    """Of all generations but the newest, which is needed anyway."""
    index_bytes: int
    """Of the index files of segments."""
    first_sequence: int
    """The first transaction that is kept."""
    oldest_ms: int
    """The time of the oldest moment that can be rebuilt; 0 where it cannot be told."""
    next_drop_bytes: int
    """What goes at the next step: the oldest generation. 0 while there is only the newest."""
    next_drop_ms: int
    """When it is too old; it may go earlier, for want of room. 0 while there is only the newest."""


def kept_history(directory: Directory, manifest: Manifest, retention: Retention) -> KeptHistory:
    """The facts now; looks at a few files, and what cannot be looked at at the moment is 0."""
    old = manifest.generations[:-1]
    oldest = old[0] if old else None
    return KeptHistory(
        len(manifest.generations),
        sum(generation.stored_bytes() for generation in old),
        _index_bytes(directory),
        floor_of(manifest),
        _oldest_ms(directory, manifest, manifest.generations[0]),
        oldest.stored_bytes() if oldest else 0,
        oldest.last_ms() + retention.max_age_ms if oldest else 0,
    )


def _index_bytes(directory: Directory) -> int:
    size = 0
    with contextlib.suppress(OSError):
        for name in directory.names():
            if name.endswith(INDEX_SUFFIX):
                with contextlib.suppress(FileNotFoundError), directory.open_to_read(name) as file:
                    size += file.size()
    return size


def _oldest_ms(directory: Directory, manifest: Manifest, generation: Generation) -> int:
    if generation.checkpoint is not None:
        return generation.checkpoint.time_ms
    try:
        with directory.open_to_read(generation.segments[0].file) as file:
            data = memoryview(file.read_at(0, FILE_HEADER.size))
        return decode_file_header(manifest.store_id, SEGMENT_MAGIC, data).created_ms
    except (OSError, IndexError, BadHeader, OtherVersion):  # whoever reads the data says so
        return 0
