"""Single keys of a checkpoint, without reading all of it.

Owns: where each shard frame is. Must not know: segments, moments.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec
from xxhash import xxh3_64_intdigest as digest

from keystead.engine.checkpoint import checked_header, read_opened, shard_keys, shard_place, shown_keyspaces
from keystead.engine.format import END, FILE_HEADER, FRAME_HEADER, KIND_OFFSET, SHARD, frame_bytes
from keystead.engine.keyspace import SHARD_SHIFT
from keystead.engine.reading import read_frame
from keystead.engine.view import ReplayError, View
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.files import Directory, File
    from keystead.engine.history.transactions import Databases
    from keystead.engine.manifest import CheckpointRecord

Shard: TypeAlias = tuple[dict[bytes, bytes], dict[bytes, int]]
"""Values and expiries."""

HEAD_BYTES = FRAME_HEADER.size + 16
"""Of a shard frame: its header, and the numbers of keyspace and shard."""


class Contents(NamedTuple):
    """What a walk over the headers finds."""

    shards: dict[tuple[int, int], int]
    """Keyspace and shard: offset of the frame."""
    databases: Databases


class CheckpointKeys:
    """A checkpoint that the manifest names. Files are opened when they are wanted: FileNotFoundError. DamagedData."""

    def __init__(self, directory: Directory, store_id: int, hash_seed: int, record: CheckpointRecord) -> None:
        self.record = record
        self._directory = directory
        self._store_id = store_id
        self._seed = hash_seed
        self._path = f"{directory.path}/{record.file}"
        self._latest: tuple[tuple[int, int], Shard] | None = None
        self._verified = False

    @property
    def databases(self) -> Databases:
        """The keyspace that each database showed."""
        return self._contents.databases

    def find(self, keyspace: int, key: bytes) -> tuple[bytes, int] | None:
        """Value and expiry, whether or not its time was up; None: no such key.

        Many keys are best asked for shard by shard: the latest shard is kept.
        """
        place = keyspace, digest(key, self._seed) >> SHARD_SHIFT
        values, expiries = self._shard(place)
        value = values.get(key)
        if value is None:
            return None
        return value, expiries.get(key, 0)

    def _shard(self, place: tuple[int, int]) -> Shard:
        if self._latest is not None and self._latest[0] == place:
            return self._latest[1]
        offset = self._contents.shards.get(place)
        if offset is None:
            self._verify()  # or a flipped bit in a number, which nobody has looked at closely, would hide a shard
            return {}, {}
        with self._directory.open_to_read(self.record.file) as file:
            frame = read_frame(self._path, file, self._salt, offset)
        try:
            shard = shard_keys(frame.payload)
        except msgspec.DecodeError as error:
            raise DamagedData(self._path, offset, f"a frame's content makes no sense: {error}") from error
        self._latest = place, shard
        return shard

    def _verify(self) -> None:
        if self._verified:
            return
        with self._directory.open_to_read(self.record.file) as file:
            for _ in read_opened(self._path, file, self._store_id, self.record, View(self._seed), range(0)):
                pass
        self._verified = True

    def read_into(self, view: View, between_frames: Callable[[], None]) -> None:
        """Put all of it into *view*."""
        with self._directory.open_to_read(self.record.file) as file:
            for _ in read_opened(self._path, file, self._store_id, self.record, view):
                between_frames()

    @cached_property
    def _salt(self) -> int:
        with self._directory.open_to_read(self.record.file) as file:
            return checked_header(self._path, file, self._store_id, self.record).salt

    @cached_property
    def _contents(self) -> Contents:
        with self._directory.open_to_read(self.record.file) as file:
            return self._walk(file)

    def _walk(self, file: File) -> Contents:
        shards: dict[tuple[int, int], int] = {}
        offset = FILE_HEADER.size
        while offset < self.record.length:
            head = memoryview(file.read_at(offset, HEAD_BYTES))
            length = frame_bytes(head, 0)
            if not length:
                break
            if head[KIND_OFFSET] == END:
                frame = read_frame(self._path, file, self._salt, offset)
                if frame.number != len(shards):
                    break
                return Contents(shards, shown_keyspaces(frame.payload))
            if head[KIND_OFFSET] != SHARD:
                break
            try:
                shards[shard_place(head[FRAME_HEADER.size :])] = offset
            except ReplayError:
                break
            offset += length
        raise DamagedData(self._path, offset, "its end cannot be found")
