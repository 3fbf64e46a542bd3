"""Writers that wait at the same time share one sync, and nobody is left behind."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from slow_disk import SlowDisk, in_thread, join, open_on

import keystead

if TYPE_CHECKING:
    from pathlib import Path


def recorded(db: keystead.Store[str, bytes]) -> int:
    """How many changes wait for the next sync."""
    return len(db._shared.engine.ops)  # type: ignore[attr-defined]


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_all_who_write_during_a_sync_share_the_next_one(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path) as db:
        disk.hold()
        first = in_thread(lambda: db.set("first", b""))
        disk.wait_for_sync()
        others = in_thread(*(lambda name=f"k{i}": db.set(name, b"") for i in range(20)))
        wait_until(lambda: recorded(db) == 20)
        before = disk.syncs
        disk.let_go()
        join(first + others)
        assert disk.syncs - before == 2
        assert len(db) == 21


def test_tasks_share_syncs_with_each_other_and_with_threads(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path) as db:
        disk.hold()
        first = in_thread(lambda: db.set("first", b""))
        disk.wait_for_sync()
        before = disk.syncs

        async def main() -> None:
            tasks = [asyncio.create_task(db.aset(f"k{i}", b"")) for i in range(50)]
            await asyncio.sleep(0.02)
            threads = in_thread(*(lambda name=f"t{i}": db.set(name, b"") for i in range(5)))
            await asyncio.to_thread(wait_until, lambda: recorded(db) == 55)
            disk.let_go()
            await asyncio.gather(*tasks)
            await asyncio.to_thread(join, threads)

        asyncio.run(main())
        join(first)
        assert disk.syncs - before == 2
        assert len(db) == 56


def test_a_task_alone_is_synced_by_the_keeper(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db:

        async def main() -> None:
            for i in range(20):
                await db.aset("a", b"%d" % i)
                assert await db.aget("a") == b"%d" % i

        asyncio.run(main())


def test_a_cancelled_task_leaves_the_others_waiting_rightly(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path) as db:

        async def main() -> None:
            disk.hold()
            tasks = [asyncio.create_task(db.aset(f"k{i}", b"")) for i in range(3)]
            await asyncio.sleep(0.02)
            tasks[0].cancel()
            await asyncio.sleep(0)
            disk.let_go()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            assert results[1:] == [True, True]

        asyncio.run(main())
        assert len(db) == 3


def test_tasks_whose_loop_is_closed_do_not_disturb(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path) as db:
        disk.hold()

        async def main() -> None:
            asyncio.get_running_loop().create_task(db.aset("a", b"1"))
            await asyncio.sleep(0.02)

        asyncio.run(main())
        writers = in_thread(lambda: db.set("b", b"2"))
        disk.let_go()
        join(writers)
        assert dict(db) == {"a": b"1", "b": b"2"}


def test_when_the_disk_fails_all_who_wait_are_told_and_nothing_is_acknowledged_any_more(tmp_path: Path) -> None:
    disk = SlowDisk()
    db = open_on(disk, tmp_path)
    db["a"] = b"1"
    told = []

    def write(name: str) -> None:
        try:
            db[name] = b"2"
        except keystead.DiskFailure as failure:
            told.append(str(failure))

    async def awrite() -> None:
        with pytest.raises(keystead.DiskFailure):
            await db.aset("task", b"2")

    disk.hold()
    first = in_thread(lambda: write("first"))
    disk.wait_for_sync()
    others = in_thread(*(lambda name=f"k{i}": write(name) for i in range(5)), lambda: asyncio.run(awrite()))
    wait_until(lambda: recorded(db) == 6)
    disk.error = OSError(errno.EIO, "Input/output error")
    disk.let_go()
    join(first + others)
    assert len(told) == 6
    disk.error = None
    for write_again in (lambda: db.set("a", b"3"), lambda: db.pop("a"), db.clear, lambda: db.sync()):
        with pytest.raises(keystead.DiskFailure):
            write_again()
    with pytest.raises(keystead.DiskFailure), db.transaction() as tx:
        tx["a"] = b"4"
    assert db["a"] == b"1"
    assert "first" not in db
    db.close()


def test_an_interrupted_wait_leaves_the_store_usable(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path) as db:
        disk.hold()
        first = in_thread(lambda: db.set("first", b""))
        disk.wait_for_sync()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                db["interrupted"] = b"1"
        finally:
            signal.signal(signal.SIGALRM, previous)
        disk.let_go()
        join(first)
        db["a"] = b"1"
        assert db["interrupted"] == b"1"


def test_an_interrupted_leader_leaves_the_store_usable(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path) as db:
        disk.hold()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                db["a"] = b"1"
        finally:
            signal.signal(signal.SIGALRM, previous)
        disk.let_go()
    with keystead.open(tmp_path) as db:
        assert dict(db) == {"a": b"1"}


def test_no_update_is_lost_among_many_threads(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db:

        def work(number: int) -> None:
            for i in range(50):
                db.increment("count")
                db[f"{number}:{i}"] = b"%d" % i
                if i % 10 == 0:
                    with db.transaction() as tx:
                        tx.increment("pairs")
                        tx.increment("count")

        threads = in_thread(*(lambda number=number: work(number) for number in range(8)))
        join(threads)
        assert db["count"] == b"440"
        assert db["pairs"] == b"40"
        assert len(db) == 402
    with keystead.open(tmp_path) as db:
        assert db["count"] == b"440"
        assert len(db) == 402


def test_the_switch_interval_of_the_program_is_left_alone(tmp_path: Path) -> None:
    before = sys.getswitchinterval()
    with keystead.open(tmp_path) as db:
        join(in_thread(*(lambda name=f"k{i}": db.set(name, b"") for i in range(4))))
        assert sys.getswitchinterval() == before


def test_interval_syncs_within_about_a_second_and_never_does_not(tmp_path: Path) -> None:
    for fsync in ("interval", "never"):
        disk = SlowDisk()
        with open_on(disk, tmp_path / fsync, fsync=fsync) as db:
            db["a"] = b"1"
            before = disk.syncs
            deadline = time.monotonic() + (5 if fsync == "interval" else 1.5)
            while disk.syncs == before and time.monotonic() < deadline:
                time.sleep(0.01)
            assert (disk.syncs > before) == (fsync == "interval")


def test_sync_makes_durable_what_the_mode_leaves_open(tmp_path: Path) -> None:
    disk = SlowDisk()
    with open_on(disk, tmp_path, fsync="never") as db:
        db["a"] = b"1"
        before = disk.syncs
        db.sync()
        assert disk.syncs == before + 1
        join(in_thread(*[db.sync] * 5))


def test_the_keeper_rests_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db:
        keeper = db._shared.keeper  # type: ignore[attr-defined]
        db["a"] = b"1"
        wait_until(lambda: keeper.resting)
        position = db._shared.engine.log.position  # type: ignore[attr-defined]
        time.sleep(0.3)
        assert db._shared.engine.log.position == position  # type: ignore[attr-defined]
        db["a"] = b"2"
        assert not keeper.resting
        wait_until(lambda: keeper.resting)
        assert threading.active_count() >= 2


def test_expired_keys_leave_memory_by_themselves(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db:
        with db.transaction() as tx:
            for i in range(50):
                tx.set(f"k{i}", b"v", ttl=0.3)
        keyspace = db._shared.database.keyspace  # type: ignore[attr-defined]
        assert len(keyspace) == 50
        wait_until(lambda: len(keyspace) == 0)
