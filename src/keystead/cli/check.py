"""keystead check: reads every byte of a store, says what it found, and repairs when asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from keystead.cli.offline import LockedStore, locked
from keystead.cli.options import CommandLine
from keystead.cli.progress import Progress, many, size
from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.history.indexing import build_missing
from keystead.engine.manifest import Manifest
from keystead.engine.repair import mended_manifest, repair
from keystead.errors import DamagedData, KeysteadError

_DESCRIPTION: Final = """\
Verify every checksum of every file of a data directory, older generations
included, and compare each checkpoint with the log it was made from. Nothing is
changed without --repair. No server may have the directory open."""


def run_check(arguments: list[str]) -> int:
    """Check, report, and repair when asked: 0 when all is well, or is well again."""
    line = CommandLine("check", _DESCRIPTION, ["dir"])
    line.own.add_argument(
        "--repair", action="store_true", help="save what can be saved; what is cut off is kept in *.broken files"
    )
    options, settings = line.parse(arguments)
    path = settings.directory
    with locked(path, mend=_mend if options.repair else None) as store:
        found = _check(store)
        _show(path, found)
        while options.repair and _damage(found):
            _repair(store, found)
            found = _check(store)
        if options.repair and _bad_indexes(found):
            _rebuild_indexes(store, found)
    if not options.repair:
        for file in _bad_indexes(found):
            print(f"DAMAGED  {file}: an index, which nobody uses as it is; nothing is lost")
    if damage := _damage(found):
        _name(damage)
        print("Nothing was changed. Copy the directory before anything else; then: keystead check --repair")
        return DamagedData.exit_code
    if not options.repair and _bad_indexes(found):
        print("Every other checksum is right. An index is built again by the next start, or by keystead check --repair")
        return 0
    if options.repair:
        Engine.open(str(path)).close()  # cuts a torn tail off, and proves that the store starts
    print("every checksum is right")
    return 0


def _check(store: LockedStore) -> list[CheckedGeneration]:
    found: list[CheckedGeneration] = []
    with Progress("checking") as progress:
        for done, total in check(store.directory, store.manifest, found):
            progress.update(done, total)
    return found


def _damage(found: list[CheckedGeneration]) -> list[DamagedData]:
    return [error for checked in found for error in checked.damage]


def _name(damage: list[DamagedData]) -> None:
    for error in damage:
        print(f"DAMAGED  {error.file} at byte {error.offset}: {error.reason}")


def _repair(store: LockedStore, found: list[CheckedGeneration]) -> None:
    _name(_damage(found))
    for sentence in repair(store.directory, store.manifest, found):
        print(f"repaired: {sentence}")


def _bad_indexes(found: list[CheckedGeneration]) -> list[str]:
    return [file for checked in found for file in checked.bad_indexes]


def _rebuild_indexes(store: LockedStore, found: list[CheckedGeneration]) -> None:
    build_missing(store.directory, verify=True)
    for file in _bad_indexes(found):
        print(f"DAMAGED  {file}: an index\nrepaired: it was built again from its segment; nothing is lost")


def _mend(directory: Directory, error: KeysteadError) -> Manifest:
    manifest = mended_manifest(directory)
    if manifest is None:
        raise error
    manifests.store(directory, manifest)
    print(f"DAMAGED  {error}\nrepaired: one bit of it was flipped; nothing is lost")
    return manifest


def _show(path: Path, found: list[CheckedGeneration]) -> None:
    print(f"{path}: {size(sum(checked.stored_bytes for checked in found))} in {many(len(found), 'generation')}")
    for number, checked in enumerate(found, 1):
        generation = checked.generation
        files = "checkpoint and " if generation.checkpoint else ""
        files += many(len(generation.segments), "segment")
        state = f"{len(checked.damage)} DAMAGED" if checked.damage else "ok"
        until = (
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(checked.last_ms / 1000)) if checked.last_ms else "never"
        )
        print(
            f"  {number}  {files:<26} {size(checked.stored_bytes):>9}  {many(checked.keys, 'key'):>14}  "
            f"last write {until}  {state}"
        )
        for torn in checked.torn:
            print(
                f"     {len(torn.data)} bytes from byte {torn.offset} of {Path(torn.file).name} are a torn tail, never "
                "acknowledged; the next start cuts them off"
            )
