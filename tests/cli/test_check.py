"""check: nothing that is wrong goes unnoticed, and --repair takes the smallest loss."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.stores import content, files, fill, flip, keystead
from keystead.engine import manifest as manifests
from keystead.engine.files import Directory

ALL = {b"k%d" % number: b"v%d" % number for number in range(60)}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three generations: 20 keys in the log, a checkpoint and 20 more, a checkpoint and 20 more."""
    path = tmp_path_factory.mktemp("original") / "store"
    fill(path, 20)
    keystead("compact", "--dir", path)
    fill(path, 20, first=20)
    keystead("compact", "--dir", path)
    fill(path, 20, first=40)
    return path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "store"))


def newest(store: Path, pattern: str) -> Path:
    return max(store.glob(pattern))


def history_of(store: Path) -> str:
    manifest = manifests.load(Directory(str(store)))
    assert manifest is not None
    return manifest.history


def test_a_sound_store_is_reported_generation_by_generation_and_not_changed(store: Path) -> None:
    before = files(store)
    run = keystead("check", "--dir", store)
    assert (run.status, run.errors) == (0, "")
    lines = run.output.splitlines()
    assert lines[0].endswith("in 3 generations")
    assert [line.split(" keys")[0].split()[-1] for line in lines[1:4]] == ["20", "40", "60"]
    assert lines[-1] == "every checksum is right"
    assert files(store) == before


def test_damage_is_named_by_file_and_byte_and_nothing_is_changed(store: Path) -> None:
    file = newest(store, "checkpoint-*.ckp")
    flip(file, 100)
    before = files(store)
    run = keystead("check", "--dir", store)
    assert run.status == 65
    assert f"DAMAGED  {file} at byte 64: " in run.output
    assert files(store) == before


def test_a_damaged_index_is_named_and_is_no_damage_to_the_store(store: Path) -> None:
    first, second, *_ = sorted(store.glob("segment-*.idx"))
    whole = first.read_bytes()
    flip(first, 70)
    second.unlink()  # what is missing is not damaged
    before = files(store)
    run = keystead("check", "--dir", store)
    assert (run.status, run.errors) == (0, "")
    assert f"DAMAGED  {first}: an index, which nobody uses as it is; nothing is lost\n" in run.output
    assert str(second) not in run.output
    assert "every checksum is right" not in run.output
    assert files(store) == before
    run = keystead("check", "--repair", "--dir", store)
    assert run.status == 0
    assert f"DAMAGED  {first}: an index\nrepaired: it was built again from its segment" in run.output
    assert first.read_bytes() == whole
    assert keystead("check", "--dir", store).output.endswith("\nevery checksum is right\n")


def test_a_damaged_checkpoint_costs_nothing(store: Path) -> None:
    flip(newest(store, "checkpoint-*.ckp"), 100)
    run = keystead("check", "--repair", "--dir", store)
    assert run.status == 0
    assert "is replaced by the log that it was made from; nothing is lost" in run.output
    assert content(store) == ALL
    assert keystead("check", "--dir", store).status == 0
    assert len(list(store.glob("checkpoint-*.ckp.0.broken"))) == 1


def test_a_damaged_checkpoint_and_damage_behind_it_are_repaired_in_one_go(store: Path) -> None:
    flip(newest(store, "checkpoint-*.ckp"), 100)
    log = newest(store, "segment-*.log")
    flip(log, log.read_bytes().index(b"k50"))
    run = keystead("check", "--repair", "--dir", store)
    assert run.status == 0
    assert content(store) == {key: value for key, value in ALL.items() if int(key[1:]) < 50}


def test_damaged_history_costs_history_only(store: Path) -> None:
    flip(store / "segment-0000000001.log", 100)
    assert keystead("check", "--dir", store).status == 65
    history = history_of(store)
    run = keystead("check", "--repair", "--dir", store)
    assert run.status == 0
    assert history_of(store) == history
    assert "is lost; the data is not" in run.output
    assert content(store) == ALL
    assert (store / "segment-0000000001.log.0.broken").exists()


def test_a_damaged_log_ends_before_the_damage_and_the_rest_is_kept(store: Path) -> None:
    log = newest(store, "segment-*.log")
    whole = log.read_bytes()
    flip(log, whole.index(b"k50"))
    damaged = log.read_bytes()
    history = history_of(store)
    run = keystead("check", "--repair", "--dir", store)
    assert run.status == 0
    assert history_of(store) != history, "sequence numbers of what is lost will be used again"
    assert content(store) == {key: value for key, value in ALL.items() if int(key[1:]) < 50}
    (broken,) = store.glob("*.broken")
    offset = int(broken.name.split(".")[-2])
    assert broken.read_bytes() == damaged[offset:]
    assert keystead("check", "--dir", store).status == 0


