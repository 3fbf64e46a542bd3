"""The methods for asyncio do what their twins do, and never hold up the loop; behind every door."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import keystead

if TYPE_CHECKING:
    from collections.abc import Coroutine

Store = keystead.Store[str, bytes]


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 30))


def test_every_method_has_its_twin(db: Store) -> None:
    async def main() -> None:
        await db.aupdate({"a": b"1", "b": b"2"}, c=b"3")
        assert await db.aget("a") == b"1"
        assert await db.aget("x") is None
        assert await db.aget("x", b"none") == b"none"
        assert await db.aget_many(["a", "x"]) == {"a": b"1"}
        assert await db.aset("d", b"4", ttl=100, only_if_absent=True)
        assert not await db.aset("d", b"5", only_if_absent=True)
        await db.adelete("a")
        with pytest.raises(KeyError):
            await db.adelete("a")
        assert await db.adelete_many(["b", "x"]) == 1
        assert await db.apop("c") == b"3"
        assert await db.apop("c", None) is None
        assert await db.asetdefault("e", b"5") == b"5"
        assert await db.aincrement("n", 5) == 5
        assert await db.acompare_and_set("n", b"5", b"6")
        assert sorted([pair async for pair in db.aitems()]) == [("d", b"4"), ("e", b"5"), ("n", b"6")]
        assert [pair async for pair in db.aitems(prefix="e")] == [("e", b"5")]
        await db.aclear()
        assert len(db) == 0
        with pytest.raises(keystead.ValueRefused):
            await db.aset("a", 5)  # type: ignore[arg-type]
        await db.aclose()
        with pytest.raises(keystead.StoreClosed):
            await db.aget("a")

    run(main())


def test_a_transaction_for_tasks(db: Store) -> None:
    async def main() -> None:
        await db.aset("b", b"2")
        async with db.atransaction() as tx:
            tx["a"] = b"1"
            assert tx.pop("b") == b"2"
            await asyncio.sleep(0)
            assert await db.aget("b") == b"2"
        assert dict(db) == {"a": b"1"}
        with contextlib.suppress(ZeroDivisionError):
            async with db.atransaction() as tx:
                tx["a"] = b"2"
                1 / 0  # noqa: B018
        assert dict(db) == {"a": b"1"}
        with pytest.raises(keystead.TransactionError):
            tx["a"] = b"3"

    run(main())


def test_in_process_tasks_take_turns_with_transactions(tmp_path) -> None:
    with keystead.open(tmp_path) as db:

        async def add() -> None:
            async with db.atransaction() as tx:
                value = int(tx.get("n", b"0"))
                await asyncio.sleep(0.001)
                tx["n"] = b"%d" % (value + 1)

        async def main() -> None:
            await asyncio.gather(*(add() for _ in range(20)), *(db.aincrement("m") for _ in range(20)))
            assert await db.aget("n") == b"20"
            assert await db.aget("m") == b"20"

        run(main())


def test_in_process_a_task_inside_its_transaction_is_told_instead_of_waiting_for_ever(tmp_path) -> None:
    with keystead.open(tmp_path) as db:

        async def main() -> None:
            async with db.atransaction() as tx:
                with pytest.raises(keystead.TransactionError, match="this task"):
                    await db.aset("a", b"1")
                with pytest.raises(keystead.TransactionError, match="this task"):
                    async with db.atransaction():
                        pass
                with pytest.raises(keystead.TransactionError):
                    db["a"] = b"1"  # would hold up the loop that has to end the transaction
                other = asyncio.create_task(db.aset("b", b"other"))
                await asyncio.sleep(0.01)
                assert not other.done()
                tx["a"] = b"2"
            await other
            assert dict(db) == {"a": b"2", "b": b"other"}

        run(main())


def test_in_process_the_loop_goes_on_while_a_thread_has_a_transaction(tmp_path) -> None:
    with keystead.open(tmp_path) as db:
        begun, end = threading.Event(), threading.Event()

        def transact() -> None:
            with db.transaction() as tx:
                begun.set()
                end.wait()
                tx["a"] = b"thread"

        async def main() -> None:
            thread = threading.Thread(target=transact)
            thread.start()
            begun.wait()
            waiting = asyncio.create_task(db.aset("a", b"task"))
            inside = asyncio.create_task(add())
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert not waiting.done()
            waiting_too = asyncio.create_task(db.aset("c", b"cancelled"))
            await asyncio.sleep(0)
            waiting_too.cancel()
            end.set()
            await asyncio.gather(waiting, inside)
            thread.join()

        async def add() -> None:
            async with db.atransaction() as tx:
                tx["b"] = b"1"

        run(main())
        assert dict(db) == {"a": b"task", "b": b"1"}


def test_in_process_a_thousand_writers_take_few_syncs(tmp_path) -> None:
    with keystead.open(tmp_path) as db:
        log = db._shared.engine.log  # type: ignore[attr-defined]

        async def main() -> None:
            before = log.syncs
            await asyncio.gather(*(db.aset(f"k{i}", b"v") for i in range(1000)))
            assert log.syncs - before < 50

        run(main())
        assert len(db) == 1000


def test_in_process_cancelling_the_beginning_of_a_transaction_lets_others_write(tmp_path) -> None:
    with keystead.open(tmp_path) as db:

        async def begin() -> None:
            async with db.atransaction():
                await asyncio.sleep(60)

        async def main() -> None:
            first = asyncio.create_task(begin())
            second = asyncio.create_task(begin())
            await asyncio.sleep(0.01)
            second.cancel()
            first.cancel()
            await asyncio.gather(first, second, return_exceptions=True)
            await db.aset("a", b"1")

        run(main())
        assert dict(db) == {"a": b"1"}


def test_several_loops_in_several_threads(tmp_path) -> None:
    with keystead.open(tmp_path) as db:

        async def main(number: int) -> None:
            await asyncio.gather(*(db.aset(f"{number}:{i}", b"v") for i in range(50)))
            await db.aincrement("n")

        threads = [threading.Thread(target=lambda number=number: run(main(number))) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(db) == 201
        assert db["n"] == b"4"


def test_expiry_in_tasks(db: Store) -> None:
    async def main() -> None:
        await db.aset("a", b"1", ttl=0.05)
        assert await db.aget("a") == b"1"
        await asyncio.sleep(0.08)
        assert await db.aget("a") is None

    run(main())
    assert time.time() > 0
