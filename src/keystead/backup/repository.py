"""A repository: the snapshots of one store and the objects that hold their files. Follows docs/backup.md.

Owns: reading and writing of both, and what may be removed. Must not know: directories of stores, kinds of places.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from xxhash import xxh3_64

from keystead.backup.failures import Damage, DamagedBackup, WrongRepository
from keystead.backup.places import Place, read_whole
from keystead.backup.snapshots import OBJECTS, SNAPSHOTS, Part, Snapshot, parse, render, snapshot_id, snapshot_name


class Repository:
    """What is kept at one place. PlaceFailure from every call."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def snapshots(self, damage: list[Damage] | None = None) -> list[Snapshot]:
        """All snapshots, oldest first. DamagedBackup for those that cannot be read, or they are put into *damage*."""
        found, bad = [], damage if damage is not None else []
        for name in sorted(self.place.sizes(SNAPSHOTS), key=snapshot_id):
            try:
                found.append(parse(read_whole(self.place, name), name))
            except DamagedBackup as error:
                bad += [Damage(self.path(file), reason) for file, reason in error.damage]
            except FileNotFoundError:
                continue  # pruned meanwhile
        if bad and damage is None:
            raise DamagedBackup(bad)
        return found

    def existing(self, damage: list[Damage] | None = None) -> list[Snapshot]:
        """The same; WrongRepository when there is none, and no damaged one either."""
        found = self.snapshots(damage)
        if not found and not damage:
            raise WrongRepository(f"there is no backup in {self.place.address}")
        return found

    def find(self, identifier: str) -> Snapshot:
        """The snapshot of that id. WrongRepository names those that there are; DamagedBackup."""
        name = snapshot_name(identifier)
        try:
            return parse(read_whole(self.place, name), name)
        except FileNotFoundError:
            known = ", ".join(snapshot.id for snapshot in self.existing([])[-5:])
            raise WrongRepository(f"{self.place.address} has no snapshot {identifier}; the newest: {known}") from None

    def path(self, name: str) -> str:
        """What people call an object."""
        return f"{self.place.address}/{name}"

    def write(self, snapshot: Snapshot) -> None:
        """Make or replace a snapshot; every object that it names must be there."""
        self.place.put(snapshot_name(snapshot.id), [render(snapshot)])

    def objects(self) -> dict[str, int]:
        """Names and sizes of all objects, whether a snapshot names them or not."""
        return self.place.sizes(OBJECTS)

    def checked(self, part: Part) -> Iterator[bytes]:
        """The bytes of one object. DamagedBackup when they are not what they were, at the latest after the last one."""
        digest, length = xxh3_64(), 0
        try:
            for chunk in self.place.read(part.object):
                digest.update(chunk)
                length += len(chunk)
                yield chunk
        except FileNotFoundError:
            raise DamagedBackup([Damage(self.path(part.object), "it is missing")]) from None
        if length != part.length:
            reason = f"{part.length} bytes expected, found {length}"
        elif digest.hexdigest() != part.checksum:
            reason = "its checksum does not match"
        else:
            return
        raise DamagedBackup([Damage(self.path(part.object), reason)])

    def remove(self, snapshot: Snapshot) -> None:
        """Remove a snapshot. Its objects go with `sweep`: they are named no longer than they are there."""
        self.place.remove(snapshot_name(snapshot.id))

    def sweep(self, named: Set[str]) -> None:
        """Remove the objects but for those that are *named*, and what interrupted puts left. Nobody else may write."""
        for name in self.objects().keys() - named:
            self.place.remove(name)
        for kind in (OBJECTS, SNAPSHOTS):
            self.place.remove_unfinished(kind)
