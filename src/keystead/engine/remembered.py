"""What a store's directory remembers of its backups: a small file, for whoever must know where else its data is.

Owns: the file BACKUPS (docs/format.md, "Backups"). Must not know: what a backup is made of. Written by the process that
makes a backup, not by the one that has the store open: neither waits for the other.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import msgspec
from xxhash import xxh3_64_hexdigest

from keystead.engine.files import Directory
from keystead.errors import DamagedData

BACKUPS_NAME = "BACKUPS"
LOCK_NAME = "BACKUPS.lock"
_TITLE = "keystead backups 1"
_ATTEMPTS = 200
_PAUSE_S = 0.01


class Remembered(msgspec.Struct, forbid_unknown_fields=True):
    """A place that holds backups of this store."""

    place: str
    """Its address: a path, or a URL."""
    sequence: int
    """The last transaction that is known to have got there."""
    time_ms: int
    """When that backup was taken."""
    linked: bool = False
    """Hard links on the same disk: no backup, but what is in them is not gone either."""


_decode = msgspec.json.Decoder(list[Remembered]).decode


def remember(directory: Directory, place: str, sequence: int, time_ms: int, *, linked: bool = False) -> None:
    """Note a backup, in place of what was noted of the same place; durable when this returns. DamagedData, OSError."""
    with _alone(directory):
        others = [backup for backup in remembered(directory) if backup.place != place]
        _store(directory, [*others, Remembered(place, sequence, time_ms, linked)])


def forget(directory: Directory, place: str) -> bool:
    """Note that there is no backup at that place any more; whether there was one. DamagedData, OSError."""
    with _alone(directory):
        backups = remembered(directory)
        others = [backup for backup in backups if backup.place != place]
        if len(others) < len(backups):
            _store(directory, others)
        return len(others) < len(backups)


def remembered(directory: Directory) -> list[Remembered]:
    """All places, that with the newest backup last. DamagedData, OSError."""
    try:
        data = directory.read(BACKUPS_NAME)
    except FileNotFoundError:
        return []
    title, _, body = data.partition(b"\n")
    path = f"{directory.path}/{BACKUPS_NAME}"
    if title != f"{_TITLE} {xxh3_64_hexdigest(body)}".encode():
        raise DamagedData(path, 0, "the checksum in the first line does not match")
    try:
        return _decode(body)
    except msgspec.DecodeError as error:
        raise DamagedData(path, len(title) + 1, str(error)) from error


def _store(directory: Directory, backups: list[Remembered]) -> None:
    body = msgspec.json.format(msgspec.json.encode(backups), indent=1) + b"\n"
    directory.replace(BACKUPS_NAME, f"{_TITLE} {xxh3_64_hexdigest(body)}\n".encode() + body)


@contextlib.contextmanager
def _alone(directory: Directory) -> Iterator[None]:
    """Two backups to different places may end at the same moment; a file beside this one is what they lock.

    It stays: who removes a file that others wait for has locked nothing.
    """
    with directory.open_or_create(LOCK_NAME) as file:
        for attempt in range(_ATTEMPTS):
            try:
                directory.system.lock(file.descriptor)
                break
            except BlockingIOError:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(_PAUSE_S)
        yield
