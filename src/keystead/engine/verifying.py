"""Reading the files of a store that is being served, to find out whether they are what was written.

A sealed file has a length and a checksum in the manifest; every byte is read for that, in blocks, so that memory stays
small. The segment that is being written has none yet: its chain of good frames must reach as far as it is known to be
durable. Retention may drop files meanwhile: what the manifest no longer names is left out.

Must not know: who serves the store, who asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from xxhash import xxh3_64

from keystead.engine import manifest as manifests
from keystead.engine.checking import sealed_files
from keystead.engine.files import Directory
from keystead.engine.format import FILE_HEADER, SEGMENT_MAGIC, BadHeader
from keystead.engine.manifest import MANIFEST_NAME, Manifest, SegmentRecord
from keystead.engine.reading import frames_in, read_header
from keystead.errors import DamagedData

BLOCK_BYTES = 1 << 20


class Verified(NamedTuple):
    """How far it has come; at the end of a file also what was wrong with it."""

    done: int
    """Bytes."""
    total: int
    files: int
    damage: DamagedData | None = None


def verify(directory: Directory, durable: Mapping[int, int]) -> Iterator[Verified]:
    """Read every sealed file, oldest first, then the segments that are being written: by the number of each *durable*
    says up to which byte. DamagedData, UnknownFormat when the manifest cannot be read."""
    manifest = _manifest(directory)
    sealed = [found for generation in manifest.generations for found in sealed_files(generation)]
    records = [record for record in manifest.current.segments if record.length is None]
    unsealed = [(record, durable[record.number]) for record in records if record.number in durable]
    total = sum(length for _, length, _ in sealed) + sum(length for _, length in unsealed)
    done = files = 0
    yield Verified(done, total, files)
    for name, length, checksum in sealed:
        read, digest = 0, xxh3_64()
        for block in _blocks(directory, name, length):
            digest.update(block)
            read += len(block)
            yield Verified(done + read, total, files)
        done, files = done + length, files + 1
        reason = _short(read, length) if read != length else "the file's checksum does not match"
        is_good = read == length and digest.hexdigest() == checksum
        yield Verified(
            done, total, files, None if is_good else _damage(directory, name, 0 if read == length else read, reason)
        )
    for record, length in unsealed:
        read = 0
        for read in _ends_of_frames(directory, manifest, record, length):
            yield Verified(done + min(read, length), total, files)
        done, files = done + length, files + 1
        reason = f"nothing good is here, and the segment is durable up to byte {length}"
        yield Verified(done, total, files, None if read >= length else _damage(directory, record.file, read, reason))


def _blocks(directory: Directory, name: str, length: int) -> Iterator[bytes]:
    try:
        file = directory.open_to_read(name)
    except FileNotFoundError:
        return
    with file:
        at = 0
        while at < length and (block := file.read_at(at, min(BLOCK_BYTES, length - at))):
            yield block
            at += len(block)


def _ends_of_frames(directory: Directory, manifest: Manifest, record: SegmentRecord, length: int) -> Iterator[int]:
    """Where each good frame ends, the header first."""
    try:
        file = directory.open_to_read(record.file)
    except FileNotFoundError:
        return
    with file:
        head = memoryview(file.read_at(0, FILE_HEADER.size))
        try:
            read_header(f"{directory.path}/{record.file}", manifest.store_id, SEGMENT_MAGIC, head)
        except BadHeader:
            return
        yield FILE_HEADER.size
        for frame in frames_in(file, int(record.salt, 16), FILE_HEADER.size, file.size()):
            yield frame.end
            if frame.end >= length:
                return


def _damage(directory: Directory, name: str, offset: int, reason: str) -> DamagedData | None:
    """None when the store has no such file any more."""
    known = name in _manifest(directory).files()
    return DamagedData(f"{directory.path}/{name}", offset, reason) if known else None


def _short(read: int, length: int) -> str:
    return f"{length} bytes expected, found {read}" if read else "the file is missing or empty"


def _manifest(directory: Directory) -> Manifest:
    manifest = manifests.load(directory)
    if manifest is None:
        raise DamagedData(f"{directory.path}/{MANIFEST_NAME}", 0, "the file is missing")
    return manifest
