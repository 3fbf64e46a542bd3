"""GET /v1/changes: the change feed as server-sent events. See docs/changes.md."""

from __future__ import annotations

import base64
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from event_stream import EventStream, Told
from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wire import SocketConnection

pytestmark = pytest.mark.usefixtures("http")  # an empty store


@pytest.fixture
def follow(http_server: HttpServer) -> Callable[..., EventStream]:
    """Follow from where the store is now on: the first event, which says where that is, has been read."""

    def begin(query: str = "", last_event_id: str = "", **more: int) -> EventStream:
        stream = EventStream(http_server.http_address, query, last_event_id, **more)
        assert next(stream).name == "progress"
        return stream

    return begin


def shown(told: list[Told]) -> list[tuple[str, bytes | None, bytes | None]]:
    return [(each.data["operation"], each.key, each.value) for each in told]


def test_every_kind_of_change_is_told_with_its_values(
    follow: Callable[..., EventStream], redis_door: SocketConnection
) -> None:
    with follow("values=text") as stream:
        redis_door.call("SET", "k", "v")
        redis_door.call("SET", "k", "v2", "PXAT", "9000000000000")
        redis_door.call("PERSIST", "k")
        redis_door.call("SETRANGE", "k", "1", "x")
        redis_door.call("DEL", "k")
        redis_door.call("SELECT", "3")
        redis_door.call("SET", b"\xff\0", b"\xfe")
        redis_door.call("SWAPDB", "3", "4")
        redis_door.call("SELECT", "4")
        redis_door.call("FLUSHDB")
        told = stream.changes(8)
    assert shown(told) == [
        ("put", b"k", b"v"),
        ("put", b"k", b"v2"),
        ("expire", b"k", None),
        ("patch", b"k", b"x"),
        ("delete", b"k", None),
        ("put", b"\xff\0", b"\xfe"),
        ("swap", None, None),
        ("flush", None, None),
    ]
    assert told[1].data["expires_at_ms"] == 9_000_000_000_000
    assert "expires_at_ms" not in told[2].data
    assert (told[3].data["offset"], told[3].data["length"]) == (1, 1)
    assert [each.data["db"] for each in told] == [0, 0, 0, 0, 0, 3, 3, 4]
    assert told[6].data["swapped_with"] == 4
    assert {each.data["user"] for each in told} == {"default"}
    sequences = [int(each.id.split(".")[1]) for each in told]
    assert sequences == list(range(sequences[0], sequences[0] + 8))


def test_an_expiry_is_told_as_such(follow: Callable[..., EventStream], redis_door: SocketConnection) -> None:
    with follow() as stream:
        redis_door.call("SET", "k", "v", "PX", "5")
        assert shown(stream.changes(2)) == [("put", b"k", None), ("expired", b"k", None)]


def test_only_the_wanted_database_and_prefix_are_told(
    follow: Callable[..., EventStream], redis_door: SocketConnection
) -> None:
    odd = base64.urlsafe_b64encode(b"\xff").decode().rstrip("=")
    with follow("prefix=a:&db=0") as text, follow(f"prefix_base64url={odd}") as raw:
        redis_door.call("MSET", "a:1", "", "b:1", "", b"\xff\xfe", "")
        redis_door.call("SELECT", "1")
        redis_door.call("MSET", "a:2", "", b"\xff2", "", "a:3", "")
        redis_door.call("SELECT", "0")
        redis_door.call("MSET", "a:end", "", b"\xffend", "")
        assert [told.key for told in text.changes(2)] == [b"a:1", b"a:end"]
        assert [told.key for told in raw.changes(3)] == [b"\xff\xfe", b"\xff2", b"\xffend"]


def test_whoever_is_told_nothing_learns_how_far_the_store_is(
    follow: Callable[..., EventStream], redis_door: SocketConnection
) -> None:
    with follow("prefix=nothing") as stream:
        before = stream.last_id
        redis_door.call("SET", "k", "v")
        told = next(stream)
        assert told.name == "progress"
        assert int(told.id.split(".")[1]) == int(before.split(".")[1]) + 1
        redis_door.call("SET", "nothing", "v")
        with follow("prefix=nothing", told.id) as again:
            assert [each.key for each in again.changes(1)] == [b"nothing"]


