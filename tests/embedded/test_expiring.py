"""Values that expire, the same behind every door."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

import keystead

Store = keystead.Store[str, bytes]

SOON_S = 0.06


def wait_for_expiry() -> None:
    time.sleep(SOON_S + 0.02)


def test_what_has_expired_is_gone(db: Store) -> None:
    db["stays"] = b"1"
    db.set("a", b"1", ttl=SOON_S)
    assert db["a"] == b"1"
    wait_for_expiry()
    assert "a" not in db
    assert db.get("a") is None
    assert list(db) == ["stays"]
    assert list(db.items(prefix="")) == [("stays", b"1")]
    assert db.pop("a", None) is None
    assert db.set("a", b"2", only_if_absent=True)


def test_in_process_what_has_expired_is_not_counted(tmp_path) -> None:
    with keystead.open(tmp_path) as db:
        db["stays"] = b"1"
        db.set("a", b"1", ttl=0.01)
        db.set("b", b"1", ttl=100)
        time.sleep(0.02)
        assert len(db) == len(db.keys(prefix="")) == 2


def test_ttl_tells_the_seconds_that_are_left(db: Store) -> None:
    db["for ever"] = b"1"
    db.set("for a while", b"1", ttl=100)
    assert db.ttl("for ever") is None
    left = db.ttl("for a while")
    assert left is not None
    assert 99 < left <= 100
    with pytest.raises(KeyError):
        db.ttl("never")


@pytest.mark.parametrize(
    "when",
    [
        {"ttl": 50},
        {"ttl": 50.0},
        {"ttl": timedelta(seconds=50)},
        {"expires_at": lambda: time.time() + 50},
        {"expires_at": lambda: datetime.now(UTC) + timedelta(seconds=50)},
        {"expires_at": lambda: datetime.now() + timedelta(seconds=50)},
    ],
)
def test_an_expiry_is_seconds_or_a_moment(db: Store, when: dict) -> None:
    when = {name: value() if callable(value) else value for name, value in when.items()}
    db.set("a", b"1", **when)
    left = db.ttl("a")
    assert left is not None
    assert 48 < left <= 50.01


def test_setting_without_a_ttl_takes_it_away(db: Store) -> None:
    db.set("a", b"1", ttl=100)
    db["a"] = b"2"
    assert db.ttl("a") is None
    db.set("b", b"1", ttl=100)
    db.update(b=b"2")
    assert db.ttl("b") is None


def test_keep_ttl_keeps_it(db: Store) -> None:
    db.set("a", b"1", ttl=100)
    db.set("a", b"2", keep_ttl=True)
    assert db["a"] == b"2"
    assert db.ttl("a") is not None
    db.set("b", b"1", keep_ttl=True)
    assert db.ttl("b") is None
    assert db.compare_and_set("a", b"2", b"3", keep_ttl=True)
    assert db.ttl("a") is not None
    assert db.compare_and_set("a", b"3", b"4")
    assert db.ttl("a") is None


def test_incrementing_keeps_the_ttl(db: Store) -> None:
    db.set("a", b"1", ttl=100)
    assert db.increment("a") == 2
    assert db.ttl("a") is not None


def test_expire_and_persist_change_the_expiry_alone(db: Store) -> None:
    db["a"] = b"1"
    assert db.expire("a", 100)
    assert db.ttl("a") is not None
    assert db.persist("a")
    assert db.ttl("a") is None
    assert db.persist("a")
    assert db.expire("a", expires_at=time.time() + 100)
    assert db.ttl("a") is not None
    assert db["a"] == b"1"
    assert not db.expire("x", 100)
    assert not db.persist("x")


def test_an_expiry_in_the_past_is_now(db: Store) -> None:
    db["a"] = b"1"
    assert db.expire("a", expires_at=time.time() - 1)
    assert "a" not in db
    db["b"] = b"1"
    assert db.set("b", b"2", expires_at=1)
    assert "b" not in db


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e300, "1", True, None])
def test_a_ttl_is_a_positive_number(db: Store, ttl: object) -> None:
    db["a"] = b"1"
    with pytest.raises(keystead.ValueRefused, match=r"ttl|expires_at"):
        db.expire("a", ttl)  # type: ignore[arg-type]
    with pytest.raises(keystead.ValueRefused, match="one of"):
        db.set("a", b"1", ttl=5, keep_ttl=True)
    assert db.ttl("a") is None


def test_expiries_outlive_a_restart(tmp_path) -> None:
    with keystead.open(tmp_path) as db:
        db.set("soon", b"1", ttl=SOON_S)
        db.set("later", b"1", ttl=1000)
    wait_for_expiry()
    with keystead.open(tmp_path) as db:
        assert list(db) == ["later"]
        assert 990 < (db.ttl("later") or 0) <= 1000
