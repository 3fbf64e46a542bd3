"""Repositories of every released format are restored for ever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backup.golden.write import content
from keystead.backup.cutting import Until
from keystead.backup.folder import Folder
from keystead.backup.repository import Repository
from keystead.backup.restoring import restore
from keystead.backup.sources import SnapshotSource
from keystead.backup.verifying import verify

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.glob("v*"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_moment_is_restored_as_it_was(version: str, tmp_path: Path) -> None:
    repository = Repository(Folder(str(GOLDEN / version / "repository")))
    expected = json.loads((GOLDEN / version / "expected.json").read_text())
    assert len(expected) == 6
    for number, (moment, there) in enumerate(expected.items()):
        identifier, sequence = moment.split()
        source = SnapshotSource(repository, repository.find(identifier))
        assert content(restore(source, str(tmp_path / str(number)), Until(int(sequence))).view) == there


@pytest.mark.parametrize("version", VERSIONS)
def test_the_digest_is_computed_as_it_was(version: str, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / version / "repository", tmp_path / "repository")
    repository = Repository(Folder(str(tmp_path / "repository")))
    first, second = repository.snapshots()
    assert verify(repository, first.id, None, lambda *_: None).digest_compared
    assert not verify(repository, second.id, None, lambda *_: None).digest_compared
