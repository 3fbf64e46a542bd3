"""What the mapping's methods mean, the same behind every door."""

from __future__ import annotations

from collections.abc import MutableMapping

import pytest

import keystead

Store = keystead.Store[str, bytes]


def test_a_store_is_a_mutable_mapping(db: Store) -> None:
    assert isinstance(db, MutableMapping)
    assert isinstance(db, keystead.Store)


def test_what_was_set_is_there(db: Store) -> None:
    db["user:1"] = b"Ada"
    assert db["user:1"] == b"Ada"
    assert "user:1" in db
    assert db.get("user:1") == b"Ada"
    assert len(db) == 1


def test_a_missing_key_is_a_key_error_or_the_default(db: Store) -> None:
    with pytest.raises(KeyError, match="user:2"):
        db["user:2"]
    assert db.get("user:2") is None
    assert db.get("user:2", b"nobody") == b"nobody"
    assert "user:2" not in db


def test_what_was_deleted_is_gone(db: Store) -> None:
    db["a"] = b"1"
    del db["a"]
    assert "a" not in db
    with pytest.raises(KeyError, match="a"):
        del db["a"]


def test_setting_again_replaces(db: Store) -> None:
    db["a"] = b"1"
    db["a"] = b"a longer one"
    assert dict(db) == {"a": b"a longer one"}


@pytest.mark.parametrize("key", ["", " ", "a\0b", "ключ", "🗝️", "*", "a\r\nb", "x" * 5000])
def test_any_text_is_a_key(db: Store, key: str) -> None:
    db[key] = b"v"
    assert db[key] == b"v"
    assert list(db) == [key]
    assert list(db.items(prefix=key)) == [(key, b"v")]


@pytest.mark.parametrize("value", [b"", b"\0", b"\r\n", bytes(range(256)), b"x" * 1_000_000])
def test_any_bytes_are_a_value(db: Store, value: bytes) -> None:
    db["a"] = value
    assert db["a"] == value


def test_update_takes_what_a_dictionary_takes(db: Store) -> None:
    class Shelf:
        def keys(self) -> list[str]:
            return ["f"]

        def __getitem__(self, key: str) -> bytes:
            return key.encode()

    db.update({"a": b"1", "b": b"2"})
    db.update([("c", b"3")], d=b"4")
    db.update(e=b"5")
    db.update(Shelf())
    db.update({})
    db.update()
    assert dict(db) == {"a": b"1", "b": b"2", "c": b"3", "d": b"4", "e": b"5", "f": b"f"}


def test_an_update_with_one_bad_value_changes_nothing(db: Store) -> None:
    with pytest.raises(keystead.ValueRefused):
        db.update({"a": b"1", "b": 2})  # type: ignore[dict-item]
    assert len(db) == 0


def test_pop_returns_what_it_removes(db: Store) -> None:
    db["a"] = b"1"
    assert db.pop("a") == b"1"
    assert "a" not in db
    assert db.pop("a", b"none") == b"none"
    assert db.pop("a", None) is None
    with pytest.raises(KeyError, match="a"):
        db.pop("a")


def test_popitem_takes_until_nothing_is_left(db: Store) -> None:
    pairs = {f"k{i}": b"%d" % i for i in range(20)}
    db.update(pairs)
    assert dict(db.popitem() for _ in range(20)) == pairs
    with pytest.raises(KeyError, match="empty"):
        db.popitem()


def test_setdefault_sets_only_what_is_missing(db: Store) -> None:
    assert db.setdefault("a", b"1") == b"1"
    assert db.setdefault("a", b"2") == b"1"
    assert db["a"] == b"1"


def test_clear_leaves_nothing(db: Store) -> None:
    db.update({f"k{i}": b"v" for i in range(1500)})
    db.clear()
    assert len(db) == 0
    assert list(db) == []
    assert db.get("k1") is None
    db["k1"] = b"again"
    assert dict(db) == {"k1": b"again"}


def test_going_through_sees_every_key_once(db: Store) -> None:
    pairs = {f"k{i}": b"%d" % i for i in range(3000)}
    db.update(pairs)
    assert sorted(db) == sorted(pairs)
    assert dict(db.items()) == pairs
    assert sorted(db.values()) == sorted(pairs.values())
    assert len(db) == len(db.keys()) == len(db.items()) == len(db.values()) == 3000


def test_get_many_returns_those_that_exist(db: Store) -> None:
    db.update(a=b"1", b=b"2")
    assert db.get_many(["a", "x", "b", "a"]) == {"a": b"1", "b": b"2"}
    assert db.get_many([]) == {}


