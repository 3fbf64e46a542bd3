"""The request grammar: every case whole, byte by byte, in random chunks, and with garbage behind it."""

import gc
import random
import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from untimed import untimed

from keystead.resp import Limits, ProtocolError, QueryBufferExceeded, RequestParser
from keystead.resp import plain as plain_road

Commands = list[list[bytes]]
PING = b"*1\r\n$4\r\nPING\r\n"


def array(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in arguments)


def chunks_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def outcome(chunks: list[bytes], limits: Limits | None = None) -> tuple[Commands, str | None]:
    """All commands, and the message of the error that ended the input, if one did."""
    limits = limits or Limits()
    parser = RequestParser(limits)
    commands: Commands = []
    try:
        for chunk in chunks:
            found = parser.feed(chunk)
            commands += found
            while found and limits.before_login:
                found = parser.feed(b"")
                commands += found
    except ProtocolError as error:
        return commands + error.commands, error.message
    return commands, None


WELL_FORMED = [
    (PING, [[b"PING"]]),
    (array(b"GET", b"k"), [[b"GET", b"k"]]),
    (array(b"SET", b"k", b"v"), [[b"SET", b"k", b"v"]]),
    (array(b"SET", b"", b""), [[b"SET", b"", b""]]),
    (array(b""), [[b""]]),
    (array(b"SET", b"k", b"a\r\nb\n*1\r\n$1\r\nx\r\n"), [[b"SET", b"k", b"a\r\nb\n*1\r\n$1\r\nx\r\n"]]),
    (array(*[b"x"] * 1500), [[b"x"] * 1500]),
    (array(b"SET", b"k", b"v" * 40000) + PING, [[b"SET", b"k", b"v" * 40000], [b"PING"]]),
    (array(b"SET", b"+=%(", b">|~") + PING, [[b"SET", b"+=%(", b">|~"], [b"PING"]]),
    (PING * 3 + array(b"GET", bytes(range(256))), [[b"PING"]] * 3 + [[b"GET", bytes(range(256))]]),
    # What Redis passes over in silence.
    (b"*0\r\n" + PING, [[b"PING"]]),
    (b"*-1\r\n" + PING, [[b"PING"]]),
    (b"*-5\r\n" + PING, [[b"PING"]]),
    (b"\r\n\n  \r\n" + PING, [[b"PING"]]),
    (PING + b"*0\r\n*-1\r\n\r\n" + PING, [[b"PING"]] * 2),
    # The two bytes after a bulk string and the one after a header's carriage return are not looked at.
    (b"*1\r\n$4\r\nPINGXX" + PING, [[b"PING"]] * 2),
    (b"*1\rX$4\rYPINGZZ", [[b"PING"]]),
    (b"*1\r\n$1\r\na\n\n*1\r\n$1\r\nb\r\n", [[b"a"], [b"b"]]),
    # Inline.
    (b"PING\r\n", [[b"PING"]]),
    (b"PING\n", [[b"PING"]]),
    (b"SET k 'a b'\r\n" + PING + b"GET k\n", [[b"SET", b"k", b"a b"], [b"PING"], [b"GET", b"k"]]),
    (b":0\r\n", [[b":0"]]),
    (b"+OK\r\n", [[b"+OK"]]),
    (b"~1\r\n$1\r\n", [[b"~1"], [b"$1"]]),
]

