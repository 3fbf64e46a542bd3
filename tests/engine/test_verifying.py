"""Sealed files read while a store is served: every flipped byte is noticed, and what retention drops is no damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keystead.engine import manifest as manifests
from keystead.engine.background import InlineBackground
from keystead.engine.checking import sealed_files
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.manifest import Manifest, SegmentRecord
from keystead.engine.verifying import Verified, verify


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    """With a sealed segment, and one that is being written."""
    engine = Engine(str(tmp_path / "data"), background=InlineBackground())
    for _ in engine.load():
        pass
    for start in (0, 100):
        for number in range(start, start + 100):
            engine.databases[0].keyspace.put(b"k%d" % number, b"v" * 30)
        engine.end_turn()
        engine.sync()
        if not start:
            engine.request_checkpoint()
            for _ in range(3):
                engine.housekeep(1)
                engine.sync()
    yield engine
    engine.close()


def sealed(engine: Engine) -> list[tuple[str, int, str]]:
    return [file for generation in manifest_of(engine).generations for file in sealed_files(generation)]


def manifest_of(engine: Engine) -> Manifest:
    manifest = manifests.load(Directory(engine.path))
    assert manifest is not None
    return manifest


def verified(engine: Engine) -> list[Verified]:
    return list(verify(Directory(engine.path), engine.log.durable_bytes()))


def damage(engine: Engine) -> list[tuple[str, int, str]]:
    found = [each.damage for each in verified(engine) if each.damage]
    return [(Path(each.file).name, each.offset, each.reason) for each in found]


def test_a_sound_store_is_read_to_its_end(store: Engine) -> None:
    found = verified(store)
    assert found[-1].done == found[-1].total > sum(length for _, length, _ in sealed(store)) > 0
    assert found[-1].files == len(sealed(store)) + 1
    assert [each.done for each in found] == sorted(each.done for each in found)
    assert not any(each.damage for each in found)


def test_a_flipped_bit_in_a_sealed_file_is_noticed(store: Engine) -> None:
    for name, length, _ in sealed(store):
        path = Path(store.path, name)
        whole = path.read_bytes()
        for offset in range(0, length, 97):
            path.write_bytes(whole[:offset] + bytes((whole[offset] ^ 1,)) + whole[offset + 1 :])
            assert damage(store) == [(name, 0, "the file's checksum does not match")]
        path.write_bytes(whole)


def test_a_flipped_bit_in_what_is_durable_of_the_open_segment_is_noticed(store: Engine) -> None:
    name = manifest_of(store).current.segments[-1].file
    path = Path(store.path, name)
    whole = path.read_bytes()
    end = whole.rindex(b"v" * 30) + 30
    for offset in range(0, end, 97):
        path.write_bytes(whole[:offset] + bytes((whole[offset] ^ 1,)) + whole[offset + 1 :])
        [(file, at, reason)] = damage(store)
        assert (file, reason[:12]) == (name, "nothing good")
        assert at <= offset
    path.write_bytes(whole)
    assert damage(store) == []


def test_a_segment_that_was_only_prepared_is_no_damage(store: Engine) -> None:
    """The manifest names the next segment before anything is written to it."""
    directory = Directory(store.path)
    manifest = manifest_of(store)
    manifest.current.segments.append(SegmentRecord(99, "00000000000000aa"))
    Path(store.path, manifest.current.segments[-1].file).write_bytes(bytes(100_000))
    manifests.store(directory, manifest)
    assert damage(store) == []


def test_a_file_that_ends_early_or_is_gone_is_noticed(store: Engine) -> None:
    name, length, _ = sealed(store)[0]
    path = Path(store.path, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: length - 1])
    assert damage(store) == [(name, length - 1, f"{length} bytes expected, found {length - 1}")]
    path.unlink()
    assert damage(store) == [(name, 0, "the file is missing or empty")]


def test_a_file_that_the_manifest_no_longer_names_is_left_out(store: Engine) -> None:
    directory = Directory(store.path)
    steps = verify(directory, store.log.durable_bytes())
    next(steps)
    manifest = manifest_of(store)
    name = sealed(store)[0][0]
    manifest.generations.pop(0)
    assert name not in manifest.files()
    manifests.store(directory, manifest)
    Path(store.path, name).unlink()
    assert not any(step.damage for step in steps)
