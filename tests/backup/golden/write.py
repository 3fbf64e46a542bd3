"""Writes a golden repository, once for each version of its format, never again: `python write.py v1`.

A store with a checkpoint, several databases, expiries, a patch and a flush; two backups of it,
the second with a growing end in parts.
"""

from __future__ import annotations

import json
import sys
import tempfile
from base64 import b64encode
from pathlib import Path

from keystead.backup.cutting import Until
from keystead.backup.folder import Folder
from keystead.backup.repository import Repository
from keystead.backup.restoring import restore
from keystead.backup.sources import SnapshotSource
from keystead.backup.taking import Taking
from keystead.engine.engine import Engine, Options
from keystead.engine.expiries import expiry_of
from keystead.engine.files import Directory
from keystead.engine.operations import Author
from keystead.engine.view import View

AT_MS = 1_700_000_000_000
LATER_MS = 4_102_444_800_000


def content(view: View) -> dict[str, dict[str, list[object]]]:
    """Keys of each database that is not empty, as base64, with value and expiry."""
    found: dict[str, dict[str, list[object]]] = {}
    for database, number in enumerate(view.databases):
        keyspace = view.keyspaces.get(number)
        if keyspace is None:
            continue
        for shard, expires in zip(keyspace.shards, keyspace.expires, strict=True):
            for key, value in shard.items():
                entry = [b64encode(value).decode(), expiry_of(expires, key)]
                found.setdefault(str(database), {})[b64encode(key).decode()] = entry
    return found


def main(folder: Path) -> None:
    now_ms = AT_MS
    with tempfile.TemporaryDirectory() as scratch:
        engine = Engine(f"{scratch}/store", Options(reserve_bytes=4096), wall_ms=lambda: now_ms)
        list(engine.load())
        taking = Taking(
            Directory(f"{scratch}/store"), Repository(Folder(str(folder / "repository"))), now_ms=lambda: now_ms
        )

        def commit() -> None:
            nonlocal now_ms
            engine.end_turn()
            engine.sync()
            now_ms += 1000
            engine.clock.refresh()

        first, second = engine.databases[0].keyspace, engine.databases[3].keyspace
        engine.author = Author("ada", "laptop")
        for number in range(20):
            first.put(b"key:%d" % number, b"value %d" % number)
            commit()
        second.put(b"session", b"token", LATER_MS)
        first.patch(b"key:3", 2, b"***")
        first.delete(b"key:4")
        commit()
        engine.request_checkpoint()
        while engine.maintenance.working:
            engine.housekeep(1.0)
            engine.end_turn()
            engine.sync()
        taking.take(with_digest=True)
        engine.author = Author("bob", "")
        engine.flush(engine.databases[3])
        commit()
        taking.begin_snapshot()
        for number in range(3):
            engine.databases[0].keyspace.put(b"new:%d" % number, bytes([number]) * 40)
            commit()
            taking.update()
        taking.close()
        engine.close()
        expected = {}
        repository = Repository(Folder(str(folder / "repository")))
        for snapshot in repository.snapshots():
            for sequence in (0, 10, snapshot.sequence):
                into = f"{scratch}/{snapshot.id}-{sequence}"
                view = restore(SnapshotSource(repository, snapshot), into, Until(sequence)).view
                expected[f"{snapshot.id} {sequence}"] = content(view)
        (folder / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(__file__).parent / sys.argv[1])
