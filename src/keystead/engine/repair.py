"""What can be saved of a damaged store: only when asked for, and nothing is thrown away, what is cut is kept.

Owns: the choice of the smallest loss, and its order of writes. Must not know: how damage is found (`checking.py`).

    damage in                        what is done                                 what is lost
    manifest                         the flipped bit is found by its checksum     nothing
    newest checkpoint                the generation before it is replayed         nothing
    … with no generation before it   nothing can be done
    log of the newest generation     the log ends before the damage               what was written after it
    an older generation              it and those before it are put aside         history up to its end
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from xxhash import xxh3_64_hexdigest

from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration
from keystead.engine.files import Directory
from keystead.engine.format import FILE_HEADER
from keystead.engine.manifest import MANIFEST_NAME, Generation, Manifest
from keystead.errors import DamagedData, UnknownFormat

_MOST_MANIFEST_BYTES = 1 << 15
"""Trying every bit of a larger manifest would take too long."""


def mended_manifest(directory: Directory) -> Manifest | None:
    """The manifest as it was before one bit of it flipped; None when more than that is wrong with it."""
    data = bytearray(directory.read(MANIFEST_NAME))
    if len(data) > _MOST_MANIFEST_BYTES:
        return None
    for bit in range(8 * len(data)):
        data[bit >> 3] ^= 1 << (bit & 7)
        try:
            return manifests.parse(bytes(data), MANIFEST_NAME)
        except (DamagedData, UnknownFormat):
            data[bit >> 3] ^= 1 << (bit & 7)
    return None


def repair(directory: Directory, manifest: Manifest, found: Sequence[CheckedGeneration]) -> list[str]:
    """Make the store fit to start again as far as *found* tells, and say in sentences what was done and what is lost.

    Damage behind damage is not seen at once: check again, and repair again, until nothing is said. Raises DamagedData
    for what cannot be repaired, with nothing changed. The order is: copies of what will be cut, then the manifest that
    does without it, then the cut; so a repair that is interrupted loses nothing and can be done again.
    """
    plan = _Plan(directory, copy.deepcopy(manifest.generations))
    _drop_damaged_history(plan, found)
    damage = {_file(error): error for error in found[-1].damage}
    checkpoint = found[-1].generation.checkpoint
    if checkpoint is not None and checkpoint.file in damage:
        _replay_instead_of(plan, damage[checkpoint.file])
    elif damage:
        _end_log(plan, damage, found[-1].last_ms)
    if plan.said:
        plan.carry_out(manifest)
    return plan.said


@dataclass(slots=True)
class _Plan:
    directory: Directory
    generations: list[Generation]
    said: list[str] = field(default_factory=list)
    ends_history: bool = False
    """Transactions are lost that somebody may have been told of: their sequence numbers will be used again."""
    cuts: list[tuple[str, int]] = field(default_factory=list)
    """Files and the offsets from which on they are put aside; offset 0 is the whole file."""

    def put_aside(self, generations: Sequence[Generation]) -> None:
        for generation in generations:
            if generation.checkpoint is not None:
                self.cuts.append((generation.checkpoint.file, 0))
            self.cuts += [(segment.file, 0) for segment in generation.segments]

    def carry_out(self, manifest: Manifest) -> None:
        directory = self.directory
        existing = set(directory.names())
        self.cuts = [(file, offset) for file, offset in self.cuts if file in existing]
        for file, offset in self.cuts:
            _keep_copy(directory, file, offset)
        directory.sync()
        manifest.generations = self.generations
        if self.ends_history:
            manifest.history = manifests.new_id()
        manifests.store(directory, manifest)
        for file, offset in self.cuts:
            if offset == 0:
                directory.remove(file)
            else:
                with directory.open(file) as opened:
                    opened.truncate(offset)
                    opened.sync()
        directory.sync()


def _keep_copy(directory: Directory, file: str, offset: int) -> None:
    name = f"{file}.{offset}.broken"
    directory.remove(name)
    with directory.create(name) as copied:
        copied.write_at(0, memoryview(directory.read(file))[offset:])
        copied.sync()


def _drop_damaged_history(plan: _Plan, found: Sequence[CheckedGeneration]) -> None:
    damaged = [index for index, checked in enumerate(found[:-1]) if checked.damage]
    if damaged:
        dropped = damaged[-1] + 1
        plan.put_aside(plan.generations[:dropped])
        del plan.generations[:dropped]
        plan.said.append(f"history up to {_moment(found[dropped - 1].generation.last_ms())} is lost; the data is not")


def _replay_instead_of(plan: _Plan, damage: DamagedData) -> None:
    """Generation n leads up to the checkpoint of generation n + 1: joined, they do without it."""
    if len(plan.generations) == 1:
        raise damage
    before, newest = plan.generations[-2:]
    plan.generations[-2:] = [Generation(before.checkpoint, before.segments + newest.segments)]
    plan.cuts.append((_file(damage), 0))
    plan.said.append(f"{_file(damage)} is replaced by the log that it was made from; nothing is lost")


def _end_log(plan: _Plan, damage: dict[str, DamagedData], last_ms: int) -> None:
    segments = plan.generations[-1].segments
    index = next(index for index, segment in enumerate(segments) if segment.file in damage)
    segment, later = segments[index], segments[index + 1 :]
    offset = damage[segment.file].offset
    del segments[index + 1 :]
    if offset <= FILE_HEADER.size:
        offset = 0
        segments.pop()
    else:
        segment.length = offset
        segment.checksum = xxh3_64_hexdigest(memoryview(plan.directory.read(segment.file))[:offset])
        segment.time_ms = last_ms
    plan.ends_history = True
    plan.cuts.append((segment.file, offset))
    plan.cuts += [(other.file, 0) for other in later]
    place = f"at byte {offset} of {segment.file}" if offset else f"before {segment.file}"
    plan.said.append(f"the log ends {place}; what was written after {_moment(last_ms)} is lost")


def _file(damage: DamagedData) -> str:
    return damage.file.rpartition("/")[2]


def _moment(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000)) if at_ms else "its beginning"
