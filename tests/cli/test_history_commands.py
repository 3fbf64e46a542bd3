"""history, diff and log: the past on the command line, of a directory that is served or not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.stores import files, keystead
from keystead.engine.engine import Engine, Options
from keystead.engine.operations import Author
from servers import running, start_keystead


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Six transactions of two authors."""
    path = tmp_path / "data"
    engine = Engine.open(str(path), Options())
    database, other = engine.databases[0].keyspace, engine.databases[3].keyspace
    engine.author = Author("ada", "importer")
    for key, value in ((b"app:1", b"one"), (b"app:2", b"two"), (b"app:1", b"\x1b[31m\xff")):
        database.put(key, value)
        engine.end_turn()
    engine.author = Author("bob", "127.0.0.1:50000")
    database.delete(b"app:2")
    engine.end_turn()
    other.put(b"elsewhere", b"x", 4_102_444_800_000)
    engine.end_turn()
    engine.flush(engine.databases[0])
    engine.end_turn()
    engine.close()
    return path


def lines(*arguments: str | Path) -> list[Any]:
    """What a command says with --json."""
    run = keystead(*arguments, "--json")
    assert run.status == 0, run.errors
    return [json.loads(line) for line in run.output.splitlines()]


def test_history_shows_the_changes_of_a_key(store: Path) -> None:
    run = keystead("history", "app:1", "--dir", store)
    assert run.status == 0, run.errors
    flush, second, first = run.output.splitlines()
    assert flush.split()[2:] == ["#6", "flush", "bob", "127.0.0.1:50000"]
    assert second.split()[2:5] == ["#3", "put", "ada"]
    assert second.endswith(r"6 B  \x1b[31m\xff")
    assert first.endswith("3 B  one")


def test_a_key_without_a_past_is_told_and_no_error(store: Path) -> None:
    """A wrong database or a slip of the pen look like that."""
    run = keystead("history", "app:1", "--dir", store, "--db", "3")
    assert (run.status, run.output) == (0, "")
    assert run.errors == "no change of app:1 in database 3 is kept; the past begins with the store\n"


def test_changes_before_no_transaction_are_refused_in_words(store: Path) -> None:
    for before in ("18:00", "-4", "0"):
        run = keystead("history", "app:1", "--dir", store, f"--before={before}")
        assert run.status == 2
        assert f"{before} is not a whole number above zero" in run.errors


def test_history_as_json_has_everything(store: Path) -> None:
    newest, second, first = lines("history", "app:1", "--dir", store)
    assert (newest["operation"], newest["value"]) == ("flush", None)
    assert second["value"] == {"base64": "G1szMW3/"}
    assert (first["key"], first["sequence"], first["user"], first["client"]) == ("app:1", 1, "ada", "importer")
    assert [each["sequence"] for each in lines("history", "app:1", "--dir", store, "--count", "1")] == [6]
    assert [each["sequence"] for each in lines("history", "app:1", "--dir", store, "--before", "3")] == [1]
    assert [each["value"] for each in lines("history", "elsewhere", "--dir", store, "--db", "3")] == ["x"]


def test_diff_shows_what_is_not_the_same(store: Path) -> None:
    run = keystead("diff", "--from", "2", "--to", "4", "--dir", store)
    assert run.status == 0, run.errors
    head, changed, gone = run.output.splitlines()
    assert head.startswith("from #2 of ")
    assert changed == r"~ app:1  one -> \x1b[31m\xff"
    assert gone == "- app:2  two"
    assert lines("diff", "--from", "0", "--to", "2", "--prefix", "app:2", "--dir", store) == [
        {
            "key": "app:2",
            "before": None,
            "before_expires_at_ms": None,
            "after": "two",
            "after_expires_at_ms": None,
        }
    ]
    assert lines("diff", "--from", "4", "--dir", store)[0]["after"] is None


def test_the_moment_before_the_first_transaction_has_no_date(store: Path) -> None:
    first, *_ = keystead("diff", "--from", "0", "--dir", store).output.splitlines()
    assert first.startswith("from the beginning to #6 of 20")


