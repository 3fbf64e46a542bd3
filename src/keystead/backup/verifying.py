"""Verifying a repository: every object is read, and a snapshot is restored to scratch and compared.

Owns: what is looked at. Must not know: how it is shown.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import NamedTuple

from keystead.backup.digests import ViewDigest
from keystead.backup.failures import Damage, DamagedBackup, damage_of
from keystead.backup.repository import Repository
from keystead.backup.restoring import Report, restore
from keystead.backup.snapshots import Snapshot
from keystead.backup.sources import SnapshotSource
from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.files import Directory
from keystead.engine.keyspace import SHARDS


class Verified(NamedTuple):
    """What was found to be right."""

    snapshot: Snapshot
    keys: int
    objects: int
    bytes: int
    digest_compared: bool
    """Whether there was one to compare with: what is shipped continuously has none."""


def verify(repository: Repository, identifier: str | None, scratch: str | None, report: Report) -> Verified:
    """Read all objects of all snapshots, restore one snapshot (the newest) below *scratch*, check every generation of
    it, and compare its digest. DamagedBackup names every file; PlaceFailure, WrongRepository."""
    damage: list[Damage] = []
    snapshots = repository.existing(damage)
    parts = {name: part for snapshot in snapshots for name, part in snapshot.objects().items()}
    total, done = sum(part.length for part in parts.values()), 0
    for part in parts.values():
        try:
            for chunk in repository.checked(part):
                done += len(chunk)
                report("reading the backup", done, total)
        except DamagedBackup as error:
            damage += error.damage
    if damage and (damage := _still_named(repository, damage, set(parts))):
        raise DamagedBackup(damage)
    snapshot = repository.find(identifier) if identifier else repository.existing()[-1]
    keys = _restore_and_compare(repository, snapshot, scratch, report)
    return Verified(snapshot, keys, len(parts), total, bool(snapshot.digest))


def _still_named(repository: Repository, damage: list[Damage], objects: set[str]) -> list[Damage]:
    """Without the objects that were replaced or pruned while they were looked for: somebody may be writing here."""
    named = {name for snapshot in repository.snapshots([]) for name in snapshot.objects()}
    gone = {repository.path(name) for name in objects - named}
    return [found for found in damage if found.file not in gone]


def _restore_and_compare(repository: Repository, snapshot: Snapshot, scratch: str | None, report: Report) -> int:
    directory = tempfile.mkdtemp(prefix="keystead-verify-", dir=scratch)
    try:
        path = os.path.join(directory, "store")
        restored = restore(SnapshotSource(repository, snapshot), path, report=report)
        digest = ViewDigest()
        digest.add(restored.view, range(SHARDS))
        name = repository.path(f"snapshots/{snapshot.id}.json")
        if snapshot.digest and digest.hexdigest() != snapshot.digest:
            raise DamagedBackup([Damage(name, "what is restored from it has another digest")])
        if restored.sequence != snapshot.sequence:
            reason = f"what is restored from it ends at transaction {restored.sequence}, not {snapshot.sequence}"
            raise DamagedBackup([Damage(name, reason)])
        _check(Directory(path), report)
        return digest.keys
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _check(directory: Directory, report: Report) -> None:
    """Each frame of each generation, and each checkpoint against the log it was made from."""
    manifest = manifests.load(directory)
    assert manifest is not None
    found: list[CheckedGeneration] = []
    for done, total in check(directory, manifest, found):
        report("checking the restored store", done, total)
    damage = [damage_of(error) for checked in found for error in checked.damage]
    if damage:
        raise DamagedBackup(damage)
