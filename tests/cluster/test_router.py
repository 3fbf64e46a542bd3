"""Each request reaches the node of its slot, again elsewhere where nothing was executed, and never twice where it may
have been. The nodes are scripted; test_real_cluster.py does with real ones what can be done with them."""

from __future__ import annotations

import asyncio

import pytest
from calling import DOWN, UNKNOWN, call, client_of, in_loop, request, send, transact, transaction, until
from fake_nodes import CUT, SILENCE, FakeCluster, FakeNode

from keystead.cluster import Request, slot_of

BOTH = pytest.mark.parametrize("acknowledge", ["replicated", "async"])


def words(node: FakeNode, *names: str) -> list[list[bytes]]:
    """What a node was sent of these commands."""
    return [heard for heard in node.heard if heard[0].decode() in names]


def moved(key: str, to: FakeNode) -> bytes:
    return b"-MOVED %d 127.0.0.1:%d\r\n" % (slot_of(key.encode()), to.port)


def asked(key: str, of: FakeNode) -> bytes:
    return b"-ASK %d 127.0.0.1:%d\r\n" % (slot_of(key.encode()), of.port)


@BOTH
@in_loop
async def test_each_slot_has_its_node(acknowledge: str) -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:
        low, high = "bar", "foo"  # slots 5061 and 12182
        await asyncio.gather(*send(client, ("SET", low, "1"), ("SET", high, "1"), ("GET", low), ("GET", high)))
        for node, key in zip(cluster.nodes, (b"bar", b"foo"), strict=True):
            assert words(node, "SET", "GET") == [[b"SET", key, b"1"], [b"GET", key]]


@BOTH
@in_loop
async def test_a_moved_slot_is_asked_of_its_new_node_at_once_and_from_then_on(acknowledge: str) -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:
        old, new = cluster.nodes
        old.on("SET", moved("bar", new))
        assert await call(client, "SET", "bar", "1") == b"+OK\r\n"
        assert await call(client, "SET", "bar", "2") == b"+OK\r\n"
        assert len(words(old, "SET")) == 1
        assert words(new, "SET") == [[b"SET", b"bar", b"1"], [b"SET", b"bar", b"2"]]


@BOTH
@in_loop
async def test_a_slot_on_its_way_is_asked_of_the_other_node_this_once(acknowledge: str) -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:
        old, new = cluster.nodes
        old.on("SET", asked("bar", new), b"+OK\r\n")
        assert await call(client, "SET", "bar", "1") == b"+OK\r\n"
        assert words(new, "ASKING", "SET") == [[b"ASKING"], [b"SET", b"bar", b"1"]]
        assert await call(client, "SET", "bar", "2") == b"+OK\r\n"
        assert len(words(old, "SET")) == 2


@in_loop
async def test_a_transaction_that_is_sent_on_goes_as_a_whole_and_says_asking_once() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        old, new = cluster.nodes
        old.on("SET", asked("bar", new))
        old.on("EXEC", b"-EXECABORT Transaction discarded because of previous errors.\r\n")
        new.on("SET", b"+QUEUED\r\n")
        new.on("EXEC", b"*1\r\n+OK\r\n")
        made, reply = transaction(("SET", "bar", "1"))
        client.send([made], 2)
        assert await reply == b"*1\r\n+OK\r\n"
        assert made.earlier == [b"+OK\r\n", b"+QUEUED\r\n"]
        assert [heard[0] for heard in new.heard] == [b"ASKING", b"MULTI", b"SET", b"EXEC", b"WAIT"]


@pytest.mark.parametrize("refusal", ["TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"])
@BOTH
@in_loop
async def test_what_a_node_refuses_for_the_moment_is_sent_again_until_it_is_taken(
    acknowledge: str, refusal: str
) -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:
        node = cluster.nodes[0]
        node.on("SET", b"-%b not now\r\n" % refusal.encode(), b"-%b not now\r\n" % refusal.encode(), b"+OK\r\n")
        assert await call(client, "SET", "k", "1") == b"+OK\r\n"
        assert len(words(node, "SET")) == 3


@in_loop
async def test_what_is_refused_for_too_long_was_certainly_not_executed() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], timeout_s=0.3) as client:
        cluster.nodes[0].on("SET", b"-TRYAGAIN not now\r\n")
        assert await call(client, "SET", "k", "1") == b"-CLUSTERDOWN not executed: TRYAGAIN not now\r\n"