def test_a_span_of_time_needs_no_equals_sign(store: Path) -> None:
    assert keystead("diff", "--from", "-1h", "--to", "now", "--dir", store).status == 0
    assert keystead("log", "--since", "-1h", "--dir", store).output.count("\n") == 6


def test_log_prints_operations_with_times_and_authors(store: Path) -> None:
    run = keystead("log", "--dir", store)
    assert run.status == 0, run.errors
    found = [" ".join(line.split()[2:]) for line in run.output.splitlines()]
    assert found[:4] + found[5:] == [
        "#1 ada importer put app:1 3 B",
        "#2 ada importer put app:2 3 B",
        "#3 ada importer put app:1 6 B",
        "#4 bob 127.0.0.1:50000 delete app:2",
        "#6 bob 127.0.0.1:50000 flush (db 0)",
    ]
    assert "put elsewhere (db 3) 1 B until 2100-01-01" in found[4]


def test_log_shows_only_what_was_asked_for(store: Path) -> None:
    def sequences(*options: str) -> list[int]:
        return [each["sequence"] for each in lines("log", "--dir", store, *options)]

    assert sequences("--author", "ada") == [1, 2, 3]
    assert sequences("--author", "127.0.0.1:50000", "--prefix", "app:") == [4, 6]
    assert sequences("--since", "5") == [5, 6]
    assert sequences("--db", "3") == [5]
    assert sequences("--since", "now") == []


def test_log_prints_the_newest_first(store: Path) -> None:
    def sequences(*options: str) -> list[int]:
        return [each["sequence"] for each in lines("log", "--dir", store, *options)]

    assert sequences("--reverse") == [6, 5, 4, 3, 2, 1]
    assert sequences("--reverse", "--count", "2", "--author", "ada") == [3, 2]
    assert sequences("--before", "3") == [2, 1]
    assert sequences("--before", "now", "--since", "5") == [6, 5]
    assert sequences("--before", "1") == []
    assert sequences("--count", "2") == [1, 2]


def test_nothing_is_changed(store: Path) -> None:
    before = files(store)
    for command in (["history", "app:1"], ["diff", "--from", "0"], ["log"]):
        assert keystead(*command, "--dir", store).status == 0
    assert files(store) == before


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["diff", "--from", "teatime"], 2, "'teatime' is no moment; write one like"),
        (["diff"], 2, "diff needs --from MOMENT"),
        (["diff", "--from", "99"], 1, "that has not happened: the last transaction is 6, of 20"),
        (["log", "--since", "9999-12-31"], 2, "is yet to come"),
        (["log", "--db", "16"], 2, "there are databases 0 to 15"),
        (["log", "--follow", "--reverse"], 2, "log --follow goes on for ever"),
        (["log", "--follow", "--count", "3"], 2, "log --follow goes on for ever"),
        (["log", "--before", "99"], 1, "that has not happened: the last transaction is 6, of 20"),
        (["history"], 2, "KEY"),
    ],
)
def test_what_makes_no_sense_is_told(store: Path, command: list[str], status: int, words: str) -> None:
    run = keystead(*command, "--dir", store)
    assert run.status == status
    assert words in run.errors


def test_a_directory_without_a_store_is_refused(tmp_path: Path) -> None:
    run = keystead("log", "--dir", tmp_path)
    assert (run.status, "there is no Keystead data in it" in run.errors) == (73, True)


def test_log_follows_a_server(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "data")) as server:
        redis = server.connect()
        redis.call("SET", "k", "before")
        command = [sys.executable, "-m", "keystead", "log", "--dir", str(server.directory), "--follow", "--json"]
        following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["sequence"] == 1
        redis.call("SET", "k", "after")
        assert json.loads(following.stdout.readline())["sequence"] == 2
        following.send_signal(signal.SIGINT)
        said, errors = following.communicate(timeout=30)
        assert (following.returncode, said, errors) == (0, b"", b"")
        redis.close()


def test_a_served_directory_is_read_while_the_server_writes(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "data")) as server:
        redis = server.connect()
        for number in range(3):
            redis.call("SET", "k", str(number))
        assert [each["value"] for each in lines("history", "k", "--dir", server.directory)] == ["2", "1", "0"]
        redis.close()
