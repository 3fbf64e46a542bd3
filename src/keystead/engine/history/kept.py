"""What is kept open of the past, most recently used first: files and indexes, no more than so many of each.

A week of a busy store may be thousands of files. Whoever reads on while other questions are asked needs its own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from keystead.engine.files import Directory, File
    from keystead.engine.history.frame_index import FrameIndex
    from keystead.engine.manifest import SegmentRecord

MOST_FILES = 128
MOST_INDEXES = 128

T = TypeVar("T")


class LatestUsed(Generic[T]):
    """Values by key; when there are too many, the one that was not asked for the longest is let go."""

    def __init__(self, most: int, let_go: Callable[[T], None] = lambda _: None) -> None:
        self._most = most
        self._let_go = let_go
        self._values: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of that key, made if need be."""
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = make()
            if len(self._values) > self._most:
                self._let_go(self._values.popitem(last=False)[1])
        self._values.move_to_end(key)
        return value

    def keep_only(self, keys: set[Hashable]) -> None:
        """Let all others go."""
        for key in [key for key in self._values if key not in keys]:
            self._let_go(self._values.pop(key))

    def clear(self) -> None:
        """Let all go."""
        while self._values:
            self._let_go(self._values.popitem()[1])


class Kept:
    """The open files and indexes of one directory."""

    def __init__(self, directory: Directory, most_files: int = MOST_FILES) -> None:
        self._directory = directory
        self._files: LatestUsed[File] = LatestUsed(most_files, lambda file: file.close())
        self._indexes: LatestUsed[FrameIndex] = LatestUsed(MOST_INDEXES)

    def file(self, record: SegmentRecord) -> File:
        """That segment, open. FileNotFoundError when it has been dropped."""
        name = record.file
        return self._files.get((name, record.salt), lambda: self._directory.open_to_read(name))

    def index(self, record: SegmentRecord, load: Callable[[], FrameIndex]) -> FrameIndex:
        """The index of that segment."""
        return self._indexes.get((record.file, record.salt, record.length), load)

    def keep_only(self, records: Iterable[SegmentRecord]) -> None:
        """Let go of what the manifest does not name any more: its room on the disk is free only then."""
        records = list(records)
        self._files.keep_only({(record.file, record.salt) for record in records})
        self._indexes.keep_only({(record.file, record.salt, record.length) for record in records})

    def close(self) -> None:
        """Let all go."""
        self._files.clear()
        self._indexes.clear()
