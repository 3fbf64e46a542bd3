"""Builds the indexes that sealed segments lack: in a process of its own, at low priority, beside a store in use.

Owns: which indexes are built. Must not know: the running engine. It writes nothing but index files, and no failure of
it harms the store: who asks about the past builds what is missing in memory.
"""

from __future__ import annotations

from collections.abc import Callable

from keystead.engine import manifest as manifests
from keystead.engine.background_process import end_with_parent, full_disk_as_status
from keystead.engine.files import Directory
from keystead.engine.format import index_name
from keystead.engine.giving_way import Rests
from keystead.engine.history import segment_index


def build_missing(directory: Directory, *, verify: bool, between_frames: Callable[[], None] = lambda: None) -> None:
    """Build the index of each sealed segment that has none. OSError, DiskFailure, DamagedData.

    *verify*: or none that is good; which takes reading all of them.
    """
    manifest = manifests.load(directory)
    if manifest is None:
        return
    names = set(directory.names())
    for record in manifest.segments():
        if record.length is None or (not verify and index_name(record.file) in names):
            continue
        if verify and segment_index.load(directory, manifest.store_id, record) is not None:
            continue
        try:
            file = directory.open_to_read(record.file)
        except FileNotFoundError:  # dropped meanwhile
            continue
        path = f"{directory.path}/{record.file}"
        with file:
            index = segment_index.build(path, file, manifest.store_id, manifest.seed, record, between_frames)
        segment_index.store(directory, record, segment_index.encode(index, manifest.store_id, record))
    _remove_left_over(directory)


def _remove_left_over(directory: Directory) -> None:
    # A segment may have been dropped while its index was being written.
    manifest = manifests.load(directory)
    if manifest is not None:
        known = manifest.all_files()
        for name in directory.names():
            if segment_index.NAME.fullmatch(name) and name not in known:
                directory.remove(name)


def main(arguments: list[str]) -> None:
    """Entry point of the process: the directory as its argument, and "verify" if all indexes are to be looked at."""
    end_with_parent()
    with full_disk_as_status():
        build_missing(Directory(arguments[0]), verify="verify" in arguments[1:], between_frames=Rests().take_if_due)
