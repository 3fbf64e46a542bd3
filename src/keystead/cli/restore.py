"""keystead restore: a new data directory from a backup, or from another directory's own past, up to a moment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from keystead.backup.cutting import Until, written
from keystead.backup.places import S3, place_at
from keystead.backup.repository import Repository
from keystead.backup.restoring import refuse_existing, restore
from keystead.backup.sources import DirectorySource, SnapshotSource, Source, snapshot_for
from keystead.cli import UsageError
from keystead.cli.moments import time_ms
from keystead.cli.options import CommandLine
from keystead.cli.progress import Stages, duration, many
from keystead.engine.files import OperatingSystem
from keystead.engine.manifest import MANIFEST_NAME

_DESCRIPTION: Final = """\
Make a new data directory from a backup (a directory, or s3://bucket/prefix) or
from the past of a data directory, served or not: as it was at a time, after a
transaction, or at the end. Its history up to then comes with it. Every file is
verified first; a directory that is there already is never touched."""


def run_restore(arguments: list[str]) -> int:
    """Restore, and say to what."""
    line = CommandLine("restore", _DESCRIPTION, [])
    line.usage = "keystead restore SOURCE [OPTIONS]"
    line.own.add_argument("source", metavar="SOURCE", nargs="?", help="the same as --from SOURCE")
    line.own.add_argument("--from", dest="origin", metavar="SOURCE", help="a backup, or a data directory")
    line.own.add_argument("--into", metavar="NEWDIR", help="the directory to make; it must not be there")
    line.add_time("--to-time", "the last transaction committed by then: 2026-11-26T18:00, -10m, 18:00 …")
    line.own.add_argument("--to-sequence", metavar="N", type=int, help="the transaction with this number")
    line.own.add_argument("--snapshot", metavar="ID", help="from this snapshot of the backup [the one that fits]")
    parsed, _ = line.parse(arguments)
    origin = parsed.origin or parsed.source
    if not origin or not parsed.into or (parsed.origin and parsed.source):
        raise UsageError("restore needs one SOURCE and --into NEWDIR; keystead restore --help tells the options")
    if parsed.to_time is not None and parsed.to_sequence is not None:
        raise UsageError("--to-time and --to-sequence name two moments; give one of them")
    until = Until(parsed.to_sequence, time_ms(parsed.to_time) if parsed.to_time is not None else None)
    began_s = time.monotonic()
    into = Path(parsed.into).absolute()
    refuse_existing(OperatingSystem(), str(into))  # before anything is fetched
    _refuse_inside(into)
    with _source(origin, until, parsed.snapshot) as source, Stages() as stages:
        restored = restore(source, str(into), until, report=stages.show)
    end = f"transaction {restored.sequence:,} of {written(restored.time_ms)}" if restored.sequence else "no transaction"
    print(
        f"{parsed.into}: {many(restored.keys, 'key')}, as after {end}; restored in "
        f"{duration(time.monotonic() - began_s)}. To begin: keystead serve --dir {parsed.into}"
    )
    return 0


def _refuse_inside(into: Path) -> None:
    """A store within a store would be lost with it."""
    for directory in into.resolve().parents:
        if (directory / MANIFEST_NAME).exists():
            raise UsageError(f"{into} is in the data directory {directory}: a store there would be lost with it")


@contextlib.contextmanager
def _source(origin: str, until: Until, snapshot: str | None) -> Iterator[Source]:
    """What people name: a data directory has a manifest, a backup has snapshots."""
    if not origin.startswith(S3) and (Path(origin) / MANIFEST_NAME).exists():
        if snapshot is not None:
            raise UsageError(f"{origin} is a data directory; only a backup has snapshots")
        with contextlib.closing(DirectorySource(origin)) as directory:
            yield directory
        return
    repository = Repository(place_at(origin))
    if snapshot is not None:
        yield SnapshotSource(repository, repository.find(snapshot))
        return
    yield SnapshotSource(repository, snapshot_for(repository.existing(), until))
