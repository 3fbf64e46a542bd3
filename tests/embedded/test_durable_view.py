"""Nobody is shown what a power cut could take back, and no reader waits for a disk (design, rules 3 and 4)."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest
from slow_disk import WAIT_S, SlowDisk, in_thread, join, open_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import keystead

    Store = keystead.Store[str, bytes]


@pytest.fixture
def disk() -> SlowDisk:
    return SlowDisk()


@pytest.fixture
def db(disk: SlowDisk, tmp_path: Path) -> Iterator[Store]:
    """A store with a=old, on a disk that will not sync any more."""
    store = open_on(disk, tmp_path)
    store.update(a=b"old", gone=b"here")
    disk.hold()
    yield store
    disk.let_go()
    store.close()


def test_a_set_returns_only_after_the_sync(db: Store, disk: SlowDisk) -> None:
    done = threading.Event()
    threads = in_thread(lambda: (db.set("a", b"new"), done.set()))
    disk.wait_for_sync()
    assert not done.wait(0.05)
    disk.let_go()
    join(threads)
    assert db["a"] == b"new"


def test_reads_show_the_value_before_until_the_sync_is_done(db: Store, disk: SlowDisk) -> None:
    threads = in_thread(lambda: db.set("a", b"new", ttl=100), lambda: db.set("b", b"new"), lambda: db.pop("gone"))
    disk.wait_for_sync()
    time.sleep(0.02)
    assert db["a"] == b"old"
    assert db.ttl("a") is None
    assert db.get("b") is None
    assert "b" not in db
    assert db["gone"] == b"here"
    assert db.get_many(["a", "b", "gone"]) == {"a": b"old", "gone": b"here"}
    disk.let_go()
    join(threads)
    assert db["a"] == b"new"
    assert "gone" not in db


def test_reads_show_what_was_there_before_a_clear(db: Store, disk: SlowDisk) -> None:
    threads = in_thread(db.clear)
    disk.wait_for_sync()
    assert db["a"] == b"old"
    disk.let_go()
    join(threads)
    assert "a" not in db


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda db: len(db), 2),
        (lambda db: sorted(db), ["b", "gone"]),
        (lambda db: list(db.items(prefix="b")), [("b", b"new")]),
        (lambda db: len(db.keys(prefix="g")), 1),
        (lambda db: db.setdefault("b", b"mine"), b"new"),
        (lambda db: db.set("b", b"mine", only_if_absent=True), False),
        (lambda db: db.pop("a", None), None),
        (lambda db: db.expire("a", 5), False),
        (lambda db: db.compare_and_set("a", b"old", b"mine"), False),
        (lambda db: db.delete_many(["a"]), 0),
    ],
    ids=["len", "iter", "items", "count", "setdefault", "set", "pop", "expire", "compare_and_set", "delete_many"],
)
def test_an_answer_that_depends_on_unsynced_changes_waits_for_them(db: Store, disk: SlowDisk, ask, answer) -> None:
    answers = []
    writers = in_thread(lambda: db.update(b=b"new"), lambda: db.pop("a"))
    disk.wait_for_sync()
    while db._shared.database.keyspace.get(b"a") is not None:  # type: ignore[attr-defined]
        time.sleep(0.001)
    asking = in_thread(lambda: answers.append(ask(db)))
    time.sleep(0.05)
    assert answers == []
    disk.let_go()
    join(asking + writers)
    assert answers == [answer]


def test_a_transaction_reads_only_what_is_durable(db: Store, disk: SlowDisk) -> None:
    seen = []

    def read() -> None:
        with db.transaction() as tx:
            seen.append(tx["a"])

    writers = in_thread(lambda: db.set("a", b"new"))
    disk.wait_for_sync()
    readers = in_thread(read)
    time.sleep(0.05)
    assert seen == []
    disk.let_go()
    join(writers + readers)
    assert seen == [b"new"]


def test_an_event_loop_goes_on_while_its_tasks_wait_for_the_disk(db: Store, disk: SlowDisk) -> None:
    async def main() -> None:
        pending = asyncio.create_task(db.aset("a", b"new"))
        while not disk.syncing.is_set():
            await asyncio.sleep(0.001)
        counting = asyncio.create_task(count())
        inside = asyncio.create_task(transact())
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert await db.aget("a") == b"old"
        assert not any(task.done() for task in (pending, counting, inside))
        disk.let_go()
        await asyncio.wait_for(asyncio.gather(pending, counting, inside), WAIT_S)
        assert await db.aget("a") == b"in a transaction"

    async def count() -> list[tuple[str, bytes]]:
        return [pair async for pair in db.aitems()]

    async def transact() -> None:
        async with db.atransaction() as tx:
            assert tx["a"] == b"new"
            tx["a"] = b"in a transaction"

    asyncio.run(main())


def test_a_thread_sees_its_own_writes(tmp_path: Path) -> None:
    with open_on(SlowDisk(), tmp_path) as db:

        def work(number: int) -> None:
            for i in range(100):
                key = f"{number}:{i % 7}"
                db[key] = b"%d" % i
                assert db[key] == b"%d" % i
                if i % 3 == 0:
                    del db[key]
                    assert key not in db

        errors = []

        def guarded(number: int) -> None:
            try:
                work(number)
            except BaseException as error:
                errors.append(error)

        join(in_thread(*(lambda number=number: guarded(number) for number in range(6))))
        assert errors == []
