"""check: what is recorded of each file is what is in it (rule 8), and nothing else is called damage."""

from __future__ import annotations

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH, opened
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.format import COMMIT, FILE_HEADER, decode_frame, encode_frame
from keystead.engine.manifest import Manifest
from keystead.errors import DamagedData

pytestmark = pytest.mark.usefixtures("small_sizes")


def manifest_of(disk: SimulatedDisk) -> Manifest:
    manifest = manifests.load(Directory(PATH, disk))
    assert manifest is not None
    return manifest


def damage_in(disk: SimulatedDisk) -> list[DamagedData]:
    found: list[CheckedGeneration] = []
    for _ in check(Directory(PATH, disk), manifest_of(disk), found):
        pass
    return [error for generation in found for error in generation.damage]


def put(engine: Engine, key: bytes) -> None:
    """One turn with one put."""
    engine.databases[0].keyspace.put(key, b"value of " + key)
    engine.end_turn()
    engine.sync()


def compacted(disk: SimulatedDisk, engine: Engine) -> list[str]:
    """Make a checkpoint of everything; the files of the generation before it, all sealed."""
    engine.request_checkpoint()
    for _ in range(3):
        engine.housekeep(1)
        engine.sync()
    return [record.file for record in manifest_of(disk).generations[-2].segments]


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "kill"])
def test_what_is_sealed_after_a_restart_is_what_is_recorded_of_it(clean: bool) -> None:
    """A cleanly stopped store goes on in its segment; after a crash the start itself seals the old one."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"a")
    put(engine, b"b")
    if clean:
        engine.close()
    else:
        disk.kill()
    engine = opened(disk)
    put(engine, b"c")
    sealed = compacted(disk, engine)
    assert len(sealed) == (1 if clean else 2)
    assert damage_in(disk) == []


def test_a_sealed_file_with_other_content_is_damage_however_right_its_frames_are() -> None:
    """The manifest knows the checksum of the whole file."""
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk)
    put(engine, b"k")
    [file] = compacted(disk, engine)
    files = disk.content(PATH)
    data = files[file]
    salt = int(manifest_of(disk).generations[0].segments[0].salt, 16)
    frame = decode_frame(salt, memoryview(data), FILE_HEADER.size)
    assert frame is not None
    other = encode_frame(
        salt, frame.offset, COMMIT, bytes(frame.payload), number=1, first_sequence=1, time_ms=frame.time_ms + 1
    )
    files[file] = data[: frame.offset] + other + data[frame.end :]
    [damage] = damage_in(SimulatedDisk(Image.of({PATH: files})))
    assert (damage.file, damage.reason) == (f"{PATH}/{file}", "the file's checksum does not match")
