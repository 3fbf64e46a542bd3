"""The ACL file: read whole or not at all, replaced whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from keystead.engine.files import Directory
from keystead.errors import ConfigurationError, DiskFailure
from keystead.execution.acl_file import AclFile, encoded
from keystead.execution.acl_rules import DEFAULT, Definition, applied

GET_ONLY = applied(Definition(), [b"on", b"nopass", b"~a", b"+get", b"(+set %W~b)"])


@pytest.fixture
def file(tmp_path: Path) -> AclFile:
    return AclFile(tmp_path / "users.acl")


def test_what_is_written_reads_back(file: AclFile) -> None:
    users = {b"default": DEFAULT, b"alice": GET_ONLY, b"b\xff": Definition()}
    assert file.writing(users)() is None
    assert file.read() == users
    assert file.path.read_bytes().split(b"\n")[0] == (
        b"user alice on nopass ~a resetchannels -@all +get (%W~b resetchannels -@all +set)"
    )
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_no_file_is_no_users(file: AclFile) -> None:
    assert file.read() == {}
    assert file.read_leniently()[1] == [f"Error loading ACLs, opening file '{file.path}': No such file or directory."]


def test_empty_lines_and_line_ends_of_other_systems_are_read(file: AclFile) -> None:
    file.path.write_bytes(b"\r\n  user alice on nopass ~a resetchannels -@all +get (%W~b +set)\r\n\n")
    assert file.read() == {b"alice": GET_ONLY}


DAMAGED = b"""\
user alice on +get
user bob on +nosuch
use carol
user
user alice off
user dave (+get
user erin #12
"""


def test_every_line_that_makes_no_sense_is_named(file: AclFile) -> None:
    file.path.write_bytes(DAMAGED)
    users, errors = file.read_leniently()
    assert list(users) == [b"alice"]
    keyword = "should start with user keyword followed by the username."
    unknown = "Unknown command or category name in ACL."
    assert errors == [
        f"{file.path}:2: Error in applying operation '+nosuch': {unknown}",
        f"{file.path}:3 {keyword}",
        f"{file.path}:4 {keyword}",
        f"{file.path}:5: Duplicate user 'alice' found.",
        f"{file.path}:6: Unmatched parenthesis in selector definition.",
        f"{file.path}:7: Error in applying operation '#12': The password hash must be exactly 64 characters and "
        "contain only lowercase hexadecimal characters.",
    ]
    with pytest.raises(ConfigurationError, match=r"users\.acl:2: .*users\.acl:3 "):
        file.read()


@pytest.mark.parametrize("damage", range(0, 90, 7))
def test_a_flipped_bit_is_another_word_or_an_error_but_never_a_crash(file: AclFile, damage: int) -> None:
    data = bytearray(encoded({b"default": DEFAULT, b"alice": GET_ONLY}))
    data[damage % len(data)] ^= 0x40
    file.path.write_bytes(data)
    users, errors = file.read_leniently()
    assert len(users) + len(errors) >= 1


def test_a_later_write_wins_whichever_thread_is_quicker(file: AclFile) -> None:
    old, new = file.writing({b"alice": GET_ONLY}), file.writing({b"alice": DEFAULT})
    assert new() is None
    assert old() is None
    assert file.read() == {b"alice": DEFAULT}


def test_why_it_cannot_be_written_is_told(file: AclFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise DiskFailure("syncing users.acl: Input/output error")

    nowhere = AclFile(file.path / "no" / "users.acl")
    assert nowhere.writing({})() == f"{nowhere.path} cannot be written: No such file or directory"
    monkeypatch.setattr(Directory, "replace", fail)
    assert file.writing({})() == f"{file.path} cannot be written: syncing users.acl: Input/output error"
    monkeypatch.undo()
    assert file.writing({b"alice": DEFAULT})() is None, "the next one may succeed"


def test_the_directory_is_made_where_nothing_else_makes_it(file: AclFile) -> None:
    deep = AclFile(file.path.parent / "some" / "where" / "users.acl", makes_directory=True)
    assert deep.writing({b"alice": DEFAULT})() is None
    assert deep.read() == {b"alice": DEFAULT}
    assert deep.path.parent.stat().st_mode & 0o777 == 0o700
