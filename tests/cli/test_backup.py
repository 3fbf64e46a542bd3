"""backup: copies of a directory that is served or not, once and continuously; list, verify."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cli.stores import content, fill, flip, keystead
from keystead.backup.folder import Folder
from keystead.backup.repository import Repository
from keystead.cli import backup
from keystead.engine.files import Directory
from keystead.engine.remembered import remembered
from servers import Server, running, start_keystead


def objects(place: Path) -> list[Path]:
    return sorted((place / "objects").iterdir())


def test_a_directory_is_backed_up_listed_verified_and_restored(tmp_path: Path) -> None:
    fill(tmp_path / "store", 30)
    run = keystead("backup", tmp_path / "away", "--dir", tmp_path / "store")
    assert run.status == 0, run.errors
    assert ": transactions up to 30 of " in run.output
    listed = keystead("backup", "list", tmp_path / "away")
    assert listed.output.count("\n") == 1
    assert "transactions up to 30 of " in listed.output
    verified = keystead("backup", "verify", tmp_path / "away")
    assert verified.status == 0
    assert "1 file of " in verified.output
    assert "restored: 30 keys, transactions up to 30 of " in verified.output
    assert verified.output.endswith("; its digest is right\n")
    assert keystead("restore", "--from", tmp_path / "away", "--into", tmp_path / "back").status == 0
    assert content(tmp_path / "back") == content(tmp_path / "store")


def test_a_second_backup_copies_what_is_new(tmp_path: Path) -> None:
    fill(tmp_path / "store", 30)
    keystead("compact", "--dir", tmp_path / "store")
    keystead("backup", tmp_path / "away", "--dir", tmp_path / "store")
    before = {path: path.stat().st_ino for path in objects(tmp_path / "away")}
    fill(tmp_path / "store", 1, first=30)
    keystead("backup", tmp_path / "away", "--dir", tmp_path / "store")
    after = {path: path.stat().st_ino for path in objects(tmp_path / "away")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    assert keystead("backup", "list", tmp_path / "away").output.count("\n") == 2


def test_old_snapshots_go_when_asked(tmp_path: Path) -> None:
    for number in range(3):
        fill(tmp_path / "store", 1, first=number)
        run = keystead("backup", tmp_path / "away", "--dir", tmp_path / "store", "--keep", "2")
    assert "1 older snapshot removed" in run.output
    assert keystead("backup", "list", tmp_path / "away").output.count("\n") == 2
    assert keystead("backup", "verify", tmp_path / "away").status == 0


def test_the_directory_remembers_where_its_backups_are(tmp_path: Path) -> None:
    fill(tmp_path / "store", 3)
    for place in ("one", "two", "one"):
        keystead("backup", tmp_path / place, "--dir", tmp_path / "store")
    known = remembered(Directory(str(tmp_path / "store")))
    assert [(backup.place, backup.sequence) for backup in known] == [
        (str(tmp_path / "two"), 3),
        (str(tmp_path / "one"), 3),
    ]
    assert keystead("check", "--dir", tmp_path / "store").status == 0
    fill(tmp_path / "store", 1, first=3)
    assert remembered(Directory(str(tmp_path / "store"))) == known, "a start leaves it alone"


def test_a_place_is_remembered_before_anything_is_copied_to_it(tmp_path: Path) -> None:
    """Else KS.FORGET, asked meanwhile or after a backup that failed half way, would not name it."""
    store = tmp_path / "store"
    fill(store, 30)
    keystead("compact", "--dir", store)
    fill(store, 30, first=30)
    flip(max(store.glob("checkpoint-*")), 200)
    run = keystead("backup", tmp_path / "away", "--dir", store)
    assert run.status == 65, run.output
    assert [(each.place, each.sequence) for each in remembered(Directory(str(store)))] == [(str(tmp_path / "away"), 0)]


def test_a_place_is_remembered_before_anything_is_shipped_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "store", 3)
    known: list[tuple[str, int]] = []

    def shipped_nothing(*_: object) -> None:
        known.extend((each.place, each.sequence) for each in remembered(Directory(str(tmp_path / "store"))))

    monkeypatch.setattr(backup, "follow", shipped_nothing)
    assert backup.run_backup([str(tmp_path / "away"), "--dir", str(tmp_path / "store"), "--follow"]) == 0
    assert known == [(str(tmp_path / "away"), 0)]


def test_hard_links_are_made_when_asked_and_said_to_be_no_backup(tmp_path: Path) -> None:
    fill(tmp_path / "store", 30)
    keystead("compact", "--dir", tmp_path / "store")
    run = keystead("backup", tmp_path / "away", "--dir", tmp_path / "store", "--link")
    assert "the same bytes on the same disk" in run.output
    assert "that is not a backup" in run.output
    linked = {path.stat().st_ino for path in objects(tmp_path / "away")}
    assert {path.stat().st_ino for path in (tmp_path / "store").glob("checkpoint-*")} <= linked
    assert keystead("backup", "verify", tmp_path / "away").status == 0
    assert remembered(Directory(str(tmp_path / "store")))[0].linked


def test_links_to_another_kind_of_place_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "store", 1)
    run = keystead("backup", "s3://bucket/x", "--dir", tmp_path / "store", "--link")
    assert run.status == 73
    assert "hard links" in run.errors


@pytest.mark.parametrize("place", ["store", "store/backup"])
def test_a_backup_into_the_directory_itself_is_refused(tmp_path: Path, place: str) -> None:
    fill(tmp_path / "store", 1)
    run = keystead("backup", tmp_path / place, "--dir", tmp_path / "store")
    assert run.status == 2
    assert "would be lost with it" in run.errors


def test_a_damaged_backup_is_named_file_by_file(tmp_path: Path) -> None:
    fill(tmp_path / "store", 30)
    keystead("compact", "--dir", tmp_path / "store")
    fill(tmp_path / "store", 5, first=30)
    keystead("backup", tmp_path / "away", "--dir", tmp_path / "store")
    first, second, *_ = objects(tmp_path / "away")
    first.unlink()
    flip(second, 100)
    for command in (["backup", "verify", tmp_path / "away"], ["restore", tmp_path / "away", "--into", tmp_path / "r"]):
        run = keystead(*command)
        assert run.status == 65
        assert f"damaged backup: {first}: it is missing" in run.errors
        assert f"damaged backup: {second}: its checksum does not match" in run.errors
    assert not (tmp_path / "r").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_snapshot_is_named_beside_the_others(tmp_path: Path) -> None:
    fill(tmp_path / "store", 3)
    for _ in range(2):
        keystead("backup", tmp_path / "away", "--dir", tmp_path / "store")
    snapshot = min((tmp_path / "away" / "snapshots").iterdir())
    flip(snapshot, 60)
    run = keystead("backup", "list", tmp_path / "away")
    assert run.status == 65
    assert run.output.count("\n") == 1
    assert str(snapshot) in run.errors


@pytest.mark.parametrize("action", ["list", "verify"])
def test_a_place_without_a_backup_is_said_to_have_none(tmp_path: Path, action: str) -> None:
    run = keystead("backup", action, tmp_path)
    assert run.status == 73
    assert f"there is no backup in {tmp_path}" in run.errors


def test_a_directory_without_a_store_is_not_backed_up(tmp_path: Path) -> None:
    assert keystead("backup", tmp_path / "away", "--dir", tmp_path / "nothing").status == 73
    assert not (tmp_path / "away").exists()


# --- served ----------------------------------------------------------------------------------------------------------


class Writer(threading.Thread):
    """Sets keys, one after the other; `acknowledged[n]` is when the reply to the one with that number was there."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._connection = server.connect()
        self.acknowledged: list[float] = []
        self.stopping = False

    def run(self) -> None:
        try:
            while not self.stopping:
                number = len(self.acknowledged)
                reply = self._connection.call(b"SET", b"key:%d" % number, value(number))
                if reply.kind == "closed":
                    return
                assert reply.value == b"OK"
                self.acknowledged.append(time.time() * 1000)
        except (OSError, EOFError):
            pass
        finally:
            self._connection.close()


