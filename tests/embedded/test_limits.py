"""What is refused: too much memory, a full disk, values that are too large. Refused means unchanged."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from slow_disk import SlowDisk, open_on

import keystead
from keystead.embedded import codecs

if TYPE_CHECKING:
    from pathlib import Path


def fill(db: keystead.Store[str, bytes], keys: int, value: bytes) -> None:
    for i in range(keys):
        db[f"k{i}"] = value


def test_beyond_maxmemory_growing_is_refused_and_shrinking_is_not(tmp_path: Path) -> None:
    with keystead.open(tmp_path, maxmemory=2_000_000, fsync="never") as db:
        with pytest.raises(keystead.OutOfMemory, match="maxmemory"):
            fill(db, 10_000, b"x" * 1000)
        count = len(db)
        for grow in (
            lambda: db.set("new", b"1"),
            lambda: db.update(new=b"1"),
            lambda: db.increment("new"),
            lambda: db.setdefault("new", b"1"),
        ):
            with pytest.raises(keystead.OutOfMemory):
                grow()
        with pytest.raises(keystead.OutOfMemory), db.transaction() as tx:
            tx["new"] = b"1"
        assert len(db) == count
        assert db["k0"] == b"x" * 1000
        del db["k0"]
        assert db.pop("k1") == b"x" * 1000
        assert db.expire("k2", 100)
        with db.transaction() as tx:
            del tx["k3"]
        db.clear()
        db["new"] = b"1"
        assert dict(db) == {"new": b"1"}


def test_on_a_full_disk_growing_is_refused_and_resumes_by_itself(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path) as db:
        db["before"] = b"1"
        disk.no_space = OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(keystead.DiskFull, match="full"):
            fill(db, 400, b"x" * 60_000)
        written = list(db.keys(prefix="k"))
        assert written
        assert db["before"] == b"1"
        del db["before"]
        assert db.get_many(written) == dict.fromkeys(written, b"x" * 60_000)
        disk.no_space = None
        while True:
            try:
                db["after"] = b"1"
                break
            except keystead.DiskFull:
                continue
    with keystead.open(tmp_path) as db:
        assert sorted(db) == sorted([*written, "after"])


def test_a_change_larger_than_the_room_is_refused_before_anything_changes(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path) as db:
        db["a"] = b"1"
        disk.no_space = OSError(errno.ENOSPC, "No space left on device")
        for grow in (
            lambda: db.set("a", bytes(20 << 20)),
            lambda: db.__setitem__("a", bytes(20 << 20)),
            lambda: db.update({f"k{i}": bytes(1 << 20) for i in range(20)}),
        ):
            with pytest.raises(keystead.DiskFull, match="room"):
                grow()
        with pytest.raises(keystead.DiskFull, match="room"), db.transaction() as tx:
            tx["a"] = bytes(20 << 20)
        assert dict(db) == {"a": b"1"}
        db["b"] = b"2"
        disk.no_space = None
        db["a"] = bytes(20 << 20)
    with keystead.open(tmp_path) as db:
        assert db["a"] == bytes(20 << 20)
        assert db["b"] == b"2"


def test_a_value_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "VALUE_MAX_BYTES", 100_000)
    with keystead.open(tmp_path) as db:
        db["a"] = bytes(100_000)
        with pytest.raises(keystead.ValueRefused, match="at most 100000 bytes"):
            db["a"] = bytes(100_001)
        with pytest.raises(keystead.ValueRefused, match="at most 100000 bytes"):
            db.set("a", bytes(100_001))
        assert db["a"] == bytes(100_000)
