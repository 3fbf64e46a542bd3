"""How far a migration has come, in a file, so that it can go on after whatever ended it.

Owns: the file. It may be older than what the target has, never younger: facts are applied before it is written, and
applying them again has the same end.
"""

from __future__ import annotations

import fcntl
import os
from enum import StrEnum
from pathlib import Path

import msgspec

from keystead.errors import KeysteadError

VERSION = 1


class Phase(StrEnum):
    """What was going on."""

    COPYING = "copying"
    FOLLOWING = "following"
    CUT_OVER = "cut over"


class OtherMigration(KeysteadError):
    """The state that is there is of another migration, or none that can be read."""


class State(msgspec.Struct, forbid_unknown_fields=True):
    """All that has to be known."""

    version: int
    source: str
    """The source's identity."""
    target: str
    database: int
    into_non_empty: bool = False
    phase: Phase = Phase.COPYING
    position: str = ""
    """Every change before it is in the target; while it is being copied: in what is copied."""
    parts_done: int = 0
    """So many parts of the source's snapshot are in the target, as of `position` or later."""
    may_have_extra: bool = False
    """The target may have keys that the source has not any more: of a copy that did not come to its end."""


class StateFile:
    """The file; whoever is the only one to write it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lock(self) -> None:
        """Be the only one, until the process ends. OtherMigration when somebody else is."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(self.path.name + ".lock")
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OtherMigration(f"another process is at it: {lock} is locked") from None

    def load(self) -> State | None:
        """What is in it; None when it is not there. OtherMigration."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            state = msgspec.json.decode(data, type=State)
        except (msgspec.DecodeError, ValueError) as error:
            raise OtherMigration(f"{self.path} is no state of a migration: {error}") from None
        if state.version != VERSION:
            raise OtherMigration(f"{self.path} was written by another version of Keystead")
        return state

    def save(self, state: State) -> None:
        """Replace it; durable when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(self.path.name + ".tmp")
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
