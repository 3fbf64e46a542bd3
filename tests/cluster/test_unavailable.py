"""What cannot be served from is told at the start, in words; what comes later heals by itself."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from calling import call, client_of, in_loop, until
from fake_nodes import HELLO, FakeCluster

from clusters import make_certificates, running_cluster
from keystead.cluster import ClusterClient, Options, slot_of
from keystead.errors import ClusterUnavailable, CommandError

if TYPE_CHECKING:
    from clusters import Cluster
    from servers import Server


async def refusal(addresses: list[tuple[str, int]], **options: object) -> str:
    """Why a client cannot start."""
    client = ClusterClient(
        asyncio.get_running_loop(),
        addresses,
        Options(**{"connect_timeout_s": 1.0, **options}),  # type: ignore[arg-type]
    )
    with pytest.raises(ClusterUnavailable) as raised:
        await client.start()
    return str(raised.value)


@in_loop
async def test_addresses_where_nobody_listens_are_named() -> None:
    async with FakeCluster(1) as cluster:
        address = cluster.nodes[0].address
    assert await refusal([address]) == f"127.0.0.1:{address[1]}: Connection refused"
    assert "no.such.host.invalid:6379: " in await refusal([("no.such.host.invalid", 6379)])


@in_loop
async def test_one_address_that_answers_is_enough(cluster: Cluster) -> None:
    async with FakeCluster(1) as fakes:
        nowhere = fakes.nodes[0].address
    async with client_of([nowhere, cluster.addresses[4]]) as client:
        assert client.status.ready
        assert {node.address for node in client.topology.nodes.values()} == set(cluster.addresses)


@in_loop
async def test_a_server_by_itself_is_no_cluster(redis: Server) -> None:
    assert await refusal([redis.address]) == f"127.0.0.1:{redis.port} is a server by itself, no node of a cluster"


@in_loop
async def test_what_is_no_redis_server_at_all_is_told() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        assert "no reply of a Redis server" in await refusal([server.sockets[0].getsockname()])


@in_loop
async def test_a_node_that_says_nothing_is_told() -> None:
    async with FakeCluster(1) as cluster:
        cluster.nodes[0].on("HELLO", None)
        assert "did not answer within 1 s" in await refusal([cluster.nodes[0].address])
        cluster.nodes[0].on("HELLO", HELLO)
        cluster.nodes[0].on("CLUSTER", None)
        assert "no answer within 0.5 s" in await refusal([cluster.nodes[0].address], timeout_s=0.5)


@in_loop
async def test_slots_that_nobody_serves_are_told_at_the_start() -> None:
    async with FakeCluster(2) as cluster:
        del cluster.slots[cluster.nodes[1].id]
        assert await refusal([cluster.nodes[0].address]) == (
            "the cluster cannot serve all keys: no node serves slots 8192-16383"
        )


@in_loop
async def test_a_refused_question_is_told_in_the_nodes_words() -> None:
    async with FakeCluster(1) as cluster:
        cluster.nodes[0].on("CLUSTER", b"-NOPERM this user may not\r\n")
        assert "NOPERM this user may not" in await refusal([cluster.nodes[0].address])


@in_loop
async def test_passwords_are_asked_for_and_given(tmp_path: Path) -> None:
    with running_cluster(tmp_path, shards=1, replicas=0, password="secret") as servers:
        servers.nodes[0].call("ACL", "SETUSER", "door", "on", ">knock", "~*", "+@all")
        where = f"127.0.0.1:{servers.nodes[0].port}"
        assert await refusal(servers.addresses) == f"{where}: it wants a password"
        wrong = f"{where}: it does not accept this user name and password"
        assert await refusal(servers.addresses, password="guess") == wrong
        assert await refusal(servers.addresses, username="door", password="secret") == wrong
        for login in ({"password": "secret"}, {"username": "door", "password": "knock"}):
            async with client_of(servers.addresses, acknowledge="async", **login) as client:
                assert [await call(client, "SET", "k", "1", protocol=protocol) for protocol in (2, 3)] == [
                    b"+OK\r\n",
                    b"+OK\r\n",
                ]


@in_loop
async def test_encrypted_connections_must_be_wanted_by_both_sides(tmp_path: Path, cluster: Cluster) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    trusting = ssl.create_default_context(cafile=str(certificates.authority))
    with running_cluster(tmp_path / "nodes", shards=3, replicas=0, certificates=certificates) as servers:
        assert "it may expect TLS" in await refusal(servers.addresses[:1])
        assert "its certificate is not accepted" in await refusal(
            servers.addresses[:1], ssl=ssl.create_default_context()
        )
        assert "TLS" in await refusal(cluster.addresses[:1], ssl=trusting)
        async with client_of(servers.addresses[:1], ssl=trusting, acknowledge="async") as client:
            keys = [f"key{number}" for number in range(20)]
            assert {await call(client, "SET", key, "1") for key in keys} == {b"+OK\r\n"}
            assert {await call(client, "GET", key) for key in keys} == {b"$1\r\n1\r\n"}


@in_loop
async def test_a_cluster_that_goes_and_comes_back_is_told_and_heals() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        changes: list[bool] = []
        client.on_change = lambda: changes.append(client.status.ready)
        for node in cluster.nodes:
            node.close()
        await until(lambda: not client.status.ready)
        assert client.status.code == "cluster-down"
        assert "Connection refused" in client.status.detail
        for node in cluster.nodes:
            await node.open()
        await until(lambda: client.status.ready)
        assert client.status.detail == ""
        assert changes == [False, True]
        assert await call(client, "SET", "k", "1") == b"+OK\r\n"


@in_loop
async def test_slots_that_are_lost_later_are_told_and_what_needs_them_waits() -> None:
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        spans = cluster.slots.pop(cluster.nodes[1].id)
        await until(lambda: not client.status.ready)
        assert client.status.detail == "no node serves slots 8192-16383"
        assert slot_of(b"foo") >= 8192
        waiting = asyncio.ensure_future(call(client, "SET", "foo", "1"))
        assert await call(client, "SET", "bar", "1") == b"+OK\r\n"
        cluster.slots[cluster.nodes[1].id] = spans
        assert await waiting == b"+OK\r\n"
        assert client.status.ready


@in_loop
async def test_a_view_from_before_a_failover_is_not_believed() -> None:
    """A primary that was paused while a replica took over tells the old story when it is asked first."""
    async with FakeCluster(2) as cluster, client_of([cluster.nodes[0].address]) as client:
        old, new = cluster.nodes
        before = cluster.nodes_text(old)
        cluster.give_all_to(new)
        await until(lambda: len(client.topology.primaries) == 1)
        told: list[bytes] = []

        def old_story(_: list[bytes]) -> bytes:
            told.append(before)
            return b"$%d\r\n%b\r\n" % (len(before), before)

        old.on("CLUSTER", old_story)
        new.on("CLUSTER", None)  # says nothing from now on
        await until(lambda: len(told) >= 3)
        assert [node.id for node in client.topology.primaries] == [new.id]


@in_loop
async def test_a_node_answers_questions_as_values(cluster: Cluster) -> None:
    async with client_of(cluster.addresses[:1]) as client:
        node = client.topology.primaries[0]
        assert b"redis_version" in await client.ask(node.id, b"INFO", b"server")
        assert await client.ask(node.id, b"DBSIZE") >= 0
        assert await client.ask(node.id, b"COMMAND", b"GETKEYS", b"MGET", b"a", b"b") == [b"a", b"b"]
        with pytest.raises(CommandError, match="unknown command"):
            await client.ask(node.id, b"NOSUCH")
        with pytest.raises(ClusterUnavailable, match="no node"):
            await client.ask("f" * 40, b"DBSIZE")
