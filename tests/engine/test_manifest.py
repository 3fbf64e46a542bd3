"""The manifest: its bytes, and what is refused."""

from __future__ import annotations

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH
from xxhash import xxh3_64_intdigest

from keystead.engine import manifest as manifests
from keystead.engine.files import Directory
from keystead.engine.maintenance import begin_generation
from keystead.engine.manifest import CheckpointRecord, Generation, Manifest, SegmentRecord
from keystead.errors import DamagedData, UnknownFormat

CHECKPOINT = CheckpointRecord("checkpoint-0000000001.ckp", 1, 300, "00000000000000aa", 728, 11, 1_700_000_000_000)


def example() -> Manifest:
    """Two generations."""
    sealed = SegmentRecord(1, "4b861bba693d71db", 1_700_000_000_000, 728, "6f002a74c729f93d")
    return Manifest(
        "af943ad768046e55",
        "74009d9a88734e14",
        [Generation(None, [sealed]), Generation(CHECKPOINT, [SegmentRecord(2, "e2708a0162493990")])],
        "1f0c3d5a77e1b2c4",
        unsynced=True,
    )


def signed(body: bytes, title: str = "keystead manifest 2") -> bytes:
    """A body with the right checksum."""
    return f"{title} {xxh3_64_intdigest(body):016x}\n".encode() + body


def test_what_is_rendered_is_parsed() -> None:
    """And people can read it."""
    data = manifests.render(example())
    assert manifests.parse(data, "M") == example()
    assert data.startswith(b"keystead manifest 2 ")
    assert b'"hash_seed": "74009d9a88734e14"' in data


def test_what_it_says() -> None:
    """Ids as numbers, the newest generation, all files."""
    manifest = example()
    assert manifest.store_id == 0xAF943AD768046E55
    assert manifest.seed == 0x74009D9A88734E14
    assert manifest.current.checkpoint == CHECKPOINT
    assert manifest.files() == {"segment-0000000001.log", "segment-0000000002.log", "checkpoint-0000000001.ckp"}
    assert [generation.stored_bytes() for generation in manifest.generations] == [728, 300]
    assert [generation.last_ms() for generation in manifest.generations] == [1_700_000_000_000, 0]
    assert Generation(None, []).last_ms() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"keystead manifest 2 \n",
        signed(b"{}")[:-1],
        signed(b"{}") + b"\n",
        signed(b"{}").replace(b"manifest", b"Manifest"),
        signed(b"{}", "keystead manifest x"),
        signed(b"{}", "keystead manifest \xb2"),
        signed(b"{}"),
        signed(b"not json"),
        signed(b'{"store": 5, "hash_seed": "", "generations": []}'),
        signed(manifests.render(example()).partition(b"\n")[2].replace(b"time_ms", b"time_us")),
    ],
    ids=range(12),
)
def test_damage_is_refused_by_name(data: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(DamagedData) as caught:
        manifests.parse(data, "/data/MANIFEST")
    assert caught.value.file == "/data/MANIFEST"
    assert caught.value.exit_code == 65


def test_a_newer_version_is_refused_as_such() -> None:
    """It is no damage."""
    with pytest.raises(UnknownFormat, match="manifest version 4") as caught:
        manifests.parse(signed(b"{}", "keystead manifest 4"), "/data/MANIFEST")
    assert caught.value.exit_code == 65


def test_a_manifest_of_version_1_has_no_history_yet() -> None:
    """A start gives it an id, and writes it in the newest version."""
    body = b'{"store": "af943ad768046e55", "hash_seed": "74009d9a88734e14", "generations": []}'
    manifest = manifests.parse(signed(body, "keystead manifest 1"), "M")
    assert (manifest.history, manifest.unsynced) == ("", False)
    assert manifests.render(manifest).startswith(b"keystead manifest 2 ")


def test_it_is_replaced_as_a_whole() -> None:
    """And durable when `store` returns; a directory without one says so."""
    disk = SimulatedDisk(Image.of({PATH: {}}))
    directory = Directory(PATH, disk)
    assert manifests.load(directory) is None
    manifests.store(directory, example())
    assert manifests.load(Directory(PATH, SimulatedDisk(disk.synced()))) == example()
    assert directory.names() == ["MANIFEST"]


def test_a_new_generation_begins_behind_its_checkpoint() -> None:
    """The segments in the checkpoint stay with the old one, those after it go to the new one."""
    segments = [SegmentRecord(number, "00") for number in (1, 2, 3, 4)]
    manifest = Manifest("00", "00", [Generation(None, list(segments))])
    record = CheckpointRecord("checkpoint-0000000002.ckp", 2, 1, "", 1, 1, 1)
    begin_generation(manifest, record)
    assert manifest.generations == [Generation(None, segments[:2]), Generation(record, segments[2:])]