def test_a_follower_goes_on_in_the_middle_of_a_transaction(
    follow: Callable[..., EventStream], redis_door: SocketConnection
) -> None:
    with follow() as stream:
        redis_door.call("MSET", "a", "1", "b", "2", "c", "3")
        redis_door.call("SET", "d", "4")
        told = stream.changes(4)
    assert len({each.id.rpartition(".")[0] for each in told[:3]}) == 1
    for place, each in enumerate(told[:3]):
        with follow("", each.id) as again:
            assert [(other.id, other.data) for other in again.changes(3 - place)] == [
                (other.id, other.data) for other in told[place + 1 :]
            ]


def test_the_header_wins_over_since_and_a_number_will_do(
    follow: Callable[..., EventStream], redis_door: SocketConnection
) -> None:
    with follow() as stream:
        for key in ("a", "b", "c"):
            redis_door.call("SET", key, "")
        told = stream.changes(3)
    with follow(f"since={told[0].id}", told[1].id) as again:
        assert again.changes(1)[0].key == b"c"
    with follow(f"since={told[0].id.split('.')[1]}") as again:
        assert [each.key for each in again.changes(2)] == [b"b", b"c"]


def test_ten_followers_are_told_the_same(follow: Callable[..., EventStream], redis_door: SocketConnection) -> None:
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(follow("prefix=k")) for _ in range(10)]
        for number in range(500):
            redis_door.call("SET", f"k{number}", "")
        redis_door.call("SET", "kend", "")
        told = [stream.changes_until(b"kend") for stream in streams]
    assert [each.key for each in told[0]] == [b"k%d" % number for number in range(500)]
    assert all(other == told[0] for other in told[1:])


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("since=x", 400, "id"),
        ("since=0123456789abcdef.1.0", 409, "0123456789abcdef"),
        ("since=99999999", 400, "yet"),
        ("sinse=1", 400, "since"),
        ("values=all", 400, "none, text, base64url"),
        ("prefix=a&prefix_base64url=YQ", 400, "twice"),
        ("prefix_base64url=%2B", 400, "base64url"),
        ("db=16", 400, "db"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_reason(
    http: HttpConnection, query: str, status: int, says: str
) -> None:
    answer = http.ask("GET", f"/v1/changes?{query}")
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json["detail"]


def test_a_slow_reader_misses_nothing_and_delays_nobody(
    http_server: HttpServer, follow: Callable[..., EventStream], redis_door: SocketConnection
) -> None:
    """Much more than the server keeps for it is written before it begins to read."""
    rounds, value = 300, bytes(100_000)
    with follow("values=base64url", receive_bytes=65536) as slow, follow("prefix=k") as quick:
        for number in range(rounds):
            redis_door.call("SET", f"k{number}", value)
        redis_door.call("SET", "kend", "")
        assert len(quick.changes_until(b"kend")) == rounds
        assert resident_bytes(http_server) < 400 << 20
        told = slow.changes_until(b"kend")
    assert [each.key for each in told] == [b"k%d" % number for number in range(rounds)]
    assert all(each.value == value for each in told)


def resident_bytes(server: HttpServer) -> int:
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_a_restricted_user_is_told_only_of_keys_it_may_read(
    http_server: HttpServer, redis_door: SocketConnection
) -> None:
    redis_door.call("ACL", "SETUSER", "ann", "on", ">secret", "~user:*", "+@read")
    login = {"Authorization": "Basic " + base64.b64encode(b"ann:secret").decode()}
    try:
        with EventStream(http_server.http_address, headers=login) as stream:
            begin = next(stream).id
            redis_door.call("MSET", "user:1", "", "other:1", "", "user:2", "")
            assert [told.key for told in stream.changes(2)] == [b"user:1", b"user:2"]
            redis_door.call("ACL", "SETUSER", "ann", "resetkeys", "~other:*")
            redis_door.call("MSET", "user:3", "", "other:2", "")
            assert [told.key for told in stream.changes(1)] == [b"other:2"]
        with EventStream(http_server.http_address, last_event_id=begin, headers=login) as stream:
            assert [told.key for told in stream.changes(2)] == [b"other:1", b"other:2"]
        with EventStream(http_server.http_address, "since=0", headers=login) as stream:
            assert {told.key for told in stream.changes_until(b"other:2") if told.key} <= {b"other:1"}
    finally:
        redis_door.call("ACL", "DELUSER", "ann")


class Writer(threading.Thread):
    """Increments numbers until the server is gone; `acknowledged` says how often it knows that it did."""

    def __init__(self, server: HttpServer) -> None:
        super().__init__()
        self._connection = server.connect()
        self.acknowledged = 0

    def run(self) -> None:
        try:
            while True:
                reply = self._connection.call("SET", "n", str(self.acknowledged + 1))
                if reply.kind != "+":
                    return
                self.acknowledged += 1
        except OSError:
            pass
        finally:
            self._connection.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_follower_goes_on_after_a_restart_without_a_gap_or_a_repeat(tmp_path: Path, how: str) -> None:
    ids: list[str] = []
    numbers: list[int] = []
    last_id, written = "", 0
    for _ in range(3):
        with running(start_keystead_http(tmp_path / "data")) as server:
            with EventStream(server.http_address, "values=text" + ("" if last_id else "&since=0"), last_id) as stream:
                if numbers:
                    with contextlib.closing(server.connect()) as redis:
                        caught_up = redis.call("GET", "n").value
                    while numbers[-1] < int(caught_up):
                        take(stream, ids, numbers)
                    written = numbers[-1]
                writer = Writer(server)
                writer.acknowledged = written
                writer.start()
                for _ in range(50):
                    take(stream, ids, numbers)
                server.kill() if how == "kill" else server.stop()
                writer.join()
                last_id = stream.last_id
            assert writer.acknowledged >= numbers[-1] - 1, "only what is durable is told"
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(set(ids)) == len(ids)


def take(stream: EventStream, ids: list[str], numbers: list[int]) -> None:
    told = stream.changes(1)[0]
    ids.append(told.id)
    numbers.append(int(told.value or b""))


def test_what_is_not_kept_any_more_cannot_be_asked_for(tmp_path: Path) -> None:
    options = ("--history-max-age", "0s", "--history-max-bytes", "0")
    with running(start_keystead_http(tmp_path / "data", *options)) as server, contextlib.ExitStack() as stack:
        redis = stack.enter_context(contextlib.closing(server.connect()))
        with EventStream(server.http_address) as stream:
            begin = next(stream).id
        slow = stack.enter_context(EventStream(server.http_address, "values=base64url&since=0", receive_bytes=65536))
        problem = None
        for _ in range(300):  # more than the server keeps for the slow one
            redis.call("SET", "k", bytes(100_000))
        while problem is None:
            redis.call("SET", "k", "v")
            redis.call("BGSAVE")  # unless one is under way
            problem = refusal(server, begin)
        assert problem["status"] == 410
        floor = int(problem["first_id"].split(".")[1])
        assert str(floor) in problem["detail"]
        with EventStream(server.http_address, f"since={problem['first_id']}") as stream:
            redis.call("SET", "end", "")
            told = stream.changes_until(b"end")
            assert not told or int(told[0].id.split(".")[1]) == floor
        # Whoever was reading when the history was dropped is told everything, or that there is a gap: then it ends.
        told = list(until_end_or(slow, b"end"))
        changes = [each for each in told if each.name == "message"]
        assert [each.id.split(".")[1] for each in changes] == [str(number + 1) for number in range(len(changes))]
        if told[-1].name == "gone":
            assert refusal(server, slow.last_id) is not None


def until_end_or(stream: EventStream, key: bytes) -> Iterator[Told]:
    for told in stream:
        yield told
        if told.key == key:
            return


def refusal(server: HttpServer, since: str) -> dict[str, Any] | None:
    """The problem, when following from there is refused."""
    try:
        EventStream(server.http_address, f"since={since}").close()
    except AssertionError:
        http = HttpConnection(server.http_address)
        problem: dict[str, Any] = http.ask("GET", f"/v1/changes?since={since}").json
        http.close()
        return problem
    return None
