"""With real nodes: what is sent together, slots on their way, failovers under load, replicas that are away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from calling import DOWN, UNKNOWN, call, client_of, exec_on, in_loop, on, send, transact, until
from detours import Detour, cut_behind_the_write

from clusters import running_cluster
from keystead.cluster import ClusterClient, slot_of

if TYPE_CHECKING:
    from clusters import Cluster

BOTH = pytest.mark.parametrize("acknowledge", ["replicated", "async"])
TAG = "{moving}"
SLOT = slot_of(b"moving")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster to be broken."""
    with running_cluster(tmp_path / "cluster") as servers:
        yield servers


@BOTH
@in_loop
async def test_what_is_sent_together_is_executed_in_order_at_each_node(cluster: Cluster, acknowledge: str) -> None:
    async with client_of(cluster.addresses[:1], acknowledge=acknowledge) as client:
        keys = [f"{acknowledge}:{number}" for number in range(12)]
        assert len({client.topology.node_of(slot_of(key.encode())) for key in keys}) == 3
        commands = [(command, key) for _ in range(20) for key in keys for command in ("INCR", "GET")]
        replies = await asyncio.gather(*send(client, *commands))
        expected = [
            reply
            for turn in range(1, 21)
            for _ in keys
            for reply in (b":%d\r\n" % turn, b"$%d\r\n%d\r\n" % (len(str(turn)), turn))
        ]
        assert replies == expected


@in_loop
async def test_large_values_and_long_pipelines_pass_unharmed(cluster: Cluster) -> None:
    async with client_of(cluster.addresses[:1]) as client:
        values = {f"large:{number}": bytes([number]) * (300_000 * number) for number in range(8)}
        assert set(await asyncio.gather(*send(client, *(("SET", *item) for item in values.items())))) == {b"+OK\r\n"}
        replies = await asyncio.gather(*send(client, *(("GET", key) for key in values)), *send(client, ("GET", "x")))
        assert replies == [b"$%d\r\n%b\r\n" % (len(value), value) for value in values.values()] + [b"$-1\r\n"]


@in_loop
async def test_a_slot_moves_while_it_is_used_and_nobody_notices(own: Cluster) -> None:
    source = own.primary_of(SLOT)
    to = next(node for node in own.primaries() if node is not source)
    async with client_of(own.addresses[:1]) as client:
        for number in range(10):
            await call(client, "SET", f"{TAG}{number}", number)
        move = own.slot_move(SLOT, to)
        move.begin()
        assert move.keys(5) == 5
        # Keys that are away are asked of the other node; so are new ones, which only that one may create.
        replies = await asyncio.gather(*send(client, *(("GET", f"{TAG}{number}") for number in range(10))))
        assert replies == [b"$1\r\n%d\r\n" % number for number in range(10)]
        assert await call(client, "SET", f"{TAG}new", "1") == b"+OK\r\n"
        assert await transact(client, ("SET", f"{TAG}new", "2"), ("GET", f"{TAG}new")) == b"*2\r\n+OK\r\n$1\r\n2\r\n"
        mine = client.dedicate(SLOT, 2)
        await on(mine, "WATCH", f"{TAG}new")
        assert await exec_on(mine, ("SET", f"{TAG}new", "3")) == b"*1\r\n+OK\r\n"
        mine.close()
        # Several keys of which some are away: neither node can answer before the move is over.
        several = send(client, ("MGET", f"{TAG}0", f"{TAG}9", *(f"{TAG}{number}" for number in range(1, 9))))[0]
        await asyncio.sleep(0.2)
        assert not several.done()
        move.keys()
        move.end()
        assert (await several).startswith(b"*10\r\n$1\r\n0\r\n$1\r\n9\r\n$1\r\n1\r\n")
        assert await call(client, "GET", f"{TAG}new") == b"$1\r\n3\r\n"
        await until(lambda: client.topology.node_of(SLOT).port == to.port)


@pytest.mark.parametrize("endpoint", ["ip", "hostname", "unknown-endpoint"])
@in_loop
async def test_a_moved_slot_is_found_however_its_node_is_named(own: Cluster, endpoint: str) -> None:
    for node in own.nodes:
        node.call(
            "CONFIG", "SET", "cluster-announce-hostname", "localhost", "cluster-preferred-endpoint-type", endpoint
        )
    to = next(node for node in own.primaries() if node is not own.primary_of(SLOT))
    async with client_of(own.addresses[:1]) as client:
        await until(lambda: {node.alias for node in client.topology.nodes.values()} == {"localhost"})
        own.move_slots([SLOT], to)  # this loop stands still meanwhile, so the client cannot have heard of it
        assert await call(client, "SET", TAG, "1") == b"+OK\r\n"
        assert to.call("GET", TAG) == b"1"


