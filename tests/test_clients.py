"""What real clients send: redis-py against Keystead, and against redis-server so that the tests themselves are tested.

The sequences are those traced from frameworks that sit on redis-py, as far as they need only strings, keys,
transactions and the server's own commands.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis as redis_py
from redis import asyncio as redis_asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from servers import running, start_keystead, start_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

    Connect = Callable[..., redis_py.Redis]

STARTS = {"redis": start_redis, "keystead": start_keystead}


@pytest.fixture(scope="module", params=STARTS)
def server(request: pytest.FixtureRequest) -> Server:
    """The session's server of each kind."""
    running_server: Server = request.getfixturevalue(request.param)
    return running_server


@pytest.fixture(scope="module", params=STARTS)
def locked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for the password sesame."""
    directory = tmp_path_factory.mktemp("locked") / "data"
    with running(STARTS[request.param](directory, "--requirepass", "sesame")) as started:
        yield started


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def connect(request: pytest.FixtureRequest, server: Server) -> Iterator[Connect]:
    """Makes clients of one protocol version on empty databases; closes them."""
    clients: list[redis_py.Redis] = []

    def client(**options: Any) -> redis_py.Redis:
        clients.append(redis_py.Redis(port=server.port, protocol=request.param, **options))
        return clients[-1]

    client().flushall()
    yield client
    for each in clients:
        each.close()


@pytest.fixture
def client(connect: Connect) -> redis_py.Redis:
    return connect()


# ---- handshakes ------------------------------------------------------------------------------------------------------


def test_the_default_client_connects(server: Server) -> None:
    """redis-py 8 opens with HELLO 3 and has no way back when that fails."""
    with redis_py.Redis(port=server.port) as client:
        assert client.ping() is True
        assert client.set("k", "v") is True
        assert client.get("k") == b"v"
        assert client.client_info()["resp"] == "3"


def test_a_url_with_a_database_and_a_name(server: Server) -> None:
    with redis_py.from_url(f"redis://127.0.0.1:{server.port}/5?client_name=app&decode_responses=true") as client:
        assert client.client_getname() == "app"
        info = client.client_info()
        assert (info["db"], info["name"]) == (5, "app")


def test_hello_tells_who_answers(client: redis_py.Redis) -> None:
    hello = client.execute_command("HELLO")
    if isinstance(hello, list):
        hello = dict(zip(hello[::2], hello[1::2], strict=True))
    assert hello[b"server"] == b"redis"
    assert re.match(rb"7\.\d+\.\d+", hello[b"version"])
    assert (hello[b"role"], hello[b"mode"]) == (b"master", b"standalone")


def test_maintenance_notifications_are_refused(client: redis_py.Redis) -> None:
    """OK would promise pushes that never come; redis-py takes an error as a no."""
    with pytest.raises(redis_py.ResponseError):
        client.execute_command("CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "internal-ip")
    assert client.ping()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("username", [None, "default"])
def test_login(locked: Server, protocol: int, username: str | None) -> None:
    with redis_py.Redis(port=locked.port, protocol=protocol, username=username, password="sesame") as client:
        assert client.set("k", "v")
        assert client.get("k") == b"v"


@pytest.mark.parametrize("protocol", [2, 3])
def test_login_with_a_wrong_password_or_none(locked: Server, protocol: int) -> None:
    once = Retry(NoBackoff(), 0)
    for password in ("wrong", None):
        with (
            redis_py.Redis(port=locked.port, protocol=protocol, password=password, retry=once) as client,
            pytest.raises(redis_py.AuthenticationError),
        ):
            client.ping()


def test_client_side_caching_is_declined(server: Server) -> None:
    """It wants `server: redis` of 7.4 or newer; we say 7.2 as long as there is no CLIENT TRACKING."""
    from redis.cache import CacheConfig

    with (
        pytest.raises(redis_py.RedisError),
        redis_py.Redis(port=server.port, cache_config=CacheConfig()) as client,
    ):
        client.get("k")


# ---- redis-py itself -------------------------------------------------------------------------------------------------


def test_values_and_their_types(client: redis_py.Redis) -> None:
    assert client.set("k", "v", ex=100, nx=True) is True
    assert client.set("k", "w", nx=True) is None
    assert client.set("k", "w", xx=True, get=True) == b"v"
    assert client.get("absent") is None
    assert client.mget("k", "absent") == [b"w", None]
    assert client.incrby("n", 5) == 5
    assert client.incrbyfloat("f", 1.5) == 1.5
    assert client.append("k", "x") == 2
    assert client.getrange("k", 0, 0) == b"w"
    assert client.type("k") == b"string"
    assert client.exists("k", "n", "absent") == 2
    assert client.getdel("k") == b"wx"
    assert client.delete("n", "f") == 2
    assert client.dbsize() == 0


def test_expiry(client: redis_py.Redis) -> None:
    client.set("k", "v")
    assert client.expire("k", 100) is True
    assert client.expire("absent", 100) is False
    assert 90 < client.ttl("k") <= 100
    assert client.persist("k") is True
    assert client.expireat("k", 33177117420) is True
    assert client.expiretime("k") == 33177117420
    assert client.getex("k", px=5000) == b"v"
    assert 0 < client.pttl("k") <= 5000


def test_a_pipeline(client: redis_py.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        pipe.set("a", 1).incr("a").get("a").get("absent")
        assert pipe.execute() == [True, 2, b"2", None]


def test_a_long_pipeline(client: redis_py.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        for number in range(5000):
            pipe.set(f"k{number}", "x" * 100)
        assert pipe.execute() == [True] * 5000
    assert client.dbsize() == 5000


def test_a_pipeline_with_an_error(client: redis_py.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        pipe.set("s", "text").incr("s").get("s")
        result = pipe.execute(raise_on_error=False)
    assert isinstance(result[1], redis_py.ResponseError)
    assert (result[0], result[2]) == (True, b"text")


def test_a_transaction(client: redis_py.Redis) -> None:
    with client.pipeline() as pipe:
        pipe.set("a", 1).set("b", 2).mget("a", "b")
        assert pipe.execute() == [True, True, [b"1", b"2"]]


def test_a_transaction_that_fails_to_queue(client: redis_py.Redis) -> None:
    with client.pipeline() as pipe:
        pipe.set("a", 1).execute_command("SET", "b")
        with pytest.raises(redis_py.ResponseError, match="wrong number of arguments"):
            pipe.execute()
    assert client.exists("a") == 0


def test_an_optimistic_lock_retries(connect: Connect) -> None:
    client, other = connect(), connect()
    client.set("n", 1)
    tries = []

    def change(pipe: Any) -> None:
        number = int(pipe.get("n"))
        if not tries:
            other.set("n", 10)
        tries.append(number)
        pipe.multi()
        pipe.set("n", number + 1)

    assert client.transaction(change, "n") == [True]
    assert tries == [1, 10]
    assert client.get("n") == b"11"


def test_counting_in_many_threads(connect: Connect) -> None:
    client = connect()

    def count() -> None:
        for _ in range(50):
            client.incr("n")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("n") == b"400"


def test_scan_iter(client: redis_py.Redis) -> None:
    client.mset({f"user:{number}": number for number in range(500)} | {"other": 1})
    assert sorted(client.scan_iter(match="user:*", count=50)) == sorted(b"user:%d" % number for number in range(500))
    assert len(list(client.scan_iter(_type="STRING"))) == 501
    assert list(client.scan_iter(_type="list")) == []
    assert len(client.keys("user:1?")) == 10


def test_scan_finds_what_was_there_all_the_time(client: redis_py.Redis) -> None:
    """Keys that come and go meanwhile may be found or not, and may come twice; the others must be found."""
    client.mset({f"stays:{number}": 1 for number in range(300)} | {f"goes:{number}": 1 for number in range(300)})
    found = []
    cursor, step = 0, 0
    while step == 0 or cursor:
        cursor, keys = client.scan(cursor, count=20)
        found += keys
        client.delete(*(f"goes:{step * 10 + number}" for number in range(10)))
        client.mset({f"comes:{step}:{number}": 1 for number in range(30)})
        step += 1
    assert {b"stays:%d" % number for number in range(300)} <= set(found)


def test_binary_keys_and_values(client: redis_py.Redis) -> None:
    every_byte = bytes(range(256))
    client.set(every_byte, every_byte * 1000)
    assert client.get(every_byte) == every_byte * 1000
    assert client.keys() == [every_byte]


def test_unsubscribe_before_any_subscription(client: redis_py.Redis) -> None:
    with client.pubsub() as pubsub:
        pubsub.unsubscribe()
        pubsub.punsubscribe()
    assert client.ping()


def test_the_server_describes_itself(client: redis_py.Redis) -> None:
    info = client.info()
    assert info["redis_version"].startswith("7.")
    assert info["arch_bits"] == 64
    assert info["cluster_enabled"] == 0
    assert info["connected_clients"] >= 1
    client.set("k", "v", ex=100)
    assert client.info("memory")["used_memory"] > 0
    assert client.info("keyspace")["db0"]["keys"] == 1
    assert client.info("keyspace")["db0"]["expires"] == 1
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.command_count() > 80
    assert client.command_getkeys("MSET", "a", 1, "b", 2) in (["a", "b"], [b"a", b"b"])
    assert client.role()[0] in ("master", b"master")
    assert client.memory_usage("k") > 0
    assert client.client_id() > 0
    assert any(entry["id"] for entry in client.client_list())
    assert client.slowlog_len() >= 0
    assert client.time()[0] > 1_600_000_000
    assert client.lastsave().year >= 2024
    assert client.wait(0, 0) == 0


def test_client_kill_and_reconnect(connect: Connect) -> None:
    """A killed connection of a pool is replaced at the next command."""
    client, other = connect(client_name="victim"), connect()
    client.ping()
    victim = next(entry for entry in other.client_list() if entry["name"] == "victim")
    assert other.client_kill_filter(_id=victim["id"]) == 1
    assert client.ping() is True


def test_a_monitor_sees_commands(connect: Connect) -> None:
    client, watcher = connect(), connect()
    with watcher.monitor() as monitor:
        client.set("k", "v")
        seen = next(entry for entry in monitor.listen() if entry["command"].startswith("SET"))
    assert seen["command"] == "SET k v"
    assert seen["client_type"] == "tcp"


# ---- what frameworks send --------------------------------------------------------------------------------------------


def test_django_cache(client: redis_py.Redis) -> None:
    """django.core.cache.backends.redis: set, add, get_many, touch, incr, delete_many, clear."""
    assert client.set(":1:a", b"pickled", ex=300)
    assert client.set(":1:a", b"other", ex=300, nx=True) is None
    assert client.set(":1:add", b"x", nx=True)
    assert client.delete(":1:add") == 1
    with client.pipeline() as pipe:
        pipe.mset({":1:b": 1, ":1:c": 2})
        pipe.expire(":1:b", 300)
        pipe.expire(":1:c", 300)
        assert pipe.execute() == [True, True, True]
    assert client.mget(":1:a", ":1:b", ":1:x") == [b"pickled", b"1", None]
    assert client.persist(":1:a") is True
    assert client.expire(":1:a", 10) is True
    assert client.exists(":1:b") == 1
    assert client.incrby(":1:b", -3) == -2
    assert client.delete(":1:b", ":1:c") == 2
    assert client.flushdb() is True


def test_flask_caching_and_sessions(client: redis_py.Redis) -> None:
    assert client.execute_command("SETEX", "flask_cache_k", 300, b"!pickled")
    assert client.execute_command("SETNX", "flask_cache_n", 1) == 1
    client.expire("flask_cache_n", 300)
    assert client.incrby("flask_cache_n", 2) == 3
    assert client.unlink(*client.keys("flask_cache_*")) == 2
    client.set("session:1", b"\x81\xa1a\x01", ex=2678400)
    assert client.get("session:1") == b"\x81\xa1a\x01"
    assert client.delete("session:1") == 1


def test_aiocache_and_fastapi_cache(client: redis_py.Redis) -> None:
    assert client.execute_command("PSETEX", "aio", 100_500, "v")
    assert 90_000 < client.pttl("aio") <= 100_500
    with client.pipeline() as pipe:
        ttl, value = pipe.ttl("aio").get("aio").execute()
    assert 90 < ttl <= 101
    assert value == b"v"


def test_cashews(client: redis_py.Redis) -> None:
    client.set("k", "v", px=100_000, xx=True)
    bits = client.bitfield("bits").incrby("u2", "#5", 1).get("u2", "#5").execute()
    assert bits == [1, 1]
    assert client.pexpire("bits", 100_000)
    assert client.memory_usage("bits") > 0
    assert client.ttl("bits") > 90
    assert client.scan(0, match="b*", count=100) == (0, [b"bits"])
    assert client.unlink("bits") == 1
    assert client.dbsize() == 0


def test_huey_and_django_redis(client: redis_py.Redis) -> None:
    assert client.set("huey.r.1", b"x", ex=86400)
    assert client.setnx("huey.t.lock", 1)
    assert client.incr("huey.c") == 1
    assert client.expireat("huey.c", 33177117420)
    assert client.pexpireat("huey.c", 33177117420000)
    assert client.pttl("huey.c") > 10**12
    assert sorted(client.scan_iter("huey.*")) == [b"huey.c", b"huey.r.1", b"huey.t.lock"]
    assert client.persist("huey.c")


def test_arq_and_rq_ask_the_server(connect: Connect) -> None:
    client = connect(client_name="rq:worker:1", decode_responses=True)
    with client.pipeline() as pipe:
        pipe.info("Server").info("Memory").info("Clients").dbsize()
        server, memory, clients, keys = pipe.execute()
    assert re.match(r"7\.\d+", server["redis_version"])
    assert memory["used_memory_human"]
    assert clients["connected_clients"] >= 1
    assert keys == 0
    assert "rq:worker:1" in {entry["name"] for entry in client.client_list()}


def test_command_info_is_understood(client: redis_py.Redis) -> None:
    info = client.execute_command("COMMAND", "INFO", "set")["set"]
    assert info["arity"] == -3
    assert (info["first_key_pos"], info["last_key_pos"], info["step_count"]) == (1, 1, 1)


def test_pottery_bits_and_copies(client: redis_py.Redis) -> None:
    assert client.setbit("bloom", 1000, 1) == 0
    assert client.getbit("bloom", 1000) == 1
    assert client.bitcount("bloom") == 1
    assert client.copy("bloom", "bloom2") is True
    assert client.bitop("OR", "both", "bloom", "bloom2") == 126
    assert client.unlink("bloom", "bloom2") == 2


def test_a_lock_by_hand(client: redis_py.Redis) -> None:
    assert client.set("lock", "token", nx=True, px=30_000)
    assert client.set("lock", "thief", nx=True, px=30_000) is None
    with client.pipeline() as pipe:
        pipe.watch("lock")
        assert pipe.get("lock") == b"token"
        pipe.multi()
        pipe.delete("lock")
        assert pipe.execute() == [1]


# ---- asyncio ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_asyncio_client(server: Server, protocol: int) -> None:
    async def talk() -> None:
        async with redis_asyncio.Redis(port=server.port, protocol=protocol, client_name="async") as client:
            await client.flushall()
            assert await client.set("k", "v", ex=100)
            assert await client.get("k") == b"v"
            async with client.pipeline(transaction=True) as pipe:
                assert await pipe.incr("n").incr("n").execute() == [1, 2]
            await asyncio.gather(*(client.incr("n") for _ in range(100)))
            assert await client.get("n") == b"102"
            assert [key async for key in client.scan_iter("k*")] == [b"k"]
            assert await client.client_getname() in ("async", b"async")

    asyncio.run(talk())


def test_the_asyncio_client_logs_in(locked: Server) -> None:
    async def talk() -> None:
        async with redis_asyncio.from_url(f"redis://:sesame@127.0.0.1:{locked.port}/2") as client:
            assert await client.set("k", "v")
            assert await client.get("k") == b"v"

    asyncio.run(talk())


# --- users


@pytest.fixture
def admin(connect: Connect) -> Iterator[redis_py.Redis]:
    """Deletes the users that a test made."""
    client = connect(decode_responses=True)
    yield client
    for name in set(client.acl_users()) - {"default"}:
        client.acl_deluser(name)
    client.acl_log_reset()


def test_a_user_is_made_described_and_deleted(admin: redis_py.Redis) -> None:
    assert admin.acl_setuser(
        "ada", enabled=True, passwords=["+secret"], categories=["+@read"], commands=["+set"], keys=["app:*"]
    )
    found = admin.acl_getuser("ada")
    assert found["flags"] == ["on"]
    assert len(found["passwords"]) == 1
    assert found["commands"] == ["+set"]
    assert found["categories"] == ["-@all", "+@read"]
    assert "secret" not in str(admin.acl_list())
    assert sorted(admin.acl_users()) == ["ada", "default"]
    assert admin.acl_deluser("ada", "nobody") == 1
    assert admin.acl_getuser("ada") is None


def test_a_user_does_only_what_he_may(admin: redis_py.Redis, connect: Connect) -> None:
    admin.acl_setuser("ada", enabled=True, passwords=["+secret"], categories=["+@read", "+@connection"], keys=["app:*"])
    ada = connect(username="ada", password="secret", decode_responses=True)
    assert ada.get("app:1") is None
    with pytest.raises(redis_py.exceptions.NoPermissionError):
        ada.get("other")
    with pytest.raises(redis_py.exceptions.NoPermissionError):
        ada.set("app:1", "x")
    reasons = [(entry["reason"], entry["object"], entry["username"]) for entry in admin.acl_log()]
    assert reasons == [("command", "set", "ada"), ("key", "other", "ada")]
    assert admin.acl_log_reset()
    assert admin.acl_log() == []


def test_what_a_user_could_do_is_told_without_doing_it(admin: redis_py.Redis) -> None:
    admin.acl_setuser("ada", enabled=True, nopass=True, commands=["+get"], keys=["app:*"])
    assert admin.acl_dryrun("ada", "get", "app:1") == "OK"
    assert "'set'" in admin.acl_dryrun("ada", "set", "app:1", "x")


def test_the_small_questions_about_users(admin: redis_py.Redis) -> None:
    assert admin.acl_whoami() == "default"
    assert {"read", "write", "dangerous"} <= set(admin.acl_cat())
    assert "get" in admin.acl_cat("read")
    assert len(admin.acl_genpass()) == 64
    assert len(admin.acl_genpass(5)) == 2


def test_a_hashed_password_logs_in(admin: redis_py.Redis, connect: Connect) -> None:
    admin.acl_setuser(
        "ada",
        enabled=True,
        hashed_passwords=["+" + hashlib.sha256(b"secret").hexdigest()],
        reset=True,
        categories=["+@all"],
    )
    assert connect(username="ada", password="secret").ping()
