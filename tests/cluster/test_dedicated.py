"""WATCH has a connection of its own; a watch that is lost is a conflict, never a transaction that goes through."""

from __future__ import annotations

import pytest
from calling import DOWN, UNKNOWN, call, client_of, exec_on, in_loop, on, request, transaction, until
from fake_nodes import CUT, SILENCE, FakeCluster, FakeNode

from keystead.cluster import slot_of

BAR = slot_of(b"bar")  # of the first of two nodes


def names(node: FakeNode) -> list[list[str]]:
    return [[words[0].decode() for words in connection] for connection in node.connections]


def queues(node: FakeNode) -> None:
    node.on("SET", b"+QUEUED\r\n")
    node.on("EXEC", b"*1\r\n+OK\r\n")


@in_loop
async def test_a_watch_and_its_transaction_have_one_connection_and_the_write_its_wait() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        queues(cluster.nodes[0])
        mine = client.dedicate(BAR, 2)
        assert await on(mine, "WATCH", "bar") == b"+OK\r\n"
        await call(client, "GET", "bar")
        assert await exec_on(mine, ("SET", "bar", "1")) == b"*1\r\n+OK\r\n"
        assert names(cluster.nodes[0]) == [["WATCH", "MULTI", "SET", "EXEC", "WAIT"], ["GET"]]


@in_loop
async def test_a_connection_is_used_again_once_it_watches_nothing() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        for _ in range(3):
            mine = client.dedicate(BAR, 2)
            await on(mine, "WATCH", "bar")
            mine.close()
            await until(lambda: names(cluster.nodes[0])[0][-1] == "UNWATCH")
        assert names(cluster.nodes[0]) == [["WATCH", "UNWATCH"] * 3]


@in_loop
async def test_two_clients_never_share_one() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        one, two = client.dedicate(BAR, 2), client.dedicate(BAR, 2)
        await on(one, "WATCH", "bar")
        await on(two, "WATCH", "bar")
        assert names(cluster.nodes[0]) == [["WATCH"], ["WATCH"]]


@pytest.mark.parametrize(("protocol", "null"), [(2, b"*-1\r\n"), (3, b"_\r\n")])
@in_loop
async def test_a_watch_that_was_lost_is_a_conflict(protocol: int, null: bytes) -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        node = cluster.nodes[0]
        queues(node)
        mine = client.dedicate(BAR, protocol)
        await on(mine, "WATCH", "bar")
        node.close()
        await node.open()
        await until(lambda: mine._broken)
        assert await exec_on(mine, ("SET", "bar", "1")) == null
        assert await on(mine, "WATCH", "bar") == b"+OK\r\n"
        assert await exec_on(mine, ("SET", "bar", "1")) == b"*1\r\n+OK\r\n"
        assert [words[0] for words in node.heard].count(b"EXEC") == 1


@in_loop
async def test_a_watch_that_is_lost_under_way_is_a_conflict_though_the_next_command_has_a_new_connection() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        queues(cluster.nodes[0])
        cluster.nodes[0].on("GET", CUT, b"$1\r\nv\r\n")
        mine = client.dedicate(BAR, 2)
        await on(mine, "WATCH", "bar")
        assert await on(mine, "GET", "bar") == b"$1\r\nv\r\n"
        assert await exec_on(mine, ("SET", "bar", "1")) == b"*-1\r\n"


@in_loop
async def test_a_transaction_that_was_sent_and_not_answered_is_of_unknown_outcome() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        queues(cluster.nodes[0])
        cluster.nodes[0].on("EXEC", CUT)
        mine = client.dedicate(BAR, 2)
        await on(mine, "WATCH", "bar")
        assert (await exec_on(mine, ("SET", "bar", "1"))).startswith(UNKNOWN)
        assert [words[0] for words in cluster.nodes[0].heard].count(b"EXEC") == 1


@in_loop
async def test_without_a_replica_the_transaction_is_of_unknown_outcome() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        queues(cluster.nodes[0])
        cluster.nodes[0].on("WAIT", b":0\r\n")
        mine = client.dedicate(BAR, 2)
        await on(mine, "WATCH", "bar")
        assert (await exec_on(mine, ("SET", "bar", "1"))).startswith(UNKNOWN)


