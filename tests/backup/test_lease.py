"""One writer a repository, whoever dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from keystead.backup.failures import BackupUnderWay
from keystead.backup.folder import Folder
from keystead.backup.lease import LEASES, STALE_AFTER_MS, Lease, leased
from keystead.backup.places import read_whole

NOW_MS = 1_700_000_000_000


def put(place: Folder, host: str, pid: int, renewed_ms: int) -> None:
    place.put(f"{LEASES}/other", [msgspec.json.encode(Lease(host, pid, "keystead backup", renewed_ms))])


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path))


def test_the_lease_is_there_during_the_block_and_gone_after_it(place: Folder) -> None:
    with leased(place):
        assert len(place.sizes(LEASES)) == 1
    assert place.sizes(LEASES) == {}


def test_a_second_writer_is_told_who_writes(place: Folder) -> None:
    put(place, "elsewhere", 4711, NOW_MS - 1000)
    with pytest.raises(BackupUnderWay, match="pid 4711 on elsewhere, keystead backup"), leased(place, lambda: NOW_MS):
        pass
    assert list(place.sizes(LEASES)) == [f"{LEASES}/other"]


def test_a_writer_that_was_not_heard_of_for_minutes_is_gone(place: Folder) -> None:
    put(place, "elsewhere", 4711, NOW_MS - STALE_AFTER_MS - 1)
    with leased(place, lambda: NOW_MS):
        assert f"{LEASES}/other" not in place.sizes(LEASES)


def test_a_writer_of_this_machine_that_was_killed_keeps_nobody_waiting(place: Folder) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    put(place, os.uname().nodename, ended.pid, NOW_MS)
    with leased(place, lambda: NOW_MS):
        assert f"{LEASES}/other" not in place.sizes(LEASES)


def test_a_writer_of_this_machine_that_lives_is_left_alone(place: Folder) -> None:
    put(place, os.uname().nodename, os.getppid(), NOW_MS)
    with pytest.raises(BackupUnderWay), leased(place, lambda: NOW_MS):
        pass


def test_a_lease_that_cannot_be_read_is_nobodys(place: Folder) -> None:
    place.put(f"{LEASES}/other", [b"{"])
    with leased(place):
        assert f"{LEASES}/other" not in place.sizes(LEASES)


def test_a_writer_whose_lease_was_taken_over_writes_no_more(place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    with leased(place) as lease:
        lease.check()
        place.remove(lease.name)
        monkeypatch.setattr("keystead.backup.lease.TRUSTED_FOR_S", -1.0)  # it is long since it was renewed
        with pytest.raises(BackupUnderWay, match="has taken"):
            lease.check()
        assert place.sizes(LEASES) == {}


def test_a_writer_that_was_away_for_long_renews_its_lease_when_nobody_took_it(
    place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = NOW_MS
    with leased(place, lambda: now_ms) as lease:
        now_ms += 10 * STALE_AFTER_MS
        monkeypatch.setattr("keystead.backup.lease.TRUSTED_FOR_S", -1.0)
        lease.check()
        (lease_now,) = [msgspec.json.decode(read_whole(place, name), type=Lease) for name in place.sizes(LEASES)]
        assert lease_now.renewed_ms == now_ms
