"""The past of a store for programs: in process and behind a server, the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import keystead
from servers import running, start_keystead

if TYPE_CHECKING:
    from keystead import Store


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


def test_a_key_has_its_changes_newest_first(db: Store[str, str]) -> None:
    db["k"] = "one"
    db.set("k", "two", ttl=100)
    del db["k"]
    deleted, second, first = db.history("k")
    assert (deleted.operation, deleted.value, deleted.sequence) == ("delete", None, 3)
    assert (second.operation, second.value, second.sequence) == ("put", "two", 2)
    assert second.expires_at is not None
    assert timedelta(seconds=99) < second.expires_at - second.time <= timedelta(seconds=100)
    assert (first.value, first.expires_at) == ("one", None)
    assert datetime.now(UTC) - first.time < timedelta(minutes=5)
    assert [each.sequence for each in db.history("k", count=1)] == [3]
    assert [each.sequence for each in db.history("k", before=2)] == [1]
    assert db.history("never was") == []


def test_changes_have_authors(tmp_path: Path) -> None:
    with keystead.open(tmp_path / "data", client="importer") as store:
        store["k"] = b"v"
        assert store.history("k")[0].client == "importer"


def test_long_values_come_too(db: Store[str, str]) -> None:
    """In several answers."""
    for number in range(4):
        db["k"] = str(number) * 3_000_000
    assert [each.value[0] for each in db.history("k") if each.value] == ["3", "2", "1", "0"]


def test_the_store_is_a_mapping_as_it_was(db: Store[str, str]) -> None:
    db.update({"a": "1", "b": "2", "c:1": "3"})
    sequence = db.history("a")[0].sequence
    assert sequence is not None
    db["a"] = "later"
    del db["b"]
    then = db.at(sequence)
    assert isinstance(then, Mapping)
    assert dict(then) == {"a": "1", "b": "2", "c:1": "3"}
    assert (then["a"], then.get("b"), then.get("d"), then.get("d", "x"), len(then)) == ("1", "2", None, "x", 3)
    assert list(then.items("c:")) == [("c:1", "3")]
    assert list(then.keys("b")) == ["b"]
    assert list(then.values("a")) == ["1"]
    assert len(then.keys("c:")) == 1
    assert ("b", "2") in then.items()
    assert "b" in then
    assert "d" not in then
    with pytest.raises(KeyError):
        then["d"]
    assert not hasattr(then, "__setitem__")
    assert then.sequence == sequence
    assert dict(db) == {"a": "later", "c:1": "3"}


def test_a_view_shows_the_same_however_long_it_is_kept(db: Store[str, str]) -> None:
    db["k"] = "then"
    then = db.at("now")
    db["k"] = "later"
    db["other"] = "later"
    assert then["k"] == "then"
    assert dict(then) == {"k": "then"}


def test_many_keys_come_page_by_page(db: Store[str, str]) -> None:
    db.update({f"k{number:05}": str(number) for number in range(2_500)})
    then = db.at("now")
    db.clear()
    assert list(then) == [f"k{number:05}" for number in range(2_500)]
    assert len(then) == 2_500
    assert {each.key for each in db.deleted("k0")} == set(then)
    assert len(list(db.diff(then.sequence, "now"))) == 2_500


@pytest.mark.parametrize("when", [datetime.now(UTC) - timedelta(days=400), timedelta(days=400), 0, "@1000", 1000.5])
def test_before_the_first_transaction_there_was_nothing(db: Store[str, str], when: Any) -> None:
    db["k"] = "v"
    assert dict(db.at(when)) == {}
    assert db.at(when).get("k") is None


def test_a_moment_may_be_said_in_many_ways(db: Store[str, str]) -> None:
    db["k"] = "v"
    now = datetime.now(UTC)
    for when in ("now", now, now.timestamp(), timedelta(0), 1):
        assert db.at(when)["k"] == "v"


@pytest.mark.parametrize("when", ["teatime", 99, datetime.now(UTC) + timedelta(days=1), -1, None, float("nan")])
def test_what_names_no_moment_is_refused(db: Store[str, str], when: Any) -> None:
    db["k"] = "v"
    with pytest.raises(keystead.MomentRefused):
        db.at(when)


def test_differences_are_in_order(db: Store[str, str]) -> None:
    db.update({"b": "1", "a": "1", "same": "1"})
    sequence = db.history("a")[0].sequence or 0
    db["b"] = "2"
    del db["a"]
    db.set("c", "3", ttl=1000)
    found = list(db.diff(sequence))
    assert [(each.key, each.before, each.after) for each in found] == [
        ("a", "1", None),
        ("b", "1", "2"),
        ("c", None, "3"),
    ]
    assert found[2].after_expires_at is not None
    assert [each.key for each in db.diff(sequence, "now", prefix="c")] == ["c"]


def test_what_was_deleted_can_be_found(db: Store[str, str]) -> None:
    db.update({"x:1": "one", "x:2": "two", "kept": "v"})
    del db["x:1"]
    db.clear()
    db["kept"] = "again"
    found = list(db.deleted())
    assert [(each.key, each.value, each.operation) for each in found] == [
        ("x:2", "two", "flush"),
        ("x:1", "one", "delete"),
    ]
    assert [each.key for each in db.deleted("x:1")] == ["x:1"]


def test_another_database_has_a_past_of_its_own(tmp_path: Path) -> None:
    with keystead.open(tmp_path / "data", db=3) as store:
        store["k"] = b"v"
        assert [each.value for each in store.history("k")] == [b"v"]
        assert dict(store.at("now")) == {"k": b"v"}


def test_threads_may_ask_while_others_write(tmp_path: Path) -> None:
    with keystead.open(tmp_path / "data", values=keystead.text) as store:
        failures: list[BaseException] = []

        def write(name: str) -> None:
            try:
                for number in range(30):
                    store[name] = str(number)
                    assert store.history(name, count=1)[0].value == str(number)
                    assert store.at("now")[name] == str(number)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(f"k{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def test_a_closed_store_has_no_past(tmp_path: Path) -> None:
    store = keystead.open(tmp_path / "data")
    store["k"] = b"v"
    then = store.at("now")
    store.close()
    with pytest.raises(keystead.StoreClosed):
        store.history("k")
    with pytest.raises(keystead.StoreClosed):
        then["k"]


def test_what_was_forgotten_is_in_no_view(tmp_path: Path) -> None:
    with keystead.open(tmp_path / "data") as store:
        store.update({"gone": b"secret", "kept": b"v"})
        then = store.at("now")
        assert dict(then) == {"gone": b"secret", "kept": b"v"}
        store.forget("gone")
        assert dict(then) == {"kept": b"v"}
        assert [each.value for each in store.history("gone") if each.value] == []
