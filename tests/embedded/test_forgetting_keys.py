"""db.forget: in process, and over a server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import keystead
from keystead.engine.engine import Engine
from keystead.execution.first_answers import PREFIX, FirstAnswer, _encode
from servers import running, start_keystead

if TYPE_CHECKING:
    from pathlib import Path


def files_with(path: Path, *words: bytes) -> list[str]:
    """The files with one of these words in them. Meanwhile the indexes of new files may be built and renamed."""
    found = []
    for file in path.iterdir():
        with suppress(FileNotFoundError):
            found += [file.name for word in words if word in file.read_bytes()]
    return found


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_keys_and_their_past_are_gone_when_it_returns(tmp_path: Path, fsync: str) -> None:
    with keystead.open(tmp_path, fsync=fsync) as db:  # type: ignore[call-overload]
        db["forget-me"] = b"secret"
        db["me-too"] = b"secret"
        db["other"] = b"kept"
        db["forget-me"] = b"another secret"
        told = db.forget("forget-me", "me-too")
        assert files_with(tmp_path, b"secret", b"forget-me", b"me-too") == []
        assert told.operations == 5
        assert told.backups == told.broken == told.logs == ()
        assert dict(db) == {"other": b"kept"}
        db["forget-me"] = b"later"
    with keystead.open(tmp_path) as db:
        assert dict(db) == {"forget-me": b"later", "other": b"kept"}


def test_a_task_waits_without_stopping_its_loop(tmp_path: Path) -> None:
    async def run() -> int:
        with keystead.open(tmp_path) as db:
            await db.aset("forget-me", b"secret")
            return (await db.aforget("forget-me")).operations

    assert asyncio.run(run()) == 2
    assert files_with(tmp_path, b"secret") == []


def test_answers_that_a_server_kept_are_cleared(tmp_path: Path) -> None:
    """One of them may be the key's value."""
    engine = Engine.open(str(tmp_path))
    engine.system.keyspace.put(PREFIX + b"ada\0request", _encode(FirstAnswer(b"f", b"secret")))
    engine.close()
    with keystead.open(tmp_path) as db:
        db.forget("forget-me")
    assert files_with(tmp_path, b"secret") == []


def test_it_works_over_a_server(tmp_path: Path) -> None:
    with (
        running(start_keystead(tmp_path / "data")) as server,
        keystead.connect(f"redis://127.0.0.1:{server.port}") as db,
    ):
        db["forget-me"] = b"secret"
        told = db.forget("forget-me", "never-was")
        assert told.operations == 2
        assert told.broken == ()
        assert "forget-me" not in db
        assert files_with(server.directory, b"secret", b"forget-me") == []


def test_it_needs_a_key(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db, pytest.raises(TypeError, match="needs a key"):
        db.forget()


def test_no_writer_of_a_transaction_is_overtaken(tmp_path: Path) -> None:
    """It waits for its end, and is refused inside one."""
    with keystead.open(tmp_path) as db, db.transaction() as transaction:
        transaction["a"] = b"1"
        with pytest.raises(keystead.TransactionError):
            db.forget("a")
