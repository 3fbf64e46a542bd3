"""db.undo and db.restore: in process and behind a server, the same."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import keystead
from servers import running, start_keystead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from keystead import Store

MANY = {f"app:{number}": str(number) for number in range(3_000)}


@pytest.fixture(params=["open", "connect"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store[str, str]]:
    """A store of text, in process or behind a server."""
    if request.param == "open":
        with keystead.open(tmp_path / "data", values=keystead.text, client="tests") as store:
            yield store
        return
    with (
        running(start_keystead(tmp_path / "data")) as server,
        keystead.connect(f"redis://127.0.0.1:{server.port}", values=keystead.text) as store,
    ):
        yield store


def last_change(db: Store[str, Any], key: str) -> int:
    sequence = db.history(key, count=1)[0].sequence
    assert sequence is not None
    return sequence


def deleted(db: Store[str, str]) -> int:
    """Thousands of keys put and deleted; the number of the transaction that deleted them."""
    db.update(MANY)
    db.delete_many(MANY)
    return last_change(db, "app:7")


def test_a_transaction_is_undone_and_the_undo_is_too(db: Store[str, str]) -> None:
    gone = deleted(db)
    undone = db.undo(gone)
    assert undone == keystead.Undone(gone + 1, len(MANY), [], [])
    assert dict(db) == MANY
    db.undo(undone.sequence)
    assert dict(db) == {}


def test_a_flush_is_undone(db: Store[str, str]) -> None:
    db.update(MANY)
    db.clear()
    assert db.undo(last_change(db, "app:7")).restored == len(MANY)
    assert dict(db) == MANY


def test_keys_that_were_changed_since_are_refused_skipped_or_forced(db: Store[str, str]) -> None:
    gone = deleted(db)
    db["app:3"] = "newer"
    with pytest.raises(keystead.UndoConflict) as refused:
        db.undo(gone)
    assert (refused.value.count, refused.value.keys) == (1, [(0, b"app:3")])
    assert str(refused.value) == "1 of its keys were changed since"
    assert dict(db) == {"app:3": "newer"}
    assert db.undo(gone, conflicts="skip").skipped == [(0, b"app:3")]
    assert db["app:3"] == "newer"
    db.undo(gone, conflicts="force")
    assert dict(db) == MANY


def test_what_cannot_be_undone_is_refused(db: Store[str, str]) -> None:
    gone = deleted(db)
    db.undo(gone)
    with pytest.raises(keystead.UndoRefused, match="nothing to undo"):
        db.undo(gone)
    with pytest.raises(keystead.MomentRefused, match="has not happened"):
        db.undo(10**9)
    for number in (0, -1):
        with pytest.raises(keystead.MomentRefused, match=f"there is no transaction {number}: the first one is 1"):
            db.undo(number)
    with pytest.raises(ValueError, match="conflicts must be"):
        db.undo(gone, conflicts="ask")  # type: ignore[arg-type]


def test_a_removed_key_comes_back_as_it_was_last(db: Store[str, str]) -> None:
    db.set("k", "one", ttl=100)
    del db["k"]
    assert db.restore("k").restored == 1
    assert db["k"] == "one"
    left_s = db.ttl("k")
    assert left_s is not None
    assert 90 < left_s <= 100
    with pytest.raises(keystead.UndoRefused, match="exists"):
        db.restore("k")
    with pytest.raises(KeyError, match="never was"):
        db.restore("never was")


def test_a_key_comes_back_as_it_was_at_a_moment(db: Store[str, str]) -> None:
    db["k"] = "one"
    then = last_change(db, "k")
    db["k"] = "two"
    undone = db.restore("k", at=then)
    assert (undone.sequence, undone.restored) == (then + 2, 1)
    assert db["k"] == "one"
    with pytest.raises(KeyError):
        db.restore("k", at=0)
    with pytest.raises(keystead.MomentRefused):
        db.restore("k", at="some day")


def test_a_key_whose_time_is_up_comes_back_without_an_expiry(db: Store[str, str]) -> None:
    db.set("k", "short-lived", ttl=0.05)
    while "k" in db:
        time.sleep(0.01)
    assert db.restore("k").without_expiry == [(0, b"k")]
    assert (db["k"], db.ttl("k")) == ("short-lived", None)


def test_a_task_waits_without_stopping_its_loop(db: Store[str, str]) -> None:
    async def undo() -> None:
        gone = deleted(db)
        assert (await db.aundo(gone)).restored == len(MANY)
        del db["app:3"]
        assert (await db.arestore("app:3")).restored == 1

    asyncio.run(undo())
    assert dict(db) == MANY


def test_it_is_there_after_the_store_was_opened_again_and_of_its_author(tmp_path: Path) -> None:
    with keystead.open(tmp_path, values=keystead.text, client="importer") as db:
        db.undo(deleted(db))
    with keystead.open(tmp_path, values=keystead.text) as db:
        assert dict(db) == MANY
        assert db.history("app:7", count=1)[0].client == "importer"


def test_no_writer_of_a_transaction_is_overtaken(tmp_path: Path) -> None:
    """Its own thread is refused; others wait for its end."""
    with keystead.open(tmp_path, values=keystead.text) as db:
        db["k"] = "one"
        del db["k"]
        gone = last_change(db, "k")
        undone: list[int] = []
        thread = threading.Thread(target=lambda: undone.append(db.undo(gone, conflicts="skip").restored))
        with db.transaction() as transaction:
            with pytest.raises(keystead.TransactionError):
                db.undo(gone)
            with pytest.raises(keystead.TransactionError):
                db.restore("k")
            thread.start()
            transaction["other"] = "v"
            assert undone == []
        thread.join()
        assert undone == [1]
        assert dict(db) == {"k": "one", "other": "v"}


def test_an_undo_that_is_refused_half_way_lets_the_log_go_on(tmp_path: Path) -> None:
    with keystead.open(tmp_path, values=keystead.text) as db:
        gone = deleted(db)
        db["app:3"] = "newer"
        with pytest.raises(keystead.UndoConflict):
            db.undo(gone)
        assert not db._shared.engine.log.staged  # type: ignore[attr-defined]
