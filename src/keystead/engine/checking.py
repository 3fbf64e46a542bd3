"""Reading a store to find out whether every byte of it is what was written. Changes nothing on disk.

Owns: what `check` looks at, older generations included. Must not know: how it is shown, what is done about damage
(`repair.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from xxhash import xxh3_64_hexdigest

from keystead.engine.checkpoint import Progress
from keystead.engine.files import Directory
from keystead.engine.format import index_name
from keystead.engine.history import segment_index
from keystead.engine.keyspace import SYSTEM_KEYSPACE
from keystead.engine.manifest import Generation, Manifest
from keystead.engine.recovery import Recovered, TornTail, recover
from keystead.engine.view import View
from keystead.errors import DamagedData


@dataclass(slots=True)
class CheckedGeneration:
    """What reading one generation found."""

    generation: Generation
    damage: list[DamagedData] = field(default_factory=list)
    """At most one a file, the earliest first."""
    bad_indexes: list[str] = field(default_factory=list)
    """Indexes of its segments that are not what was written. Nobody uses them, and they can be built again."""
    torn: list[TornTail] = field(default_factory=list)
    stored_bytes: int = 0
    keys: int = 0
    last_ms: int = 0
    """Time of its last commit."""


def check(directory: Directory, manifest: Manifest, found: list[CheckedGeneration]) -> Iterator[Progress]:
    """Read every file of every generation, oldest first, and put what is there into *found*; yields progress.

    Two looks at each file: its length and checksum as the manifest has them, and a replay as at start-up, which
    verifies each frame and says where the damage is. Then each checkpoint is compared with the log it was made from.
    Indexes, which are made from segments and may be missing, are looked at for bad ones.
    """
    total = 2 * sum(_size(directory, name) for name in manifest.files())
    done = 0
    before: View | None = None
    for generation in manifest.generations:
        checked = CheckedGeneration(generation)
        found.append(checked)
        for file, length, checksum in sealed_files(generation):
            _check_whole(directory, file, length, checksum, checked)
            done += length
            yield Progress(done, total)
        checked.bad_indexes = _bad_indexes(directory, manifest, generation)
        started, before = before, None
        recovered = Recovered(View(manifest.seed))
        alone = Manifest(manifest.store, manifest.hash_seed, [generation])
        try:
            if generation.checkpoint is not None and started is not None:
                yield from _compare(directory, alone, started, checked, done, total)
            for progress in recover(directory, alone, recovered):
                yield Progress(done + progress.done, total)
            before = recovered.view
        except DamagedData as error:
            _note(checked, error)
        checked.torn = recovered.torn
        checked.keys = _count(recovered.view)
        checked.last_ms = recovered.view.time_ms
        checked.stored_bytes = sum(_size(directory, name) for name in alone.files())
        done += checked.stored_bytes
        yield Progress(min(done, total), total)


def sealed_files(generation: Generation) -> Iterator[tuple[str, int, str]]:
    """Name, length and checksum of each file that never changes again."""
    if generation.checkpoint is not None:
        yield generation.checkpoint.file, generation.checkpoint.length, generation.checkpoint.checksum
    for segment in generation.segments:
        if segment.length is not None and segment.checksum is not None:
            yield segment.file, segment.length, segment.checksum


def _check_whole(directory: Directory, file: str, length: int, checksum: str, checked: CheckedGeneration) -> None:
    path = f"{directory.path}/{file}"
    try:
        data = memoryview(directory.read(file))
    except FileNotFoundError:
        checked.damage.append(DamagedData(path, 0, "the file is missing"))
        return
    if len(data) < length:
        checked.damage.append(DamagedData(path, len(data), f"{length} bytes expected, found {len(data)}"))
    elif xxh3_64_hexdigest(data[:length]) != checksum:
        checked.damage.append(DamagedData(path, 0, "the file's checksum does not match"))


def _bad_indexes(directory: Directory, manifest: Manifest, generation: Generation) -> list[str]:
    names = set(directory.names())
    indexed = [each for each in generation.segments if each.length is not None and index_name(each.file) in names]
    bad = [each for each in indexed if segment_index.load(directory, manifest.store_id, each) is None]
    return [f"{directory.path}/{index_name(each.file)}" for each in bad]


def _note(checked: CheckedGeneration, damage: DamagedData) -> None:
    """Replay says where in the file the damage is, the checksum of the whole file does not."""
    others = [known for known in checked.damage if known.file != damage.file]
    checked.damage[:] = [damage, *others]


def _compare(
    directory: Directory, alone: Manifest, before: View, checked: CheckedGeneration, done: int, total: int
) -> Iterator[Progress]:
    """Does the checkpoint say what the generation before it says at its end?"""
    record = checked.generation.checkpoint
    assert record is not None
    only = Manifest(alone.store, alone.hash_seed, [Generation(record, [])])
    recovered = Recovered(View(alone.seed))
    for progress in recover(directory, only, recovered):
        yield Progress(min(done + progress.done, total), total)
    if _content(recovered.view) != _content(before):
        raise DamagedData(f"{directory.path}/{record.file}", 0, "it differs from the log it was made from")


def _content(view: View) -> object:
    kept = [view.keyspaces.get(number) for number in (*view.databases, SYSTEM_KEYSPACE)]
    data = [(keyspace.shards, keyspace.expires) if keyspace is not None else None for keyspace in kept]
    nonempty = [entry if entry is not None and any(entry[0]) else None for entry in data]
    return nonempty, view.databases, view.next_sequence


def _count(view: View) -> int:
    shown = (view.keyspaces.get(number) for number in view.databases)
    return sum(sum(map(len, keyspace.shards)) for keyspace in shown if keyspace is not None)


def _size(directory: Directory, file: str) -> int:
    try:
        with directory.open(file) as opened:
            return opened.size()
    except FileNotFoundError:
        return 0