@in_loop
async def test_a_watch_that_is_sent_on_at_once_goes_to_the_other_node_and_holds_there() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        old, new = cluster.nodes
        queues(new)
        old.on("WATCH", b"-ASK %d 127.0.0.1:%d\r\n" % (BAR, new.port))
        mine = client.dedicate(BAR, 2)
        assert await on(mine, "WATCH", "bar") == b"+OK\r\n"
        assert await exec_on(mine, ("SET", "bar", "1")) == b"*1\r\n+OK\r\n"
        assert names(new) == [["ASKING", "WATCH", "ASKING", "MULTI", "SET", "EXEC", "WAIT"]]


@in_loop
async def test_a_transaction_whose_slot_has_moved_since_the_watch_is_a_conflict() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        old, new = cluster.nodes
        old.on("SET", b"-MOVED %d 127.0.0.1:%d\r\n" % (BAR, new.port))
        old.on("EXEC", b"-EXECABORT Transaction discarded because of previous errors.\r\n")
        mine = client.dedicate(BAR, 2)
        await on(mine, "WATCH", "bar")
        assert await exec_on(mine, ("SET", "bar", "1")) == b"*-1\r\n"
        assert new.heard == []


@in_loop
async def test_what_is_refused_for_the_moment_is_tried_until_it_is_taken() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], timeout_s=0.5) as client:
        cluster.nodes[0].on("WATCH", b"-CLUSTERDOWN not now\r\n", b"-LOADING not now\r\n", b"+OK\r\n")
        mine = client.dedicate(0, 2)
        assert await on(mine, "WATCH", "k") == b"+OK\r\n"
        cluster.nodes[0].on("WATCH", b"-CLUSTERDOWN not now\r\n")
        assert (await on(client.dedicate(0, 2), "WATCH", "k")).startswith(DOWN)


@in_loop
async def test_a_silent_node_is_given_up_and_the_watch_with_it() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], timeout_s=0.3) as client:
        cluster.nodes[0].on("GET", SILENCE)
        mine = client.dedicate(0, 2)
        await on(mine, "WATCH", "k")
        assert (await on(mine, "GET", "k")).startswith(DOWN)
        assert await exec_on(mine, ("SET", "k", "1")) == b"*-1\r\n"


@in_loop
async def test_closing_sends_nothing_more_but_tells_what_is_on_its_way() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        node = cluster.nodes[0]
        queues(node)
        mine = client.dedicate(0, 2)
        await on(mine, "WATCH", "k")
        sent, unsent = transaction(("SET", "k", "1")), request(("GET", "k"))
        mine.send(sent[0])
        mine.send(unsent[0])
        mine.close()
        assert await sent[1] == b"*1\r\n+OK\r\n"
        await until(lambda: names(node) == [["WATCH", "MULTI", "SET", "EXEC", "WAIT", "UNWATCH"]])
        assert not unsent[1].done()


@in_loop
async def test_closing_the_client_settles_everything() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[0].on("EXEC", SILENCE)
        mine = client.dedicate(0, 2)
        await on(mine, "WATCH", "k")
        sent, unsent = transaction(("SET", "k", "1")), request(("GET", "k"))
        mine.send(sent[0])
        mine.send(unsent[0])
        await until(lambda: b"EXEC" in [words[0] for words in cluster.nodes[0].heard])
        await client.close()
        assert (await sent[1]).startswith(UNKNOWN)
        assert (await unsent[1]).startswith(DOWN)


@in_loop
async def test_a_connection_that_is_just_being_given_back_is_closed_with_the_client() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[0].on("UNWATCH", SILENCE)
        mine = client.dedicate(0, 2)
        await on(mine, "WATCH", "k")
        mine.close()
        await until(lambda: names(cluster.nodes[0]) == [["WATCH", "UNWATCH"]])
        await client.close()
        await until(lambda: not cluster.nodes[0].is_connected)


@in_loop
async def test_a_transaction_that_is_refused_for_the_moment_has_lost_its_watch() -> None:
    """EXEC, even refused, is the end of a watch: sent again it would go through unwatched."""
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        node = cluster.nodes[0]
        queues(node)
        node.on("EXEC", b"-CLUSTERDOWN not now\r\n", b"*1\r\n+OK\r\n")
        mine = client.dedicate(0, 2)
        await on(mine, "WATCH", "k")
        assert await exec_on(mine, ("SET", "k", "1")) == b"*-1\r\n"
        assert [words[0] for words in node.heard].count(b"EXEC") == 1
        assert await exec_on(mine, ("SET", "k", "1")) == b"*1\r\n+OK\r\n"  # it watches nothing any more
