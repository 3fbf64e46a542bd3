"""A write is told when a replica has it: one WAIT behind each group, over the very same connection."""

from __future__ import annotations

import asyncio

import pytest
from calling import UNKNOWN, call, client_of, in_loop, request, send, transact, transaction, until
from fake_nodes import CUT, FakeCluster, FakeNode

from keystead.cluster.groups import Groups


def shapes(node: FakeNode) -> list[list[str]]:
    """The commands of each connection, in order."""
    return [[words[0].decode() for words in connection] for connection in node.connections]


@in_loop
async def test_a_write_is_followed_by_a_wait_over_its_own_connection() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], wait_timeout_ms=321) as client:
        assert await call(client, "SET", "k", "1") == b"+OK\r\n"
        assert cluster.nodes[0].connections == [[[b"SET", b"k", b"1"], [b"WAIT", b"1", b"321"]]]


@in_loop
async def test_what_comes_while_a_group_is_under_way_shares_the_next_wait() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], write_links=1) as client:
        await call(client, "SET", "k", "0")
        first = send(client, ("SET", "k", "1"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # it has left
        rest = [send(client, ("SET", "k", number))[0] for number in range(20)]
        assert await asyncio.gather(*first, *rest) == [b"+OK\r\n"] * 21
        assert shapes(cluster.nodes[0]) == [["SET", "WAIT", "SET", "WAIT", *["SET"] * 20, "WAIT"]]


@in_loop
async def test_reads_wait_for_no_replica() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        await asyncio.gather(*send(client, ("GET", "k"), ("GET", "k")))
        assert shapes(cluster.nodes[0]) == [["GET", "GET"]]


@in_loop
async def test_a_read_behind_a_write_of_the_same_pipeline_goes_the_same_way() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        await asyncio.gather(*send(client, ("SET", "k", "1"), ("GET", "k"), ("SET", "k", "2")))
        assert shapes(cluster.nodes[0]) == [["SET", "GET", "SET", "WAIT"]]


@pytest.mark.parametrize(
    ("wait", "why"),
    [(b":0\r\n", b"no replica had it within 1000 ms"), (b"-ERR WAIT cannot be used\r\n", b"WAIT cannot be used")],
)
@in_loop
async def test_without_a_replica_writes_are_of_unknown_outcome_but_reads_and_errors_are_told(
    wait: bytes, why: bytes
) -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[0].on("WAIT", wait)
        cluster.nodes[0].on("INCR", b"-ERR value is not an integer or out of range\r\n")
        written, read, wrong = await asyncio.gather(*send(client, ("SET", "k", "1"), ("GET", "k"), ("INCR", "k")))
        assert written.startswith(UNKNOWN)
        assert why in written
        assert read == b"$-1\r\n"
        assert wrong == b"-ERR value is not an integer or out of range\r\n"


@pytest.mark.parametrize("undone", [b"*-1\r\n", b"_\r\n", b"-EXECABORT Transaction discarded\r\n"])
@in_loop
async def test_a_transaction_that_changed_nothing_is_told_without_a_replica(undone: bytes) -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[0].on("WAIT", b":0\r\n")
        cluster.nodes[0].on("SET", b"+QUEUED\r\n")
        cluster.nodes[0].on("EXEC", undone)
        assert await transact(client, ("SET", "k", "1")) == undone


@in_loop
async def test_a_null_is_an_answer_that_needs_a_replica() -> None:
    """SET … NX that finds a key says something of a write that may be lost."""
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[0].on("WAIT", b":0\r\n")
        cluster.nodes[0].on("SET", b"$-1\r\n")
        assert (await call(client, "SET", "k", "1", "NX")).startswith(UNKNOWN)


@in_loop
async def test_an_answer_that_came_before_the_connection_was_cut_is_not_enough() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        node = cluster.nodes[0]
        node.on("WAIT", CUT, b":1\r\n")
        node.on("INCR", b"-ERR value is not an integer or out of range\r\n")
        written, read, wrong = await asyncio.gather(*send(client, ("SET", "k", "1"), ("GET", "k"), ("INCR", "k")))
        assert written.startswith(UNKNOWN)
        assert read == b"$-1\r\n"
        assert wrong.startswith(b"-ERR ")
        assert [words[0] for words in node.heard].count(b"SET") == 1


@in_loop
async def test_a_transaction_in_a_group_has_its_replies_and_the_others_theirs() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        node = cluster.nodes[0]
        node.on("SET", b"+OK\r\n", b"+QUEUED\r\n", b"+FINE\r\n")
        node.on("EXEC", b"*1\r\n+OK\r\n")
        before, made, behind = request(("SET", "k", "1")), transaction(("SET", "k", "2")), request(("SET", "k", "3"))
        client.send([before[0], made[0], behind[0]], 2)
        assert await asyncio.gather(before[1], made[1], behind[1]) == [b"+OK\r\n", b"*1\r\n+OK\r\n", b"+FINE\r\n"]
        assert made[0].earlier == [b"+OK\r\n", b"+QUEUED\r\n"]


@in_loop
async def test_there_are_only_so_many_write_links() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], write_links=2) as client:
        for _ in range(10):
            replies = []
            for number in range(10):
                replies += send(client, ("SET", "k", number))
                await asyncio.sleep(0)
            await asyncio.gather(*replies)
        assert len(cluster.nodes[0].connections) == 2


@in_loop
async def test_a_lost_write_link_is_replaced() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], write_links=1) as client:
        await call(client, "SET", "k", "1")
        cluster.nodes[0].close()
        await cluster.nodes[0].open()
        assert await call(client, "SET", "k", "2") == b"+OK\r\n"
        await until(lambda: client.status.ready)


@in_loop
async def test_what_waits_for_a_link_for_too_long_is_taken_out_of_the_queue() -> None:
    groups = Groups(asyncio.get_running_loop(), lambda: None, most=0)
    made = [request(("SET", "k", number))[0] for number in range(3)]
    for number, each in enumerate(made):
        each.deadline = float(number)
    groups.send(made)
    assert groups.overdue(0.0) == []
    assert groups.overdue(1.5) == made[:2]
    assert groups.overdue(9.0) == made[2:]


@in_loop
async def test_replies_that_nobody_asked_for_are_given_to_nobody() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], write_links=1) as client:
        node = cluster.nodes[0]
        node.on("WAIT", b":1\r\n+WHAT\r\n", b":1\r\n")
        node.on("GET", b"$1\r\nv\r\n+WHAT\r\n", b"$1\r\nw\r\n")
        told = [await call(client, *words) for _ in range(3) for words in (("SET", "k", "1"), ("GET", "k"))]
        assert all(reply == b"+OK\r\n" or reply.startswith(UNKNOWN) for reply in told[::2])
        assert set(told[1::2]) <= {b"$1\r\nv\r\n", b"$1\r\nw\r\n"}
        assert [words[0] for words in node.heard].count(b"SET") == 3
