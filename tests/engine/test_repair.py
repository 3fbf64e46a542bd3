"""Repair: the order of its writes. What it chooses is tested through `keystead check --repair`."""

from __future__ import annotations

from random import Random

import pytest
from simulated_disk import Image, SimulatedDisk
from stores import PATH, opened, state_of
from workload import EMPTY_DISK

from keystead.engine import manifest as manifests
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.files import Directory
from keystead.engine.repair import repair

pytestmark = pytest.mark.usefixtures("small_sizes")


def log_of_four_segments() -> dict[str, bytes]:
    """The files of a store that was killed three times: each start sealed a segment."""
    disk = SimulatedDisk(EMPTY_DISK)
    for keys in (b"ab", b"c", b"d", b"e"):
        engine = opened(disk.kill())
        for key in keys:
            engine.databases[0].keyspace.put(bytes((key,)), b"value of %c" % key)
            engine.end_turn()
            engine.sync()
    return disk.synced().files(PATH)


def repaired(disk: SimulatedDisk) -> list[str]:
    """What one repair says."""
    directory = Directory(PATH, disk)
    manifest = manifests.load(directory)
    assert manifest is not None
    found: list[CheckedGeneration] = []
    for _ in check(directory, manifest, found):
        pass
    return repair(directory, manifest, found)


def test_nothing_is_cut_before_its_copy_and_the_manifest_without_it_are_durable() -> None:
    """Rule 12: a repair that is interrupted has lost nothing, and leaves no manifest that names what is not there."""
    files = log_of_four_segments()
    files = {name: data.replace(b"value of b", b"value 0f b") for name, data in files.items()}
    disk = SimulatedDisk(Image.of({PATH: files}))
    random = Random(9)
    images: list[Image] = []
    disk.after = lambda _: images.extend(disk.crash_states(random, 20))
    assert "what was written after" in repaired(disk)[0]
    disk.after = lambda _: None
    assert list(state_of(opened(disk))[0]) == [b"a"]
    for image in images:
        left = image.files(PATH)
        for record in manifests.parse(left["MANIFEST"], "").current.segments:
            assert len(left[record.file]) >= (record.length or 0)
        for cut in (b"value 0f b", b"value of c", b"value of d", b"value of e"):
            assert any(cut in data for data in left.values())