def value(number: int) -> bytes:
    """Large enough that segments are filled in seconds."""
    return b"%d" % number * 1000


def set_key(server: Server, number: int) -> None:
    with contextlib.closing(server.connect()) as connection:
        assert connection.call(b"SET", b"key:%d" % number, value(number)).value == b"OK"


def follower(place: Path, directory: Path, *options: str) -> subprocess.Popen[str]:
    """A `backup --follow` that has begun."""
    command = [sys.executable, "-m", "keystead", "backup", str(place), "--dir", str(directory), "--follow", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "shipped up to transaction" in line, line + process.stderr.read()
    return process


def wait_until(true: object) -> None:
    assert callable(true)
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


def all_of(store: Path, count: int) -> None:
    """The first *count* keys are there, each with its value."""
    found = content(store)
    missing = [number for number in range(count) if found.get(b"key:%d" % number) != value(number)]
    assert missing == []


def test_a_served_store_is_backed_up_under_load(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "store", "--segment-size", "1mb", "--history-max-bytes", "2mb")) as server:
        writer = Writer(server)
        writer.start()
        for number in range(4):
            wait_until(lambda: len(writer.acknowledged) > 300 * (number + 1))  # noqa: B023
            known = len(writer.acknowledged)
            run = keystead("backup", tmp_path / "away", "--dir", tmp_path / "store")
            assert run.status == 0, run.errors
            assert keystead("restore", tmp_path / "away", "--into", tmp_path / f"back{number}").status == 0
            all_of(tmp_path / f"back{number}", known)
        writer.stopping = True
        writer.join()
    assert keystead("backup", "verify", tmp_path / "away").status == 0


