"""SCAN over the primaries of a cluster, one after the other, by a cursor that says all there is to know."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.cluster.topology import Node
from keystead.execution.cluster.key_scans import following, found_again, position_in, tag_of
from scripted_cluster import IDS, FrontStage, topology_of

OTHER = "d" * 40


def page(cursor: int, *keys: bytes) -> bytes:
    text = b"%d" % cursor
    found = b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in keys)
    return b"*2\r\n$%d\r\n%b\r\n*%d\r\n%b" % (len(text), text, len(keys), found)


def cursor_in(reply: bytes | None) -> int:
    assert reply is not None
    return int(reply.split(b"\r\n")[2])


def test_a_small_cluster_is_scanned_in_one_call(front: FrontStage) -> None:
    running = front.client().run("SCAN 0")
    for place, reply in enumerate((page(0, b"a"), page(0), page(0, b"b", b"c"))):
        (sent,) = front.cluster.sends[place]
        assert (sent.line, sent.request.target) == ("SCAN 0", IDS[place])
        sent.answer(reply)
    assert running.replies == page(0, b"a", b"b", b"c")


def test_a_page_ends_where_its_node_ends_it(front: FrontStage) -> None:
    running = front.client().run("SCAN 0 MATCH a* COUNT 2 TYPE string")
    assert front.cluster.lines() == ["SCAN 0 MATCH a* COUNT 2 TYPE string"]
    front.cluster.answer(page(512, b"a"))
    cursor = cursor_in(running.replies)
    assert cursor > 0
    front.client().run(f"SCAN {cursor} MATCH a* COUNT 2 TYPE string")
    assert front.cluster.lines()[1:] == ["SCAN 512 MATCH a* COUNT 2 TYPE string"]
    assert front.cluster.sent[1].request.target == IDS[0]


def test_a_page_that_is_full_at_the_end_of_a_shard_ends_there(front: FrontStage) -> None:
    running = front.client().run("SCAN 0 COUNT 2")
    front.cluster.answer(page(0, b"a", b"b"))
    front.client().run(f"SCAN {cursor_in(running.replies)} COUNT 2")
    assert [(sent.line, sent.request.target) for sent in front.cluster.sends[1]] == [("SCAN 0 COUNT 2", IDS[1])]


def test_a_shard_with_another_primary_is_begun_anew_and_only_that(front: FrontStage) -> None:
    at_second = following(found_again(0, primaries(*IDS)), 0, primaries(*IDS))
    cursor = following(found_again(at_second, primaries(*IDS)), 64, primaries(*IDS))
    front.cluster.topology = topology_of(IDS[0], OTHER, IDS[2])
    front.client().run(f"SCAN {cursor}")
    (sent,) = front.cluster.sent
    assert (sent.line, sent.request.target) == ("SCAN 0", OTHER)


def test_a_shard_that_is_found_at_another_place_goes_on(front: FrontStage) -> None:
    at_second = following(found_again(0, primaries(*IDS)), 0, primaries(*IDS))
    cursor = following(found_again(at_second, primaries(*IDS)), 64, primaries(*IDS))
    front.cluster.topology = topology_of(OTHER, *IDS)
    front.client().run(f"SCAN {cursor}")
    (sent,) = front.cluster.sent
    assert (sent.line, sent.request.target) == ("SCAN 64", IDS[1])


def test_a_node_that_is_replaced_before_it_answers_is_not_waited_for(front: FrontStage) -> None:
    cursor = following(found_again(0, primaries(*IDS)), 64, primaries(*IDS))
    running = front.client().run(f"SCAN {cursor} COUNT 1")
    front.timers.pass_time(0.5)
    assert front.cluster.lines() == ["SCAN 64 COUNT 1"]
    front.cluster.topology = topology_of(OTHER, *IDS[1:])
    front.timers.pass_time(0.5)
    again = front.cluster.sent[1]
    assert (again.line, again.request.target) == ("SCAN 0 COUNT 1", OTHER)
    front.cluster.sent[0].answer(page(0, b"late"))
    assert running.replies is None
    again.answer(page(8, b"a"))
    assert b"$1\r\na\r\n" in (running.replies or b"")
    front.timers.pass_time(1)
    assert len(front.cluster.sent) == 2


def test_the_error_of_a_node_is_the_reply(front: FrontStage) -> None:
    running = front.client().run("SCAN 0 COUNT x")
    front.cluster.answer(b"-ERR value is not an integer or out of range\r\n")
    assert running.replies == b"-ERR value is not an integer or out of range\r\n"


@pytest.mark.parametrize("cursor", ["x", "1.5", "12x"])
def test_what_is_no_cursor_is_refused(cursor: str, front: FrontStage) -> None:
    assert front.client()(f"SCAN {cursor}") == b"-ERR invalid cursor\r\n"
    assert front.cluster.sends == []


def primaries(*ids: str) -> tuple[Node, ...]:
    return topology_of(*ids).primaries


@given(st.integers(0, (1 << 37) - 1), st.integers(0, 1023), st.text("0123456789abcdef", min_size=40, max_size=40))
def test_cursors_of_sensible_size_fit_a_signed_number_of_64_bits(at_node: int, place: int, name: str) -> None:
    position = position_in(0)._replace(place=place, tag=tag_of(name), cursor=at_node)
    assert 0 < position.encoded() < 1 << 63
    assert position_in(position.encoded()) == position


@given(st.integers(), st.integers(1, 6), st.integers(0, 4))
def test_every_key_is_told_whatever_fails_over_meanwhile(seed: int, shards: int, failovers: int) -> None:
    """Each node tells its keys in an order of its own, as real ones do, so a cursor of another node leaves keys out."""
    chance = random.Random(seed)
    keys = {place: [f"key:{place}:{number}" for number in range(chance.randrange(9))] for place in range(shards)}
    ids = [f"{place:040x}" for place in range(shards)]
    orders: dict[str, list[str]] = {}
    found: set[str] = set()
    cursor = 0
    while True:
        if failovers and chance.random() < 0.3:
            failovers -= 1
            ids[chance.randrange(shards)] = f"{chance.getrandbits(160):040x}"
        position = found_again(cursor, primaries(*ids))
        name = ids[position.place]
        order = orders.setdefault(name, chance.sample(keys[position.place], len(keys[position.place])))
        found.update(order[position.cursor : position.cursor + 2])
        at_node = position.cursor + 2 if position.cursor + 2 < len(order) else 0
        cursor = following(position, at_node, primaries(*ids))
        if not cursor:
            break
    assert found == {key for some in keys.values() for key in some}
