"""Compaction: checkpoint + sealed segments → the next checkpoint. In a process of its own, from sealed files alone.

Owns: the merge. Must not know: the running engine; who makes the manifest name the result (`maintenance.py`).
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator

import msgspec

from keystead.engine import manifest as manifests
from keystead.engine.background_process import end_with_parent, full_disk_as_status
from keystead.engine.checkpoint import CheckpointWriter, Progress, read_checkpoint
from keystead.engine.files import Directory
from keystead.engine.giving_way import with_rests
from keystead.engine.keyspace import SHARDS
from keystead.engine.manifest import CheckpointRecord, Manifest, SegmentRecord
from keystead.engine.recovery import Recovered, read_sealed
from keystead.engine.view import View

PASS_BYTES = 512 << 20
"""About how much of the files one pass merges: a larger store is merged in several passes over ranges of shards."""


def take_all(steps: Iterator[Progress]) -> None:
    """Take one step after the other."""
    for _ in steps:
        pass


def compact(
    directory: Directory,
    number: int,
    pass_bytes: int = PASS_BYTES,
    take: Callable[[Iterator[Progress]], None] = take_all,
) -> CheckpointRecord:
    """Write the checkpoint that contains the segments up to *number*, all sealed; durable when this returns.

    *take* takes the steps of it.
    """
    result: list[CheckpointRecord] = []
    take(compacting(directory, number, result, pass_bytes))
    return result[0]


def compacting(
    directory: Directory,
    number: int,
    result: list[CheckpointRecord],
    pass_bytes: int = PASS_BYTES,
) -> Iterator[Progress]:
    """The same in steps; the record is put into *result* at the end."""
    manifest = manifests.load(directory)
    assert manifest is not None, "a store that is open has a manifest"
    segments = [record for record in manifest.current.segments if record.number <= number]
    passes = max(1, -(-manifest.current.stored_bytes() // pass_bytes))
    bounds = [SHARDS * i // passes for i in range(passes + 1)]
    writer: CheckpointWriter | None = None
    view = View(manifest.seed)
    try:
        for index, (low, high) in enumerate(itertools.pairwise(bounds)):
            wanted = range(low, high)
            recovered = Recovered(View(manifest.seed, wanted))
            yield from _read(directory, manifest, segments, recovered, wanted)
            view = recovered.view
            if writer is None:
                writer = CheckpointWriter(directory, manifest.store_id, number, view, recovered.position)
            for i in wanted:
                for _ in writer.write_shards(view, range(i, i + 1)):
                    yield Progress(index + 1, passes)
                view.let_go(i)
        assert writer is not None
        result.append(writer.finish(view))
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise


def _read(
    directory: Directory, manifest: Manifest, segments: list[SegmentRecord], recovered: Recovered, wanted: range
) -> Iterator[Progress]:
    checkpoint = manifest.current.checkpoint
    if checkpoint is not None:
        yield from read_checkpoint(directory, manifest.store_id, checkpoint, recovered.view, wanted)
        recovered.position = checkpoint.position
    for record in segments:
        yield from read_sealed(directory, manifest.store_id, record, recovered)


def main(arguments: list[str]) -> None:
    """Entry point of the process: directory and number as arguments, the record as JSON on standard output."""
    end_with_parent()
    with full_disk_as_status():
        record = compact(Directory(arguments[0]), int(arguments[1]), PASS_BYTES, with_rests)
    sys.stdout.buffer.write(msgspec.json.encode(record))
    sys.stdout.flush()
