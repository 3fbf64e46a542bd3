"""forget: keys erased in a directory, or by the server that has it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cli.stores import content, fill, keystead
from keystead.engine.files import Directory
from keystead.engine.remembered import remember
from servers import Server, running, start_keystead


def files_with(path: Path, *words: bytes) -> list[str]:
    return [
        file.name
        for file in path.iterdir()
        if file.suffix in (".log", ".ckp") and any(word in file.read_bytes() for word in words)
    ]


def stored(word: bytes) -> bytes:
    """As a key or a value stands in a file: so short a word alone may also be a part of a checksum."""
    return msgspec.msgpack.encode(word)


def test_a_key_is_erased_in_a_directory_that_nobody_serves(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path, 30)
    keystead("compact", "--dir", path)
    assert len(files_with(path, stored(b"k17"), stored(b"v17"))) == 2
    run = keystead("forget", "k17", "--dir", path)
    assert run.status == 0
    assert run.output.startswith("the key is in no file any more; 2 operations erased, 3 files rewritten (")
    assert files_with(path, stored(b"k17"), stored(b"v17")) == []
    assert content(path) == {b"k%d" % number: b"v%d" % number for number in range(30) if number != 17}
    assert keystead("check", "--dir", path).status == 0


def test_keys_can_come_by_standard_input_and_be_of_another_database(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path, 3)
    fill(path, 5, first=3, database=4)
    run = keystead("forget", "-", "--db", "4", "--dir", path, text="k3\nk4\n")
    assert run.output.startswith("the 2 keys are in no file any more; ")
    assert files_with(path, stored(b"k3"), stored(b"k4")) == []
    assert len(content(path)) == 3


def test_what_may_have_it_all_the_same_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path, 3)
    remember(Directory(str(path)), "s3://bucket/shop", 3, 1_700_000_000_000)
    (path / "segment-0000000001.log.64.broken").write_bytes(b"k1")
    said = keystead("forget", "k1", "--dir", path).output.splitlines()
    assert said[1:] == [
        "MAY STILL HAVE IT  s3://bucket/shop: a backup",
        "MAY STILL HAVE IT  segment-0000000001.log.64.broken: put aside by a start or a repair",
    ]


def test_a_server_that_has_the_directory_is_asked(keystead_server: Server) -> None:
    connection = keystead_server.connect()
    connection.call("SET", "k1", "secret")
    run = keystead("forget", "k1", "--dir", keystead_server.directory, "--port", str(keystead_server.port))
    assert (run.status, run.errors) == (0, "")
    assert "2 operations erased" in run.output
    assert files_with(keystead_server.directory, stored(b"secret"), stored(b"k1")) == []
    assert connection.call("EXISTS", "k1").value == 0
    connection.close()


def test_a_password_opens_the_way(tmp_path: Path) -> None:
    """And without it nothing happens."""
    password = tmp_path / "password"
    password.write_text("sesame")
    with running(start_keystead(tmp_path / "data")) as server:
        connection = server.connect()
        connection.call("ACL", "SETUSER", "officer", "on", ">sesame", "allkeys", "+@all")
        connection.call("ACL", "SETUSER", "default", "resetpass", "off")
        where = ["--dir", server.directory, "--port", str(server.port)]
        assert "NOAUTH" in keystead("forget", "k1", *where).errors
        run = keystead("forget", "k1", *where, "--user", "officer", "--requirepass-file", password)
        assert (run.status, run.errors) == (0, "")
        connection.close()


def test_a_server_of_another_directory_is_not_asked(keystead_server: Server, tmp_path: Path) -> None:
    """Found by thinking: it has a key of that name, too."""
    connection = keystead_server.connect()
    connection.call("SET", "k1", "precious")
    with running(start_keystead(tmp_path / "other")) as other:
        run = keystead("forget", "k1", "--dir", other.directory, "--port", str(keystead_server.port))
    assert run.status == 1
    assert "serves another directory" in run.errors
    assert connection.call("GET", "k1").value == b"precious"
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "required: KEY"),
        (["k", "--db", "16"], 2, "databases 0 to 15"),
        (["k", "--dir", "nowhere"], 73, "no such directory"),
        (["-"], 2, "no key on standard input"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, arguments: list[str], status: int, says: str) -> None:
    fill(tmp_path / "keystead-data", 1)
    run = keystead("forget", *arguments, cwd=tmp_path)
    assert run.status == status
    assert says in run.errors
