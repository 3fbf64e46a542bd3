"""Servers that refuse to be followed, and primaries that do what no primary should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from golden_snapshots import GOLDEN, call
from mirror import address
from primary import HISTORY, Asked, Primary, Script, primary, sends, stream

from keystead.errors import KeysteadError
from keystead.migration.addresses import ServerAddress, Tls
from keystead.migration.replica import feed as feed_module
from keystead.migration.replica.failures import DamagedSnapshot
from keystead.migration.replica.feed import ReplicaFeed
from keystead.migration.source import Change, FollowingRefused, PositionLost, Put, Record, SourceFailed
from server.certificates import make
from servers import free_port, ready, running, spawn, start_redis

RDB = (GOLDEN / "redis-7.0.rdb").read_bytes()
EMPTY = b"REDIS0011\xff" + bytes(8)
SELECT = [b"SELECT", b"0"]


def with_length(rdb: bytes) -> bytes:
    return b"$%d\r\n%b" % (len(rdb), rdb)


def with_mark(rdb: bytes, mark: bytes = b"m" * 40) -> bytes:
    return b"$EOF:" + mark + b"\r\n" + rdb + mark


def feed_of(made: Primary) -> ReplicaFeed:
    return ReplicaFeed(ServerAddress((made.address,)))


def copied(made: Primary) -> list[Record]:
    with closing(feed_of(made)) as feed:
        return list(feed.snapshot())


def told(feed: ReplicaFeed, count: int) -> Iterator[Change]:
    """So many changes, read until they have come."""
    for batch in feed.changes():
        for change in batch.changes:
            yield change
            count -= 1
        if count <= 0:
            return


def refused(server: ServerAddress, error: type[KeysteadError], reason: str) -> None:
    with closing(ReplicaFeed(server)) as feed, pytest.raises(error, match=reason):
        next(feed.snapshot())


# --- Real servers that refuse ---------------------------------------------------------------------------------------


def test_a_server_that_does_not_have_the_commands_says_so(tmp_path: Path) -> None:
    for number, name in enumerate(("PSYNC", "REPLCONF")):
        with running(start_redis(tmp_path / str(number), "--rename-command", name, "")) as server:
            refused(address(server), FollowingRefused, "unknown command")


def test_who_may_follow_and_who_is_told_what(tmp_path: Path) -> None:
    needed = ("+psync", "+replconf", "+ping", "+info", "+command")
    with running(start_redis(tmp_path / "data")) as server:
        connection = server.connect()
        call(connection, "ACL", "SETUSER", "mover", "on", ">secret", "~*", *needed)
        call(connection, "SET", "key", "value")
        with closing(ReplicaFeed(address(server, username="mover", password="secret"))) as feed:
            assert list(feed.snapshot()) == [Record(0, b"key", "string", b"value", 0)]
            call(connection, "SET", "key", "other")
            assert list(told(feed, 1)) == [Put(0, b"key", b"other", 0)]
        for missing in needed:
            call(connection, "ACL", "SETUSER", "mover", missing.replace("+", "-"))
            refused(address(server, username="mover", password="secret"), FollowingRefused, "NOPERM")
            call(connection, "ACL", "SETUSER", "mover", missing)
        call(connection, "ACL", "SETUSER", "default", ">right", "resetpass", ">right")
        for username, password in (("", ""), ("", "wrong"), ("mover", "wrong"), ("nobody", "secret")):
            refused(address(server, username=username, password=password), SourceFailed, "password")
        with closing(ReplicaFeed(address(server, password="right"))) as feed:
            assert len(list(feed.snapshot())) == 1
        connection.close()


def test_a_server_behind_tls_is_followed(tmp_path: Path) -> None:
    folder, port = make(tmp_path / "certificates", "mover"), free_port()
    files = [("ca-cert-file", "ca.crt"), ("cert-file", "server.crt"), ("key-file", "server.key")]
    options = [word for name, file in files for word in (f"--tls-{name}", str(folder / file))]
    with running(start_redis(tmp_path / "data", "--tls-port", str(port), *options)) as server:
        connection = server.connect()
        call(connection, "DEBUG", "POPULATE", 1000, "key", 2000)
        tls = Tls(str(folder / "ca.crt"), str(folder / "mover.crt"), str(folder / "mover.key"))
        with closing(ReplicaFeed(ServerAddress((("localhost", port),), tls=tls))) as feed:
            assert len(list(feed.snapshot())) == 1000
            call(connection, "SET", "large", "x" * 2_000_000)
            assert list(told(feed, 1)) == [Put(0, b"large", b"x" * 2_000_000, 0)]
        with (
            closing(ReplicaFeed(ServerAddress((("localhost", port),), tls=Tls()))) as feed,
            pytest.raises(SourceFailed),
        ):
            next(feed.snapshot())
        connection.close()


def test_a_replica_is_refused_and_names_its_primary(tmp_path: Path) -> None:
    """Its writers write elsewhere, so they could not be told to wait."""
    with running(start_redis(tmp_path / "primary")) as first:
        of = ("--replicaof", f"127.0.0.1 {first.port}")
        with running(start_redis(tmp_path / "replica", *of)) as second:
            refused(address(second), SourceFailed, f"127.0.0.1:{first.port}")


def test_a_source_that_is_stopped_and_started_is_followed_on(tmp_path: Path) -> None:
    """A clean stop saves where the stream was, so the same history goes on."""
    options = ("--repl-diskless-sync-delay", "0", "--save", "10000 1000", "--shutdown-timeout", "0")
    with running(start_redis(tmp_path / "data", *options)) as first:
        connection = first.connect()
        with closing(ReplicaFeed(address(first))) as feed:
            assert list(feed.snapshot()) == []
            call(connection, "SET", "before", 1)
            assert list(told(feed, 1)) == [Put(0, b"before", b"1", 0)]
            connection.close()
            first.stop()
            again = spawn(list(map(str, first.process.args)), first.port, tmp_path / "data")  # type: ignore[arg-type,call-overload]
            with running(ready(again)):
                connection = again.connect()
                call(connection, "SET", "after", 2)
                connection.close()
                assert list(told(feed, 1)) == [Put(0, b"after", b"2", 0)]


def test_a_server_that_is_not_there_is_told_from_one_that_refuses() -> None:
    refused(ServerAddress((("127.0.0.1", free_port()),)), SourceFailed, "refused")


# --- What is sent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [with_length, with_mark])
def test_what_follows_the_snapshot_at_once_is_the_stream(wrapped: object) -> None:
    whole = wrapped(RDB) + stream(SELECT, [b"SET", b"k", b"v"])  # type: ignore[operator]
    for pieces in ([whole], [whole[:30], whole[30:-50], whole[-50:-35], whole[-35:]]):
        with primary(sends(*pieces)) as made, closing(feed_of(made)) as feed:
            assert len(list(feed.snapshot())) > 50
            assert list(told(feed, 1)) == [Put(0, b"k", b"v", 0)]


def test_line_ends_before_the_snapshot_only_say_that_it_is_being_made() -> None:
    with primary(sends(b"\n", b"\n\n", with_length(RDB))) as made:
        assert len(copied(made)) > 50


def test_line_ends_between_the_snapshot_and_the_stream_are_part_of_neither() -> None:
    """A primary that makes its snapshot without a file may send one there, as redis-server 7.0 was seen to do."""
    changes = stream(SELECT, [b"SET", b"k", b"v"])
    with primary(sends(with_mark(RDB) + b"\n", b"\n", b"\n" + changes)) as made, closing(feed_of(made)) as feed:
        assert len(list(feed.snapshot())) > 50
        assert list(told(feed, 1)) == [Put(0, b"k", b"v", 0)]
        assert feed.position == f"={HISTORY}:{100 + len(changes)}:0"


def test_the_beginning_of_the_mark_within_the_snapshot_is_data() -> None:
    mark = b"0123456789" * 4
    rdb = b"REDIS0011\x00\x01k\x27" + mark[:39] + b"\xff" + bytes(8)
    pieces = with_mark(rdb, mark)
    with primary(sends(*[pieces[at : at + 1] for at in range(len(pieces))])) as made:
        assert copied(made) == [Record(0, b"k", "string", mark[:39], 0)]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda asked: asked.say(with_length(RDB)[:-50]), id="a length"),
        pytest.param(lambda asked: asked.say(with_mark(RDB)[:-50]), id="a mark"),
        pytest.param(lambda asked: asked.say(b"\n\n"), id="nothing yet"),
    ],
)
def test_a_snapshot_that_breaks_off_has_to_be_begun_again(script: Script) -> None:
    with primary(script) as made, pytest.raises(SourceFailed, match="begin again"):
        copied(made)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(with_length(RDB[:-1] + b"?"), id="another checksum"),
        pytest.param(with_length(RDB[:5000] + b"?" + RDB[5001:]), id="another byte"),
        pytest.param(with_length(RDB[:-100]), id="too short"),
        pytest.param(with_mark(RDB[:-100]), id="too short before the mark"),
        pytest.param(with_length(RDB + b"more"), id="too long"),
        pytest.param(with_mark(RDB + b"more"), id="too long before the mark"),
    ],
)
def test_a_damaged_snapshot_is_refused(sent: bytes) -> None:
    with primary(sends(sent)) as made, pytest.raises(DamagedSnapshot):
        copied(made)


@pytest.mark.parametrize("sent", [b"-ERR out of memory\r\n", b"$-1\r\n", b"x" * 5000, b"$EOF:short\r\n"])
def test_what_is_no_snapshot_at_all_is_refused(sent: bytes) -> None:
    with primary(sends(sent)) as made, pytest.raises(SourceFailed, match="no snapshot"):
        copied(made)


@pytest.mark.parametrize(
    "answer", [b"+WHATEVER\r\n", b"$3\r\nfoo\r\n", b"+FULLRESYNC short 1\r\n", b"-ERR unknown\r\n"]
)
def test_an_answer_that_nobody_knows_refuses(answer: bytes) -> None:
    with primary(said={b"PSYNC": answer}) as made, pytest.raises(FollowingRefused):
        copied(made)


def test_a_server_that_loads_its_data_is_waited_for() -> None:
    made: Primary

    def later(_: Asked) -> None:
        made.said[b"PSYNC"] = b"+FULLRESYNC " + HISTORY.encode() + b" 100\r\n"

    with primary(later, sends(with_length(EMPTY)), said={b"PSYNC": b"-LOADING wait\r\n"}) as made:
        assert copied(made) == []


def test_a_stream_that_makes_no_sense_is_refused() -> None:
    with primary(sends(with_length(EMPTY), b"+OK\r\n")) as made, closing(feed_of(made)) as feed:
        assert list(feed.snapshot()) == []
        with pytest.raises(SourceFailed, match="no command"):
            list(told(feed, 1))


def test_a_lost_connection_goes_on_behind_the_last_byte_and_takes_over_a_new_history() -> None:
    first, second = stream(SELECT, [b"SET", b"k", b"1"]), stream([b"SET", b"k", b"2"])
    made: Primary

    def cut(asked: Asked) -> None:
        asked.say(with_length(EMPTY) + first + second[:10])
        made.said[b"PSYNC"] = b"+CONTINUE " + b"b" * 40 + b"\r\n"

    with primary(cut, sends(second[10:])) as made, closing(feed_of(made)) as feed:
        assert list(feed.snapshot()) == []
        assert list(told(feed, 2)) == [Put(0, b"k", b"1", 0), Put(0, b"k", b"2", 0)]
        assert [b"PSYNC", HISTORY.encode(), b"%d" % (101 + len(first) + 10)] in made.heard
        assert feed.position == f"={'b' * 40}:{100 + len(first) + len(second)}:0"


def test_how_far_a_primary_of_another_history_is_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Just after a failover its offset may be one that was told already, and what is behind it something else."""
    monkeypatch.setattr(feed_module, "PATIENCE_S", 0.3)
    with primary(sends(with_length(EMPTY))) as made, closing(feed_of(made)) as feed:
        assert list(feed.snapshot()) == []
        assert feed.behind(feed.position) == 0
        made.said[b"INFO"] = made.said[b"INFO"].replace(HISTORY.encode(), b"b" * 40)
        with pytest.raises(SourceFailed, match="another history"):
            feed.behind(feed.position)


def test_a_primary_that_would_begin_anew_has_let_go_of_the_changes() -> None:
    def cut(asked: Asked) -> None:
        asked.say(with_length(EMPTY) + stream(SELECT, [b"SET", b"k", b"1"]))

    with primary(cut, sends(with_length(EMPTY))) as made, closing(feed_of(made)) as feed:
        assert list(feed.snapshot()) == []
        with pytest.raises(PositionLost):
            list(told(feed, 2))


def test_a_replicated_command_that_nobody_knows_is_refused_and_not_passed_over() -> None:
    def script(asked: Asked) -> None:
        made.said[b"COMMAND"] = b"-ERR Invalid command specified\r\n"
        sends(with_length(EMPTY), stream(SELECT, [b"FROB", b"k"]))(asked)

    with primary(script) as made, closing(feed_of(made)) as feed:
        assert list(feed.snapshot()) == []
        with pytest.raises(SourceFailed, match="FROB"):
            list(told(feed, 1))
