"""A data directory opened by a command of its own, without a server: to read it only, or to change it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from keystead.cli.progress import Progress
from keystead.config import Settings
from keystead.engine import manifest as manifests
from keystead.engine.background import Background
from keystead.engine.clock import wall_clock_ms
from keystead.engine.engine import Engine, Options
from keystead.engine.files import Directory, DirectoryLock
from keystead.engine.manifest import MANIFEST_NAME, Manifest
from keystead.engine.opening import STORED
from keystead.engine.recovery import Recovered, recover
from keystead.engine.view import View
from keystead.errors import DamagedData, DirectoryUnusable, KeysteadError, UnknownFormat

_WITHOUT_BOUND: Final = 1 << 62


class LockedStore(NamedTuple):
    """A store that this process holds; nothing of it has been read but the manifest."""

    directory: Directory
    manifest: Manifest


Mend = Callable[[Directory, KeysteadError], Manifest]
"""Another try at a manifest that cannot be read; raises the error it is given when it has none."""


@contextlib.contextmanager
def locked(path: Path, mend: Mend | None = None) -> Iterator[LockedStore]:
    """Hold an existing store. Raises DirectoryUnusable when there is none, StoreLocked, DamagedData, UnknownFormat."""
    refuse_missing(path)
    lock = DirectoryLock.acquire(str(path), create=False)
    try:
        directory = Directory(str(path))
        yield LockedStore(directory, _manifest(directory, mend))
    finally:
        lock.release()


def refuse_missing(path: Path) -> None:
    """Raise when there is no store at *path*: a command that only reads must not make one."""
    if not path.is_dir():
        raise DirectoryUnusable(str(path), "there is no such directory" if not path.exists() else "it is a file")
    names = [entry.name for entry in path.iterdir()]
    if MANIFEST_NAME not in names and not any(STORED.fullmatch(name) for name in names):
        raise DirectoryUnusable(str(path), "there is no Keystead data in it")


def _manifest(directory: Directory, mend: Mend | None) -> Manifest:
    try:
        manifest = manifests.load(directory)
    except (DamagedData, UnknownFormat) as error:
        if mend is None:
            raise
        return mend(directory, error)
    if manifest is None:
        raise DamagedData(f"{directory.path}/{MANIFEST_NAME}", 0, "the file is missing")
    return manifest


@contextlib.contextmanager
def reading(path: Path) -> Iterator[tuple[View, int]]:
    """All data of an existing store, and store time in milliseconds; nothing on disk is changed."""
    with locked(path) as (directory, manifest):
        recovered = Recovered(View(manifest.seed))
        with Progress(f"reading {path}") as progress:
            for done, total in recover(directory, manifest, recovered):
                progress.update(done, total)
        yield recovered.view, max(recovered.view.time_ms, wall_clock_ms())


@contextlib.contextmanager
def changing(settings: Settings, background: Background | None = None) -> Iterator[Engine]:
    """The store at `settings.directory`, created when missing, opened to change it; closed cleanly at the end."""
    options = Options(
        maxmemory=settings.maxmemory_bytes,
        segment_bytes=settings.segment_bytes,
        # How much history is kept is for whoever serves the store to say: these commands are not told.
        history_max_age_ms=_WITHOUT_BOUND,
        history_max_bytes=_WITHOUT_BOUND,
    )
    engine = Engine(str(settings.directory), options, background=background)
    with Progress(f"reading {settings.directory}") as progress:
        for done, total in engine.load():
            progress.update(done, total)
    try:
        yield engine
    finally:
        engine.close()