def test_delete_many_counts_those_that_existed(db: Store) -> None:
    db.update(a=b"1", b=b"2", c=b"3")
    assert db.delete_many(["a", "x", "b", "a"]) == 2
    assert db.delete_many([]) == 0
    assert list(db) == ["c"]


def test_set_may_depend_on_what_is_there(db: Store) -> None:
    assert db.set("a", b"1", only_if_present=True) is False
    assert db.set("a", b"1", only_if_absent=True) is True
    assert db.set("a", b"2", only_if_absent=True) is False
    assert db["a"] == b"1"
    assert db.set("a", b"3", only_if_present=True) is True
    assert db.set("a", b"4") is True
    assert db["a"] == b"4"
    with pytest.raises(keystead.ValueRefused, match="one of"):
        db.set("a", b"5", only_if_absent=True, only_if_present=True)


def test_compare_and_set_sets_what_nobody_has_changed(db: Store) -> None:
    assert db.compare_and_set("a", b"1", b"2") is False
    assert db.compare_and_set("a", None, b"1") is True
    assert db.compare_and_set("a", None, b"9") is False
    assert db.compare_and_set("a", b"0", b"9") is False
    assert db.compare_and_set("a", b"1", b"2") is True
    assert db["a"] == b"2"


def test_increment_counts_from_nothing(db: Store) -> None:
    assert db.increment("visits") == 1
    assert db.increment("visits", 41) == 42
    assert db.increment("visits", -50) == -8
    assert db["visits"] == b"-8"


@pytest.mark.parametrize(
    "value", [b"", b"one", b"1.5", b" 1", b"1_0", b"+1", b"01", b"9223372036854775808", b"\xd9\xa1"]
)
def test_only_integers_can_be_incremented(db: Store, value: bytes) -> None:
    db["a"] = value
    with pytest.raises(keystead.ValueRefused):
        db.increment("a")
    assert db["a"] == value


def test_an_integer_keeps_to_64_bits(db: Store) -> None:
    db["a"] = b"%d" % (2**63 - 1)
    with pytest.raises(keystead.ValueRefused):
        db.increment("a")
    with pytest.raises(keystead.ValueRefused):
        db.increment("a", 2**63)
    assert db["a"] == b"%d" % (2**63 - 1)


def test_stores_compare_as_mappings(db: Store) -> None:
    db.update(a=b"1", b=b"2")
    assert db == {"b": b"2", "a": b"1"}
    assert db != {"a": b"1"}


def test_keys_of_another_kind_are_refused(db: Store) -> None:
    for key in (b"a", 5, None, ("a",), "\ud800"):
        with pytest.raises(keystead.ValueRefused, match="key"):
            db[key]  # type: ignore[index]
        with pytest.raises(keystead.ValueRefused, match="key"):
            db[key] = b"v"  # type: ignore[index]
        with pytest.raises(keystead.ValueRefused, match="key"):
            key in db  # noqa: B015
        with pytest.raises(keystead.ValueRefused, match="key"):
            db.get(key)  # type: ignore[call-overload]


def test_keys_may_be_bytes(open_store) -> None:
    db: keystead.Store[bytes, bytes] = open_store(keys="bytes")
    db[b"\xff\x00"] = b"v"
    assert list(db.items()) == [(b"\xff\x00", b"v")]
    assert list(db.keys(prefix=b"\xff")) == [b"\xff\x00"]
    for key in ("a", bytearray(b"a"), 1):
        with pytest.raises(keystead.ValueRefused, match="keys of this store are bytes"):
            db[key] = b"v"  # type: ignore[index]


def test_a_handle_closes_once_and_then_refuses(db: Store) -> None:
    db["a"] = b"1"
    with db as same:
        assert same is db
        assert not db.closed
    assert db.closed
    db.close()
    for use in (
        lambda: db["a"],
        lambda: db.get("a"),
        lambda: db.set("a", b"2"),
        lambda: db.__setitem__("a", b"2"),
        lambda: db.__delitem__("a"),
        lambda: len(db),
        lambda: list(db),
        lambda: list(db.items(prefix="")),
        lambda: db.ttl("a"),
        lambda: db.transaction().__enter__(),
        lambda: db.sync(),
    ):
        with pytest.raises(keystead.StoreClosed):
            use()


def test_a_handle_says_what_it_is(db: Store) -> None:
    assert "keystead.Store" in repr(db)
    assert "Ada" not in repr(db)
    db.close()
    assert "closed" in repr(db)
