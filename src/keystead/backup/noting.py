"""What a store is told of its backups, for whoever erases a key for good and must say where else it is.

Owns: when it is told. Must not know: the file in which the directory remembers (engine/remembered.py).
"""

from __future__ import annotations

import contextlib

from keystead.backup.snapshots import Snapshot
from keystead.engine.clock import wall_clock_ms
from keystead.engine.files import Directory
from keystead.engine.remembered import remember, remembered
from keystead.errors import KeysteadError


def note_place(directory: Directory, address: str, *, linked: bool = False) -> None:
    """To be called before anything is copied: whoever erases a key meanwhile must know that it may be there."""
    with contextlib.suppress(OSError, KeysteadError):  # `note` says it
        if address not in [backup.place for backup in remembered(directory)]:
            remember(directory, address, 0, wall_clock_ms(), linked=linked)


def note(directory: Directory, address: str, snapshot: Snapshot, *, linked: bool = False) -> str:
    """Let the directory know; the backup is as good without. Why it does not; empty when it does."""
    try:
        remember(directory, address, snapshot.sequence, snapshot.taken_ms, linked=linked)
    except (OSError, KeysteadError) as error:
        return str(error)
    return ""
