"""Keys of a prefix in order, the same behind every door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import keystead

if TYPE_CHECKING:
    from conftest import OpenStore

Store = keystead.Store[str, bytes]


def test_a_prefix_gives_its_keys_in_order(db: Store) -> None:
    db.update({f"user:{i}": b"%d" % i for i in (3, 20, 1, 10)})
    db.update({"user": b"", "user;": b"", "users": b"", "a": b"", "z": b""})
    assert list(db.keys(prefix="user:")) == ["user:1", "user:10", "user:20", "user:3"]
    assert list(db.values(prefix="user:")) == [b"1", b"10", b"20", b"3"]
    assert list(db.items(prefix="user:2")) == [("user:20", b"20")]
    assert list(db.items(prefix="nobody")) == []


def test_an_empty_prefix_gives_all_keys_in_order(db: Store) -> None:
    names = ["b", "", "a", "ab", "\x7f", "ÿ", "Ω", "🗝"]
    db.update(dict.fromkeys(names, b""))
    assert list(db.keys(prefix="")) == sorted(names, key=str.encode)


def test_more_than_one_page_is_in_order(db: Store) -> None:
    db.update({f"k{i:04}": b"%d" % i for i in range(2500)})
    assert list(db.keys(prefix="k1")) == [f"k{i:04}" for i in range(1000, 2000)]
    assert list(db.keys(prefix="")) == [f"k{i:04}" for i in range(2500)]


def test_views_of_a_prefix_count_and_contain(db: Store) -> None:
    db.update({"a:1": b"1", "a:2": b"2", "b:1": b"3"})
    keys, items, values = db.keys(prefix="a:"), db.items(prefix="a:"), db.values(prefix="a:")
    assert len(keys) == len(items) == len(values) == 2
    assert "a:1" in keys
    assert "b:1" not in keys
    assert ("a:1", b"1") in items
    assert ("a:1", b"2") not in items
    assert ("b:1", b"3") not in items
    assert "a:1" not in items
    assert b"2" in values
    assert b"3" not in values
    assert keys & {"a:1", "b:1"} == {"a:1"}


def test_views_are_live(db: Store) -> None:
    keys = db.keys(prefix="a")
    assert list(keys) == []
    db["a1"] = b""
    assert list(keys) == ["a1"]
    del db["a1"]
    assert list(keys) == []
    db.update(a2=b"", b=b"")
    db.clear()
    assert list(keys) == []
    db["a3"] = b""
    assert list(keys) == ["a3"]


def test_keys_may_be_removed_while_going_through_them(db: Store) -> None:
    db.update({f"k{i:04}": b"" for i in range(1200)})
    for key in db.keys(prefix="k0"):
        del db[key]
    for key in db:
        del db[key]
    assert len(db) == 0


def test_keys_that_stay_are_seen_once_while_others_come_and_go(db: Store) -> None:
    stay = {f"stay{i}" for i in range(1500)}
    db.update(dict.fromkeys(stay, b""))
    for prefix in (None, "", "stay"):
        seen = []
        for number, key in enumerate(db.keys(prefix)):
            seen.append(key)
            if number % 100 == 0:
                db[f"come{number}"] = b""
                db.pop(f"come{number - 300}", None)
        assert len(seen) == len(set(seen))
        assert stay <= set(seen)


@pytest.mark.parametrize("prefix", ["*", "?", "[a-z]", "\\", "a*b", "^", "]", "-"])
def test_a_prefix_is_no_pattern(db: Store, prefix: str) -> None:
    db.update({prefix + "1": b"", "ab1": b"", "axb1": b"", "1": b"", "z": b""})
    assert list(db.keys(prefix=prefix)) == [prefix + "1"]


def test_keys_of_bytes_are_ordered_as_bytes(open_store: OpenStore) -> None:
    db = open_store(keys=bytes)
    db.update({b"\xff\xff": b"", b"\xff": b"", b"\xfe\xff": b"", b"\x00": b""})
    assert list(db.keys(prefix=b"\xff")) == [b"\xff", b"\xff\xff"]
    assert list(db.keys(prefix=b"")) == [b"\x00", b"\xfe\xff", b"\xff", b"\xff\xff"]