@in_loop
async def test_a_command_that_no_node_can_answer_in_time_was_not_executed(own: Cluster) -> None:
    to = next(node for node in own.primaries() if node is not own.primary_of(SLOT))
    async with client_of(own.addresses[:1], timeout_s=0.5) as client:
        await asyncio.gather(*send(client, ("SET", f"{TAG}0", "0"), ("SET", f"{TAG}1", "1")))
        move = own.slot_move(SLOT, to)
        move.begin()
        move.keys(1)
        reply = await call(client, "MSET", f"{TAG}0", "x", f"{TAG}1", "x")
        assert reply.startswith(DOWN + b"not executed: TRYAGAIN ")


@in_loop
async def test_a_new_shard_takes_slots_under_load_without_an_error(own: Cluster) -> None:
    async with client_of(own.addresses[:1]) as client, Load(client, writers=8) as load:
        shard = own.add_shard(replicas=1)
        moved = [slot_of(key.encode()) for key in load.keys[:30]]
        await asyncio.to_thread(own.move_slots, moved, shard)
        await load.go_on(500)
    assert load.unknown == load.refused == 0
    await load.check(own)
    assert {client.topology.node_of(slot).port for slot in moved} == {shard.port}


@pytest.mark.parametrize("fault", ["kill", "pause"])
@in_loop
async def test_a_primary_that_dies_under_load_loses_nothing_that_was_acknowledged(own: Cluster, fault: str) -> None:
    async with client_of(own.addresses[:1]) as client, Load(client, writers=8) as load:
        await load.go_on(200)
        victim = own.primary_of(0)
        await asyncio.to_thread(getattr(victim, fault))  # the writers go on meanwhile
        new = await asyncio.to_thread(own.await_failover, 0, victim)
        await until(lambda: client.topology.node_of(0).port == new.port)
        if fault == "kill":
            await asyncio.to_thread(own.restart, victim)
        else:
            victim.resume()  # it believes that it is the primary still, until the others tell it
        await load.go_on(1000)  # with a replica again
    if fault == "pause":  # whoever writes to it gets no answer
        assert load.unknown > 0
    await load.check(own)


@in_loop
async def test_a_whole_cluster_that_waits_for_a_failover_refuses_nobody(own: Cluster) -> None:
    """The nodes say CLUSTERDOWN while a shard has no primary; its clients are served once it has."""
    async with client_of(own.addresses[:1], timeout_s=20) as client:
        victim = own.primary_of(0)
        keys = [f"key:{number}" for number in range(60)]
        of_others = [key for key in keys if slot_of(key.encode()) > 5461]
        victim.kill()
        waiting = asyncio.gather(*send(client, *(("SET", key, "1") for key in keys if key not in of_others)))
        while victim.port in {node.port for node in client.topology.primaries}:
            # The others serve until they notice, and then no more until the shard has a primary again.
            assert set(await asyncio.gather(*send(client, *(("SET", key, "1") for key in of_others)))) == {b"+OK\r\n"}
            await asyncio.sleep(0.01)
        assert {reply[:16] for reply in await waiting} == {UNKNOWN}  # there is no replica any more
        assert set(await asyncio.gather(*send(client, *(("GET", key) for key in keys)))) == {b"$1\r\n1\r\n"}


@in_loop
async def test_while_nobody_can_take_over_it_is_said_and_it_heals_by_itself(own: Cluster) -> None:
    victim = own.primary_of(0)
    for node in (*own.replicas_of(victim), victim):
        node.pause()
    async with client_of(own.addresses[1:2], timeout_s=1.0) as client:
        await until(lambda: not client.status.ready)
        assert client.status.code == "cluster-down"
        assert f"{victim.address}, which serves slots 0-54" in client.status.detail
        key = next(f"key:{number}" for number in range(99) if slot_of(b"key:%d" % number) < 5461)
        assert (await call(client, "GET", key)).startswith(DOWN)
        for node in own.nodes:
            if node.paused:
                node.resume()
        await until(lambda: client.status.ready)
        await until_served(client, key)


