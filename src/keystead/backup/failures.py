"""What goes wrong with a backup: errors of the command line, with its exit statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keystead.errors import DamagedData, KeysteadError


class Damage(NamedTuple):
    """A file that is not what it was, and how that is known."""

    file: str
    reason: str


def damage_of(error: DamagedData) -> Damage:
    """Of a file that was restored: the directory is a temporary one, its name says nothing."""
    return Damage(error.file.rpartition("/")[2], f"{error.reason} at byte {error.offset}")


class DamagedBackup(KeysteadError):
    """Files of a backup are missing, short or changed; each is named."""

    exit_code = 65

    def __init__(self, damage: Sequence[Damage]) -> None:
        super().__init__(damage)
        self.damage = list(damage)

    def __str__(self) -> str:
        return "\n".join(f"damaged backup: {file}: {reason}" for file, reason in self.damage)


class PlaceFailure(KeysteadError):
    """The place of a backup cannot be read or written, now; a later try may succeed."""

    exit_code = 73

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot use {self.place}: {self.reason}"


class WrongRepository(KeysteadError):
    """There is no backup at the place, or one of another store."""

    exit_code = 73


class BackupUnderWay(KeysteadError):
    """Another process writes to the repository."""

    exit_code = 75


class MomentNotKept(KeysteadError):
    """No snapshot, or no part of the log that is kept, leads to the moment that was asked for."""


class IntoExisting(KeysteadError):
    """A store is restored into a directory of its own, never over what is there."""

    exit_code = 73
