"""A real server followed into another one: the same keys in both, whatever happens meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from golden_snapshots import call, fill
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mirror import Mirror

from keystead.migration.source import PositionLost, Put, Touched

if TYPE_CHECKING:
    from servers import Server
    from wire import SocketConnection

FAR_MS = 4102444800000


@contextmanager
def mirror_of(source: Server, target: Server) -> Iterator[Mirror]:
    with closing(Mirror(source, target)) as mirror:
        yield mirror


@contextmanager
def writer(server: Server, write: Callable[[SocketConnection, int], None], most: int) -> Iterator[list[int]]:
    """Calls *write* so often, or until the block ends, on a connection of its own; how often is in the list."""
    done, ending = [0], threading.Event()

    def run() -> None:
        connection = server.connect()
        for number in range(most):
            if ending.is_set():
                break
            write(connection, number)
            done[0] = number + 1
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        ending.set()
        thread.join()


def test_every_type_in_every_encoding_is_the_same_after_the_copy(source: Server, target: Server) -> None:
    fill(source)
    with mirror_of(source, target) as mirror:
        assert mirror.copy() == mirror.feed.total_keys
        ours, theirs = mirror.digests()
    assert ours == theirs


def test_every_type_is_the_same_when_it_came_as_changes(source: Server, target: Server) -> None:
    with mirror_of(source, target) as mirror:
        assert mirror.copy() == 0
        fill(source)
        mirror.follow()
        ours, theirs = mirror.digests()
    assert ours == theirs


keys = st.sampled_from([b"a", b"b", b"c{a}", b"\x00\xff"])
words = st.binary(max_size=12) | st.integers(-3, 300).map(lambda number: b"%d" % number)
scores = st.integers(-50, 50).map(lambda number: b"%d" % number)
ahead = st.integers(FAR_MS, FAR_MS + 9).map(lambda time_ms: b"%d" % time_ms)


def commands() -> st.SearchStrategy[list[tuple[bytes, ...]]]:
    def of(name: str, *arguments: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[bytes, ...]]:
        return st.tuples(st.just(name.encode()), *arguments)

    def word(text: str) -> st.SearchStrategy[bytes]:
        return st.just(text.encode())

    one = st.one_of(
        of("SET", keys, words),
        of("SET", keys, words, word("PXAT"), ahead),
        of("SET", keys, words, word("KEEPTTL")),
        of("SET", keys, words, word("NX"), word("GET"), word("EX"), word("90000")),
        of("SETEX", keys, word("90000"), words),
        of("MSET", keys, words, keys, words),
        of("APPEND", keys, words),
        of("INCR", keys),
        of("INCRBYFLOAT", keys, word("1.5")),
        of("SETRANGE", keys, word("3"), words),
        of("SETBIT", keys, word("77"), word("1")),
        of("BITOP", word("NOT"), keys, keys),
        of("GETDEL", keys),
        of("GETEX", keys, word("PXAT"), ahead),
        of("DEL", keys, keys),
        of("UNLINK", keys),
        of("EXPIRE", keys, word("90000")),
        of("PEXPIREAT", keys, ahead, word("NX")),
        of("PERSIST", keys),
        of("RENAME", keys, keys),
        of("COPY", keys, keys, word("DB"), word("2"), word("REPLACE")),
        of("MOVE", keys, word("2")),
        of("RPUSH", keys, words, words),
        of("LPOP", keys),
        of("LMOVE", keys, keys, word("LEFT"), word("RIGHT")),
        of("SADD", keys, words, words),
        of("SPOP", keys),
        of("SUNIONSTORE", keys, keys, keys),
        of("HSET", keys, words, words),
        of("HDEL", keys, words),
        of("ZADD", keys, scores, words),
        of("ZUNIONSTORE", keys, word("2"), keys, keys),
        of("ZREMRANGEBYSCORE", keys, word("-5"), word("5")),
        of("XADD", keys, word("MAXLEN"), word("3"), word("*"), words, words),
        of("XGROUP", word("CREATE"), keys, words, word("$")),
        of("SORT", keys, word("ALPHA"), word("STORE"), keys),
        of("PFADD", keys, words),
        of("PFMERGE", keys, keys),
        of("EVAL", word("redis.call('SET', KEYS[1], ARGV[1]); redis.call('INCR', 'hits')"), word("1"), keys, words),
        of("SELECT", st.sampled_from([b"0", b"2"])),
        of("MULTI"),
        of("EXEC"),
        of("FLUSHDB"),
    )
    return st.lists(one, max_size=30)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=commands(), after=commands(), again=commands())
def test_random_commands_before_and_behind_the_snapshot_end_in_the_same(
    source: Server,
    target: Server,
    before: list[tuple[bytes, ...]],
    after: list[tuple[bytes, ...]],
    again: list[tuple[bytes, ...]],
) -> None:
    connection = source.connect()
    connection.call("FLUSHALL")
    with mirror_of(source, target) as mirror:
        call(mirror.target, "FLUSHALL")
        for command in before:
            connection.call(*command)
        mirror.copy()
        for command in after:
            connection.call(*command)
        mirror.follow()
        position = mirror.feed.position
        for command in again:
            connection.call(*command)
        connection.close()  # what is between MULTI and EXEC is gone
        mirror.resume(position)
        mirror.follow()
        ours, theirs = mirror.digests()
    assert ours == theirs


def write_everything(connection: SocketConnection, number: int) -> None:
    key = f"key:{number % 300}"
    connection.call("INCR", "counter")
    connection.call("SET", f"string:{number % 500}", "x" * (number % 2000))
    connection.call(*[("RPUSH", key, number), ("DEL", key), ("SET", key, 1, "PX", 5), ("PEXPIRE", key, 3)][number % 4])
    connection.call("XADD", "stream", "MAXLEN", "~", 1000, "*", "n", number)


def test_nothing_is_lost_or_comes_twice_while_writers_go_on_through_the_copy(source: Server, target: Server) -> None:
    connection = source.connect()
    connection.call("DEBUG", "POPULATE", 2_000, "many", 100)
    connection.call("CONFIG", "SET", "rdb-key-save-delay", 250)  # microseconds: the snapshot takes a while
    with mirror_of(source, target) as mirror:
        with writer(source, write_everything, 1200) as written:
            assert mirror.copy() >= 2_000
            connection.call("CONFIG", "SET", "rdb-key-save-delay", 0)
            assert written[0] > 100
            while written[0] < 1000:
                mirror.step()
        deadline = time.monotonic() + 30
        mirror.follow()
        while len(set(mirror.digests())) > 1:  # keys whose time is up, and that nobody has removed yet
            assert time.monotonic() < deadline
            mirror.follow()
        assert call(mirror.target, "GET", "counter") == b"%d" % written[0]
    connection.close()


def test_a_counter_is_told_exactly_as_often_as_it_counted_however_often_the_connection_is_cut(
    source: Server, target: Server
) -> None:
    connection = source.connect()
    syncs = info(connection, "sync_full")
    with mirror_of(source, target) as mirror:
        mirror.copy()
        with writer(source, lambda writing, _: writing.call("INCR", "counter") and None, 2400) as written:
            for cut in range(1, 6):
                while written[0] < cut * 400:
                    mirror.step()
                connection.call("CLIENT", "KILL", "TYPE", "replica")
        mirror.follow()
        counted = int(connection.call("GET", "counter").value)
        assert counted == written[0]
        assert mirror.told == [Touched(0, b"counter")] * counted
        ours, theirs = mirror.digests()
    assert ours == theirs
    assert info(connection, "sync_full") == syncs + 1
    connection.close()


def info(connection: SocketConnection, field: str) -> int:
    lines = connection.call("INFO").value.decode().splitlines()
    return int(next(line.partition(":")[2] for line in lines if line.startswith(f"{field}:")))


def test_another_run_goes_on_where_the_first_one_ended(source: Server, target: Server) -> None:
    connection = source.connect()
    connection.call("SELECT", 5)
    with mirror_of(source, target) as mirror:
        mirror.copy()
        connection.call("SET", "before", 1)
        mirror.follow()
        position = mirror.feed.position
    connection.call("SET", "between", 2)  # without a SELECT, for that was sent before
    with mirror_of(source, target) as mirror:
        mirror.resume(position)
        mirror.follow()
        assert mirror.told == [Put(5, b"between", b"2", 0)]
        ours, theirs = mirror.digests()
    assert ours == theirs
    connection.close()


def test_a_place_within_a_transaction_is_none(source: Server, target: Server) -> None:
    connection = source.connect()
    with mirror_of(source, target) as mirror:
        mirror.copy()
        connection.call("SET", "a", 1)
        mirror.follow()
        places = {mirror.feed.position}
        for command in (("MULTI",), ("SET", "b", 2), ("SET", "c", 3), ("EXEC",)):
            connection.call(*command)
        mirror.follow()
        places.add(mirror.feed.position)
        assert len(places) == 2
        mirror.resume(min(places, key=lambda place: int(place.split(":")[1])))
        mirror.follow()
    assert mirror.told[-4:] == [Put(0, b"b", b"2", 0), Put(0, b"c", b"3", 0)] * 2
    connection.close()


def test_changes_that_the_source_has_let_go_of_cannot_be_resumed(source: Server, target: Server) -> None:
    connection = source.connect()
    with mirror_of(source, target) as mirror:
        mirror.copy()
        position = mirror.feed.position
        mirror.feed.close()
        for number in range(60):
            connection.call("SET", f"key:{number}", "x" * 100_000)
        with pytest.raises(PositionLost, match="repl-backlog-size"):
            mirror.resume(position)
        assert mirror.copy() == 60
        ours, theirs = mirror.digests()
    assert ours == theirs
    connection.close()


@pytest.mark.parametrize("position", ["", "nonsense", f"={'0' * 40}:12:0", "0-16383=" + "0" * 40 + ":12:0"])
def test_a_place_of_something_else_cannot_be_resumed(source: Server, target: Server, position: str) -> None:
    with mirror_of(source, target) as mirror, pytest.raises(PositionLost):
        mirror.resume(position)


def test_wait_counts_what_was_applied_and_not_what_was_received(source: Server, target: Server) -> None:
    connection = source.connect()
    with mirror_of(source, target) as mirror:
        mirror.copy()
        mirror.follow()
        connection.call("SET", "key", "value")
        assert connection.call("WAIT", 1, 1500).value == 0
        deadline = time.monotonic() + 30
        mirror.follow()
        while connection.call("WAIT", 1, 100).value != 1:
            assert time.monotonic() < deadline
            mirror.step()
    connection.close()


def test_behind_tells_what_is_still_to_come(source: Server, target: Server) -> None:
    connection = source.connect()
    with mirror_of(source, target) as mirror:
        mirror.copy()
        mirror.follow()
        position = mirror.feed.position
        connection.call("SET", "key", "x" * 1000)
        assert mirror.feed.behind(position) > 1000
        mirror.follow()
        assert mirror.feed.behind(mirror.feed.position) == 0
    connection.close()


def test_a_flush_of_all_is_one_of_every_database(source: Server, target: Server) -> None:
    connection = source.connect()
    for database in (0, 15):
        connection.call("SELECT", database)
        connection.call("SET", "key", database)
    with mirror_of(source, target) as mirror:
        assert mirror.copy() == 2
        connection.call("FLUSHALL")
        connection.call("SET", "after", 1)
        mirror.follow()
        ours, theirs = mirror.digests()
    assert ours == theirs
    connection.close()