MALFORMED = [
    (b"*x\r\n", "invalid multibulk length"),
    (b"*\r\n", "invalid multibulk length"),
    (b"*-\r\n", "invalid multibulk length"),
    (b"*+1\r\n", "invalid multibulk length"),
    (b"*01\r\n", "invalid multibulk length"),
    (b"*-0\r\n", "invalid multibulk length"),
    (b"* 1\r\n", "invalid multibulk length"),
    (b"*1 \r\n", "invalid multibulk length"),
    (b"*1_0\r\n", "invalid multibulk length"),
    (b"*1048577\r\n", "invalid multibulk length"),
    (b"*99999999999999999999999\r\n", "invalid multibulk length"),
    (b"*1" * 40000, "too big mbulk count string"),
    (b"*1\r\nx\r\n", "expected '$', got 'x'"),
    (b"*1\r\n:1\r\n", "expected '$', got ':'"),
    (b"*1\r\n*1\r\n$1\r\na\r\n", "expected '$', got '*'"),
    (b"*1\r\n\n\r\n", "expected '$', got '\n'"),
    (b"*1\r\n\xff\r\n", "expected '$', got '\udcff'"),
    (b"*2\r\n$1\r\naXX=5\r\n\nxt:a\r\n", "expected '$', got '='"),
    (b"*2\r\n$1\r\na\n\n+b\r\n", "expected '$', got '+'"),
    (b"*1\r\n(12\r\n", "expected '$', got '('"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$\r\n", "invalid bulk length"),
    (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
    (b"*1\r\n$ 4\r\nPING\r\n", "invalid bulk length"),
    (b"*1\r\n$67108865\r\n", "invalid bulk length"),
    (b"*1\r\n$99999999999999999999999\r\n", "invalid bulk length"),
    (b"*1\r\n$" + b"1" * 70000, "too big bulk count string"),
    (b"x" * 70000, "too big inline request"),
    (b'PING "a\r\n', "unbalanced quotes in request"),
    (b'PING "a"b\r\n', "unbalanced quotes in request"),
    (b"PING 'a'b\r\n", "unbalanced quotes in request"),
]


@pytest.mark.parametrize(("data", "commands"), WELL_FORMED)
def test_a_well_formed_request_gives_its_commands_however_it_is_cut(data: bytes, commands: Commands) -> None:
    assert outcome([data]) == (commands, None)
    assert outcome([data[at : at + 1] for at in range(len(data))]) == (commands, None)
    choose = random.Random(len(data))
    for _ in range(20):
        cuts = [choose.randrange(len(data) + 1) for _ in range(choose.randrange(1, 8))]
        assert outcome(chunks_of(data, cuts)) == (commands, None)


@pytest.mark.parametrize(("data", "message"), MALFORMED)
@pytest.mark.parametrize("garbage", [b"", PING, b"\r\n", b"*1\r\n", b"\x00\xff" * 40000])
def test_a_malformed_request_is_named_in_redis_words_and_nothing_after_it_is_read(
    data: bytes, message: str, garbage: bytes
) -> None:
    expected = ([[b"PING"], [b"ECHO", b"a"]], f"Protocol error: {message}")
    everything = PING + array(b"ECHO", b"a") + data + garbage
    assert outcome([everything]) == expected
    assert outcome([everything[at : at + 1] for at in range(len(everything))]) == expected
    choose = random.Random(len(everything))
    for _ in range(5):
        cuts = [choose.randrange(len(everything) + 1) for _ in range(choose.randrange(1, 8))]
        assert outcome(chunks_of(everything, cuts)) == expected


BEFORE_LOGIN = [
    (b"*10\r\n", None),
    (b"*11\r\n", "unauthenticated multibulk length"),
    (b"*1048577\r\n", "invalid multibulk length"),
    (b"*1\r\n$16384\r\n", None),
    (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    (b"*1\r\n$67108865\r\n", "invalid bulk length"),
]


@pytest.mark.parametrize(("data", "message"), BEFORE_LOGIN)
def test_the_limits_before_login_are_redis_own(data: bytes, message: str | None) -> None:
    expected = ([[b"PING"]], message and f"Protocol error: {message}")
    limits = Limits(before_login=True)
    assert outcome([PING + data], limits) == expected
    assert outcome([(PING + data)[at : at + 1] for at in range(len(PING + data))], limits) == expected


def test_what_follows_a_login_in_one_chunk_is_judged_by_the_limits_after_it() -> None:
    many = array(*[b"x"] * 30)
    parser = RequestParser(Limits(before_login=True))
    assert parser.feed(array(b"AUTH", b"secret") + many + many) == [[b"AUTH", b"secret"]]
    parser.limits = Limits()
    assert parser.feed(b"") == [[b"x"] * 30] * 2
    assert parser.buffered_bytes == 0


def test_a_lower_limit_on_arguments_holds_on_the_fast_road_too() -> None:
    assert outcome([array(*[b"x"] * 4)], Limits(max_arguments=3)) == ([], "Protocol error: invalid multibulk length")
    assert outcome([array(*[b"x"] * 3)], Limits(max_arguments=3)) == ([[b"x"] * 3], None)


def test_a_lower_limit_on_the_size_of_a_value_holds_on_the_fast_road_too() -> None:
    limits = Limits(max_bulk_bytes=100)
    assert outcome([array(b"SET", b"x" * 101)], limits) == ([], "Protocol error: invalid bulk length")
    assert outcome([array(b"SET", b"x" * 100)], limits) == ([[b"SET", b"x" * 100]], None)


@pytest.mark.parametrize(
    ("piece", "within", "beyond"), [(b"$1\r\nx\r\n", 1500, 1000), (b"$100\r\n" + b"x" * 100 + b"\r\n", 500, 300)]
)
def test_a_command_may_not_outgrow_the_query_buffer(piece: bytes, within: int, beyond: int) -> None:
    """What many small arguments take beside their bytes is counted too."""
    parser = RequestParser(Limits(max_query_buffer_bytes=100_000))
    assert parser.feed(PING + b"*1000000\r\n") == [[b"PING"]]
    assert parser.feed(piece * within) == []
    with pytest.raises(QueryBufferExceeded):
        parser.feed(piece * beyond)


def test_a_single_value_may_not_outgrow_the_query_buffer() -> None:
    parser = RequestParser(Limits(max_query_buffer_bytes=100_000))
    parser.feed(b"*1\r\n$1000000\r\n" + b"x" * 50_000)
    with pytest.raises(QueryBufferExceeded):
        parser.feed(b"x" * 60_000)


def test_before_login_the_query_buffer_is_one_megabyte() -> None:
    parser = RequestParser(Limits(before_login=True))
    with pytest.raises(QueryBufferExceeded):
        parser.feed(PING * 100_000)


def test_buffered_bytes_counts_what_is_held_and_falls_to_zero() -> None:
    parser = RequestParser(Limits())
    assert parser.buffered_bytes == 0
    parser.feed(b"*2\r\n$3\r\nGET\r\n$500\r\n" + b"x" * 200)
    assert 203 <= parser.buffered_bytes <= 300
    assert parser.feed(b"x" * 300 + b"\r\n") == [[b"GET", b"x" * 500]]
    assert parser.buffered_bytes == 0


# --- properties

arguments = st.lists(st.binary(max_size=40), min_size=1, max_size=6)
requests = st.lists(arguments, min_size=1, max_size=8)

# Pieces of requests and of replies that hiredis would also take, put together anyhow: the fast road must not be fooled.
PIECES = [
    *(b"*%d\r\n" % count for count in (-1, 0, 1, 2, 3)),
    *(b"$%d\r\n" % length for length in (-1, 0, 1, 2, 3)),
    *(b"a", b"\r", b"\n", b"\r\n", b"a\r\n", b"aXX", b"a\n\n", b"GET\r\n", b"PING\r\n", b"\n*\r\n", b"\r\n$:a\r\n"),
    *(b"+x\r\n", b"(12\r\n", b"=5\r\n", b"txt:a\r\n", b"\nxt:a\r\n", b"\r\n*:a\r\n", b"-E\r\n", b"#f\r\n", b"_\r\n"),
    *(b"~1\r\n", b"|1\r\n", b"%1\r\n", b">1\r\n", b":0\r\n", b":1\r\n", b",0\r\n", b"*", b"$", b"'", b"1"),
    *(b"-", b"+", b":", b"_", b"#", b",", b"=", b"("),
    *(PING, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", b"$2\r\n+~\r\n", b"$2\r\na\r\r\n", b"$3\r\n\r\n$\r\n", b"$0\r\n\r\n"),
]
mixtures = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)


@untimed()
@given(requests)
def test_every_command_comes_out_as_it_went_in(commands: Commands) -> None:
    assert outcome([b"".join(array(*command) for command in commands)]) == (commands, None)


@untimed(1500)
@given(st.booleans().flatmap(lambda plain: mixtures.map(lambda data: PING + data if plain else data)), st.data())
def test_what_comes_out_does_not_depend_on_the_chunks(data: bytes, draw: st.DataObject) -> None:
    byte_by_byte = outcome([data[at : at + 1] for at in range(len(data))])
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=4))
    assert outcome([data]) == byte_by_byte
    assert outcome(chunks_of(data, cuts)) == byte_by_byte


@untimed(1500)
@given(mixtures)
def test_no_argument_is_ever_anything_but_bytes(data: bytes) -> None:
    commands, _ = outcome([data])
    assert all(type(command) is list and command for command in commands)
    assert all(type(argument) is bytes for command in commands for argument in command)


@untimed(1500)
@given(mixtures)
def test_the_fast_road_gives_what_the_grammar_gives_or_nothing(data: bytes) -> None:
    commands = plain_road.parse_plain(PING + data)
    if commands is not None:
        strictly = outcome([bytes([byte]) for byte in PING + data])
        assert (commands, None) == strictly


def test_the_fast_road_is_taken_by_what_clients_send() -> None:
    key = b"key:000000000001"
    for data in (PING, array(b"GET", key), array(b"SET", key, b"x+=y") * 16, array(b"MGET", *[key] * 20) * 5):
        assert plain_road.parse_plain(data) is not None, data


def test_the_fast_road_keeps_nothing_from_what_it_gave_up() -> None:
    for odd in (
        b"*2\r\n$1\r\na\r\n",
        b"*3\r\n",
        PING + b"*2\r\n",
        b"*1\r\n+",
        b"*1\r\n!x",
        b"*1\r\n$1\r\n+\r\n~3\r\n",
        PING + b"-",
    ):
        assert plain_road.parse_plain(odd) is None
        assert plain_road.parse_plain(array(b"GET", b"k") * 2) == [[b"GET", b"k"]] * 2


def test_remembered_heads_are_bounded() -> None:
    for length in range(3 * plain_road._MOST_HEADS // 2):
        plain_road.parse_plain(array(b"X%d" % length, b"k"))
        assert len(plain_road._heads) <= plain_road._MOST_HEADS


# --- cost


@pytest.mark.parametrize(
    "header",
    [b"*100000000\r\n", b"*1048576\r\n", b"*1\r\n$536870912\r\n", b"*1\r\n$67108864\r\n", PING + b"*999999\r\n$1\r\n"],
)
def test_a_declared_length_takes_no_memory_and_no_time_neither_then_nor_at_collection_nor_at_close(
    header: bytes,
) -> None:
    limits = Limits(max_arguments=2**31 - 1, max_bulk_bytes=512 << 20)
    plain_road.parse_plain(PING)
    gc.collect()
    tracemalloc.start()
    started = time.perf_counter()
    parsers = [RequestParser(limits) for _ in range(50)]
    for parser in parsers:
        parser.feed(header)
    gc.collect()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    parsers.clear()
    # A list of the declared size alone would be 800 MB; the bound on time is there to catch seconds, not to measure.
    assert peak < 500_000
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("size", [16384, 1])
def test_a_long_value_is_collected_once(size: int) -> None:
    """Memory never exceeds the bytes that arrived by more than their final copy and the spare room of one buffer."""
    length = 20_000_000 if size > 1 else 200_000
    parser = RequestParser(Limits())
    parser.feed(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % length)
    chunk = b"x" * size
    tracemalloc.start()
    for _ in range(length // size):
        assert parser.feed(chunk) == []
    rest = length % size
    assert parser.feed(b"x" * rest + b"\r\n")[0][2] == b"x" * length
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.3 * length + 200_000


def test_bytes_are_copied_a_bounded_number_of_times() -> None:
    """Counts the work, not the time: no held buffer is rebuilt when a chunk is added to it."""
    parser = RequestParser(Limits())
    parser.feed(b"*1\r\n$1000000\r\n" + b"x")
    held = parser._bulk
    for _ in range(50):
        parser.feed(b"x" * 16384)
        assert parser._bulk is held
    line = RequestParser(Limits())
    line.feed(b"SET k ")
    held = line._line
    for _ in range(50):
        line.feed(b"v" * 100)
        assert line._line is held