@in_loop
async def test_with_every_replica_stopped_a_write_is_of_unknown_outcome(own: Cluster) -> None:
    async with client_of(own.addresses[:1], wait_timeout_ms=300) as client:
        assert await call(client, "SET", "k", "1") == b"+OK\r\n"
        for replica in own.replicas_of(own.primary_of(slot_of(b"k"))):
            replica.pause()
        assert (await call(client, "SET", "k", "2")).startswith(UNKNOWN)
        assert (await transact(client, ("SET", "k", "3"))).startswith(UNKNOWN)
        assert await call(client, "GET", "k") == b"$1\r\n3\r\n"
        assert (await call(client, "INCR", "k", "x")).startswith(b"-ERR ")


@in_loop
async def test_a_connection_cut_between_a_write_and_its_wait_is_of_unknown_outcome(own: Cluster) -> None:
    """The trap: with every replica stopped, a fresh connection's WAIT 1 answers 1, so nobody may ask a fresh one."""
    primary = own.primary_of(slot_of(b"k"))
    async with cut_behind_the_write(("127.0.0.1", primary.port)) as detour:
        loop: Any = Detour(asyncio.get_running_loop(), {("127.0.0.1", primary.port): detour.address})
        async with client_of(own.addresses[:1], loop) as client:
            assert await call(client, "SET", "k", "1") == b"+OK\r\n"
            for replica in own.replicas_of(primary):
                replica.pause()
            assert primary.call("WAIT", 1, 100) == 1
            detour.armed = True
            assert (await call(client, "SET", "k", "2")).startswith(UNKNOWN)
            assert detour.writes == [b"1", b"2"]
            assert primary.call("GET", "k") == b"2"


@in_loop
async def test_async_writes_do_not_wait_for_replicas(own: Cluster) -> None:
    async with client_of(own.addresses[:1], acknowledge="async") as client:
        for replica in own.replicas_of(own.primary_of(slot_of(b"k"))):
            replica.pause()
        assert await call(client, "SET", "k", "1") == b"+OK\r\n"


@in_loop
async def test_a_watch_sees_what_others_write(cluster: Cluster) -> None:
    async with client_of(cluster.addresses[:1]) as client:
        mine = client.dedicate(slot_of(b"watched"), 3)
        await on(mine, "WATCH", "watched")
        await call(client, "SET", "watched", "1")
        assert await exec_on(mine, ("SET", "watched", "2")) == b"_\r\n"
        await on(mine, "WATCH", "watched")
        assert await exec_on(mine, ("SET", "watched", "3")) == b"*1\r\n+OK\r\n"
        mine.close()


async def until_served(client: ClusterClient, key: str) -> None:
    async with asyncio.timeout(30):
        while (await call(client, "SET", key, "1")) != b"+OK\r\n":
            await asyncio.sleep(0.05)


class Load:
    """Writers that each count up keys of their own, one write under way each, and remember what they were told.

    A value that was acknowledged may only be followed by a greater one: INCR never goes back.
    """

    def __init__(self, client: ClusterClient, writers: int) -> None:
        self.keys = [f"load:{number}" for number in range(writers * 10)]
        self.acknowledged = dict.fromkeys(self.keys, 0)
        self.attempted = dict.fromkeys(self.keys, 0)
        self.unknown = self.refused = self.done = 0
        self._client = client
        self._writers = writers
        self._stop = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        self._tasks = [
            asyncio.create_task(self._write(self.keys[number :: self._writers])) for number in range(self._writers)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    async def go_on(self, writes: int) -> None:
        """Until so many more were acknowledged."""
        goal = self.done + writes
        await until(lambda: self.done >= goal)

    async def check(self, cluster: Cluster) -> None:
        """Every key has at least what was acknowledged of it, and no more than what was tried: nothing is lost, nothing
        was done twice."""
        async with client_of(cluster.addresses[:1]) as client:
            for key in self.keys:
                reply = await call(client, "GET", key)
                value = 0 if reply == b"$-1\r\n" else int(reply.split(b"\r\n")[1])
                assert self.acknowledged[key] <= value <= self.attempted[key], key

    async def _write(self, keys: list[str]) -> None:
        while not self._stop:
            for key in keys:
                self.attempted[key] += 1
                reply = await call(self._client, "INCR", key)
                if reply[:1] == b":":
                    value = int(reply[1:-2])
                    assert self.acknowledged[key] < value <= self.attempted[key], key
                    self.acknowledged[key] = value
                    self.done += 1
                elif reply.startswith(UNKNOWN):
                    self.unknown += 1
                else:
                    assert reply.startswith(DOWN), reply
                    self.attempted[key] -= 1
                    self.refused += 1