@in_loop
async def test_nodes_that_send_one_another_round_in_circles_are_left_alone_for_a_while() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address], timeout_s=0.5) as client:
        one, two = cluster.nodes
        one.on("SET", moved("bar", two))
        two.on("SET", moved("bar", one))
        assert (await call(client, "SET", "bar", "1")).startswith(DOWN)
        assert len(words(one, "SET")) + len(words(two, "SET")) < 200


@BOTH
@in_loop
async def test_a_later_command_that_was_executed_is_never_overtaken(acknowledge: str) -> None:
    """SET k 1 is refused, SET k 2 of the same pipeline is executed: SET k 1 must not come after it."""
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:
        node = cluster.nodes[0]
        node.on("SET", b"-TRYAGAIN not now\r\n", b"+OK\r\n")
        first, second = send(client, ("SET", "k", "1"), ("SET", "k", "2"))
        assert await first == b"-TRYAGAIN not now\r\n"
        assert await second == b"+OK\r\n"
        assert len(words(node, "SET")) == 2


@in_loop
async def test_commands_that_are_refused_together_are_sent_again_in_their_order() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        node = cluster.nodes[0]
        node.on("SET", *[b"-LOADING\x20not now\r\n"] * 3, b"+OK\r\n")
        await asyncio.gather(*send(client, ("SET", "k", "1"), ("SET", "k", "2"), ("SET", "k", "3")))
        assert [heard[2] for heard in words(node, "SET")] == [b"1", b"2", b"3"] * 2


@BOTH
@in_loop
async def test_a_sent_write_is_never_sent_again_when_its_connection_is_lost(acknowledge: str) -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:
        node = cluster.nodes[0]
        node.on("SET", CUT, b"+OK\r\n")
        assert (await call(client, "SET", "k", "1")).startswith(UNKNOWN)
        assert await call(client, "SET", "k", "2") == b"+OK\r\n"
        assert [heard[2] for heard in words(node, "SET")] == [b"1", b"2"]


@in_loop
async def test_a_transaction_that_was_cut_off_before_exec_answered_is_of_unknown_outcome() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[0].on("SET", b"+QUEUED\r\n")
        cluster.nodes[0].on("EXEC", CUT)
        assert (await transact(client, ("SET", "k", "1"))).startswith(UNKNOWN)
        assert len(words(cluster.nodes[0], "EXEC")) == 1


@BOTH
@in_loop
async def test_a_read_is_sent_again_when_its_connection_is_lost(acknowledge: str) -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:
        cluster.nodes[0].on("GET", CUT, b"$1\r\nv\r\n")
        assert await call(client, "GET", "k") == b"$1\r\nv\r\n"


@BOTH
@in_loop
async def test_a_read_in_front_of_a_write_that_may_have_happened_is_not_repeated(acknowledge: str) -> None:
    """The same client sent GET k, SET k: read again, GET could see the SET behind it."""
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:
        cluster.nodes[0].on("GET", CUT, b"$1\r\n1\r\n")
        first, second = send(client, ("GET", "k"), ("SET", "k", "1"))
        assert (await first).startswith(DOWN)
        assert (await second).startswith(UNKNOWN)
        assert len(words(cluster.nodes[0], "GET")) == 1


@in_loop
async def test_what_was_not_sent_yet_waits_for_the_node_to_come_back() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        node = cluster.nodes[0]
        await call(client, "SET", "k", "0")
        node.close()
        await until(lambda: not client.status.ready)
        replies = send(client, ("SET", "k", "1"), ("GET", "k"))
        await asyncio.sleep(0.1)
        assert not any(reply.done() for reply in replies)
        await node.open()
        assert (await replies[0], await replies[1]) == (b"+OK\r\n", b"$-1\r\n")


@in_loop
async def test_what_waits_at_a_silent_node_is_settled_when_the_cluster_has_another_one_in_its_place() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address], timeout_s=30) as client:
        silent, other = cluster.nodes
        silent.on("SET", SILENCE)
        silent.on("GET", SILENCE)
        written, read = request(("SET", "bar", "1")), request(("GET", "bar"))
        client.send([written[0]], 2)
        client.send([read[0]], 2)
        await until(lambda: len(words(silent, "SET", "GET")) == 2)
        silent.on("CLUSTER", SILENCE)
        cluster.give_all_to(other)
        assert (await written[1]).startswith(UNKNOWN)
        assert await read[1] == b"$-1\r\n"
        assert words(other, "SET") == []


