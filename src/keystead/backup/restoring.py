"""Restoring: a new directory with a store as it was at a moment, its past included.

Owns: the order that makes it whole or absent. Must not know: how the source keeps the files, how progress is shown.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from keystead.backup.cutting import Kept, Until, cut, generations_until, reaches_beyond, written
from keystead.backup.failures import Damage, DamagedBackup, IntoExisting, MomentNotKept, damage_of
from keystead.backup.sources import Source
from keystead.engine import manifest as manifests
from keystead.engine.files import LOCK_NAME, Directory, DirectoryLock, OperatingSystem, System, parent_of
from keystead.engine.manifest import CheckpointRecord, Generation, Manifest, SegmentRecord
from keystead.engine.recovery import Recovered, recover
from keystead.engine.view import View
from keystead.errors import DamagedData

Report = Callable[[str, int, int], None]
"""What is done, how much of how much."""


class Restored(NamedTuple):
    """What came of it."""

    sequence: int
    """Of the last transaction."""
    time_ms: int
    """When it was committed; 0 when there is none."""
    keys: int
    """Of all databases, those included whose time was up but whose removal was not logged yet."""
    view: View


def restore(
    source: Source,
    into: str,
    until: Until = Until(),  # noqa: B008  # a named tuple
    *,
    report: Report = lambda *_: None,
    system: System | None = None,
) -> Restored:
    """Make the directory *into*. IntoExisting, MomentNotKept, DamagedBackup (every file named), DirectoryUnusable.

    The order: files, each synced → the manifest, and their directory → reading it all as a start does → the directory's
    own name → its parent. Until then it is under a name that no store has, which the next try clears away.
    """
    system = system or OperatingSystem()
    into = os.path.abspath(into)
    refuse_existing(system, into)
    _refuse_beyond(source, until)
    generations = generations_until(source.manifest, until)
    temporary = f"{parent_of(into)}/.{os.path.basename(into)}.restoring"
    lock = DirectoryLock.acquire(temporary, system=system)
    directory = Directory(temporary, system)
    try:
        _clear(directory)
        manifest = _with_generations(source.manifest, generations)
        _copy(source, directory, manifest, until, report)
        manifests.store(directory, manifest)  # syncs their directory, too
        restored = _read(directory, manifest, until, report)
        system.rename(temporary, into)
        system.sync_directory(parent_of(into))
    except BaseException:
        with contextlib.suppress(OSError):
            _clear(directory)
            system.unlink(f"{temporary}/{LOCK_NAME}")
            system.rmdir(temporary)
        raise
    finally:
        lock.release()
    return restored


def refuse_existing(system: System, path: str) -> None:
    """IntoExisting when there is anything at *path*."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.basename(path) in system.listdir(parent_of(path)):
            raise IntoExisting(f"{path} exists; a store is restored into a new directory")


def _refuse_beyond(source: Source, until: Until) -> None:
    if until.sequence is not None and until.sequence > source.sequence:
        raise MomentNotKept(f"the log ends before {until}: its last transaction is {source.sequence:,}")
    if until.time_ms is not None and until.time_ms > source.known_until_ms:
        raise MomentNotKept(f"nothing is known of {until}: the log was read at {written(source.known_until_ms)}")


def _clear(directory: Directory) -> None:
    for name in directory.names():
        if name != LOCK_NAME:
            directory.remove(name)


def _with_generations(manifest: Manifest, generations: list[Generation]) -> Manifest:
    """The same store, but another history: its sequence numbers will be given to other transactions."""
    parsed = manifests.parse(manifests.render(manifest), manifests.MANIFEST_NAME)  # a copy, all of it
    parsed.generations = parsed.generations[: len(generations)]
    parsed.history, parsed.unsynced = manifests.new_id(), False
    return parsed


def _copy(source: Source, directory: Directory, manifest: Manifest, until: Until, report: Report) -> None:
    """Copy what leads to the moment, and cut the log there; *manifest* says so at the end. DamagedBackup."""
    copy = _Copy(source, directory, report, sum(generation.stored_bytes() for generation in manifest.generations))
    *older, last = manifest.generations
    for generation in older:
        for record in _records(generation):
            copy.file(record)
    if last.checkpoint is not None:
        copy.file(last.checkpoint)
    kept: list[SegmentRecord] = []
    for record in last.segments:
        if copy.file(record):
            kept.append(record)
            if reaches_beyond(directory, manifest, record, until):
                break
    if copy.damage:
        raise DamagedBackup(copy.damage)
    while kept and cut(directory, manifest, kept[-1], until) is Kept.NOTHING:
        directory.remove(kept.pop().file)
    last.segments = kept


def _records(generation: Generation) -> Iterator[SegmentRecord | CheckpointRecord]:
    if generation.checkpoint is not None:
        yield generation.checkpoint
    yield from generation.segments


class _Copy:
    """Copies files and remembers which are damaged: people want to know all of them at once."""

    def __init__(self, source: Source, directory: Directory, report: Report, total: int) -> None:
        self._source = source
        self._directory = directory
        self._report = report
        self._done, self._total = 0, total
        self.damage: list[Damage] = []

    def file(self, record: SegmentRecord | CheckpointRecord) -> bool:
        """Copy one file, durable; False when it is damaged."""
        offset = 0
        with self._directory.create(record.file) as file:
            try:
                for chunk in self._source.chunks(record):
                    file.write_at(offset, chunk)
                    offset += len(chunk)
                    self._report("restoring", self._done + offset, self._total)
            except DamagedBackup as error:
                self.damage += error.damage
                return False
            finally:
                self._done += offset
            file.sync()
        return True


def _read(directory: Directory, manifest: Manifest, until: Until, report: Report) -> Restored:
    """Read the store as its first start will. DamagedBackup when that does not come to the moment."""
    recovered = Recovered(View(manifest.seed))
    view = recovered.view
    try:
        for done, total in recover(directory, manifest, recovered):
            report("reading the restored store", done, total)
    except DamagedData as error:
        raise DamagedBackup([damage_of(error)]) from error
    sequence = view.next_sequence - 1
    if until.sequence is not None and sequence != until.sequence:
        raise DamagedBackup([Damage(manifests.MANIFEST_NAME, f"{until} was asked for, the log ends at {sequence:,}")])
    times = [record.time_ms for generation in manifest.generations for record in generation.segments]
    checkpoint = manifest.current.checkpoint
    time_ms = max([*times, checkpoint.time_ms if checkpoint else 0])
    shown = [view.keyspaces[number] for number in view.databases if number in view.keyspaces]
    keys = sum(sum(map(len, keyspace.shards)) for keyspace in shown)
    return Restored(sequence, time_ms, keys, view)