def test_a_missing_file_is_damage(store: Path) -> None:
    newest(store, "checkpoint-*.ckp").unlink()
    run = keystead("check", "--dir", store)
    assert (run.status, "the file is missing" in run.output) == (65, True)
    assert keystead("check", "--repair", "--dir", store).status == 0
    assert content(store) == ALL


def test_a_missing_manifest_is_damage_and_not_an_empty_directory(store: Path) -> None:
    (store / "MANIFEST").unlink()
    before = files(store)
    run = keystead("check", "--repair", "--dir", store)
    assert (run.status, "MANIFEST at byte 0: the file is missing" in run.errors) == (65, True)
    assert files(store) == before


def test_every_flipped_bit_of_a_manifest_is_noticed_and_one_can_be_mended(store: Path) -> None:
    from keystead.engine import manifest as manifests
    from keystead.engine.files import Directory
    from keystead.engine.repair import mended_manifest
    from keystead.errors import DamagedData, UnknownFormat

    file = store / "MANIFEST"
    sound = file.read_bytes()
    expected = manifests.parse(sound, "MANIFEST")
    for offset in range(0, len(sound), 37):
        flip(file, offset, offset % 8)
        with pytest.raises((DamagedData, UnknownFormat)):
            manifests.load(Directory(str(store)))
        assert mended_manifest(Directory(str(store))) == expected
        file.write_bytes(sound)
    flip(file, 400)
    assert keystead("check", "--dir", store).status == 65
    assert keystead("check", "--repair", "--dir", store).status == 0
    assert file.read_bytes() == sound


def test_two_flipped_bits_of_a_manifest_are_too_many(store: Path) -> None:
    flip(store / "MANIFEST", 300)
    flip(store / "MANIFEST", 310)
    before = files(store)
    assert keystead("check", "--repair", "--dir", store).status == 65
    assert files(store) == before


def test_what_cannot_be_repaired_is_left_alone(store: Path) -> None:
    flip(newest(store, "checkpoint-*.ckp"), 100)
    flip(sorted(store.glob("checkpoint-*.ckp"))[0], 100)
    before = files(store)
    run = keystead("check", "--repair", "--dir", store)
    assert run.status == 65
    assert files(store) == before


def test_a_checkpoint_that_differs_from_its_log_is_noticed(store: Path) -> None:
    """The checksums are right, the content is not: what a fault of the program that merges would leave."""
    from keystead.engine import manifest as manifests
    from keystead.engine.checkpoint import CheckpointWriter
    from keystead.engine.files import Directory
    from keystead.engine.keyspace import SHARDS
    from keystead.engine.recovery import Recovered, recover
    from keystead.engine.view import View

    directory = Directory(str(store))
    manifest = manifests.load(directory)
    assert manifest is not None
    current = manifest.current
    assert current.checkpoint is not None
    recovered = Recovered(View(manifest.seed))
    only = manifests.Manifest(manifest.store, manifest.hash_seed, [manifests.Generation(current.checkpoint, [])])
    list(recover(directory, only, recovered))
    shard = next(shard for shard in recovered.view.keyspace(0).shards if shard)
    shard[next(iter(shard))] = b"wrong"
    writer = CheckpointWriter(
        directory, manifest.store_id, current.checkpoint.number, recovered.view, recovered.position
    )
    list(writer.write_shards(recovered.view, range(SHARDS)))
    current.checkpoint = writer.finish(recovered.view)
    manifests.store(directory, manifest)
    run = keystead("check", "--dir", store)
    assert run.status == 65
    assert "it differs from the log it was made from" in run.output


def test_a_torn_tail_is_reported_and_no_damage(store: Path) -> None:
    log = newest(store, "segment-*.log")
    data = log.read_bytes()
    end = len(data.rstrip(b"\0")) + 64
    log.write_bytes(data[: end - end % 8] + b"torn" + data[end - end % 8 + 4 :])
    run = keystead("check", "--dir", store)
    assert run.status == 0
    assert "are a torn tail, never acknowledged" in run.output
    assert keystead("check", "--repair", "--dir", store).status == 0
    assert content(store) == ALL
    (broken,) = store.glob("*.broken")
    assert broken.read_bytes().strip(b"\0") == b"torn"
