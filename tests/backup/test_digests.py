"""The digest tells views apart, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from keystead.backup import digests
from keystead.backup.digests import ViewDigest, digested
from keystead.backup.looking import Watch
from keystead.engine.engine import Engine, Options
from keystead.engine.files import Directory
from keystead.engine.keyspace import SHARDS, Keyspace
from keystead.engine.view import View


def digest_of(path: Path) -> str:
    watch = Watch(Directory(str(path)))
    look = watch.look(lambda _: True)
    digest = ViewDigest()
    for _ in digested(watch.files, look.manifest, digest):
        pass
    watch.close()
    return digest.hexdigest()


def store(path: Path, *turns: Callable[[Keyspace], object], checkpoint: bool = False, database: int = 0) -> str:
    """The digest of a store in which this was done."""
    engine = Engine.open(str(path), Options())
    for turn in turns:
        turn(engine.databases[database].keyspace)
        engine.end_turn()
    engine.sync()
    if checkpoint:
        engine.request_checkpoint()
        while engine.maintenance.working:
            engine.housekeep(1.0)
            engine.end_turn()
            engine.sync()
    engine.close()
    return digest_of(path)


def many(keyspace: Keyspace) -> None:
    for number in range(3000):
        keyspace.put(b"%d" % number, b"v%d" % number)


def expiring(keyspace: Keyspace) -> None:
    keyspace.put(b"e", b"1", 4_102_444_800_000)


def later(keyspace: Keyspace) -> None:
    keyspace.put(b"e", b"1", 4_102_444_800_001)


def test_it_is_of_the_content_not_of_the_way_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = store(tmp_path / "a", many, expiring)

    def roundabout(keyspace: Keyspace) -> None:
        for number in reversed(range(3100)):
            keyspace.put(b"%d" % number, b"x")

    def patched(keyspace: Keyspace) -> None:
        for number in range(3000):
            keyspace.put(b"%d" % number, b"w%d" % number)
            keyspace.patch(b"%d" % number, 0, b"v")
        for number in range(3000, 3100):
            keyspace.delete(b"%d" % number)

    assert store(tmp_path / "a", checkpoint=True) == straight
    (tmp_path / "a" / "MANIFEST").rename(tmp_path / "MANIFEST")
    assert straight != store(tmp_path / "b", later, roundabout, patched), "another hash seed has other shards"
    monkeypatch.setattr(digests, "PASS_BYTES", 10_000)
    (tmp_path / "MANIFEST").rename(tmp_path / "a" / "MANIFEST")
    assert digest_of(tmp_path / "a") == straight


@pytest.mark.parametrize(
    "change",
    [
        lambda keyspace: keyspace.put(b"another", b""),
        lambda keyspace: keyspace.put(b"7", b"v8"),
        lambda keyspace: keyspace.delete(b"7"),
        lambda keyspace: keyspace.set_expiry(b"7", 4_102_444_800_000),
        later,
    ],
)
def test_any_change_changes_it(tmp_path: Path, change: Callable[[Keyspace], object]) -> None:
    before = store(tmp_path / "a", many, expiring)
    assert store(tmp_path / "a", change) != before


def test_the_database_counts() -> None:
    view, other = View(1), View(1)
    for found, number in ((view, 0), (other, 1)):
        found.keyspace(number).shards[5][b"k"] = b"v"
    results = set()
    for found in (view, other):
        digest = ViewDigest()
        digest.add(found, range(SHARDS))
        assert digest.keys == 1
        results.add(digest.hexdigest())
    assert len(results) == 2
