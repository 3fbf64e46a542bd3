"""Files of every released format open for ever: the stores under golden/ are never written again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from stores import opened

from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.format import COMMIT, FILE_HEADER, MARK, PART, frames
from keystead.engine.operations import decode_entries

GOLDEN = Path(__file__).parent / "golden"
STORES = sorted(path for path in GOLDEN.glob("v*/*") if path.is_dir())


def content(engine: Engine) -> dict[str, dict[str, list[object]]]:
    """As the JSON beside each store has it."""
    return {
        str(database.number): {
            key.hex(): [bytes(database.keyspace.get(key) or b"").hex(), database.keyspace.expires_at_ms(key)]
            for key in sorted(database.keyspace.keys())
        }
        for database in (*engine.databases, engine.system)
        if len(database.keyspace)
    }


@pytest.mark.parametrize("store", STORES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_store_of_an_older_release_opens_and_goes_on(store: Path, tmp_path: Path) -> None:
    """With the content that it was written with; and it can be written to, closed and opened again."""
    expected = json.loads(store.with_suffix(".json").read_text())
    path = tmp_path / "data"
    shutil.copytree(store, path)
    engine = opened(None, path=str(path))
    assert content(engine) == expected
    engine.databases[9].keyspace.put(b"new", b"v")
    engine.end_turn()
    engine.sync()
    engine.request_checkpoint()
    engine.housekeep(1)
    assert engine.info().checkpoints == 1
    engine.close()
    again = opened(None, path=str(path))
    assert content(again) == expected | {"9": {b"new".hex(): [b"v".hex(), 0]}}
    again.close()


@pytest.mark.parametrize("store", STORES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_byte_of_it_is_as_it_was_written(store: Path) -> None:
    """Nobody has touched it since, and it has what a store can have."""
    directory = Directory(str(store))
    manifest = manifests.load(directory)
    assert manifest is not None
    found: list[CheckedGeneration] = []
    for _ in check(directory, manifest, found):
        pass
    assert [checked.damage for checked in found] == [[]] * len(found)
    assert [checked.torn for checked in found] == [[]] * len(found)
    assert len(found) > 1
    kinds, tags = set(), set()
    for generation in manifest.generations:
        for record in generation.segments:
            for frame in frames(int(record.salt, 16), memoryview(directory.read(record.file)), FILE_HEADER.size):
                kinds.add(frame.kind)
                if frame.kind == COMMIT:
                    tags |= {type(entry).__struct_config__.tag for entry in decode_entries(frame.payload)}
    assert kinds == {COMMIT, PART, MARK}
    assert tags == set(range(1, 11)) | ({11} if store.parent.name >= "v3" else set())


def test_there_is_a_store_of_every_version_in_the_history_of_the_format() -> None:
    """docs/format.md, "History of versions"."""
    page = (GOLDEN.parents[2] / "docs" / "format.md").read_text()
    rows = page.partition("## History of versions")[2].splitlines()
    versions = {f"v{row.split('|')[1].strip()}" for row in rows if row.startswith("| ") and row[2].isdigit()}
    assert versions == {store.parent.name for store in STORES} != set()
