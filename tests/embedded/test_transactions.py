"""Transactions: all or nothing, and nothing to be seen before their end; the same behind every door."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

import keystead

if TYPE_CHECKING:
    from conftest import OpenStore

Store = keystead.Store[str, bytes]


class Changed(Exception):
    """Ends a transaction."""


def test_all_changes_happen_at_the_end(db: Store) -> None:
    db["b"] = b"old"
    with db.transaction() as tx:
        tx["a"] = b"1"
        del tx["b"]
        assert "a" not in db
        assert db["b"] == b"old"
    assert dict(db) == {"a": b"1"}


def test_an_exception_undoes_it(db: Store) -> None:
    db["a"] = b"1"
    with pytest.raises(Changed), db.transaction() as tx:  # noqa: PT012 - what it does before it raises is the point
        tx["a"] = b"2"
        tx["b"] = b"2"
        tx.clear()
        raise Changed
    assert dict(db) == {"a": b"1"}
    db["a"] = b"3"  # others may write again
    assert db["a"] == b"3"


def test_a_transaction_sees_its_own_changes(db: Store) -> None:
    db.update({"a": b"1", "b": b"2", "c": b"3"})
    with db.transaction() as tx:
        tx["a"] = b"10"
        tx["d"] = b"4"
        del tx["b"]
        assert tx["a"] == b"10"
        assert "b" not in tx
        assert tx.get("b") is None
        assert len(tx) == 3
        assert dict(tx) == {"a": b"10", "c": b"3", "d": b"4"}
        assert list(tx.items(prefix="")) == [("a", b"10"), ("c", b"3"), ("d", b"4")]
        with pytest.raises(KeyError):
            del tx["b"]


def test_every_method_works_inside(db: Store) -> None:
    db.update({"a": b"1", "b": b"2", "c": b"3", "n": b"5"})
    with db.transaction() as tx:
        assert tx.pop("a") == b"1"
        assert tx.pop("a", None) is None
        assert tx.setdefault("b", b"x") == b"2"
        assert tx.setdefault("e", b"x") == b"x"
        assert tx.increment("n") == 6
        assert tx.compare_and_set("c", b"3", b"4")
        assert not tx.set("c", b"5", only_if_absent=True)
        tx.update(f=b"6", g=b"7")
        assert tx.delete_many(["f", "z"]) == 1
        assert tx.set("t", b"1", ttl=100)
        assert tx.expire("b", 100)
        assert tx.ttl("t") is not None
        assert tx.ttl("b") is not None
        assert tx.persist("t")
        assert tx.get_many(["e", "a"]) == {"e": b"x"}
        assert len(tx) == 6
    assert dict(db) == {"b": b"2", "c": b"4", "e": b"x", "g": b"7", "n": b"6", "t": b"1"}
    assert db.ttl("t") is None
    assert db.ttl("b") is not None


def test_clear_inside_and_going_on(db: Store) -> None:
    db.update({"a": b"1", "b": b"2"})
    with db.transaction() as tx:
        tx["c"] = b"3"
        tx.clear()
        assert len(tx) == 0
        assert tx.get("a") is None
        tx["a"] = b"new"
        assert dict(tx) == {"a": b"new"}
        assert tx.popitem() == ("a", b"new")
        with pytest.raises(KeyError):
            tx.popitem()
        tx["d"] = b"4"
        assert len(db) == 2
    assert dict(db) == {"d": b"4"}


def test_keys_of_a_transaction_are_in_order_over_several_pages(db: Store) -> None:
    db.update({f"k{i:04}": b"" for i in range(0, 1500, 2)})
    with db.transaction() as tx:
        tx.update({f"k{i:04}": b"" for i in range(1, 1500, 2)})
        tx["a"] = tx["z"] = b""
        del tx["k0000"]
        assert list(tx.keys(prefix="k")) == [f"k{i:04}" for i in range(1, 1500)]
        assert list(tx.keys(prefix=""))[:2] == ["a", "k0001"]
        assert sorted(tx) == sorted(["a", "z", *(f"k{i:04}" for i in range(1, 1500))])


def test_a_transaction_that_changes_nothing_leaves_everything(db: Store) -> None:
    db["a"] = b"1"
    with db.transaction() as tx:
        assert tx["a"] == b"1"
    with db.transaction():
        pass
    assert dict(db) == {"a": b"1"}


def test_after_its_end_a_transaction_refuses(db: Store) -> None:
    with db.transaction() as tx:
        tx["a"] = b"1"
    for use in (lambda: tx["a"], lambda: tx.set("a", b"2"), lambda: list(tx), lambda: len(tx)):
        with pytest.raises(keystead.TransactionError, match="ended"):
            use()


def test_a_transaction_inside_another_is_an_error(db: Store) -> None:
    with db.transaction() as tx:
        tx["a"] = b"1"
        with pytest.raises(keystead.TransactionError, match="inside"), db.transaction():
            pass
    assert db["a"] == b"1"


def test_writing_past_the_transaction_is_an_error(db: Store) -> None:
    with db.transaction() as tx:
        with pytest.raises(keystead.TransactionError, match="through it"):
            db["a"] = b"1"
        with pytest.raises(keystead.TransactionError, match="through it"):
            db.pop("a", None)
        tx["a"] = b"2"
    assert db["a"] == b"2"


def test_a_transaction_belongs_to_its_thread(db: Store) -> None:
    raised = []

    def use(tx: keystead.Transaction[str, bytes]) -> None:
        try:
            tx["a"] = b"1"
        except keystead.TransactionError as error:
            raised.append(str(error))

    with db.transaction() as tx:
        other = threading.Thread(target=use, args=(tx,))
        other.start()
        other.join()
    assert "belongs to the thread" in raised[0]
    assert len(db) == 0


def test_a_value_the_store_cannot_take_leaves_the_transaction_open(db: Store) -> None:
    with db.transaction() as tx:
        tx["a"] = b"1"
        with pytest.raises(keystead.ValueRefused):
            tx["b"] = 5  # type: ignore[assignment]
        tx["c"] = b"3"
    assert dict(db) == {"a": b"1", "c": b"3"}


def test_money_is_neither_made_nor_lost(open_store: OpenStore) -> None:
    db: keystead.Store[str, int] = open_store(values=keystead.json(int))
    db.update(a=1000, b=1000)

    def move(source: str, target: str) -> None:
        for _ in range(25):
            while True:
                try:
                    with db.transaction() as tx:
                        tx[source] -= 1
                        tx[target] += 1
                    break
                except keystead.TransactionConflict:  # only over a server
                    continue

    threads = [threading.Thread(target=move, args=pair) for pair in (("a", "b"), ("b", "a"), ("a", "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(db) == {"a": 975, "b": 1025}


def test_in_process_other_writers_wait_for_its_end(tmp_path) -> None:
    order = []
    begun = threading.Event()

    with keystead.open(tmp_path) as db:

        def write() -> None:
            begun.set()
            db["a"] = b"other"
            order.append("other")

        other = threading.Thread(target=write)
        with db.transaction() as tx:
            tx["a"] = b"first"
            other.start()
            begun.wait()
            time.sleep(0.05)
            order.append("transaction")
            assert db.get("a") is None
        other.join()
        assert order == ["transaction", "other"]
        assert db["a"] == b"other"


def test_in_process_readers_do_not_wait(tmp_path) -> None:
    with keystead.open(tmp_path) as db:
        db["a"] = b"1"
        seen = []
        with db.transaction() as tx:
            tx["a"] = b"2"
            reader = threading.Thread(target=lambda: seen.append((db["a"], len(db), list(db.items(prefix="")))))
            reader.start()
            reader.join(10)
        assert seen == [(b"1", 1, [("a", b"1")])]


def test_a_change_by_another_is_a_conflict_over_a_server(redis) -> None:
    url = f"redis://127.0.0.1:{redis.port}"
    with keystead.connect(url) as one, keystead.connect(url) as other:
        one.clear()
        one["a"] = b"1"
        with pytest.raises(keystead.TransactionConflict), one.transaction() as tx:  # noqa: PT012 - its end raises
            assert tx["a"] == b"1"
            other["a"] = b"2"
            tx["a"] = b"3"
        assert one["a"] == b"2"
        with one.transaction() as tx:
            other["b"] = b"2"  # not read: no conflict
            tx["a"] = b"4"
        assert one["a"] == b"4"


def test_in_process_each_change_is_one_transaction_of_the_log(tmp_path) -> None:
    with keystead.open(tmp_path) as db:
        log = db._shared.engine.log  # type: ignore[attr-defined]

        def transact() -> None:
            with db.transaction() as tx:
                tx.clear()
                tx.update(x=b"1", y=b"2")
                tx.expire("x", 100)

        for change in (
            lambda: db.update(a=b"1", b=b"2", c=b"3"),
            transact,
            lambda: db.delete_many(["x", "y"]),
            lambda: db.set("a", b"1", ttl=5),
            lambda: db.increment("n"),
            db.clear,
        ):
            before = log.next_sequence
            change()
            assert log.next_sequence - before == 1


def test_in_process_a_new_expiry_does_not_log_the_value_again(tmp_path) -> None:
    with keystead.open(tmp_path) as db:
        db["a"] = bytes(50_000)
        log = db._shared.engine.log  # type: ignore[attr-defined]
        before = log.position
        with db.transaction() as tx:
            tx.expire("a", 100)
        assert log.position - before < 1000
        assert db.ttl("a") is not None
