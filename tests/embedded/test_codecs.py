"""Values of every kind come back as they were, and of another kind are refused when they are written."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import keystead

if TYPE_CHECKING:
    from conftest import OpenStore


@dataclasses.dataclass
class User:
    name: str
    age: int = 0


class Point(msgspec.Struct):
    x: float
    y: float


DATA = [None, True, 0, -5, 1.5, "text", "", [1, [2, "x"]], {"a": {"b": [1]}}, {}, []]

KINDS: list[tuple[str, Any, list[Any]]] = [
    ("text", keystead.text, ["", "Ada", "ключ 🗝", "a\0b"]),
    ("json", keystead.json, DATA),
    ("msgpack", keystead.msgpack, [*DATA, b"\xff\0", [b"x"]]),
    ("pickle", keystead.pickle, [*DATA, {1, 2}, (1, 2), User("Ada", 36), datetime.date(2026, 1, 1)]),
    ("json(User)", keystead.json(User), [User("Ada"), User("Ada", 36)]),
    ("msgpack(User)", keystead.msgpack(User), [User("Ada"), User("Ada", 36)]),
    ("msgpack(Point)", keystead.msgpack(Point), [Point(1.0, -2.5)]),
    ("msgpack(int)", keystead.msgpack(int), [0, 2**63 - 1, -1]),
    ("msgpack(list[Point])", keystead.msgpack(list[Point]), [[], [Point(1.0, 2.0)]]),
    ("msgpack(UUID)", keystead.msgpack(uuid.UUID), [uuid.UUID(int=5)]),
]


@pytest.mark.parametrize(("codec", "values"), [kind[1:] for kind in KINDS], ids=[kind[0] for kind in KINDS])
def test_values_come_back_as_they_were(open_store: OpenStore, codec: Any, values: list[Any]) -> None:
    db = open_store(values=codec)
    for i, value in enumerate(values):
        db[f"k{i}"] = value
        back = db[f"k{i}"]
        assert back == value
        assert type(back) is type(value)
        assert db.get(f"k{i}") == value
    assert dict(db) == {f"k{i}": value for i, value in enumerate(values)}
    assert [db.pop(f"k{i}") for i in range(len(values))] == values


REFUSED: list[tuple[str, Any, list[Any]]] = [
    ("bytes", bytes, ["text", 5, None, bytearray(b"x"), memoryview(b"x"), [b"x"]]),
    ("text", keystead.text, [b"bytes", 5, None, "\ud800"]),
    ("json", keystead.json, [object(), {(1, 2): 3}, "\ud800"]),
    ("msgpack", keystead.msgpack, [object(), 2**70]),
    ("pickle", keystead.pickle, [lambda: None]),
    ("json(User)", keystead.json(User), [{"name": "Ada"}, "Ada", None, User("Ada", "36")]),  # type: ignore[arg-type]
    ("msgpack(User)", keystead.msgpack(User), [Point(1.0, 2.0), User(5)]),  # type: ignore[arg-type]
    ("msgpack(int)", keystead.msgpack(int), ["5", 1.5]),
    ("msgpack(list[Point])", keystead.msgpack(list[Point]), [[1], Point(1.0, 2.0)]),
]


@pytest.mark.parametrize(("codec", "values"), [kind[1:] for kind in REFUSED], ids=[kind[0] for kind in REFUSED])
def test_values_of_another_kind_are_refused_and_change_nothing(tmp_path, codec: Any, values: list[Any]) -> None:
    with keystead.open(tmp_path, values=codec) as db:
        for value in values:
            for write in (
                lambda value=value: db.__setitem__("a", value),
                lambda value=value: db.set("a", value),
                lambda value=value: db.update({"a": value}),
                lambda value=value: db.setdefault("a", value),
            ):
                with pytest.raises(keystead.ValueRefused, match=r"bytes|keystead\.\w+"):
                    write()
        assert len(db) == 0


def test_a_refusal_says_what_the_store_takes(tmp_path) -> None:
    with keystead.open(tmp_path) as db, pytest.raises(keystead.ValueRefused) as refused:
        db["a"] = "Ada"  # type: ignore[assignment]
    assert "values of this store are bytes, not str" in str(refused.value)
    assert "keystead.text" in str(refused.value)


def test_a_value_of_another_codec_is_an_error_that_names_the_codec(tmp_path) -> None:
    with keystead.open(tmp_path) as db:
        db["a"] = b"\xff{"
    for codec in (keystead.text, keystead.json, keystead.msgpack(User), keystead.pickle):
        with keystead.open(tmp_path, values=codec) as other:
            for read in (lambda: other["a"], lambda: other.get("a"), lambda: dict(other), lambda: other.pop("a")):
                with pytest.raises(keystead.ValueRefused, match="keystead"):
                    read()
            assert len(other) == 1


def test_a_key_that_is_no_text_asks_for_keys_of_bytes(tmp_path) -> None:
    with keystead.open(tmp_path, keys=bytes) as db:
        db[b"\xff"] = b"1"
    with keystead.open(tmp_path) as other, pytest.raises(keystead.ValueRefused, match="keys=bytes"):
        list(other)


def test_an_older_type_is_read_with_the_defaults_of_the_newer_one(tmp_path) -> None:
    with keystead.open(tmp_path, values=keystead.msgpack) as db:
        db["a"] = {"name": "Ada"}
    with keystead.open(tmp_path, values=keystead.msgpack(User)) as users:
        assert users["a"] == User("Ada", 0)


@pytest.mark.parametrize("codec", [keystead.json, keystead.msgpack, keystead.msgpack(int), keystead.pickle])
def test_integers_of_every_codec_can_be_incremented(open_store: OpenStore, codec: Any) -> None:
    db = open_store(values=codec)
    db["n"] = 5
    assert db.increment("n") == 6
    assert db["n"] == 6
    assert db.increment("m", -2) == -2
    assert db["m"] == -2


@pytest.mark.parametrize("codec", [keystead.json, keystead.msgpack, keystead.pickle])
@pytest.mark.parametrize("value", ["5", 1.5, None, True, [1]])
def test_what_is_no_integer_cannot(open_store: OpenStore, codec: Any, value: object) -> None:
    db = open_store(values=codec)
    db["n"] = value
    with pytest.raises(keystead.ValueRefused):
        db.increment("n")
    assert db["n"] == value


def test_equal_values_compare_though_stored_differently(open_store: OpenStore) -> None:
    db = open_store(values=keystead.json)
    db["a"] = {"x": 1, "y": 2}
    assert db.compare_and_set("a", {"y": 2, "x": 1}, {"x": 3})
    assert db["a"] == {"x": 3}


def test_a_string_that_a_server_patched_reads_as_any_other(tmp_path) -> None:
    with keystead.open(tmp_path, values=keystead.text) as db:
        db["a"] = "Hello World"
        shared = db._shared  # type: ignore[attr-defined]
        with shared.lock:
            shared.database.keyspace.patch(b"a", 6, b"Redis")
        db.sync()
        assert db["a"] == db.get("a") == dict(db)["a"] == "Hello Redis"
        assert db.pop("a") == "Hello Redis"