def test_after_the_machine_burnt_the_backup_has_what_was_acknowledged_up_to_the_lag(tmp_path: Path) -> None:
    """The server is killed, its directory removed; the follower survives and says that there is nothing left."""
    with running(start_keystead(tmp_path / "store", "--segment-size", "1mb")) as server:
        following = follower(tmp_path / "away", tmp_path / "store")
        writer = Writer(server)
        writer.start()
        repository = Repository(Folder(str(tmp_path / "away")))
        wait_until(lambda: repository.snapshots()[-1].sequence > 1500)
        server.kill()
        shutil.rmtree(tmp_path / "store")
        writer.join()
    _, errors = following.communicate(timeout=30)
    assert following.returncode == 73, errors
    taken_ms = repository.snapshots()[-1].taken_ms
    assert keystead("restore", tmp_path / "away", "--into", tmp_path / "back").status == 0
    all_of(tmp_path / "back", sum(at_ms < taken_ms for at_ms in writer.acknowledged))
    assert keystead("backup", "verify", tmp_path / "away").status == 0


def test_a_follower_is_told_to_stop_and_goes_on_when_it_is_started_again(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "store")) as server:
        following = follower(tmp_path / "away", tmp_path / "store")
        for number in range(2):
            set_key(server, number)
            following.send_signal(signal.SIGTERM if number else signal.SIGKILL)
            output, _ = following.communicate(timeout=30)
            following = follower(tmp_path / "away", tmp_path / "store")
        assert "transactions up to 2 of " in output, "one last round was made"
        following.terminate()
        following.communicate(timeout=30)
        assert following.returncode == 0
    assert keystead("restore", tmp_path / "away", "--into", tmp_path / "back").status == 0
    all_of(tmp_path / "back", 2)


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    fill(tmp_path / "store", 3)
    following = follower(tmp_path / "away", tmp_path / "store")
    run = keystead("backup", tmp_path / "away", "--dir", tmp_path / "store")
    assert run.status == 75
    assert f"another backup writes to {tmp_path / 'away'} (pid {following.pid} on {os.uname().nodename}" in run.errors
    following.terminate()
    following.communicate(timeout=30)


def test_a_follower_outlives_a_restart_of_the_server_and_a_place_that_fails(tmp_path: Path) -> None:
    server = start_keystead(tmp_path / "store")
    repository = Repository(Folder(str(tmp_path / "away")))
    following = follower(tmp_path / "away", tmp_path / "store")
    set_key(server, 0)
    wait_until(lambda: repository.snapshots()[-1].sequence == 1)
    server.kill()
    shutil.rmtree(tmp_path / "away" / "objects")
    (tmp_path / "away" / "objects").write_bytes(b"in the way")
    with running(start_keystead(tmp_path / "store")) as server:
        set_key(server, 1)
        assert following.stderr is not None
        assert "failing, tried again" in following.stderr.readline()
        (tmp_path / "away" / "objects").unlink()
        assert "shipped up to transaction 2, lag" in following.stderr.readline()
    following.terminate()
    following.communicate(timeout=30)
    assert keystead("restore", tmp_path / "away", "--into", tmp_path / "back").status == 0
    all_of(tmp_path / "back", 2)
