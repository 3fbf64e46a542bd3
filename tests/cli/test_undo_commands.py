"""undo and restore-key: in a directory, or by the server that has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.stores import content, fill, keystead
from keystead.engine.engine import Engine
from servers import Server, running, start_keystead

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = {b"k0": b"v0", b"k1": b"v1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One with a directory of its own."""
    with running(start_keystead(tmp_path / "data")) as server:
        yield server


def gone(path: Path) -> int:
    """Two keys of which both were deleted at once; the number of that transaction."""
    fill(path, 2)
    engine = Engine.open(str(path))
    start = len(engine.ops)
    for key in WHOLE:
        engine.databases[0].keyspace.delete(key)
    engine.end_group(start)
    engine.end_turn()
    engine.close()
    return 3


def test_a_transaction_is_undone_in_a_directory_that_nobody_serves(tmp_path: Path) -> None:
    sequence = gone(tmp_path)
    run = keystead("undo", str(sequence), "--dir", tmp_path)
    assert (run.status, run.errors) == (0, "")
    assert run.output == "2 keys put back, by transaction 4, which can be undone too\n"
    assert content(tmp_path) == WHOLE
    assert "keystead undo" in keystead("log", "--since", "4", "--dir", tmp_path).output
    assert keystead("check", "--dir", tmp_path).status == 0
    keystead("undo", "4", "--dir", tmp_path)
    assert content(tmp_path) == {}


def test_keys_that_were_changed_since_are_named_left_alone_or_put_back(tmp_path: Path) -> None:
    sequence = str(gone(tmp_path))
    fill(tmp_path, 1, first=1)
    engine = Engine.open(str(tmp_path))
    engine.databases[0].keyspace.put(b"k1", b"newer")
    engine.end_turn()
    engine.close()
    run = keystead("undo", sequence, "--dir", tmp_path)
    assert (run.status, run.output) == (1, "CHANGED SINCE  k1\n")
    assert "1 of its keys were changed since" in run.errors
    run = keystead("undo", sequence, "--conflicts", "skip", "--dir", tmp_path)
    assert run.status == 0
    assert "CHANGED SINCE, LEFT ALONE  k1\n" in run.output
    assert content(tmp_path) == {b"k0": b"v0", b"k1": b"newer"}
    assert keystead("undo", sequence, "--conflicts", "force", "--dir", tmp_path).status == 0
    assert content(tmp_path) == WHOLE


def test_a_key_is_brought_back_in_a_directory_that_nobody_serves(tmp_path: Path) -> None:
    gone(tmp_path)
    assert keystead("restore-key", "k1", "--last", "--dir", tmp_path).status == 0
    assert content(tmp_path) == {b"k1": b"v1"}
    assert keystead("restore-key", "k0", "--at", "2", "--dir", tmp_path).status == 0
    assert content(tmp_path) == WHOLE


def test_a_server_that_has_the_directory_is_asked(server: Server) -> None:
    connection = server.connect()
    connection.call("SELECT", "3")
    connection.call("SET", "k1", "v")
    connection.call("DEL", "k1")
    where = ["--dir", server.directory, "--port", str(server.port)]
    run = keystead("undo", "2", *where)
    assert (run.status, run.errors) == (0, "")
    assert connection.call("GET", "k1").value == b"v"
    connection.call("SET", "k1", "newer")
    run = keystead("undo", "2", *where)
    assert (run.status, run.output) == (1, "CHANGED SINCE  k1 (db 3)\n")
    run = keystead("restore-key", "k1", "--at", "1", "--db", "3", *where)
    assert (run.status, run.errors) == (0, "")
    assert connection.call("GET", "k1").value == b"v"
    connection.close()


def test_a_server_of_another_directory_is_not_asked(server: Server, tmp_path: Path) -> None:
    connection = server.connect()
    connection.call("SET", "k1", "precious")
    with running(start_keystead(tmp_path / "other")) as other:
        run = keystead("undo", "1", "--dir", other.directory, "--port", str(server.port))
    assert run.status == 1
    assert "serves another directory" in run.errors
    assert connection.call("GET", "k1").value == b"precious"
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["undo"], 2, "required: SEQUENCE"),
        (["undo", "first"], 2, "invalid int value"),
        (["undo", "-1"], 2, "there is no transaction -1: the first one is 1"),
        (["undo", "0"], 2, "there is no transaction 0: the first one is 1"),
        (["undo", "1", "--conflicts", "ask"], 2, "invalid choice"),
        (["undo", "99"], 1, "that has not happened: the last transaction is 1"),
        (["undo", "1", "--dir", "nowhere"], 73, "no such directory"),
        (["restore-key", "k0"], 2, "needs --at TIME or --last"),
        (["restore-key", "k0", "--last", "--at", "1"], 2, "needs --at TIME or --last"),
        (["restore-key", "k0", "--last"], 1, "the key exists"),
        (["restore-key", "k0", "--at", "0"], 1, "the key did not exist then"),
        (["restore-key", "k0", "--at", "-10y"], 2, "is no moment"),
        (["restore-key", "k0", "--last", "--db", "16"], 2, "databases 0 to 15"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, arguments: list[str], status: int, says: str) -> None:
    fill(tmp_path / "keystead-data", 1)
    run = keystead(*arguments, cwd=tmp_path)
    assert run.status == status, run
    assert says in run.errors