@BOTH
@in_loop
async def test_a_node_that_does_not_answer_in_time_is_given_up(acknowledge: str) -> None:
    options = {"acknowledge": acknowledge, "timeout_s": 0.3}
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], **options) as client:
        cluster.nodes[0].on("SET", SILENCE)
        cluster.nodes[0].on("GET", SILENCE)
        assert (await call(client, "SET", "k", "1")).startswith(UNKNOWN)
        assert (await call(client, "GET", "k")).startswith(DOWN)


@in_loop
async def test_a_cancelled_request_is_told_to_nobody_and_not_tried_again() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        told: list[bytes] = []
        made = Request(0, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n", told.append, writes=True)

        def refuse(_: list[bytes]) -> bytes:
            made.cancel()
            return b"-LOADING not now\r\n"

        cluster.nodes[0].on("SET", refuse, b"+OK\r\n")
        client.send([made], 2)
        await until(lambda: len(words(cluster.nodes[0], "SET")) == 1)
        await call(client, "SET", "other", "1")
        await asyncio.sleep(0.05)
        assert told == []
        assert [heard[1] for heard in words(cluster.nodes[0], "SET")] == [b"k", b"other"]


@BOTH
@in_loop
async def test_one_who_raises_when_told_keeps_no_reply_from_the_others(
    acknowledge: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address], acknowledge=acknowledge) as client:

        def fails(_: bytes) -> None:
            raise RuntimeError("the client is at fault")

        clumsy = Request(0, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n", fails, writes=True)
        careful, reply = request(("SET", "k", "2"))
        client.send([clumsy, careful], 2)
        assert await reply == b"+OK\r\n"
        assert "a reply could not be handed on" in caplog.text


@in_loop
async def test_a_node_is_asked_by_its_id_and_an_unknown_one_is_told_at_once() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[1].on("DBSIZE", b":7\r\n")
        made, reply = request(("DBSIZE",), cluster.nodes[1].id)
        client.send([made], 2)
        assert await reply == b":7\r\n"
        made, reply = request(("DBSIZE",), "f" * 40)
        client.send([made], 2)
        assert (await reply).startswith(DOWN)


@in_loop
async def test_each_protocol_has_connections_of_its_own() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[0].on("GET", lambda _: b"_\r\n")
        await call(client, "GET", "k", protocol=3)
        await call(client, "SET", "k", "1", protocol=2)
        spoken = [hello[1] for hello in cluster.nodes[0].hellos]
        assert sorted(spoken) == [b"2", b"2", b"3"]  # the questions about the cluster are in protocol 2


@in_loop
async def test_closing_settles_everything() -> None:
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        cluster.nodes[0].on("SET", SILENCE)
        cluster.nodes[0].on("GET", SILENCE)
        written, read = send(client, ("SET", "k", "1"))[0], send(client, ("GET", "k"))[0]
        await until(lambda: len(words(cluster.nodes[0], "SET", "GET")) == 2)
        await client.close()
        assert (await written).startswith(UNKNOWN)
        assert (await read).startswith(DOWN)
        assert (await call(client, "SET", "k", "2")).startswith(DOWN)


@in_loop
async def test_a_large_reply_does_not_hold_up_others() -> None:
    """While a link reads one, new requests go over another link."""
    async with FakeCluster(1) as cluster, client_of([cluster.nodes[0].address]) as client:
        node = cluster.nodes[0]
        half = b"x" * 200_000
        node.on("GET", b"$400000\r\n" + half, b"$1\r\nv\r\n")
        large = send(client, ("GET", "large"))[0]
        await until(lambda: len(words(node, "GET")) == 1)
        await asyncio.sleep(0.05)
        assert await call(client, "GET", "small") == b"$1\r\nv\r\n"
        assert not large.done()


@in_loop
async def test_a_node_that_nobody_else_knows_is_left_again() -> None:
    """Told to go there, requests go there; a few seconds later they go where the topology says."""
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        known, stranger = cluster.nodes
        cluster.give_all_to(known)
        cluster.nodes_text = lambda asked, text=cluster.nodes_text: b"".join(  # type: ignore[method-assign]
            line for line in text(asked).splitlines(True) if not line.startswith(stranger.id.encode())
        )
        await until(lambda: len(client.topology.nodes) == 1)
        known.on("SET", moved("k", stranger), b"+OK\r\n")
        assert await call(client, "SET", "k", "1") == b"+OK\r\n"
        assert words(stranger, "SET") == [[b"SET", b"k", b"1"]]
        await until(lambda: not stranger.is_connected)
        assert await call(client, "SET", "k", "2") == b"+OK\r\n"
        assert words(known, "SET")[-1] == [b"SET", b"k", b"2"]
