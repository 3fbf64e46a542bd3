"""restore: from a backup, and from a directory's own past."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path

import pytest

from cli.stores import content, files, fill, keystead
from keystead.engine.engine import Engine
from servers import running, start_keystead

YESTERDAY_MS = 1_700_000_000_000


def expected(count: int) -> dict[bytes, bytes]:
    return {b"k%d" % number: b"v%d" % number for number in range(count)}


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """A backup of thirty transactions, a checkpoint in the middle."""
    fill(tmp_path / "store", 20)
    keystead("compact", "--dir", tmp_path / "store")
    fill(tmp_path / "store", 10, first=20)
    keystead("backup", tmp_path / "away", "--dir", tmp_path / "store")
    return tmp_path / "away"


@pytest.mark.parametrize("sequence", [0, 7, 20, 25, 30])
@pytest.mark.parametrize("origin", ["away", "store"])
def test_a_transaction_can_be_restored_from_a_backup_and_from_the_directory(
    away: Path, tmp_path: Path, sequence: int, origin: str
) -> None:
    before = files(tmp_path / "store")
    run = keystead("restore", "--from", away.with_name(origin), "--to-sequence", sequence, "--into", tmp_path / "new")
    assert run.status == 0, run.errors
    assert content(tmp_path / "new") == expected(sequence)
    assert files(tmp_path / "store") == before


def test_the_past_comes_along_and_can_be_restored_from_in_turn(away: Path, tmp_path: Path) -> None:
    keystead("restore", away, "--to-sequence", 25, "--into", tmp_path / "new")
    assert "in 2 generations" in keystead("check", "--dir", tmp_path / "new").output
    keystead("restore", tmp_path / "new", "--to-sequence", 3, "--into", tmp_path / "older")
    assert content(tmp_path / "older") == expected(3)


def test_a_time_can_be_restored(tmp_path: Path) -> None:
    now_ms = YESTERDAY_MS
    engine = Engine(str(tmp_path / "store"), wall_ms=lambda: now_ms)
    list(engine.load())
    for number in range(10):
        now_ms = YESTERDAY_MS + 60_000 * number
        engine.clock.refresh()
        engine.databases[0].keyspace.put(b"k%d" % number, b"v%d" % number)
        engine.end_turn()
        engine.sync()
    engine.close()
    at = datetime.fromtimestamp(YESTERDAY_MS / 1000 + 200).astimezone()
    for number, text in enumerate((f"@{at.timestamp()}", at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S.%f}")):
        into = tmp_path / f"new{number}"
        run = keystead("restore", tmp_path / "store", "--to-time", text, "--into", into)
        assert run.status == 0, run.errors
        assert content(into) == expected(4)


def test_a_time_ago_can_be_restored(away: Path, tmp_path: Path) -> None:
    for number, words in enumerate((["--to-time", "-10m"], ["--to-time=-0.001s"])):
        run = keystead("restore", away.with_name("store"), *words, "--into", tmp_path / f"new{number}")
        assert run.status == 0, run.errors
    assert content(tmp_path / "new0") == {}
    assert content(tmp_path / "new1") == expected(30)


def test_the_directory_of_a_running_server_can_be_restored_from(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "store")) as server, contextlib.closing(server.connect()) as connection:
        connection.call(b"SET", b"k0", b"v0")
        connection.call(b"FLUSHALL")
        assert keystead("restore", tmp_path / "store", "--to-sequence", 1, "--into", tmp_path / "new").status == 0
    assert content(tmp_path / "new") == expected(1)


def test_what_is_there_is_never_touched(away: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    run = keystead("restore", away, "--into", tmp_path / "new")
    assert run.status == 73
    assert "exists; a store is restored into a new directory" in run.errors


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--to-time", "teatime"], 2, "'teatime' is no moment; write one like "),
        (["--to-time", "now", "--to-sequence", "3"], 2, "two moments"),
        (["--to-sequence", "31"], 1, "ends before transaction 31"),
        (["--to-time", "2999-01-01"], 2, "'2999-01-01' is yet to come"),
        (["--snapshot", "19990101T000000.000Z"], 73, "has no snapshot 19990101T000000.000Z; the newest: 2"),
    ],
)
def test_a_moment_that_makes_no_sense_is_refused_in_words(
    away: Path, tmp_path: Path, options: list[str], status: int, message: str
) -> None:
    run = keystead("restore", away, "--into", tmp_path / "new", *options)
    assert (run.status, message in run.errors) == (status, True), run.errors
    assert not (tmp_path / "new").exists()


def test_nothing_is_restored_into_a_data_directory(tmp_path: Path) -> None:
    """`keystead restore --from data --into data/yesterday`: whoever removes the one loses both."""
    fill(tmp_path / "data", 3)
    run = keystead("restore", "--from", tmp_path / "data", "--into", tmp_path / "data" / "yesterday" / "noon")
    assert run.status == 2
    assert "is in the data directory" in run.errors
    assert not (tmp_path / "data" / "yesterday").exists()


def test_source_and_target_must_be_named(tmp_path: Path) -> None:
    assert keystead("restore", tmp_path).status == 2
    assert keystead("restore", "--into", tmp_path / "new").status == 2
    assert keystead("restore", tmp_path, "--from", tmp_path, "--into", tmp_path / "new").status == 2


def test_an_older_snapshot_can_be_named(away: Path, tmp_path: Path) -> None:
    (snapshot,) = [path.stem for path in (away / "snapshots").iterdir()]
    fill(tmp_path / "store", 5, first=30)
    keystead("backup", away, "--dir", tmp_path / "store")
    assert keystead("restore", away, "--snapshot", snapshot, "--into", tmp_path / "new").status == 0
    assert content(tmp_path / "new") == expected(30)
